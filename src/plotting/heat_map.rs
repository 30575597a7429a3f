//! A table as colours, with its values in the cells.

use super::Chart;
use super::frame::{BOTTOM, LABEL, Labels, RIGHT, SMALL, TOP, header};
use super::scene::{Anchor, Ink, Scene, Shape, width_of};

/// Values by row and column. Colours span the values that are there.
#[derive(Debug, Clone)]
pub(crate) struct HeatMap {
    /// The words around it.
    pub(crate) labels: Labels,
    /// The names of the rows, from top to bottom.
    pub(crate) rows: Vec<String>,
    /// The names of the columns, from left to right.
    pub(crate) columns: Vec<String>,
    /// The values by row; NaN leaves a cell empty.
    pub(crate) values: Vec<Vec<f64>>,
    /// How values are written in the cells.
    pub(crate) format: CellFormat,
}

/// How a heat map writes its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CellFormat {
    /// 0.5 as 50.0 %.
    Percent,
    /// With two decimals.
    Decimal,
}

impl Chart for HeatMap {
    fn scene(&self) -> Scene {
        let mut scene = Scene::new(format!("Heat map: {}", self.labels.title));
        header(&mut scene, &self.labels, &[]);
        let longest = self
            .rows
            .iter()
            .map(|r| width_of(r, LABEL))
            .fold(0.0, f64::max);
        let left = 60.0 + longest + 12.0;
        let known = || self.values.iter().flatten().filter(|v| v.is_finite());
        let low = known().copied().fold(f64::INFINITY, f64::min);
        let high = known().copied().fold(f64::NEG_INFINITY, f64::max);
        let width = (RIGHT - left) / self.columns.len().max(1) as f64;
        let height = (BOTTOM - TOP) / self.rows.len().max(1) as f64;
        for (i, (name, values)) in self.rows.iter().zip(&self.values).enumerate() {
            let y = TOP + i as f64 * height;
            scene.words(
                name,
                (left - 12.0, y + height / 2.0),
                (LABEL, Ink::Text),
                Anchor::End,
            );
            for (j, (column, &value)) in self.columns.iter().zip(values).enumerate() {
                if !value.is_finite() {
                    continue;
                }
                let x = left + j as f64 * width;
                let share = if high > low {
                    (value - low) / (high - low)
                } else {
                    0.5
                };
                let words = match self.format {
                    CellFormat::Percent => format!("{:.1} %", 100.0 * value),
                    CellFormat::Decimal => format!("{value:.2}"),
                };
                scene.add_with_hover(
                    Shape::Rectangle {
                        from: (x + 1.0, y + 1.0),
                        to: (x + width - 1.0, y + height - 1.0),
                        fill: Some((Ink::Ramp(share), 1.0)),
                        outline: None,
                    },
                    format!("{name}, {} {column}: {words}", self.labels.x),
                );
                let size = (1.4 * width / words.len() as f64).clamp(10.0, 22.0);
                let middle = (x + width / 2.0, y + height / 2.0);
                scene.words(words, middle, (size, Ink::OnRamp(share)), Anchor::Middle);
            }
        }
        for (j, column) in self.columns.iter().enumerate() {
            let x = left + (j as f64 + 0.5) * width;
            scene.words(
                column,
                (x, BOTTOM + 20.0),
                (SMALL, Ink::Muted),
                Anchor::Middle,
            );
        }
        scene
    }
}
