//! The pictures of the report, made from tables.

use std::fmt::Display;

use super::results::{Run, Table, Titled};
use super::words::Words;
use crate::error::Result;
use crate::pipelines::original::{self, LAST_LAYER, LAYERS};
use crate::pipelines::study::charts::{
    Charts, Series, Sizes, accuracy_axis, labels, layer_charts, shown,
};
use crate::plotting::{
    Axis, CellFormat, HeatMap, LineChart, LineSeries, Mark, Scatter, ScatterSeries,
};

/// What a stage is called: `raw`, `ft`, `ft_2`, or a folder's own name.
pub(super) fn stage_title(stage: &str, words: &Words) -> String {
    match stage.strip_prefix("ft") {
        _ if stage == "raw" => words.raw.into(),
        Some("") => words.tuned.into(),
        Some("_1") => words.tuned_one.into(),
        Some(n) if n.starts_with('_') => words.tuned_many.replace("{}", &n[1..]),
        _ => stage.to_string(),
    }
}

/// What one of `data-cls`'s files is called: `flaubert_raw`, `camembert_ft`, ...
pub(super) fn model_title(model: &str, words: &Words) -> String {
    match original::named(model) {
        Some((model, stage)) => format!("{} {}", model.title, stage_title(stage, words)),
        None => model.to_string(),
    }
}

/// The title of a picture of something: its name, and what is drawn.
fn titled(name: impl Display, words: &Words, what: &str) -> String {
    format!("{name}{}{what}", words.charts.colon)
}

/// The statistics by layer of several runs, side by side; with the published figures as marks when
/// they may be compared.
pub(super) fn side_by_side(title: &str, runs: &[&Run], comparable: bool, words: &Words) -> Charts {
    // Each from layer 0 on; of models of different depths all layers of the deepest have their
    // place.
    let layers = runs.iter().map(|r| &r.layers).max_by_key(|l| l.len());
    let layers = layers.expect("a family has a run").clone();
    let series: Vec<Series> = runs
        .iter()
        .map(|r| Series {
            name: stage_title(&r.stage, words),
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
    let mut charts = layer_charts(title, &layers, &series, sizes, &words.charts);
    if comparable {
        add_published(&mut charts, runs, words);
    }
    charts
}

fn add_published(charts: &mut Charts, runs: &[&Run], words: &Words) {
    for (series, run) in runs.iter().enumerate() {
        let figures = run.model.and_then(|model| model.published(&run.stage));
        let category = run.layers.iter().position(|&l| l == LAST_LAYER);
        let (Some(figures), Some(category)) = (figures, category) else {
            continue;
        };
        let mark = |value| Mark {
            category,
            series,
            value,
            name: format!("{}, {}", words.published, stage_title(&run.stage, words)),
        };
        charts.cosine.marks.push(mark(figures.median_cosine));
        charts.trace.marks.push(mark(figures.trace));
        charts.erank.marks.push(mark(figures.erank));
    }
    let labels = [
        (&mut charts.cosine.labels, charts.cosine.marks.is_empty()),
        (&mut charts.trace.labels, charts.trace.marks.is_empty()),
        (&mut charts.erank.labels, charts.erank.marks.is_empty()),
    ];
    for (labels, _) in labels.into_iter().filter(|(_, none)| !none) {
        labels.subtitle.push_str(words.diamonds);
    }
}

/// A measure by layer, one line per run; the baseline also without its leading dimensions.
pub(super) fn measure(
    title: &str,
    runs: &[&Run],
    (name, what, axis): (&str, &str, &str),
    words: &Words,
) -> Result<LineChart> {
    let line = |run: &Run, name: &str, dashed: bool| -> Result<LineSeries> {
        let values = run.measure(name)?;
        let banded = values.iter().any(|v| v[2].is_finite());
        Ok(LineSeries {
            name: stage_title(&run.stage, words),
            points: values.iter().map(|v| (v[0], v[1])).collect(),
            dashed,
            band: values
                .iter()
                .filter(|_| banded)
                .map(|v| (v[2], v[3]))
                .collect(),
        })
    };
    let mut series = Vec::new();
    for run in runs {
        series.push(line(run, name, false)?);
        if name == "baseline" {
            series.push(line(run, "baseline_without_3", true)?);
        }
    }
    let subtitle = if name == "baseline" {
        words.without_leading
    } else if series.iter().any(|s| !s.band.is_empty()) {
        words.bands
    } else {
        ""
    };
    Ok(LineChart {
        labels: labels(titled(title, words, what), subtitle, words.layer, axis),
        series,
        axis: Axis::Linear,
    })
}

/// Linear CKA between all layers of a run.
pub(super) fn cka(title: &str, table: &Table, words: &Words) -> Result<HeatMap> {
    let [a, b] = table.words_of(["layer_a", "layer_b"])?;
    let values = table.numbers("cka")?;
    let layers = different(&b);
    let value = |x: &str, y: &str| {
        let same = |&i: &usize| (a[i] == x && b[i] == y) || (a[i] == y && b[i] == x);
        (0..a.len()).find(same).map_or(f64::NAN, |i| values[i])
    };
    Ok(HeatMap {
        labels: labels(
            titled(title, words, words.cka_title),
            words.cka_subtitle,
            words.layer,
            words.layer,
        ),
        rows: layers.iter().map(|l| l.to_string()).collect(),
        columns: layers.iter().map(|l| l.to_string()).collect(),
        values: layers
            .iter()
            .map(|x| layers.iter().map(|y| value(x, y)).collect())
            .collect(),
        format: CellFormat::Decimal,
    })
}

/// Only the model, where a title begins with it.
fn short_title(title: &str) -> String {
    original::titled(title)
        .map_or(title, |model| model.title)
        .into()
}

/// Linear CKA of two models at the same layers, one line per pair of models.
pub(super) fn comparison(found: &[Titled], words: &Words) -> Result<LineChart> {
    let line = |pair: &Titled| -> Result<LineSeries> {
        let columns = ["layer_a", "layer_b", "cka", "low", "high"];
        let [a, b, values, low, high] = pair.table.numbers_of(columns)?;
        let same = || (0..a.len()).filter(|&i| a[i] == b[i]);
        Ok(LineSeries {
            name: short_title(&pair.title),
            points: same().map(|i| (a[i], values[i])).collect(),
            dashed: false,
            band: same().map(|i| (low[i], high[i])).collect(),
        })
    };
    Ok(LineChart {
        labels: labels(
            words.comparison_title,
            words.comparison_subtitle,
            words.layer,
            "CKA",
        ),
        series: found.iter().map(line).collect::<Result<_>>()?,
        axis: Axis::Linear,
    })
}

/// The different words of a column, in their order.
pub(super) fn different<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for word in words {
        if !seen.contains(word) {
            seen.push(*word);
        }
    }
    seen
}

/// The correlations over all sentences, one line per target.
pub(super) fn convergence(found: &Titled, words: &Words) -> Result<LineChart> {
    let table = &found.table;
    let [targets, groups] = table.words_of(["target", "group"])?;
    let [layer, value, low, high] = table.numbers_of(["layer", "spearman", "low", "high"])?;
    let line = |(target, name): (&str, &str)| {
        let own: Vec<usize> = (0..targets.len())
            .filter(|&i| targets[i] == target && groups[i] == "all")
            .collect();
        LineSeries {
            name: name.into(),
            points: own.iter().map(|&i| (layer[i], value[i])).collect(),
            dashed: false,
            band: own.iter().map(|&i| (low[i], high[i])).collect(),
        }
    };
    Ok(LineChart {
        labels: labels(
            titled(
                found.title.replace("fine-tuned", words.tuned),
                words,
                words.convergence_title,
            ),
            words.convergence_subtitle,
            words.layer,
            words.correlation,
        ),
        series: ["correct", "confidence", "loss"]
            .into_iter()
            .zip(words.targets)
            .map(line)
            .collect(),
        axis: Axis::Linear,
    })
}

/// The heat map of accuracies by model and layer.
pub(super) fn treillis(
    table: &Table,
    (title, subtitle): (&str, &str),
    words: &Words,
) -> Result<HeatMap> {
    let [models, layers] = table.words_of(["model", "layer"])?;
    let accuracy = table.numbers("accuracy")?;
    let (rows, mut columns) = (different(&models), different(&layers));
    columns.sort_by_key(|l| l.parse::<usize>().unwrap_or(usize::MAX));
    let value = |model: &str, layer: &str| {
        let at = (0..models.len()).find(|&i| models[i] == model && layers[i] == layer);
        at.map_or(f64::NAN, |i| accuracy[i])
    };
    Ok(HeatMap {
        labels: labels(title, subtitle, words.layer, ""),
        values: rows
            .iter()
            .map(|m| columns.iter().map(|l| value(m, l)).collect())
            .collect(),
        rows: rows.iter().map(|m| model_title(m, words)).collect(),
        columns: columns.iter().map(|l| l.to_string()).collect(),
        format: CellFormat::Percent,
    })
}

/// Accuracies by layer with their intervals, one line per model; dashed: those of a column
/// `dashed`, or the published ones.
pub(super) fn accuracies(
    table: &Table,
    (title, subtitle): (&str, &str),
    dashed: Dashed,
    words: &Words,
) -> Result<LineChart> {
    let models = table.words("model")?;
    let columns = ["layer", "accuracy", "accuracy_low", "accuracy_high"];
    let [layers, accuracy, low, high] = table.numbers_of(columns)?;
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
            && let Some((model, stage)) = original::named(model)
            && let Some(figures) = model.published(stage)
        {
            let printed = LAYERS.iter().zip(figures.accuracy);
            let printed = printed.map(|(&l, a)| (l as f64, a)).collect();
            series.push(line(printed, true, Vec::new()));
        }
    }
    Ok(LineChart {
        labels: labels(title, subtitle, words.layer, words.accuracy),
        axis: accuracy_axis(&series),
        series,
    })
}

/// The dashed lines beside accuracies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dashed {
    Nothing,
    Published,
    Column(&'static str),
}

/// The training curves of every model in the table.
pub(super) fn curves(table: &Table, words: &Words) -> Result<Vec<LineChart>> {
    let [models, layers] = table.words_of(["model", "layer"])?;
    let columns = ["epoch", "train_accuracy", "test_accuracy"];
    let [epochs, train, test] = table.numbers_of(columns)?;
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
            labels: labels(
                titled(model_title(model, words), words, words.curves_title),
                words.curves_subtitle,
                words.epoch,
                words.accuracy,
            ),
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
pub(super) fn cones(table: &Table, words: &Words) -> Result<Vec<Scatter>> {
    let [models, classes] = table.words_of(["model", "label"])?;
    let cosines = table.numbers("cosine")?;
    let chart = |model: &&str| {
        let own: Vec<usize> = (0..models.len()).filter(|&i| models[i] == *model).collect();
        let points = |label: &str| {
            own.iter()
                .enumerate()
                .filter(|(_, i)| classes[**i] == label)
                .map(|(place, &i)| (place as f64, cosines[i]))
                .collect()
        };
        Scatter {
            labels: labels(
                titled(model_title(model, words), words, words.cone_title),
                words.cone_subtitle,
                words.cone_axis,
                words.charts.cosine_axis,
            ),
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
