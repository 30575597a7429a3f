//! Title, legend, axes and grid around the area of a chart.

use super::scale::{Scale, every};
use super::scene::{Anchor, HEIGHT, Ink, Scene, Shape, WIDTH, Words, width_of};

/// The words around a chart.
#[derive(Debug, Clone, Default)]
pub struct Labels {
    /// Above it.
    pub title: String,
    /// In smaller letters under the title: what a box or a line means.
    pub subtitle: String,
    /// Under the horizontal axis, with its unit.
    pub x: String,
    /// Beside the vertical axis, with its unit.
    pub y: String,
}

/// The area that the axes enclose.
pub(super) const LEFT: f64 = 96.0;
pub(super) const RIGHT: f64 = WIDTH - 28.0;
pub(super) const TOP: f64 = 92.0;
pub(super) const BOTTOM: f64 = HEIGHT - 76.0;

pub(super) const TITLE: f64 = 24.0;
pub(super) const LABEL: f64 = 17.0;
pub(super) const SMALL: f64 = 15.0;

/// Title, subtitle and axis names; the legend when there is more than one series.
pub(super) fn header(scene: &mut Scene, labels: &Labels, legend: &[&str]) {
    let start = LEFT - 72.0;
    scene.words(
        &labels.title,
        (start, 28.0),
        (TITLE, Ink::Text),
        Anchor::Start,
    );
    scene.words(
        &labels.subtitle,
        (start, 58.0),
        (SMALL, Ink::Muted),
        Anchor::Start,
    );
    let middle = (LEFT + RIGHT) / 2.0;
    scene.words(
        &labels.x,
        (middle, HEIGHT - 20.0),
        (LABEL, Ink::Text),
        Anchor::Middle,
    );
    scene.add(Shape::Words(Words {
        text: labels.y.clone(),
        at: (24.0, (TOP + BOTTOM) / 2.0),
        size: LABEL,
        ink: Ink::Text,
        anchor: Anchor::Middle,
        upwards: true,
    }));
    if legend.len() > 1 {
        draw_legend(scene, legend, 58.0);
    }
}

/// Swatches and names from right to left, on one line.
fn draw_legend(scene: &mut Scene, names: &[&str], y: f64) {
    let mut right = RIGHT;
    for (i, name) in names.iter().enumerate().rev() {
        let start = right - width_of(name, SMALL);
        scene.words(*name, (start, y), (SMALL, Ink::Text), Anchor::Start);
        scene.add(Shape::Rectangle {
            from: (start - 20.0, y - 6.5),
            to: (start - 7.0, y + 6.5),
            fill: Some((Ink::Series(i), 1.0)),
            outline: None,
        });
        right = start - 40.0;
    }
}

/// The vertical axis: grid lines with their values.
pub(super) fn vertical_axis(scene: &mut Scene, scale: &Scale) {
    for (value, words) in &scale.ticks {
        let y = scale.place(*value);
        scene.line((LEFT, y), (RIGHT, y), Ink::Grid, 1.0);
        scene.words(words, (LEFT - 10.0, y), (SMALL, Ink::Muted), Anchor::End);
    }
    scene.line((LEFT, TOP), (LEFT, BOTTOM), Ink::Axis, 1.0);
}

/// The horizontal axis of numbers.
pub(super) fn horizontal_axis(scene: &mut Scene, scale: &Scale) {
    for (value, words) in &scale.ticks {
        let x = scale.place(*value);
        scene.line((x, BOTTOM), (x, BOTTOM + 5.0), Ink::Axis, 1.0);
        scene.words(
            words,
            (x, BOTTOM + 20.0),
            (SMALL, Ink::Muted),
            Anchor::Middle,
        );
    }
    scene.line((LEFT, BOTTOM), (RIGHT, BOTTOM), Ink::Axis, 1.0);
}

/// The horizontal axis of categories: their names, every k-th when there is no room for all. Returns the middle of each
/// and the width that each has.
pub(super) fn category_axis(scene: &mut Scene, names: &[String]) -> (Vec<f64>, f64) {
    let width = (RIGHT - LEFT) / names.len().max(1) as f64;
    let centres: Vec<f64> = (0..names.len())
        .map(|i| LEFT + (i as f64 + 0.5) * width)
        .collect();
    let longest = names.iter().map(|n| width_of(n, SMALL)).fold(1.0, f64::max);
    let step = every(names.len(), ((RIGHT - LEFT) / (longest + 10.0)) as usize);
    for (name, &x) in names.iter().zip(&centres).step_by(step) {
        scene.words(
            name,
            (x, BOTTOM + 20.0),
            (SMALL, Ink::Muted),
            Anchor::Middle,
        );
    }
    scene.line((LEFT, BOTTOM), (RIGHT, BOTTOM), Ink::Axis, 1.0);
    (centres, width)
}
