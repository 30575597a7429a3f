//! Marks beside the boxes and bars of a chart: values from elsewhere.

use super::scale::{Scale, short};
use super::scene::{Ink, Scene, Shape};

/// A value from elsewhere, beside that of a series.
#[derive(Debug, Clone)]
pub struct Mark {
    /// The place of its category, from 0.
    pub category: usize,
    /// The place of its series, from 0.
    pub series: usize,
    /// Where it stands on the vertical axis.
    pub value: f64,
    /// Where it is from: what a pointer over it reveals.
    pub name: String,
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
