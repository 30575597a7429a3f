//! The heat map of accuracies and the training curves.

use std::path::Path;

use super::super::arrays::Source;
use super::super::charts::{accuracy_axis, shown};
use super::Trained;
use crate::error::Result;
use crate::metrics::{ConfusionMatrix, wilson_interval};
use crate::plotting::{self, Axis, CellFormat, HeatMap, Labels, LineChart, LineSeries};

/// Write all pictures into `folder`.
pub(super) fn draw(folder: &Path, trained: &[Trained]) -> Result<()> {
    let original = |t: &Trained| t.probe.test.accuracy();
    plotting::save(
        &treillis(
            trained,
            ["a linear probe", ", after the last epoch"],
            original,
        ),
        folder,
        "treillis",
    )?;
    let chart = by_layer(trained, ["a linear probe", ""], |t| Some(&t.probe.test));
    plotting::save(&chart, folder, "accuracy")?;
    if trained.iter().all(|t| t.logistic.is_some()) {
        let logistic = |t: &Trained| {
            let found = t.logistic.as_ref();
            found.map_or(f64::NAN, |l| l.real.test.accuracy())
        };
        let chart = treillis(trained, ["logistic regression", ""], logistic);
        plotting::save(&chart, folder, "treillis_logistic")?;
        let words = ["logistic regression", "; dashed: on shuffled labels"];
        let mut chart = by_layer(trained, words, |t| Some(&t.logistic.as_ref()?.real.test));
        let control = by_layer(trained, words, |t| Some(&t.logistic.as_ref()?.control.test));
        chart
            .series
            .extend(control.series.into_iter().map(|s| LineSeries {
                dashed: true,
                band: Vec::new(),
                ..s
            }));
        plotting::save(&chart, folder, "accuracy_logistic")?;
    }
    for (source, _) in groups(trained) {
        let own: Vec<&Trained> = trained.iter().filter(|t| t.source == source).collect();
        for (stem, accuracy) in [("accuracy", true), ("loss", false)] {
            let chart = curves(source, &own, accuracy);
            plotting::save(&chart, folder, &format!("curves_{}_{stem}", source.name))?;
        }
    }
    Ok(())
}

/// The models in their order, each with its layers.
fn groups(trained: &[Trained]) -> Vec<(Source, Vec<usize>)> {
    let mut groups: Vec<(Source, Vec<usize>)> = Vec::new();
    for t in trained {
        match groups.iter_mut().find(|g| g.0 == t.source) {
            Some(group) => group.1.push(t.layer),
            None => groups.push((t.source, vec![t.layer])),
        }
    }
    groups
}

fn treillis(trained: &[Trained], [what, when]: [&str; 2], of: impl Fn(&Trained) -> f64) -> HeatMap {
    let groups = groups(trained);
    let mut layers: Vec<usize> = groups.iter().flat_map(|g| g.1.iter().copied()).collect();
    layers.sort_unstable();
    layers.dedup();
    let accuracy = |source: Source, layer: usize| {
        trained
            .iter()
            .find(|t| t.source == source && t.layer == layer)
            .map_or(f64::NAN, &of)
    };
    HeatMap {
        labels: Labels {
            title: format!("Accuracy of {what} on the [CLS] vectors"),
            subtitle: format!("share of the test reviews whose class is found{when}"),
            x: "layer".into(),
            y: String::new(),
        },
        rows: groups.iter().map(|g| g.0.title.to_string()).collect(),
        columns: layers.iter().map(usize::to_string).collect(),
        values: groups
            .iter()
            .map(|g| layers.iter().map(|&l| accuracy(g.0, l)).collect())
            .collect(),
        format: CellFormat::Percent,
    }
}

/// The accuracy of every layer, one line per model, with its 95 % interval.
fn by_layer(
    trained: &[Trained],
    [what, more]: [&str; 2],
    answers: impl Fn(&Trained) -> Option<&ConfusionMatrix>,
) -> LineChart {
    let line = |source: Source| {
        let own = trained.iter().filter(|t| t.source == source);
        let found: Vec<_> = own
            .filter_map(|t| Some((t.layer as f64, answers(t)?)))
            .collect();
        let interval = |m: &ConfusionMatrix| wilson_interval(m.correct(), m.total());
        LineSeries {
            name: source.title.into(),
            points: found.iter().map(|(l, m)| (*l, m.accuracy())).collect(),
            dashed: false,
            band: found
                .iter()
                .map(|(_, m)| interval(m))
                .map(|i| (i.low, i.high))
                .collect(),
        }
    };
    let series: Vec<LineSeries> = groups(trained).into_iter().map(|g| line(g.0)).collect();
    LineChart {
        labels: Labels {
            title: format!("Accuracy of {what} on the [CLS] vectors, by layer"),
            subtitle: format!("bands: 95 % intervals{more}"),
            x: "layer".into(),
            y: "accuracy".into(),
        },
        axis: accuracy_axis(&series),
        series,
    }
}

fn curves(source: Source, trained: &[&Trained], accuracy: bool) -> LineChart {
    let what = if accuracy { "accuracy" } else { "loss" };
    let line = |t: &Trained, train: bool| LineSeries {
        name: format!("layer {}", t.layer),
        points: t
            .probe
            .history
            .iter()
            .enumerate()
            .map(|(i, e)| {
                let value = match (accuracy, train) {
                    (true, true) => e.train_accuracy,
                    (true, false) => e.test_accuracy,
                    (false, true) => e.train_loss,
                    (false, false) => e.test_loss,
                };
                ((i + 1) as f64, value)
            })
            .collect(),
        dashed: train,
        band: Vec::new(),
    };
    LineChart {
        labels: Labels {
            title: format!("{}: {what} of the probes in training", source.title),
            subtitle: "solid: test, dashed: train (with dropout)".into(),
            x: "epoch".into(),
            y: if accuracy {
                "accuracy".into()
            } else {
                "binary cross-entropy (nats)".into()
            },
        },
        series: shown(trained)
            .into_iter()
            .flat_map(|t| [line(t, false), line(t, true)])
            .collect(),
        axis: Axis::Linear,
    }
}
