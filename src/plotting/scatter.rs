//! Points by label.

use super::Chart;
use super::frame::{BOTTOM, LEFT, Labels, RIGHT, TOP, header, horizontal_axis, vertical_axis};
use super::scale::{Axis, Scale, short};
use super::scene::{Ink, Scene, Shape};

/// Points of several series; where they are many, they are small and let others shine through.
#[derive(Debug, Clone)]
pub(crate) struct Scatter {
    /// The words around it.
    pub(crate) labels: Labels,
    /// The series.
    pub(crate) series: Vec<ScatterSeries>,
    /// The horizontal axis.
    pub(crate) x_axis: Axis,
    /// The vertical axis.
    pub(crate) y_axis: Axis,
}

/// The points of one label.
#[derive(Debug, Clone)]
pub(crate) struct ScatterSeries {
    /// Its name in the legend.
    pub(crate) name: String,
    /// The points; those with a NaN are left out.
    pub(crate) points: Vec<(f64, f64)>,
}

impl Chart for Scatter {
    fn scene(&self) -> Scene {
        let mut scene = Scene::new(format!("Scatter: {}", self.labels.title));
        let names: Vec<&str> = self.series.iter().map(|s| s.name.as_str()).collect();
        header(&mut scene, &self.labels, &names);
        let points = || self.series.iter().flat_map(|s| s.points.iter());
        let x = Scale::new(self.x_axis, points().map(|p| p.0), (LEFT, RIGHT));
        let y = Scale::new(self.y_axis, points().map(|p| p.1), (BOTTOM, TOP));
        vertical_axis(&mut scene, &y);
        horizontal_axis(&mut scene, &x);
        let (radius, opacity) = match points().count() {
            0..=300 => (4.0, 0.8),
            301..=3000 => (3.0, 0.5),
            _ => (2.0, 0.45),
        };
        for (k, series) in self.series.iter().enumerate() {
            let known = series.points.iter();
            let known: Vec<_> = known.filter(|p| x.holds(p.0) && y.holds(p.1)).collect();
            let values = known.iter().map(|p| format!("{}: {}", p.0, short(p.1)));
            let hover: Vec<String> = [series.name.clone()].into_iter().chain(values).collect();
            scene.add_with_hover(
                Shape::Dots {
                    centres: known.iter().map(|p| (x.place(p.0), y.place(p.1))).collect(),
                    radius,
                    ink: Ink::Series(k),
                    opacity,
                },
                hover.join("\n"),
            );
        }
        scene
    }
}
