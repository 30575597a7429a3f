//! Fine-tuning a checkpoint on prepared data: the work of `flue-cls-finetune`.

mod output;
mod seeds;

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use super::inputs::side_by_side;
use super::inputs::{Reads, add_checkpoint, add_splits};
use super::outputs::{Same, keep_inputs};
use super::{outputs, prepare};
use crate::artifact::{Digests, Fingerprints, Inputs, Manifest};
use crate::batching::subset;
use crate::corpus::{Classes, ReadOptions};
use crate::dataset::{DatasetDict, Split};
use crate::device;
use crate::error::{Error, Result};
use crate::files::{AtomicDir, Digest, beside, presence};
use crate::hub::{Hub, HubOptions};
use crate::models::checkpoint::{LoadReport, has_head, load_classifier};
use crate::models::{Config as ModelConfig, SequenceClassifier};
pub use crate::training::{BestMetric, EvalStrategy, SchedulerType, Steps, TrainingArguments};
use crate::training::{EvaluationRecord, Identity, Trainer, clear_checkpoints, evaluate};
use output::Results;
pub(crate) use seeds::run_seeds;

/// The seed of `datasets.shuffle(seed=42)` in the original script: which rows `-a` and `-b` take.
const SUBSET_SEED: u64 = 42;

/// The splits to train on and to test on.
const SPLITS: [&str; 2] = ["train", "test"];

/// What to fine-tune, on what, and how.
#[derive(Debug, Clone)]
pub struct Config {
    /// A `DatasetDict` folder with splits `train` and `test`; without one the corpus is prepared
    /// first.
    pub(crate) datasets: Option<PathBuf>,
    /// Where the corpus comes from when it is prepared first.
    pub(crate) source: Option<String>,
    /// How it is read where it can be read in several ways, and what its classes are called.
    pub(crate) reading: ReadOptions,
    /// Rows of `train`; `None` for all.
    pub(crate) num_train: Option<usize>,
    /// Rows of `test`; `None` for all.
    pub(crate) num_test: Option<usize>,
    /// The checkpoint to start from: a folder or a name.
    pub(crate) checkpoint: String,
    /// The folder to write; without one, the checkpoint's basename.
    pub(crate) save: Option<PathBuf>,
    /// Trainer's settings.
    pub(crate) arguments: TrainingArguments,
    /// Overrides every dropout of the model.
    pub(crate) dropout: Option<f64>,
    /// Go on from the newest checkpoint of an interrupted run.
    pub(crate) resume: bool,
    /// Replace `save` when it exists.
    pub(crate) overwrite: bool,
    /// Device by name.
    pub(crate) device: Option<String>,
    /// Where checkpoints are looked up.
    pub(crate) hub: HubOptions,
}

impl Config {
    fn validate(&self) -> Result<()> {
        self.arguments.validate()?;
        if let Some(p) = self.dropout.filter(|p| !(0.0..1.0).contains(p)) {
            let problem = "expected a probability, from 0 to below 1";
            return Err(Error::setting("dropout", p, problem));
        }
        Ok(())
    }

    /// Refuse an output that would replace what is read along with itself.
    fn keep_inputs(&self, output: &Path) -> Result<()> {
        let mut inputs = vec![PathBuf::from(&self.checkpoint)];
        inputs.extend(self.datasets.clone());
        inputs.extend(self.source.iter().map(PathBuf::from));
        inputs.extend(self.hub.cache_dir.clone());
        keep_inputs(output, inputs, Same::Replaced)
    }

    fn save_folder(&self) -> PathBuf {
        let default = || basename(&self.checkpoint).into();
        self.save.clone().unwrap_or_else(default)
    }
}

/// The evaluation on the rows of `test`, under Trainer's names.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    /// Loss, accuracy and speed.
    #[serde(flatten)]
    pub(crate) evaluation: EvaluationRecord,
    /// Epochs that were trained.
    pub(crate) epoch: f64,
}

/// The last part of a checkpoint's name: `camembert-base`, `flaubert_base_cased`.
pub(crate) fn basename(checkpoint: &str) -> &str {
    checkpoint
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or(checkpoint)
}

/// Fine-tune, evaluate, and leave the folder that transformers' `from_pretrained` loads.
///
/// # Errors
/// [`Error::Usage`] for settings that make no sense, [`Error::OutputExists`],
/// [`Error::OutputBusy`], [`Error::Mismatch`] when data and model do not fit,
/// [`Error::Interrupted`] with a checkpoint saved, and what reading and writing give.
pub(crate) fn run(config: &Config) -> Result<Summary> {
    config.validate()?;
    let save = config.save_folder();
    config.keep_inputs(&save)?;
    // From here on no other run writes the folder, nor the checkpoints beside it.
    let dir = AtomicDir::create(&save, config.overwrite)?;
    let (checkpoint, prepared) = inputs(config, &save)?;
    run_on(config, &checkpoint, &prepared, dir)
}

/// The checkpoint's folder, and the data.
fn inputs(config: &Config, save: &Path) -> Result<(PathBuf, Prepared)> {
    let checkpoint = Hub::new(config.hub.clone()).checkpoint(&config.checkpoint)?;
    Ok((checkpoint, prepare_if_needed(config, save)?))
}

/// What a run reads: the checkpoint, which lies in `folder`, with the tokenizer that is handed on,
/// and the data where they are given.
///
/// # Errors
/// Those of finding the files.
pub(super) fn inputs_of(
    checkpoint: &str,
    folder: &Path,
    datasets: Option<&Path>,
) -> Result<Inputs> {
    let mut inputs = Inputs::default();
    add_checkpoint(&mut inputs, checkpoint, folder, Reads::Both)?;
    if let Some(datasets) = datasets {
        add_splits(&mut inputs, datasets, &SPLITS)?;
    }
    Ok(inputs)
}

/// What a run is made from.
struct Origins {
    /// The settings and all that is read.
    manifest: Manifest,
    /// The files of the checkpoint alone.
    checkpoint: Fingerprints,
}

impl Origins {
    /// Of the checkpoint in `folder` and the data. Those that were prepared for this run alone are
    /// gone when it ends: what they were made from counts.
    fn of(config: &Config, folder: &Path, prepared: &Prepared) -> Result<Self> {
        let mut manifest = Manifest::new("flue-cls-finetune", output::settings(config));
        let mut digests = Digests::default();
        let checkpoint = inputs_of(&config.checkpoint, folder, None)?;
        let checkpoint = checkpoint.fingerprints_with(&mut digests)?;
        let datasets = config.datasets.as_deref();
        let all = inputs_of(&config.checkpoint, folder, datasets)?;
        manifest.inputs = all.fingerprints_with(&mut digests)?;
        manifest.commits = all.commits().clone();
        if let Prepared::Temporary(_) = prepared {
            let made = Manifest::read(&prepared.path().join(output::MANIFEST))?;
            manifest.inputs.extend(made.inputs);
            manifest.commits.extend(made.commits);
        }
        Ok(Self {
            manifest,
            checkpoint,
        })
    }
}

/// [`run`] on data and a checkpoint that are at hand, into `dir`.
fn run_on(config: &Config, folder: &Path, prepared: &Prepared, dir: AtomicDir) -> Result<Summary> {
    let datasets = &prepared.path();
    let origins = Origins::of(config, folder, prepared)?;
    let data = DatasetDict::open(datasets)?;
    let map = &config.reading.label_map;
    let (splits, classes) = side_by_side([data.split(SPLITS[0])?, data.split(SPLITS[1])?], map)?;
    let (model, [train, test], report) = load(config, folder, splits, &classes)?;
    let train_rows = subset(&train, config.num_train, SUBSET_SEED)?;
    let test_rows = subset(&test, config.num_test, SUBSET_SEED)?;
    if train_rows.is_empty() || test_rows.is_empty() {
        return Err(Error::Mismatch(format!(
            "{}: no row to train on or to test on",
            datasets.display()
        )));
    }
    model
        .config()
        .check_first_token(train.example(train_rows[0])?.input_ids, train.folder())?;
    if let Some(other) = &report.other_head {
        let folder = folder.display();
        tracing::warn!(
            "{folder}: {other} is not used; the head that classifies sequences starts anew"
        );
    }
    describe(model.as_ref(), &report, train_rows.len(), test_rows.len());
    let checkpoints = open_checkpoints(config, dir.target())?;
    let trainer = Trainer {
        model: model.as_ref(),
        arguments: &config.arguments,
        split: &train,
        rows: &train_rows,
        eval_split: &test,
        eval_rows: &test_rows,
        checkpoints,
        resume: config.resume,
        identity: identity(
            config,
            &origins.checkpoint,
            (&train, &train_rows),
            (&test, &test_rows),
        )?,
    };
    let mut output = trainer.train()?;
    let evaluation = evaluate(model.as_ref(), &test, &test_rows, &config.arguments)?;
    output.state.push(json!(evaluation.record()));
    let results = Results {
        evaluation: &evaluation,
        rows: &test_rows,
        categories: test.categories()?,
    };
    output::write(config, &dir, folder, model.as_ref(), &output, &results)?;
    origins.manifest.write(&dir.path().join(output::MANIFEST))?;
    dir.commit()?;
    if let Err(e) = trainer.clear_checkpoints() {
        tracing::warn!("{e}; the model is complete, and its checkpoints may be removed");
    }
    Ok(Summary {
        evaluation: evaluation.record(),
        epoch: output.state.epoch,
    })
}

/// The data to train on: the given folder, or one prepared beside the output and removed at the
/// end. A killed run leaves it to the next one to remove.
enum Prepared {
    Given(PathBuf),
    Temporary(AtomicDir),
}

impl Prepared {
    fn path(&self) -> PathBuf {
        match self {
            Self::Given(path) => path.clone(),
            Self::Temporary(dir) => dir.path().join("datasets"),
        }
    }
}

fn prepare_if_needed(config: &Config, save: &Path) -> Result<Prepared> {
    let work = beside(save, ".prepared");
    if let Some(path) = &config.datasets {
        // A killed run may have prepared its data itself.
        outputs::sweep(&work)?;
        return Ok(Prepared::Given(path.clone()));
    }
    let dir = AtomicDir::create(work, true)?;
    tracing::info!("preparing the corpus for {} first", config.checkpoint);
    let prepared = prepare::run(&prepare::Config {
        checkpoint: config.checkpoint.clone(),
        source: config.source.clone(),
        reading: config.reading.clone(),
        hub: config.hub.clone(),
        ..prepare::Config::new(dir.path().join("datasets"))
    })?;
    prepared.require_train_and_test(config.source.as_deref())?;
    Ok(Prepared::Temporary(dir))
}

type Loaded = (Box<dyn SequenceClassifier>, [Split; 2], LoadReport);

/// The model to train, and the splits with their classes counted as the model counts its own.
fn load(
    config: &Config,
    folder: &Path,
    mut splits: [Split; 2],
    classes: &Classes,
) -> Result<Loaded> {
    let mut model = ModelConfig::read(folder)?;
    let head_count = model.num_labels;
    let head_names = model.label_names(folder);
    let head_classes = || {
        let map = &config.reading.label_map;
        Classes::declared(folder.display(), &head_names?, map)
    };
    let mut names = classes.given_names();
    if head_count != names.len() && has_head(folder, &model)? {
        // These are not as many.
        classes.places_in(&head_classes()?)?;
        unreachable!("lists of different length have no places");
    }
    model.set_labels(&names);
    if let Some(p) = config.dropout {
        model.override_dropout(p);
    }
    let (device, seed) = (
        device::select(config.device.as_deref())?,
        config.arguments.seed,
    );
    let (mut model, report) = load_classifier(folder, model, &device, seed)?;
    if report.initialised.is_empty() {
        let head_classes = head_classes()?;
        let places = classes.places_in(&head_classes)?;
        if !head_classes.are_placeholders() {
            names = head_classes.names().to_vec();
        }
        splits = splits.map(|split| split.relabelled(&names, &places));
        model.set_label_names(&names);
    }
    model.set_gradient_checkpointing(config.arguments.gradient_checkpointing);
    if let Some(layers) = config.arguments.freeze {
        model.freeze(layers)?;
        let all = model.config().num_layers;
        tracing::info!(
            "frozen: the embeddings and the lowest {layers} of {all} encoder layers; the backward pass stops above them"
        );
    }
    Ok((model, splits, report))
}

/// What a reader of the log wants to know before the first step.
fn describe(model: &dyn SequenceClassifier, report: &LoadReport, train: usize, test: usize) {
    let (decayed, rest): (Vec<_>, Vec<_>) = model.parameters().iter().partition(|p| p.decay);
    let count =
        |ps: &[&crate::models::Parameter]| ps.iter().map(|p| p.var.elem_count()).sum::<usize>();
    tracing::info!(
        "{} with {} parameters ({} of them subject to weight decay, {} not); {train} rows to train on, {test} to test on",
        model.config().model_type,
        model.parameters().num_elements(),
        count(&decayed),
        count(&rest),
    );
    if !report.initialised.is_empty() {
        tracing::info!("newly initialised: {}", report.initialised.join(", "));
    }
    if !report.unused.is_empty() {
        tracing::info!("not used: {}", report.unused.join(", "));
    }
}

/// The folder of the checkpoints of a run under way: beside its output, under a name of their own.
/// What an earlier run left there is gone on from with `resume` and removed with `overwrite`;
/// without either the run is refused.
fn open_checkpoints(config: &Config, save: &Path) -> Result<PathBuf> {
    let folder = beside(save, ".checkpoints");
    let names = presence::names(&folder)?;
    let begun = names.iter().any(|n| n.starts_with("checkpoint-"));
    if config.resume {
        return Ok(folder);
    }
    if begun && !config.overwrite {
        return Err(Error::Mismatch(format!(
            "{} holds the state of a run that was stopped: go on with --resume, or start anew with --overwrite",
            folder.display()
        )));
    }
    clear_checkpoints(&folder)?;
    Ok(folder)
}

/// Rows of a split.
type Selection<'a> = (&'a Split, &'a [usize]);

/// The identity of a run that starts from the files of `checkpoint`, trains on the rows `train` and
/// is evaluated on the rows `test`. These count only where the run is evaluated before its end: the
/// checkpoint that it goes on from knows nothing of them otherwise.
fn identity(
    config: &Config,
    checkpoint: &Fingerprints,
    train: Selection<'_>,
    test: Selection<'_>,
) -> Result<Identity> {
    let files: Vec<(String, Value)> = checkpoint
        .iter()
        .map(|(name, digest)| (format!("-c (its {name})"), json!(digest)))
        .collect();
    let mut settings = vec![
        ("-c", json!(config.checkpoint)),
        ("--dropout", json!(config.dropout)),
        ("-a", json!(train.1.len())),
    ];
    settings.extend(
        files
            .iter()
            .map(|(file, digest)| (&file[..], digest.clone())),
    );
    let evaluated = config.arguments.eval_strategy != EvalStrategy::No;
    if evaluated {
        settings.push(("-b", json!(test.1.len())));
    }
    settings.push(("-d (the rows of train)", digest(train)?));
    if evaluated {
        settings.push(("-d (the rows of test)", digest(test)?));
    }
    Ok(Identity::new(&config.arguments, settings))
}

/// The SHA-256 of what training sees of the rows: labels, tokens, token types.
fn digest((split, rows): Selection<'_>) -> Result<Value> {
    let mut hash = Digest::default();
    for &row in rows {
        let example = split.example(row)?;
        hash.update(example.label.to_le_bytes());
        for id in example.input_ids {
            hash.update(id.to_le_bytes());
        }
        let bytes = |values: &[i8]| values.iter().map(|v| *v as u8).collect::<Vec<u8>>();
        hash.update(bytes(example.attention_mask));
        hash.update(example.token_type_ids.map(bytes).unwrap_or_default());
    }
    Ok(Value::String(hash.hexadecimal()))
}
