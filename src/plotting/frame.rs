//! What surrounds the series of a chart: title, legend, axes and grid, and marks beside its boxes
//! and bars.

use super::scale::{Scale, every, short};
use super::scene::{Anchor, HEIGHT, Ink, Scene, Shape, WIDTH, Words, size_within, width_of};

/// The words around a chart.
#[derive(Debug, Clone, Default)]
pub(crate) struct Labels {
    /// Above it.
    pub(crate) title: String,
    /// In smaller letters under the title: what a box or a line means.
    pub(crate) subtitle: String,
    /// Under the horizontal axis, with its unit.
    pub(crate) x: String,
    /// Beside the vertical axis, with its unit.
    pub(crate) y: String,
}

/// The area that the axes enclose.
pub(super) const LEFT: f64 = 96.0;
pub(super) const RIGHT: f64 = WIDTH - 28.0;
pub(super) const TOP: f64 = 92.0;
pub(super) const BOTTOM: f64 = HEIGHT - 76.0;

pub(super) const TITLE: f64 = 24.0;
pub(super) const LABEL: f64 = 17.0;
pub(super) const SMALL: f64 = 15.0;

/// Where title, subtitle and legend begin.
const START: f64 = LEFT - 72.0;
/// The width that they have.
const ROOM: f64 = RIGHT - START;

/// Title, subtitle and axis names; the legend when there is more than one series. It begins at the
/// left: on a narrow screen, where the rest of a picture has to be scrolled to, colours that nobody
/// explains say nothing.
pub(super) fn header(scene: &mut Scene, labels: &Labels, legend: &[&str]) {
    let size = size_within(&labels.title, TITLE, ROOM);
    let title = (size, Ink::Text);
    scene.words(&labels.title, (START, 28.0), title, Anchor::Start);
    let legend = if legend.len() > 1 { legend } else { &[] };
    let wide = legend_width(legend);
    let subtitle = width_of(&labels.subtitle, SMALL);
    let (y, subtitle_at, anchor) = match legend {
        [] => (58.0, (START, 58.0), Anchor::Start),
        _ if wide + subtitle < ROOM => (58.0, (RIGHT, 58.0), Anchor::End),
        _ => (54.0, (START, 77.0), Anchor::Start),
    };
    let size = size_within(&labels.subtitle, SMALL, ROOM);
    scene.words(&labels.subtitle, subtitle_at, (size, Ink::Muted), anchor);
    draw_legend(scene, legend, y);
    let middle = (LEFT + RIGHT) / 2.0;
    let x = (size_within(&labels.x, LABEL, RIGHT - LEFT), Ink::Text);
    scene.words(&labels.x, (middle, HEIGHT - 20.0), x, Anchor::Middle);
    scene.add(Shape::Words(Words {
        text: labels.y.clone(),
        at: (24.0, (TOP + BOTTOM) / 2.0),
        size: size_within(&labels.y, LABEL, HEIGHT - 20.0 - TOP / 2.0),
        ink: Ink::Text,
        anchor: Anchor::Middle,
        upwards: true,
    }));
}

/// A swatch and its distance from the name, and what follows the name.
const SWATCH: f64 = 20.0;
const GAP: f64 = 22.0;

fn legend_width(names: &[&str]) -> f64 {
    let one = |name: &&str| SWATCH + width_of(name, SMALL) + GAP;
    names.iter().map(one).sum()
}

/// Swatches and names on one line, smaller where they are too many for it.
fn draw_legend(scene: &mut Scene, names: &[&str], y: f64) {
    let shrunk = ROOM / legend_width(names).max(ROOM);
    let mut left = START;
    for (i, name) in names.iter().enumerate() {
        let half = 6.5 * shrunk;
        scene.add(Shape::Rectangle {
            from: (left, y - half),
            to: (left + 2.0 * half, y + half),
            fill: Some((Ink::Series(i), 1.0)),
            outline: None,
        });
        let ink = (SMALL * shrunk, Ink::Text);
        scene.words(*name, (left + SWATCH * shrunk, y), ink, Anchor::Start);
        left += (SWATCH + width_of(name, SMALL) + GAP) * shrunk;
    }
}

/// The vertical axis: grid lines with their values.
pub(super) fn vertical_axis(scene: &mut Scene, scale: &Scale) {
    for (value, _) in &scale.ticks {
        let y = scale.place(*value);
        scene.line((LEFT, y), (RIGHT, y), Ink::Grid, 1.0);
    }
    vertical_axis_without_grid(scene, scale);
}

/// The vertical axis where values are written out in the picture, which grid lines would strike
/// through.
pub(super) fn vertical_axis_without_grid(scene: &mut Scene, scale: &Scale) {
    for (value, words) in &scale.ticks {
        let y = scale.place(*value);
        scene.line((LEFT - 5.0, y), (LEFT, y), Ink::Axis, 1.0);
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

/// The horizontal axis of categories: their names, every k-th when there is no room for all.
/// Returns the middle of each and the width that each has.
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

/// A value from elsewhere, beside that of a series.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    /// The place of its category, from 0.
    pub(crate) category: usize,
    /// The place of its series, from 0.
    pub(crate) series: usize,
    /// Where it stands on the vertical axis.
    pub(crate) value: f64,
    /// Where it is from: what a pointer over it reveals.
    pub(crate) name: String,
}

/// Half the width of a mark.
const HALF: f64 = 8.0;

/// A hollow diamond at the mark's value, its middle at `x`.
pub(super) fn draw_mark(scene: &mut Scene, scale: &Scale, x: f64, mark: &Mark) {
    if !scale.holds(mark.value) {
        return;
    }
    let y = scale.place(mark.value);
    scene.add(Shape::Line {
        points: vec![
            (x - HALF, y),
            (x, y - HALF),
            (x + HALF, y),
            (x, y + HALF),
            (x - HALF, y),
        ],
        ink: Ink::Text,
        width: 2.5,
        dashed: false,
    });
    scene.add_with_hover(
        Shape::Dots {
            centres: vec![(x, y)],
            radius: HALF,
            ink: Ink::Text,
            opacity: 0.0,
        },
        format!("{}: {}", mark.name, short(mark.value)),
    );
}
