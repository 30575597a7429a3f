//! The command line of `flue-cls-finetune`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, Parser};

use super::options::{CommonArgs, ReadingArgs, at_least_one, one_of};
use super::program::{download, run_program, to_json};
use crate::pipelines::download;
use crate::pipelines::finetune::{
    BestMetric, Config, EvalStrategy, SchedulerType, Steps, TrainingArguments, run, run_seeds,
};
use crate::pipelines::original::FLAUBERT;

/// Fine-tune FlauBERT or CamemBERT to tell positive reviews from negative ones.
///
/// Leaves a folder that transformers' `from_pretrained` loads, and prints the evaluation as one
/// JSON object.
///
/// Exit status: 0 done, 1 failed, 2 wrong usage, 130 or 143 after SIGINT or SIGTERM with a
/// checkpoint saved.
#[derive(Debug, Parser)]
#[command(name = "flue-cls-finetune", version)]
struct FinetuneArgs {
    /// Folder that flue-cls-prepare or `datasets` wrote; without it the corpus is prepared first
    #[arg(short, long, alias = "dataset", value_name = "DATASETS")]
    datasets: Option<PathBuf>,

    /// Rows of `train` to learn from, or `all`
    #[arg(short = 'a', long, value_name = "N", default_value = "500", value_parser = count)]
    num_train: RowCount,

    /// Rows of `test` to evaluate on, or `all`
    #[arg(short = 'b', long, value_name = "N", default_value = "100", value_parser = count)]
    num_test: RowCount,

    /// Checkpoint to start from: a folder or a name on the hub
    #[arg(short, long, default_value = FLAUBERT.checkpoint())]
    checkpoint: String,

    /// Epochs
    #[arg(short = 'n', long, value_name = "EPOCHS", default_value_t = 1)]
    num_epochs: usize,

    /// Folder to write [default: the last part of the checkpoint's name]
    #[arg(short, long, value_name = "SAVEDIR")]
    save: Option<PathBuf>,

    /// Where the corpus comes from when there is no --datasets (see flue-cls-prepare --data)
    #[arg(long, value_name = "SOURCE")]
    data: Option<String>,

    #[command(flatten)]
    reading: ReadingArgs,

    /// Go on from the newest checkpoint of an interrupted run, if there is one
    #[arg(long)]
    resume: bool,

    /// Override every dropout of the model
    #[arg(long, value_name = "P", value_parser = probability)]
    dropout: Option<f64>,

    /// Fine-tune once with each of these seeds, into SAVEDIR/seed-N, and compare the figures in
    /// SAVEDIR/summary.json
    #[arg(
        long,
        value_name = "N,N,...",
        value_delimiter = ',',
        conflicts_with = "seed"
    )]
    seeds: Vec<u64>,

    #[command(flatten)]
    training: TrainingOptions,

    #[command(flatten)]
    common: CommonArgs,
}

/// The options of `TrainingArguments`, under their names.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Training (names and defaults of transformers' TrainingArguments)")]
pub(super) struct TrainingOptions {
    /// Highest learning rate
    #[arg(long, value_name = "X", default_value_t = 5e-5)]
    learning_rate: f64,

    /// Rows of a micro-batch
    #[arg(long, value_name = "N", default_value_t = 8)]
    per_device_train_batch_size: usize,

    /// Rows evaluated together
    #[arg(long, value_name = "N", default_value_t = 8)]
    per_device_eval_batch_size: usize,

    /// Decoupled weight decay, of weights but not of biases and layer norms
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    weight_decay: f64,

    /// Decay rate of AdamW's first moment
    #[arg(long, value_name = "X", default_value_t = 0.9)]
    adam_beta1: f64,

    /// Decay rate of AdamW's second moment
    #[arg(long, value_name = "X", default_value_t = 0.999)]
    adam_beta2: f64,

    /// AdamW's epsilon
    #[arg(long, value_name = "X", default_value_t = 1e-8)]
    adam_epsilon: f64,

    /// Gradients with a larger Euclidean norm are scaled down to it; 0 turns this off
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    max_grad_norm: f64,

    /// How the learning rate changes
    #[arg(long, value_parser = one_of::<SchedulerType>(), value_name = "TYPE", default_value = "linear")]
    lr_scheduler_type: SchedulerType,

    /// Updates during which the learning rate rises from 0; below 1, their share of the run
    #[arg(long, value_name = "N|SHARE", default_value_t = Steps::Count(0))]
    warmup_steps: Steps,

    /// The share of the run during which the learning rate rises, as transformers 4 called it
    #[arg(long, value_name = "SHARE", value_parser = share, conflicts_with = "warmup_steps")]
    warmup_ratio: Option<Steps>,

    /// Micro-batches whose gradients are added up for one update
    #[arg(long, value_name = "N", default_value_t = 1)]
    gradient_accumulation_steps: usize,

    /// Seed of the order of rows, of dropout and of a new head
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,

    /// Updates between two lines of the log; below 1, their share of the run
    #[arg(long, value_name = "N|SHARE", default_value_t = Steps::Count(10))]
    logging_steps: Steps,

    /// Updates between two checkpoints, kept in SAVEDIR.checkpoints until the run is complete; 0
    /// for none, below 1 their share of the run
    #[arg(long, value_name = "N|SHARE", default_value_t = Steps::Count(0))]
    save_steps: Steps,

    /// Another random order in each epoch, or the order of the selected rows
    #[arg(long, value_parser = shuffle(), default_value = "shuffled", action = ArgAction::Set)]
    data_order: bool,

    /// Do not show FlauBERT the token_type_ids column (Trainer does, which adds the embedding of
    /// word 0 to every token)
    #[arg(long)]
    no_token_type_ids: bool,

    /// Batches of rows of similar lengths
    #[arg(long)]
    group_by_length: bool,

    /// Keep only the input of each layer and compute the rest again on the way back: less memory,
    /// more time, the same weights
    #[arg(long)]
    gradient_checkpointing: bool,

    /// Leave the embeddings and the lowest N encoder layers as they are
    #[arg(long, value_name = "N")]
    freeze: Option<usize>,

    /// Evaluate during training: not at all, after every epoch, or every --eval-steps updates
    #[arg(long, value_parser = one_of::<EvalStrategy>(), value_name = "WHEN", default_value = "no")]
    eval_strategy: EvalStrategy,

    /// Updates between two evaluations; below 1, their share of the run [default: those of
    /// --logging-steps]
    #[arg(long, value_name = "N|SHARE")]
    eval_steps: Option<Steps>,

    /// End with the weights of the best evaluation instead of the last ones
    #[arg(long)]
    load_best_model_at_end: bool,

    /// What makes an evaluation the best: the lowest loss, the highest accuracy or the highest
    /// macro-F1
    #[arg(long, value_parser = one_of::<BestMetric>(), value_name = "METRIC", default_value = "loss")]
    metric_for_best_model: BestMetric,

    /// Stop after N evaluations in a row without a better one
    #[arg(long, value_name = "N")]
    early_stopping_patience: Option<u64>,
}

/// A number of rows, or all of them (`None`).
#[derive(Debug, Clone, Copy)]
pub(super) struct RowCount(pub(super) Option<usize>);

/// Parses [`RowCount`]: a whole number or the word `all`.
pub(super) fn count(text: &str) -> std::result::Result<RowCount, String> {
    match text {
        "all" => Ok(RowCount(None)),
        _ => at_least_one(text)
            .map(|n| RowCount(Some(n)))
            .map_err(|expected| format!("{expected}, or `all`")),
    }
}

/// Parses a share of the run: 0 to below 1. A ratio of 1, which transformers 4 takes, would warm up
/// for the whole run.
fn share(word: &str) -> std::result::Result<Steps, String> {
    match word.parse() {
        Ok(steps @ (Steps::Share(_) | Steps::Count(0))) => Ok(steps),
        _ => Err("expected a share of the run, from 0 to below 1".into()),
    }
}

/// Parses the order of rows: whether every epoch has another random one.
fn shuffle() -> impl TypedValueParser<Value = bool> {
    PossibleValuesParser::new(["shuffled", "sequential"]).map(|order| order == "shuffled")
}

/// Parses a probability that is not 1.
fn probability(word: &str) -> std::result::Result<f64, String> {
    let p = word.parse().ok().filter(|p| (0.0..1.0).contains(p));
    p.ok_or_else(|| "expected a probability, from 0 to below 1".into())
}

impl TrainingOptions {
    pub(super) fn arguments(&self, num_train_epochs: usize) -> TrainingArguments {
        TrainingArguments {
            learning_rate: self.learning_rate,
            per_device_train_batch_size: self.per_device_train_batch_size,
            per_device_eval_batch_size: self.per_device_eval_batch_size,
            num_train_epochs,
            weight_decay: self.weight_decay,
            adam_beta1: self.adam_beta1,
            adam_beta2: self.adam_beta2,
            adam_epsilon: self.adam_epsilon,
            max_grad_norm: self.max_grad_norm,
            lr_scheduler_type: self.lr_scheduler_type,
            warmup_steps: self.warmup_ratio.unwrap_or(self.warmup_steps),
            gradient_accumulation_steps: self.gradient_accumulation_steps,
            seed: self.seed,
            logging_steps: self.logging_steps,
            save_steps: self.save_steps,
            shuffle: self.data_order,
            use_token_type_ids: !self.no_token_type_ids,
            group_by_length: self.group_by_length,
            gradient_checkpointing: self.gradient_checkpointing,
            freeze: self.freeze,
            eval_strategy: self.eval_strategy,
            eval_steps: self.eval_steps,
            load_best_model_at_end: self.load_best_model_at_end,
            metric_for_best_model: self.metric_for_best_model,
            early_stopping_patience: self.early_stopping_patience,
        }
    }
}

impl FinetuneArgs {
    fn config(&self) -> Config {
        Config {
            datasets: self.datasets.clone(),
            source: self.data.clone(),
            reading: self.reading.options(),
            num_train: self.num_train.0,
            num_test: self.num_test.0,
            checkpoint: self.checkpoint.clone(),
            save: self.save.clone(),
            arguments: self.training.arguments(self.num_epochs),
            dropout: self.dropout,
            resume: self.resume,
            overwrite: self.common.overwrite,
            device: self.common.device.clone(),
            hub: self.common.hub(),
        }
    }
}

/// Run the program.
pub fn main() -> ExitCode {
    run_program(
        "flue-cls-finetune",
        |a: &FinetuneArgs| &a.common,
        |a| {
            if a.common.download_only {
                let needs = download::Config {
                    checkpoints: vec![a.checkpoint.clone()],
                    source: a.datasets.is_none().then(|| a.data.clone()),
                    ..Default::default()
                };
                return download(&a.common, needs);
            }
            if a.seeds.is_empty() {
                to_json(&run(&a.config())?)
            } else {
                to_json(&run_seeds(&a.config(), &a.seeds)?)
            }
        },
    )
}
