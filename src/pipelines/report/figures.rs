//! The pictures of the report, made from tables.

use super::results::{Run, Table};
use crate::error::Result;
use crate::pipelines::study::charts::{Charts, Series, Sizes, layer_charts};
use crate::plotting::{Axis, HeatMap, Labels, LineChart, LineSeries, Scatter, ScatterSeries};

/// What a family is called.
pub(super) fn family_title(family: &str) -> &'static str {
    if family.starts_with("flaubert") {
        "FlauBERT"
    } else {
        "CamemBERT"
    }
}

/// What a stage is called: `raw`, `ft`, `ft_2`, or a folder's own name.
pub(super) fn stage_title(stage: &str) -> String {
    match stage.strip_prefix("ft") {
        Some("") => "fine-tuned".into(),
        Some("_1") => "fine-tuned, 1 epoch".into(),
        Some(n) if n.starts_with('_') => format!("fine-tuned, {} epochs", &n[1..]),
        _ => stage.to_string(),
    }
}

/// What one of `data-cls`'s files is called: `flaubert_raw`, `camembert_ft`, ...
pub(super) fn model_title(model: &str) -> String {
    match model.split_once('_') {
        Some((family, stage)) => format!("{} {}", family_title(family), stage_title(stage)),
        None => model.to_string(),
    }
}

/// The statistics by layer of several runs, side by side.
pub(super) fn side_by_side(title: &str, runs: &[&Run]) -> Charts {
    let layers = runs.first().map(|r| r.layers.clone()).unwrap_or_default();
    let series: Vec<Series> = runs
        .iter()
        .map(|r| Series {
            name: stage_title(&r.stage),
            ..r.series.clone()
        })
        .collect();
    let size = |name: &str| {
        let pointer = format!("/found/sentences/{name}");
        let sizes = runs.iter().filter_map(|r| r.setting(&pointer)?.as_u64());
        sizes.max().unwrap_or_default() as usize
    };
    let sizes = Sizes {
        cosine: size("cosine"),
        trace: size("trace"),
        erank: size("erank"),
        measures: size("measures"),
    };
    layer_charts(title, &layers, &series, sizes)
}

/// The different words of a column, in their order.
fn different<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for word in words {
        if !seen.contains(word) {
            seen.push(*word);
        }
    }
    seen
}

/// The heat map of the probes' accuracies.
pub(super) fn treillis(table: &Table) -> Result<HeatMap> {
    let (models, layers) = (table.words("model")?, table.words("layer")?);
    let accuracy = table.numbers("accuracy")?;
    let (rows, mut columns) = (different(&models), different(&layers));
    columns.sort_by_key(|l| l.parse::<usize>().unwrap_or(usize::MAX));
    let value = |model: &str, layer: &str| {
        let at = (0..models.len()).find(|&i| models[i] == model && layers[i] == layer);
        at.map_or(f64::NAN, |i| accuracy[i])
    };
    Ok(HeatMap {
        labels: Labels {
            title: "Accuracy of a linear probe on the [CLS] vectors".into(),
            subtitle: "share of the test reviews whose class is found, after the last epoch".into(),
            x: "layer".into(),
            y: String::new(),
        },
        values: rows
            .iter()
            .map(|m| columns.iter().map(|l| value(m, l)).collect())
            .collect(),
        rows: rows.iter().map(|m| model_title(m)).collect(),
        columns: columns.iter().map(|l| l.to_string()).collect(),
    })
}

/// The training curves of every model in the table.
pub(super) fn curves(table: &Table) -> Result<Vec<LineChart>> {
    let (models, layers) = (table.words("model")?, table.words("layer")?);
    let epochs = table.numbers("epoch")?;
    let (train, test) = (
        table.numbers("train_accuracy")?,
        table.numbers("test_accuracy")?,
    );
    let chart = |model: &&str| {
        let own: Vec<usize> = (0..models.len()).filter(|&i| models[i] == *model).collect();
        let own_layers: Vec<&str> = own.iter().map(|&i| layers[i]).collect();
        let line = |layer: &str, values: &[f64], dashed| LineSeries {
            name: format!("layer {layer}"),
            points: own
                .iter()
                .filter(|&&i| layers[i] == layer)
                .map(|&i| (epochs[i], values[i]))
                .collect(),
            dashed,
        };
        LineChart {
            labels: Labels {
                title: format!("{}: accuracy of the probes in training", model_title(model)),
                subtitle: "solid: test, dashed: train (with dropout)".into(),
                x: "epoch".into(),
                y: "accuracy".into(),
            },
            series: different(&own_layers)
                .iter()
                .flat_map(|l| [line(l, &test, false), line(l, &train, true)])
                .collect(),
            axis: Axis::Linear,
        }
    };
    Ok(different(&models).iter().map(chart).collect())
}

/// The scatters of every model in the table.
pub(super) fn cones(table: &Table) -> Result<Vec<Scatter>> {
    let (models, labels) = (table.words("model")?, table.words("label")?);
    let cosines = table.numbers("cosine")?;
    let chart = |model: &&str| {
        let own: Vec<usize> = (0..models.len()).filter(|&i| models[i] == *model).collect();
        Scatter {
            labels: Labels {
                title: format!(
                    "{}: cosine of every [CLS] with the first one",
                    model_title(model)
                ),
                subtitle: "last layer stored; the rows of train, then those of test".into(),
                x: "review, in the order of the file".into(),
                y: "cosine".into(),
            },
            series: [("negative", "0"), ("positive", "1")]
                .into_iter()
                .map(|(name, label)| ScatterSeries {
                    name: name.into(),
                    points: own
                        .iter()
                        .enumerate()
                        .filter(|(_, i)| labels[**i] == label)
                        .map(|(place, &i)| (place as f64, cosines[i]))
                        .collect(),
                })
                .collect(),
            x_axis: Axis::Range(0.0, own.len() as f64),
            y_axis: Axis::Linear,
        }
    };
    Ok(different(&models).iter().map(chart).collect())
}
