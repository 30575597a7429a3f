//! `study cls`: one linear probe per model and layer.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use super::arrays::{self, ClsArrays, Source};
use super::table::{Kind, TableWriter};
use crate::analysis::classes::{ClassSimilarity, class_similarity};
use crate::analysis::probe::{self, Probe, ProbeOptions, Rows};
use crate::artifact::{AtomicDir, Manifest};
use crate::error::{Error, Result};
use crate::metrics::wilson_interval;
use crate::plotting::{self, Axis, HeatMap, Labels, LineChart, LineSeries};
use crate::progress::Progress;

/// What `study cls` works on.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// The folder of the arrays: `{flaubert,camembert}_{raw,ft}.npy`.
    pub npy: PathBuf,
    /// The folder that receives tables and pictures.
    pub out: PathBuf,
    /// The layers that the files hold, when they do not say.
    pub layers: Option<Vec<usize>>,
    /// The same number of epochs for every probe instead of the original's.
    pub epochs: Option<usize>,
    /// Decides initial weights, order and dropout of the probes.
    pub seed: u64,
    /// Replace an output that exists.
    #[serde(skip)]
    pub overwrite: bool,
}

/// What `study cls` found.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The folder of tables and pictures.
    pub out: PathBuf,
    /// One per model and layer.
    pub probes: Vec<Accuracy>,
}

/// The accuracy of one probe.
#[derive(Debug, Clone, Serialize)]
pub struct Accuracy {
    /// `flaubert_raw`, `flaubert_ft`, `camembert_raw` or `camembert_ft`.
    pub model: String,
    /// The layer.
    pub layer: usize,
    /// The share of right answers on the test rows after the last epoch.
    pub accuracy: f64,
}

/// A probe and where it belongs.
struct Trained {
    source: Source,
    layer: usize,
    probe: Probe,
    similarity: ClassSimilarity,
}

/// The original's options for a model's layer: 30 epochs for FlauBERT, 200 for CamemBERT but 60 at layer 12, and a step size
/// of 10⁻⁴ instead of 10⁻³ at layer 12 of the fine-tuned FlauBERT.
pub fn original_options(model: &str, layer: usize, seed: u64) -> ProbeOptions {
    let camembert = model.starts_with("camembert");
    ProbeOptions {
        epochs: match (camembert, layer) {
            (false, _) => 30,
            (true, 12) => 60,
            (true, _) => 200,
        },
        learning_rate: match (model, layer) {
            ("flaubert_ft", 12) => 1e-4,
            _ => 1e-3,
        },
        seed,
        ..ProbeOptions::default()
    }
}

/// Train all probes and leave `treillis`, `probes`, `classes` (of the test vectors) and `curves` as CSV and Parquet, the heat map and the training curves.
///
/// # Errors
/// [`Error::OutputExists`] without `overwrite`, [`Error::NotFound`] and [`Error::Malformed`] for the arrays.
pub fn run(config: &Config) -> Result<Summary> {
    let out = AtomicDir::create(&config.out, config.overwrite)?;
    let models = arrays::read_all(&config.npy, config.layers.as_deref())?;
    let jobs: Vec<_> = models
        .iter()
        .flat_map(|(source, arrays)| (0..arrays.layers.len()).map(move |k| (*source, arrays, k)))
        .collect();
    let progress = std::sync::Mutex::new(Progress::new("probes", jobs.len() as u64, "probes"));
    let trained: Vec<Trained> = jobs
        .par_iter()
        .map(|&(source, arrays, k)| {
            let trained = train(config, source, arrays, k)?;
            if let Ok(mut progress) = progress.lock() {
                progress.advance(1);
            }
            Ok(trained)
        })
        .collect::<Result<_>>()?;
    drop(progress);

    write_tables(out.path(), &trained)?;
    draw(out.path(), &trained)?;
    let settings = serde_json::to_value(config).map_err(Error::compute("manifest"))?;
    let mut manifest = Manifest::new("study cls", settings);
    for (_, arrays) in &models {
        manifest.add_input(&arrays.path)?;
    }
    manifest.write(&out.path().join("manifest.json"))?;
    out.commit()?;
    Ok(Summary {
        out: config.out.clone(),
        probes: trained
            .iter()
            .map(|t| Accuracy {
                model: t.source.name.into(),
                layer: t.layer,
                accuracy: t.probe.test.accuracy(),
            })
            .collect(),
    })
}

fn train(config: &Config, source: Source, arrays: &ClsArrays, k: usize) -> Result<Trained> {
    let layer = arrays.layers[k];
    let mut options = original_options(source.name, layer, config.seed);
    options.epochs = config.epochs.unwrap_or(options.epochs);
    let probe = probe::train(
        Rows {
            vectors: arrays.train[k].view(),
            labels: &arrays.train_labels,
        },
        Rows {
            vectors: arrays.test[k].view(),
            labels: &arrays.test_labels,
        },
        &options,
        &format!("{}/{layer}", source.name),
    )
    .map_err(|error| match error {
        Error::Mismatch(what) => Error::malformed(
            &arrays.path,
            format!("layer {layer}"),
            what,
            "vectors of finite numbers and labels 0 and 1",
        ),
        other => other,
    })?;
    let similarity = class_similarity(arrays.test[k].view(), &arrays.test_labels)?;
    Ok(Trained {
        source,
        layer,
        probe,
        similarity,
    })
}

fn write_tables(folder: &Path, trained: &[Trained]) -> Result<()> {
    let name = [("model", Kind::Text), ("layer", Kind::Integer)];
    let float = |n| (n, Kind::Float);
    let columns = [&name[..], &[float("accuracy")]].concat();
    let mut treillis = TableWriter::create(folder, "treillis", &columns)?;
    let figures = ["accuracy", "accuracy_low", "accuracy_high", "macro_f1"].map(float);
    let columns = [&name[..], &[("rows", Kind::Integer)], &figures].concat();
    let mut probes = TableWriter::create(folder, "probes", &columns)?;
    let figures = ["train_loss", "train_accuracy", "test_loss", "test_accuracy"].map(float);
    let columns = [&name[..], &[("epoch", Kind::Integer)], &figures].concat();
    let mut curves = TableWriter::create(folder, "curves", &columns)?;
    let figures = [
        "within_negative",
        "within_positive",
        "between",
        "silhouette",
    ]
    .map(float);
    let columns = [&name[..], &figures].concat();
    let mut classes = TableWriter::create(folder, "classes", &columns)?;
    for t in trained {
        let (model, layer, test) = (t.source.name.into(), t.layer.into(), &t.probe.test);
        treillis.row(&[model, layer, test.accuracy().into()])?;
        let interval = wilson_interval(test.correct(), test.total());
        probes.row(&[
            model,
            layer,
            test.total().into(),
            test.accuracy().into(),
            interval.low.into(),
            interval.high.into(),
            test.macro_f1().into(),
        ])?;
        classes.row(&[
            model,
            layer,
            t.similarity.within_0.into(),
            t.similarity.within_1.into(),
            t.similarity.between.into(),
            t.similarity.silhouette.into(),
        ])?;
        for (i, epoch) in t.probe.history.iter().enumerate() {
            curves.row(&[
                model,
                layer,
                (i + 1).into(),
                epoch.train_loss.into(),
                epoch.train_accuracy.into(),
                epoch.test_loss.into(),
                epoch.test_accuracy.into(),
            ])?;
        }
    }
    treillis.finish()?;
    probes.finish()?;
    classes.finish()?;
    curves.finish()
}

fn draw(folder: &Path, trained: &[Trained]) -> Result<()> {
    plotting::save(&treillis(trained), folder, "treillis")?;
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

fn treillis(trained: &[Trained]) -> HeatMap {
    let groups = groups(trained);
    let mut layers: Vec<usize> = groups.iter().flat_map(|g| g.1.iter().copied()).collect();
    layers.sort_unstable();
    layers.dedup();
    let accuracy = |source: Source, layer: usize| {
        trained
            .iter()
            .find(|t| t.source == source && t.layer == layer)
            .map_or(f64::NAN, |t| t.probe.test.accuracy())
    };
    HeatMap {
        labels: Labels {
            title: "Accuracy of a linear probe on the [CLS] vectors".into(),
            subtitle: "share of the test reviews whose class is found, after the last epoch".into(),
            x: "layer".into(),
            y: String::new(),
        },
        rows: groups.iter().map(|g| g.0.title.to_string()).collect(),
        columns: layers.iter().map(usize::to_string).collect(),
        values: groups
            .iter()
            .map(|g| layers.iter().map(|&l| accuracy(g.0, l)).collect())
            .collect(),
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
        series: trained
            .iter()
            .flat_map(|t| [line(t, false), line(t, true)])
            .collect(),
        axis: Axis::Linear,
    }
}
