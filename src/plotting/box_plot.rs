//! Box plots from five numbers.

use super::Chart;
use super::frame::{BOTTOM, Labels, Mark, TOP, category_axis, draw_mark, header, vertical_axis};
use super::scale::{Axis, Scale, short};
use super::scene::{Ink, Scene, Shape};

/// Boxes by category (a layer), one per series (raw, fine-tuned) side by side.
#[derive(Debug, Clone)]
pub(crate) struct BoxPlot {
    /// The words around it.
    pub(crate) labels: Labels,
    /// The names of the categories, from left to right.
    pub(crate) categories: Vec<String>,
    /// The series.
    pub(crate) series: Vec<BoxSeries>,
    /// The vertical axis.
    pub(crate) axis: Axis,
    /// Values from elsewhere.
    pub(crate) marks: Vec<Mark>,
}

/// One box per category.
#[derive(Debug, Clone)]
pub(crate) struct BoxSeries {
    /// Its name in the legend.
    pub(crate) name: String,
    /// Minimum, lower quartile, median, upper quartile, maximum; NaN where there is no box.
    pub(crate) boxes: Vec<[f64; 5]>,
}

impl Chart for BoxPlot {
    fn scene(&self) -> Scene {
        let mut scene = Scene::new(format!("Box plot: {}", self.labels.title));
        let names: Vec<&str> = self.series.iter().map(|s| s.name.as_str()).collect();
        header(&mut scene, &self.labels, &names);
        let values = self.series.iter().flat_map(|s| s.boxes.iter().flatten());
        let values = values.copied().chain(self.marks.iter().map(|m| m.value));
        let scale = Scale::new(self.axis, values, (BOTTOM, TOP));
        vertical_axis(&mut scene, &scale);
        let (centres, width) = category_axis(&mut scene, &self.categories);
        let room = 0.8 * width / self.series.len().max(1) as f64;
        let middle = |centre: f64, k: usize| centre + (k as f64 + 0.5) * room - 0.4 * width;
        for (k, series) in self.series.iter().enumerate() {
            for (i, (&five, &centre)) in series.boxes.iter().zip(&centres).enumerate() {
                if !five.iter().all(|&v| scale.holds(v)) {
                    continue;
                }
                let x = middle(centre, k);
                let hover = self.hover(&self.categories[i], series, five);
                draw_box(&mut scene, &scale, (x, 0.78 * room), (five, k), hover);
            }
        }
        for mark in &self.marks {
            if let Some(&centre) = centres.get(mark.category) {
                draw_mark(&mut scene, &scale, middle(centre, mark.series), mark);
            }
        }
        scene
    }
}

impl BoxPlot {
    /// Median, quartiles in brackets, minimum and maximum: without words, for any language.
    fn hover(&self, category: &str, series: &BoxSeries, five: [f64; 5]) -> String {
        let [min, q1, median, q3, max] = five.map(short);
        format!(
            "{} {category}, {}: {median} [{q1} – {q3}], {min} … {max}",
            self.labels.x, series.name
        )
    }
}

fn draw_box(
    scene: &mut Scene,
    scale: &Scale,
    (x, width): (f64, f64),
    (five, series): ([f64; 5], usize),
    hover: String,
) {
    let [min, q1, median, q3, max] = five.map(|v| scale.place(v));
    let (ink, half) = (Ink::Series(series), width.min(56.0) / 2.0);
    for (from, to) in [(min, q1), (q3, max)] {
        scene.line((x, from), (x, to), ink, 1.5);
    }
    for end in [min, max] {
        scene.line((x - half / 2.0, end), (x + half / 2.0, end), ink, 1.5);
    }
    scene.add_with_hover(
        Shape::Rectangle {
            from: (x - half, q3),
            to: (x + half, q1),
            fill: Some((ink, 0.35)),
            outline: Some(ink),
        },
        hover,
    );
    scene.line((x - half, median), (x + half, median), Ink::Text, 2.5);
}
