//! The pictures of probes and cones: what the `[CLS]` vectors tell.

use super::super::published;
use super::super::results::Table;
use super::super::words::Words;
use super::{different, model_title};
use crate::error::Result;
use crate::pipelines::study::charts::{accuracy_axis, shown};
use crate::plotting::{
    Axis, CellFormat, HeatMap, Labels, LineChart, LineSeries, Scatter, ScatterSeries,
};

/// The heat map of accuracies by model and layer.
pub(in crate::pipelines::report) fn treillis(
    table: &Table,
    (title, subtitle): (&str, &str),
    words: &Words,
) -> Result<HeatMap> {
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
            title: title.into(),
            subtitle: subtitle.into(),
            x: words.layer.into(),
            y: String::new(),
        },
        values: rows
            .iter()
            .map(|m| columns.iter().map(|l| value(m, l)).collect())
            .collect(),
        rows: rows.iter().map(|m| model_title(m, words)).collect(),
        columns: columns.iter().map(|l| l.to_string()).collect(),
        format: CellFormat::Percent,
    })
}

/// Accuracies by layer with their intervals, one line per model; dashed: those of a column `dashed`, or the published ones.
pub(in crate::pipelines::report) fn accuracies(
    table: &Table,
    (title, subtitle): (&str, &str),
    dashed: Dashed,
    words: &Words,
) -> Result<LineChart> {
    let (models, layers) = (table.words("model")?, table.numbers("layer")?);
    let columns = ["accuracy", "accuracy_low", "accuracy_high"].map(|c| table.numbers(c));
    let [accuracy, low, high] = columns;
    let (accuracy, low, high) = (accuracy?, low?, high?);
    let control = match dashed {
        Dashed::Column(name) => Some(table.numbers(name)?),
        Dashed::Published | Dashed::Nothing => None,
    };
    let mut series = Vec::new();
    for model in different(&models) {
        let own: Vec<usize> = (0..models.len()).filter(|&i| models[i] == model).collect();
        let points = |values: &[f64]| own.iter().map(|&i| (layers[i], values[i])).collect();
        let line = |points, dashed, band| LineSeries {
            name: model_title(model, words),
            points,
            dashed,
            band,
        };
        let band = own.iter().map(|&i| (low[i], high[i])).collect();
        series.push(line(points(&accuracy), false, band));
        if let Some(control) = &control {
            series.push(line(points(control), true, Vec::new()));
        }
        if dashed == Dashed::Published
            && let Some((family, stage)) = model.split_once('_')
            && let Some(figures) = published::of(family, stage)
        {
            let printed = published::LAYERS.iter().zip(figures.accuracy);
            let printed = printed.map(|(&l, a)| (l as f64, a)).collect();
            series.push(line(printed, true, Vec::new()));
        }
    }
    Ok(LineChart {
        labels: Labels {
            title: title.into(),
            subtitle: subtitle.into(),
            x: words.layer.into(),
            y: words.accuracy.into(),
        },
        axis: accuracy_axis(&series),
        series,
    })
}

/// The dashed lines beside accuracies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::pipelines::report) enum Dashed {
    Nothing,
    Published,
    Column(&'static str),
}

/// The training curves of every model in the table.
pub(in crate::pipelines::report) fn curves(table: &Table, words: &Words) -> Result<Vec<LineChart>> {
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
            name: format!("{} {layer}", words.layer),
            points: own
                .iter()
                .filter(|&&i| layers[i] == layer)
                .map(|&i| (epochs[i], values[i]))
                .collect(),
            dashed,
            band: Vec::new(),
        };
        LineChart {
            labels: Labels {
                title: format!(
                    "{}{}{}",
                    model_title(model, words),
                    words.charts.colon,
                    words.curves_title
                ),
                subtitle: words.curves_subtitle.into(),
                x: words.epoch.into(),
                y: words.accuracy.into(),
            },
            series: shown(&different(&own_layers))
                .iter()
                .flat_map(|l| [line(l, &test, false), line(l, &train, true)])
                .collect(),
            axis: Axis::Linear,
        }
    };
    Ok(different(&models).iter().map(chart).collect())
}

/// The scatters of every model in the table.
pub(in crate::pipelines::report) fn cones(table: &Table, words: &Words) -> Result<Vec<Scatter>> {
    let (models, labels) = (table.words("model")?, table.words("label")?);
    let cosines = table.numbers("cosine")?;
    let chart = |model: &&str| {
        let own: Vec<usize> = (0..models.len()).filter(|&i| models[i] == *model).collect();
        let points = |label: &str| {
            own.iter()
                .enumerate()
                .filter(|(_, i)| labels[**i] == label)
                .map(|(place, &i)| (place as f64, cosines[i]))
                .collect()
        };
        Scatter {
            labels: Labels {
                title: format!(
                    "{}{}{}",
                    model_title(model, words),
                    words.charts.colon,
                    words.cone_title
                ),
                subtitle: words.cone_subtitle.into(),
                x: words.cone_axis.into(),
                y: words.charts.cosine_axis.into(),
            },
            series: [(words.negative, "0"), (words.positive, "1")]
                .into_iter()
                .map(|(name, label)| ScatterSeries {
                    name: name.into(),
                    points: points(label),
                })
                .collect(),
            x_axis: Axis::Range(0.0, own.len() as f64),
            y_axis: Axis::Linear,
        }
    };
    Ok(different(&models).iter().map(chart).collect())
}
