//! The tables of `study cls`.

use std::path::Path;

use super::super::table::{Cell, Kind, TableWriter};
use super::Trained;
use crate::error::Result;
use crate::metrics::{ConfusionMatrix, wilson_interval};

const NAME: [(&str, Kind); 2] = [("model", Kind::Text), ("layer", Kind::Integer)];

/// A table whose first columns are the model and the layer, the others floats.
fn create(
    folder: &Path,
    stem: &str,
    integer: Option<&'static str>,
    floats: &[&'static str],
) -> Result<TableWriter> {
    let mut columns = NAME.to_vec();
    columns.extend(integer.map(|name| (name, Kind::Integer)));
    columns.extend(floats.iter().map(|&name| (name, Kind::Float)));
    TableWriter::create(folder, stem, &columns)
}

fn name(trained: &Trained) -> [Cell<'_>; 2] {
    [trained.source.name.into(), trained.layer.into()]
}

/// Accuracy, its interval, and macro F1.
fn quality(answers: &ConfusionMatrix) -> [Cell<'static>; 4] {
    let interval = wilson_interval(answers.correct(), answers.total());
    [
        answers.accuracy(),
        interval.low,
        interval.high,
        answers.macro_f1(),
    ]
    .map(Cell::Float)
}

const QUALITY: [&str; 4] = ["accuracy", "accuracy_low", "accuracy_high", "macro_f1"];

/// Write `treillis`, `probes`, `logistic`, `curves` and `classes` into `folder`.
pub(super) fn write(folder: &Path, trained: &[Trained]) -> Result<()> {
    let mut treillis = create(folder, "treillis", None, &["accuracy"])?;
    let mut probes = create(folder, "probes", Some("rows"), &QUALITY)?;
    let columns = [
        "within_negative",
        "within_positive",
        "between",
        "silhouette",
    ];
    let mut classes = create(folder, "classes", None, &columns)?;
    for t in trained {
        let (name, test) = (name(t), &t.probe.test);
        treillis.row(&[&name[..], &[test.accuracy().into()]].concat())?;
        let rows = [test.total().into()];
        probes.row(&[&name[..], &rows, &quality(test)].concat())?;
        let c = &t.classes;
        let values = [c.within_0, c.within_1, c.between, c.silhouette].map(Cell::Float);
        classes.row(&[&name[..], &values].concat())?;
    }
    treillis.finish()?;
    probes.finish()?;
    classes.finish()?;
    write_curves(folder, trained)?;
    write_logistic(folder, trained)
}

fn write_curves(folder: &Path, trained: &[Trained]) -> Result<()> {
    let columns = ["train_loss", "train_accuracy", "test_loss", "test_accuracy"];
    let mut curves = create(folder, "curves", Some("epoch"), &columns)?;
    for t in trained {
        for (i, epoch) in t.probe.history.iter().enumerate() {
            let values = [
                epoch.train_loss,
                epoch.train_accuracy,
                epoch.test_loss,
                epoch.test_accuracy,
            ]
            .map(Cell::Float);
            curves.row(&[&name(t)[..], &[(i + 1).into()], &values].concat())?;
        }
    }
    curves.finish()
}

/// Of logistic regression: the quality on `test`, the strength C and its accuracy in cross-validation, the accuracy on `train`; that of
/// the control on both splits, and the selectivity.
fn write_logistic(folder: &Path, trained: &[Trained]) -> Result<()> {
    if trained.iter().all(|t| t.logistic.is_none()) {
        return Ok(());
    }
    let more = [
        "strength",
        "validation_accuracy",
        "train_accuracy",
        "control_accuracy",
        "control_train_accuracy",
        "selectivity",
    ];
    let columns = [&QUALITY[..], &more].concat();
    let mut table = create(folder, "logistic", Some("rows"), &columns)?;
    for t in trained {
        let Some(found) = &t.logistic else { continue };
        let (real, control) = (&found.real, &found.control);
        let more = [
            real.strength,
            found.validation.iter().copied().fold(0.0, f64::max),
            real.train.accuracy(),
            control.test.accuracy(),
            control.train.accuracy(),
            found.selectivity(),
        ]
        .map(Cell::Float);
        let rows = [real.test.total().into()];
        table.row(&[&name(t)[..], &rows, &quality(&real.test), &more].concat())?;
    }
    table.finish()
}
