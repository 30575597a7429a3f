//! `study cls`: linear probes on the `[CLS]` vectors of every model and layer, and how far apart the classes lie.

use std::path::PathBuf;
use std::sync::Mutex;

use rayon::prelude::*;
use serde::Serialize;

use super::arrays::{self, ClsArrays, Source};
use crate::analysis::cone::{ClassSimilarity, class_similarity};
use crate::analysis::logistic::{self, Selected};
use crate::analysis::probe::{self, Probe, ProbeOptions, Rows};
use crate::artifact::Manifest;
use crate::corpus::{Classes, LabelMap};
use crate::error::{Error, Result};
use crate::files::AtomicDir;
use crate::pipelines::{Same, keep_inputs};
use crate::progress::Progress;

mod charts;
mod tables;

/// What `study cls` works on.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// The folder of the arrays: `{flaubert,camembert}_{raw,ft}.npy`.
    pub npy: PathBuf,
    /// The folder that receives tables and pictures.
    pub out: PathBuf,
    /// The layers that the files hold, when they do not say.
    pub layers: Option<Vec<usize>>,
    /// Other names for the classes.
    pub label_map: LabelMap,
    /// The same number of epochs for every probe instead of the original's.
    pub epochs: Option<usize>,
    /// Train logistic regression with its strength chosen by cross-validation, and the control on shuffled labels, too.
    pub logistic: bool,
    /// Decides initial weights, order and dropout of the probes, folds and shuffled labels.
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
    /// The same of logistic regression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logistic: Option<f64>,
    /// How much better logistic regression does than on shuffled labels (Hewitt and Liang 2019).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selectivity: Option<f64>,
}

/// What was found on one layer of one model.
struct Trained {
    source: Source,
    layer: usize,
    probe: Probe,
    logistic: Option<Selected>,
    classes: ClassSimilarity,
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

/// Train all probes and leave `treillis`, `probes`, `logistic`, `curves` and `classes` (of the test vectors) as CSV and Parquet, the heat
/// maps and the training curves.
///
/// # Errors
/// [`Error::OutputExists`] without `overwrite`, [`Error::NotFound`] and [`Error::Malformed`] for the arrays; [`Error::Mismatch`] for
/// files of other classes than the first one's.
pub fn run(config: &Config) -> Result<Summary> {
    keep_inputs(&config.out, [&config.npy], Same::Refused)?;
    let out = AtomicDir::create(&config.out, config.overwrite)?;
    let settings = serde_json::to_value(config).map_err(Error::compute("manifest"))?;
    let mut manifest = Manifest::new("study cls", settings);
    let models = arrays::find(&config.npy)?;
    manifest.add_inputs(&arrays::inputs(models.iter().map(|(_, path)| path))?)?;
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
    tables::write(out.path(), &trained)?;
    charts::draw(out.path(), &trained)?;
    manifest.write(&out.path().join("manifest.json"))?;
    out.commit()?;
    Ok(Summary {
        out: config.out.clone(),
        probes: trained.iter().map(accuracy).collect(),
    })
}

/// The probes of all layers of one model.
fn train_all(config: &Config, source: Source, arrays: &ClsArrays) -> Result<Vec<Trained>> {
    let layers = arrays.layers.len();
    let task = format!("probes of {}", source.title);
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
        model: trained.source.name.into(),
        layer: trained.layer,
        accuracy: trained.probe.test.accuracy(),
        logistic: logistic.map(|l| l.real.test.accuracy()),
        selectivity: logistic.map(Selected::selectivity),
    }
}

fn train(config: &Config, source: Source, arrays: &ClsArrays, k: usize) -> Result<Trained> {
    let layer = arrays.layers[k];
    let mut options = original_options(source.name, layer, config.seed);
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
    let name = format!("{}/{layer}", source.name);
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
