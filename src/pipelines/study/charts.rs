//! The pictures of the statistics by layer, for one model or several side by side.

pub(crate) use super::statistics::Sizes;
use crate::plotting::{Axis, BarChart, BarSeries, BoxPlot, BoxSeries, Labels};

/// The figures of one model by layer, as pictures need them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Minimum, quartiles and maximum of the cosines.
    pub cosine: Vec<[f64; 5]>,
    /// Minimum, quartiles and maximum of the traces.
    pub trace: Vec<[f64; 5]>,
    /// The effective rank.
    pub erank: Vec<f64>,
}

const BOXES: &str = "boxes: quartiles and median, whiskers: minimum and maximum";

/// The three pictures of `study layers`, by the stem of their files.
pub(crate) struct Charts {
    pub cosine: BoxPlot,
    pub trace: BoxPlot,
    pub erank: BarChart,
}

/// The pictures of `series`, whose layers have these numbers; `title` begins every title.
pub(crate) fn layer_charts(
    title: &str,
    layers: &[usize],
    series: &[Series],
    sizes: Sizes,
) -> Charts {
    let categories: Vec<String> = layers.iter().map(usize::to_string).collect();
    let labels = |what: &str, subtitle: String, y: &str| Labels {
        title: format!("{title}: {what}"),
        subtitle,
        x: "layer".into(),
        y: y.into(),
    };
    let boxes = |labels, axis, of: fn(&Series) -> &Vec<[f64; 5]>| BoxPlot {
        labels,
        categories: categories.clone(),
        series: series
            .iter()
            .map(|s| BoxSeries {
                name: s.name.clone(),
                boxes: of(s).clone(),
            })
            .collect(),
        axis,
    };
    Charts {
        cosine: boxes(
            labels(
                "cosines of all pairs of tokens within a sentence",
                format!("the first {} test sentences; {BOXES}", sizes.cosine),
                "cosine",
            ),
            Axis::Range(-1.0, 1.0),
            |s| &s.cosine,
        ),
        trace: boxes(
            labels(
                "trace of the covariance of the tokens of a sentence",
                format!("the first {} test sentences; {BOXES}", sizes.trace),
                "trace (squared units of the embedding)",
            ),
            Axis::Log,
            |s| &s.trace,
        ),
        erank: BarChart {
            labels: labels(
                "effective rank of the tokens",
                format!("all tokens of the first {} test sentences", sizes.erank),
                "effective rank (dimensions)",
            ),
            categories: categories.clone(),
            series: series
                .iter()
                .map(|s| BarSeries {
                    name: s.name.clone(),
                    values: s.erank.clone(),
                })
                .collect(),
        },
    }
}
