//! `study cls`: linear probes on the `[CLS]` vectors of every model and layer, and how far apart
//! the classes lie.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rayon::prelude::*;
use serde::Serialize;

use super::arrays::{self, ClsArrays, Source};
use super::charts::{accuracy_axis, labels, shown};
use super::table::{Cell, Kind, TableWriter};
use crate::analysis::cone::{ClassSimilarity, class_similarity};
use crate::analysis::logistic::{self, Selected};
use crate::analysis::probe::{self, Probe, Rows};
use crate::corpus::{Classes, LabelMap};
use crate::error::{Error, Result};
use crate::files::AtomicDir;
use crate::metrics::{ConfusionMatrix, wilson_interval};
use crate::pipelines::{Same, keep_inputs};
use crate::plotting::{self, Axis, CellFormat, HeatMap, LineChart, LineSeries};
use crate::progress::Progress;

/// What `study cls` works on.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// The folder of the arrays: `{flaubert,camembert}_{raw,ft}.npy`.
    pub(crate) npy: PathBuf,
    /// The folder that receives tables and pictures.
    pub(crate) out: PathBuf,
    /// The layers that the files hold, when they do not say.
    pub(crate) layers: Option<Vec<usize>>,
    /// Other names for the classes.
    pub(crate) label_map: LabelMap,
    /// The same number of epochs for every probe instead of the original's.
    pub(crate) epochs: Option<usize>,
    /// Add logistic regression, cross-validated, and its control on shuffled labels.
    pub(crate) logistic: bool,
    /// Decides initial weights, order and dropout of the probes, folds and shuffled labels.
    pub(crate) seed: u64,
    /// Replace an output that exists.
    #[serde(skip)]
    pub(crate) overwrite: bool,
}

/// What `study cls` found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    /// The folder of tables and pictures.
    pub(crate) out: PathBuf,
    /// One per model and layer.
    pub(crate) probes: Vec<Accuracy>,
}

/// The accuracy of one probe.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Accuracy {
    /// `flaubert_raw`, `flaubert_ft`, `camembert_raw` or `camembert_ft`.
    pub(crate) model: String,
    /// The layer.
    pub(crate) layer: usize,
    /// The share of right answers on the test rows after the last epoch.
    pub(crate) accuracy: f64,
    /// The same of logistic regression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) logistic: Option<f64>,
    /// How much better logistic regression does than on shuffled labels (Hewitt and Liang 2019).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) selectivity: Option<f64>,
}

/// What was found on one layer of one model.
struct Trained {
    source: Source,
    layer: usize,
    probe: Probe,
    logistic: Option<Selected>,
    classes: ClassSimilarity,
}

/// Train all probes and leave `treillis`, `probes`, `logistic`, `curves` and `classes` (of the test
/// vectors) as CSV and Parquet, the heat maps and the training curves.
///
/// # Errors
/// [`Error::OutputExists`] without `overwrite`, [`Error::NotFound`] and [`Error::Malformed`] for
/// the arrays; [`Error::Mismatch`] for files of other classes than the first one's.
pub(crate) fn run(config: &Config) -> Result<Summary> {
    keep_inputs(&config.out, [&config.npy], Same::Refused)?;
    let out = AtomicDir::create(&config.out, config.overwrite)?;
    let models = arrays::find(&config.npy)?;
    let inputs = arrays::inputs(models.iter().map(|(_, path)| path))?;
    let manifest = super::manifest("cls", config, &inputs)?;
    let mut trained = Vec::new();
    let mut all = None;
    // One model at a time: with all layers the vectors of each are many.
    for (source, path) in models {
        let mut arrays = arrays::read(&path, config.layers.as_deref())?;
        let classes = arrays.classes(&config.label_map)?;
        // The same classes in all files, with the numbers of FLUE CLS where they are its classes.
        let reference = all.get_or_insert_with(|| match classes.are_flue() {
            true => Classes::flue(),
            false => classes.clone(),
        });
        arrays.relabel(&classes.places_in(reference)?)?;
        trained.extend(train_all(config, source, &arrays)?);
    }
    write_tables(out.path(), &trained)?;
    draw(out.path(), &trained)?;
    super::leave(out, &manifest)?;
    Ok(Summary {
        out: config.out.clone(),
        probes: trained.iter().map(accuracy).collect(),
    })
}

/// The probes of all layers of one model.
fn train_all(config: &Config, source: Source, arrays: &ClsArrays) -> Result<Vec<Trained>> {
    let layers = arrays.layers.len();
    let task = format!("probes of {}", source.variant.title);
    let progress = Mutex::new(Progress::new(task, layers as u64, "layers"));
    (0..layers)
        .into_par_iter()
        .map(|k| {
            let trained = train(config, source, arrays, k)?;
            if let Ok(mut progress) = progress.lock() {
                progress.advance(1);
            }
            Ok(trained)
        })
        .collect()
}

fn accuracy(trained: &Trained) -> Accuracy {
    let logistic = trained.logistic.as_ref();
    Accuracy {
        model: trained.source.variant.name.into(),
        layer: trained.layer,
        accuracy: trained.probe.test.accuracy(),
        logistic: logistic.map(|l| l.real.test.accuracy()),
        selectivity: logistic.map(Selected::selectivity),
    }
}

fn train(config: &Config, source: Source, arrays: &ClsArrays, k: usize) -> Result<Trained> {
    let layer = arrays.layers[k];
    let mut options = source.model.probe(source.variant, layer, config.seed);
    options.epochs = config.epochs.unwrap_or(options.epochs);
    let (train, test) = (
        Rows {
            vectors: arrays.train[k].view(),
            labels: &arrays.train_labels,
        },
        Rows {
            vectors: arrays.test[k].view(),
            labels: &arrays.test_labels,
        },
    );
    let name = format!("{}/{layer}", source.variant.name);
    let found = || -> Result<Trained> {
        Ok(Trained {
            source,
            layer,
            probe: probe::train(train, test, &options, &name)?,
            logistic: config
                .logistic
                .then(|| logistic::select(train, test, config.seed))
                .transpose()?,
            classes: class_similarity(test.vectors, test.labels)?,
        })
    };
    found().map_err(|error| match error {
        Error::Mismatch(what) => Error::malformed(
            &arrays.path,
            format!("layer {layer}"),
            what,
            "vectors of finite numbers and labels 0 and 1",
        ),
        other => other,
    })
}

const NAME: [(&str, Kind); 2] = [("model", Kind::Text), ("layer", Kind::Integer)];

/// A table whose first columns are the model and the layer, the others floats.
fn create_table(
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

fn names(trained: &Trained) -> [Cell<'_>; 2] {
    [trained.source.variant.name.into(), trained.layer.into()]
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
fn write_tables(folder: &Path, trained: &[Trained]) -> Result<()> {
    let mut treillis = create_table(folder, "treillis", None, &["accuracy"])?;
    let mut probes = create_table(folder, "probes", Some("rows"), &QUALITY)?;
    let columns = [
        "within_negative",
        "within_positive",
        "between",
        "silhouette",
    ];
    let mut classes = create_table(folder, "classes", None, &columns)?;
    for t in trained {
        let (name, test) = (names(t), &t.probe.test);
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
    let mut curves = create_table(folder, "curves", Some("epoch"), &columns)?;
    for t in trained {
        for (i, epoch) in t.probe.history.iter().enumerate() {
            let values = [
                epoch.train_loss,
                epoch.train_accuracy,
                epoch.test_loss,
                epoch.test_accuracy,
            ]
            .map(Cell::Float);
            curves.row(&[&names(t)[..], &[(i + 1).into()], &values].concat())?;
        }
    }
    curves.finish()
}

/// The quality of logistic regression and of its control, with the strength C and the selectivity.
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
    let mut table = create_table(folder, "logistic", Some("rows"), &columns)?;
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
        table.row(&[&names(t)[..], &rows, &quality(&real.test), &more].concat())?;
    }
    table.finish()
}

/// Write all pictures into `folder`.
fn draw(folder: &Path, trained: &[Trained]) -> Result<()> {
    let words = ["a linear probe", ", after the last epoch"];
    let chart = treillis(trained, words, |t| t.probe.test.accuracy());
    plotting::save(&chart, folder, "treillis")?;
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
            plotting::save(
                &chart,
                folder,
                &format!("curves_{}_{stem}", source.variant.name),
            )?;
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
        labels: labels(
            format!("Accuracy of {what} on the [CLS] vectors"),
            &format!("share of the test reviews whose class is found{when}"),
            "layer",
            "",
        ),
        rows: groups
            .iter()
            .map(|g| g.0.variant.title.to_string())
            .collect(),
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
            name: source.variant.title.into(),
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
        labels: labels(
            format!("Accuracy of {what} on the [CLS] vectors, by layer"),
            &format!("bands: 95 % intervals{more}"),
            "layer",
            "accuracy",
        ),
        axis: accuracy_axis(&series),
        series,
    }
}

fn curves(source: Source, trained: &[&Trained], accuracy: bool) -> LineChart {
    let (what, unit) = match accuracy {
        true => ("accuracy", "accuracy"),
        false => ("loss", "binary cross-entropy (nats)"),
    };
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
        labels: labels(
            format!("{}: {what} of the probes in training", source.variant.title),
            "solid: test, dashed: train (with dropout)",
            "epoch",
            unit,
        ),
        series: shown(trained)
            .into_iter()
            .flat_map(|t| [line(t, false), line(t, true)])
            .collect(),
        axis: Axis::Linear,
    }
}
