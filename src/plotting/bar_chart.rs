//! Bars.

use super::Chart;
use super::frame::{BOTTOM, Labels, SMALL, TOP, category_axis, header, vertical_axis};
use super::mark::{Mark, draw_mark};
use super::scale::{Axis, Scale, short};
use super::scene::{Anchor, Ink, Scene, Shape, width_of};

/// Bars by category, one per series side by side, with their values above them.
#[derive(Debug, Clone)]
pub struct BarChart {
    /// The words around it.
    pub labels: Labels,
    /// The names of the categories, from left to right.
    pub categories: Vec<String>,
    /// The series.
    pub series: Vec<BarSeries>,
    /// Values from elsewhere.
    pub marks: Vec<Mark>,
}

/// One bar per category.
#[derive(Debug, Clone)]
pub struct BarSeries {
    /// Its name in the legend.
    pub name: String,
    /// The heights; NaN where there is no bar.
    pub values: Vec<f64>,
}

impl Chart for BarChart {
    fn scene(&self) -> Scene {
        let mut scene = Scene::new(format!("Bars: {}", self.labels.title));
        let names: Vec<&str> = self.series.iter().map(|s| s.name.as_str()).collect();
        header(&mut scene, &self.labels, &names);
        let values = self.series.iter().flat_map(|s| s.values.iter().copied());
        let values = values
            .chain(self.marks.iter().map(|m| m.value))
            .chain([0.0]);
        let scale = Scale::new(Axis::Linear, values, (BOTTOM, TOP));
        vertical_axis(&mut scene, &scale);
        let (centres, width) = category_axis(&mut scene, &self.categories);
        let room = 0.8 * width / self.series.len().max(1) as f64;
        let foot = scale.place(0.0);
        let middle = |centre: f64, k: usize| centre + (k as f64 + 0.5) * room - 0.4 * width;
        for (k, series) in self.series.iter().enumerate() {
            for (i, (&value, &centre)) in series.values.iter().zip(&centres).enumerate() {
                if !scale.holds(value) {
                    continue;
                }
                let x = middle(centre, k);
                let (top, half) = (scale.place(value), (0.86 * room).min(64.0) / 2.0);
                let (category, label) = (&self.categories[i], short(value));
                scene.add_with_hover(
                    Shape::Rectangle {
                        from: (x - half, top.min(foot)),
                        to: (x + half, top.max(foot)),
                        fill: Some((Ink::Series(k), 0.85)),
                        outline: None,
                    },
                    format!("{} {category}, {}: {label}", self.labels.x, series.name),
                );
                let size = SMALL - 2.0;
                if width_of(&label, size) < room + 6.0 {
                    let y = top.min(foot) - 10.0;
                    scene.words(label, (x, y), (size, Ink::Text), Anchor::Middle);
                }
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
