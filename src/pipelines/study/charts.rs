//! The pictures of the statistics by layer, for one model or several side by side.

pub(crate) use super::statistics::Sizes;
use crate::plotting::{Axis, BarChart, BarSeries, BoxPlot, BoxSeries, Labels, LineSeries};

/// The figures of one model by layer, as pictures need them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series {
    /// Its name in the legend.
    pub(crate) name: String,
    /// Minimum, quartiles and maximum of the cosines.
    pub(crate) cosine: Vec<[f64; 5]>,
    /// Minimum, quartiles and maximum of the traces.
    pub(crate) trace: Vec<[f64; 5]>,
    /// The effective rank.
    pub(crate) erank: Vec<f64>,
    /// The largest error of a quartile of the cosines.
    pub(crate) error_bound: f64,
}

/// The words around the pictures. `{}` stands for a number of sentences, or an error.
pub(crate) struct ChartWords {
    pub(crate) colon: &'static str,
    pub(crate) layer: &'static str,
    pub(crate) cosine_title: &'static str,
    pub(crate) cosine_axis: &'static str,
    pub(crate) trace_title: &'static str,
    pub(crate) trace_axis: &'static str,
    pub(crate) erank_title: &'static str,
    pub(crate) erank_axis: &'static str,
    pub(crate) boxes: &'static str,
    pub(crate) within: &'static str,
    pub(crate) stacked: &'static str,
}

/// In English.
pub(crate) const ENGLISH: ChartWords = ChartWords {
    colon: ": ",
    layer: "layer",
    cosine_title: "cosines of all pairs of tokens within a sentence",
    cosine_axis: "cosine",
    trace_title: "trace of the covariance of the tokens of a sentence",
    trace_axis: "trace (squared units of the embedding), log scale",
    erank_title: "effective rank of the tokens",
    erank_axis: "effective rank (dimensions)",
    boxes: "the first {} test sentences; boxes: quartiles and median, whiskers: minimum and maximum",
    within: "; quartiles within {}",
    stacked: "all tokens of the first {} test sentences",
};

/// What stands around a picture.
pub(crate) fn labels(title: impl Into<String>, subtitle: &str, x: &str, y: &str) -> Labels {
    Labels {
        title: title.into(),
        subtitle: subtitle.into(),
        x: x.into(),
        y: y.into(),
    }
}

/// Layers of which one picture can show a line each.
const SHOWN: usize = 7;

/// All of these layers, or when they are many some of them, evenly spaced from the first to the
/// last.
pub(crate) fn shown<T: Copy>(layers: &[T]) -> Vec<T> {
    if layers.len() <= SHOWN {
        return layers.to_vec();
    }
    let place = |k: usize| (2 * k * (layers.len() - 1) + SHOWN - 1) / (2 * (SHOWN - 1));
    (0..SHOWN).map(|k| layers[place(k)]).collect()
}

/// From a tenth below the lowest accuracy, or end of its interval, to 1.
pub(crate) fn accuracy_axis(series: &[LineSeries]) -> Axis {
    let values = series.iter().flat_map(|s| {
        let points = s.points.iter().map(|p| p.1);
        points.chain(s.band.iter().map(|b| b.0))
    });
    let low = values.filter(|v| v.is_finite()).fold(1.0, f64::min);
    Axis::Range((10.0 * low - 1e-9).floor().max(0.0) / 10.0, 1.0)
}

/// The three pictures of `study layers`, by the stem of their files.
pub(crate) struct Charts {
    pub(crate) cosine: BoxPlot,
    pub(crate) trace: BoxPlot,
    pub(crate) erank: BarChart,
}

/// The pictures of `series`, whose layers have these numbers; `title` begins every title.
pub(crate) fn layer_charts(
    title: &str,
    layers: &[usize],
    series: &[Series],
    sizes: Sizes,
    words: &ChartWords,
) -> Charts {
    let categories: Vec<String> = layers.iter().map(usize::to_string).collect();
    let labels = |what: &str, subtitle: String, y: &str| Labels {
        title: format!("{title}{}{what}", words.colon),
        subtitle,
        x: words.layer.into(),
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
        marks: Vec::new(),
    };
    let bound = series.iter().map(|s| s.error_bound).fold(0.0, f64::max);
    let mut pairs = with(words.boxes, sizes.cosine);
    if bound > 0.0 {
        pairs += &words.within.replace("{}", &format!("{bound:.1e}"));
    }
    Charts {
        cosine: boxes(
            labels(words.cosine_title, pairs, words.cosine_axis),
            Axis::Range(-1.0, 1.0),
            |s| &s.cosine,
        ),
        trace: boxes(
            labels(
                words.trace_title,
                with(words.boxes, sizes.trace),
                words.trace_axis,
            ),
            Axis::Log,
            |s| &s.trace,
        ),
        erank: BarChart {
            labels: labels(
                words.erank_title,
                with(words.stacked, sizes.erank),
                words.erank_axis,
            ),
            categories: categories.clone(),
            series: series
                .iter()
                .map(|s| BarSeries {
                    name: s.name.clone(),
                    values: s.erank.clone(),
                })
                .collect(),
            marks: Vec::new(),
        },
    }
}

fn with(words: &str, n: usize) -> String {
    words.replace("{}", &n.to_string())
}

#[cfg(test)]
mod tests {
    use super::{ENGLISH, Series, Sizes, layer_charts, shown};

    #[test]
    fn quartiles_from_bins_say_how_far_off_they_may_be() {
        let subtitle = |error_bound: f64| {
            let series = Series {
                error_bound,
                ..Series::default()
            };
            let charts = layer_charts("", &[], &[series], Sizes::default(), &ENGLISH);
            charts.cosine.labels.subtitle
        };
        assert!(subtitle(9.54e-7).ends_with("; quartiles within 9.5e-7"));
        assert!(subtitle(0.0).ends_with("maximum"));
    }

    #[test]
    fn many_layers_are_shown_evenly() {
        assert_eq!(shown(&[5, 7, 9, 11, 12]), [5, 7, 9, 11, 12]);
        let all: Vec<usize> = (0..13).collect();
        assert_eq!(shown(&all), [0, 2, 4, 6, 8, 10, 12]);
        let large: Vec<usize> = (0..25).collect();
        assert_eq!(shown(&large), [0, 4, 8, 12, 16, 20, 24]);
        let odd: Vec<usize> = (0..9).collect();
        assert_eq!(shown(&odd), [0, 1, 3, 4, 5, 7, 8]);
    }
}
