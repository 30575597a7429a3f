//! Lines over a numeric axis.

use super::Chart;
use super::frame::{BOTTOM, LEFT, Labels, RIGHT, TOP, header, horizontal_axis, vertical_axis};
use super::scale::{Axis, Scale, short};
use super::scene::{Ink, Scene, Shape};

/// One line per series; series of one name share their colour and their place in the legend.
#[derive(Debug, Clone)]
pub(crate) struct LineChart {
    /// The words around it.
    pub(crate) labels: Labels,
    /// The series.
    pub(crate) series: Vec<LineSeries>,
    /// The vertical axis.
    pub(crate) axis: Axis,
}

/// A line.
#[derive(Debug, Clone)]
pub(crate) struct LineSeries {
    /// Its name in the legend.
    pub(crate) name: String,
    /// Its points from left to right; those with a NaN are left out.
    pub(crate) points: Vec<(f64, f64)>,
    /// Dashed instead of solid.
    pub(crate) dashed: bool,
    /// An interval around each point, low and high; empty for none.
    pub(crate) band: Vec<(f64, f64)>,
}

impl Chart for LineChart {
    fn scene(&self) -> Scene {
        let mut scene = Scene::new(format!("Lines: {}", self.labels.title));
        let names = self.names();
        header(&mut scene, &self.labels, &names);
        let points = || self.series.iter().flat_map(|s| s.points.iter());
        let xs: Vec<f64> = points().map(|p| p.0).collect();
        let (low, high) = xs
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &x| {
                (a.min(x), b.max(x))
            });
        // An axis that begins near 0 begins there: a first tick far from its end would let a reader
        // take the end for 0.
        let low = if (0.0..=0.1 * high).contains(&low) {
            0.0
        } else {
            low
        };
        let range = if low < high {
            Axis::Range(low, high)
        } else {
            Axis::Linear
        };
        let x = Scale::new(range, xs.into_iter(), (LEFT, RIGHT));
        let bands = self.series.iter().flat_map(|s| s.band.iter());
        let ys = points().map(|p| p.1).chain(bands.flat_map(|b| [b.0, b.1]));
        let y = Scale::new(self.axis, ys, (BOTTOM, TOP));
        vertical_axis(&mut scene, &y);
        horizontal_axis(&mut scene, &x);
        for series in &self.series {
            let k = names.iter().position(|n| *n == series.name);
            let k = k.expect("names are those of all series");
            let known: Vec<_> = series
                .points
                .iter()
                .filter(|p| x.holds(p.0) && y.holds(p.1))
                .collect();
            let places: Vec<_> = known.iter().map(|p| (x.place(p.0), y.place(p.1))).collect();
            draw_band(&mut scene, series, (&x, &y), k);
            scene.add(Shape::Line {
                points: places.clone(),
                ink: Ink::Series(k),
                width: 2.5,
                dashed: series.dashed,
            });
            // Few points are shown as such; all answer a pointer.
            let (radius, opacity) = if known.len() <= 30 {
                (4.0, 1.0)
            } else {
                (5.0, 0.0)
            };
            for (point, place) in known.iter().zip(places) {
                scene.add_with_hover(
                    Shape::Dots {
                        centres: vec![place],
                        radius,
                        ink: Ink::Series(k),
                        opacity,
                    },
                    format!(
                        "{}: {} {}, {} {}",
                        series.name,
                        self.labels.x,
                        short(point.0),
                        self.labels.y,
                        short(point.1)
                    ),
                );
            }
        }
        scene
    }
}

impl LineChart {
    /// The different names of the series, in their order.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for series in &self.series {
            if !names.contains(&series.name.as_str()) {
                names.push(&series.name);
            }
        }
        names
    }
}

/// The interval as a pale area behind the line.
fn draw_band(scene: &mut Scene, series: &LineSeries, (x, y): (&Scale, &Scale), ink: usize) {
    let known: Vec<_> = series
        .points
        .iter()
        .zip(&series.band)
        .filter(|(p, b)| x.holds(p.0) && y.holds(b.0) && y.holds(b.1))
        .collect();
    let upper = known.iter().map(|(p, b)| (x.place(p.0), y.place(b.1)));
    let lower = known
        .iter()
        .rev()
        .map(|(p, b)| (x.place(p.0), y.place(b.0)));
    let corners: Vec<_> = upper.chain(lower).collect();
    if corners.len() > 3 {
        scene.add(Shape::Area {
            corners,
            ink: Ink::Series(ink),
            opacity: 0.18,
        });
    }
}
