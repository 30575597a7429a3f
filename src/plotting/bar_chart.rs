//! Bars.

use super::Chart;
use super::frame::{
    BOTTOM, LEFT, Labels, Mark, RIGHT, SMALL, TOP, category_axis, draw_mark, header, vertical_axis,
    vertical_axis_without_grid,
};
use super::scale::{Axis, Scale, short};
use super::scene::{Anchor, Ink, Scene, Shape, width_of};

/// Bars by category, one per series side by side, with their values above them.
#[derive(Debug, Clone)]
pub(crate) struct BarChart {
    /// The words around it.
    pub(crate) labels: Labels,
    /// The names of the categories, from left to right.
    pub(crate) categories: Vec<String>,
    /// The series.
    pub(crate) series: Vec<BarSeries>,
    /// Values from elsewhere.
    pub(crate) marks: Vec<Mark>,
}

/// One bar per category.
#[derive(Debug, Clone)]
pub(crate) struct BarSeries {
    /// Its name in the legend.
    pub(crate) name: String,
    /// The heights; NaN where there is no bar.
    pub(crate) values: Vec<f64>,
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
        let room = 0.8 * (RIGHT - LEFT) / (self.categories.len() * self.series.len()).max(1) as f64;
        let (size, decimals) = (SMALL - 2.0, self.decimals());
        let written = |value: f64| match decimals {
            Some(decimals) => format!("{value:.decimals$}"),
            None => short(value),
        };
        let all = || self.series.iter().flat_map(|s| s.values.iter());
        let fits = |v: &f64| width_of(&written(*v), size) < room + 6.0;
        let values_fit = all().filter(|v| v.is_finite()).all(fits);
        if values_fit {
            vertical_axis_without_grid(&mut scene, &scale);
        } else {
            vertical_axis(&mut scene, &scale);
        }
        let (centres, width) = category_axis(&mut scene, &self.categories);
        let foot = scale.place(0.0);
        let middle = |centre: f64, k: usize| centre + (k as f64 + 0.5) * room - 0.4 * width;
        for (k, series) in self.series.iter().enumerate() {
            for (i, (&value, &centre)) in series.values.iter().zip(&centres).enumerate() {
                if !scale.holds(value) {
                    continue;
                }
                let x = middle(centre, k);
                let (top, half) = (scale.place(value), (0.86 * room).min(64.0) / 2.0);
                let category = &self.categories[i];
                scene.add_with_hover(
                    Shape::Rectangle {
                        from: (x - half, top.min(foot)),
                        to: (x + half, top.max(foot)),
                        fill: Some((Ink::Series(k), 0.85)),
                        outline: None,
                    },
                    format!(
                        "{} {category}, {}: {}",
                        self.labels.x,
                        series.name,
                        short(value)
                    ),
                );
                if values_fit {
                    let y = top.min(foot) - 10.0;
                    scene.words(written(value), (x, y), (size, Ink::Text), Anchor::Middle);
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

impl BarChart {
    /// Decimals at which the largest value has three digits: all values are written with as many.
    /// None where that makes no short number.
    fn decimals(&self) -> Option<usize> {
        let values = self.series.iter().flat_map(|s| s.values.iter());
        let most = values
            .filter(|v| v.is_finite())
            .fold(0.0, |m: f64, v| m.max(v.abs()));
        let digits = most.log10().floor();
        (-2.0..6.0)
            .contains(&digits)
            .then(|| (2.0 - digits).max(0.0) as usize)
    }
}
