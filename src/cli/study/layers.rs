//! The command lines of `study layers`, `study raw` and `study fine-tuning`, and how many sentences
//! they look at.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use super::super::options::{CommonArgs, at_least_one, part};
use super::super::program::to_json;
use super::execution;
use crate::pipelines::extract::Part;
use crate::pipelines::original::{CAMEMBERT, FLAUBERT, MODELS};
use crate::pipelines::study::{Amounts, Count, layers};
use crate::pipelines::{Same, keep_inputs};

/// Take cosines, traces of covariances and the effective rank of every layer of one model
///
/// Leaves cosine.csv, cosine_variance.csv, trace.csv and erank.csv, the same as Parquet, and a
/// picture of each. Sentences are the first rows of the test split, unshuffled; tokens are those
/// that are not padding.
#[derive(Debug, Args)]
pub(super) struct LayersArgs {
    /// A dataset folder as flue-cls-prepare writes it
    #[arg(long, value_name = "DIR")]
    data: PathBuf,

    /// A local folder or a name on the hub
    #[arg(long, short, value_name = "CHECKPOINT")]
    checkpoint: String,

    /// The folder that receives tables and pictures
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// What pictures call the model [default: the checkpoint]
    #[arg(long, value_name = "WORDS")]
    title: Option<String>,

    /// See the chunks i, i+N, ... of 64 sentences only and leave what they give in OUT.shards
    /// [default: from SLURM_ARRAY_TASK_ID, _MIN, _STEP and _COUNT inside a job array, else all]
    #[arg(long, value_name = "i/N")]
    shard: Option<String>,

    /// Make OUT of the finished shards in OUT.shards; the other options as they were given with
    /// --shard
    #[arg(long, conflicts_with = "shard")]
    merge: bool,

    #[command(flatten)]
    sizes: SizesArgs,
}

/// The same statistics for both models as they were published
///
/// Leaves the folders flaubert_raw and camembert_raw.
#[derive(Debug, Args)]
pub(super) struct RawArgs {
    #[command(flatten)]
    data: DataArgs,

    /// FlauBERT: a local folder or a name on the hub
    #[arg(long, value_name = "CHECKPOINT", default_value = FLAUBERT.checkpoint())]
    flaubert: String,

    /// CamemBERT: a local folder or a name on the hub
    #[arg(long, value_name = "CHECKPOINT", default_value = CAMEMBERT.checkpoint())]
    camembert: String,
}

/// The same statistics for both models after fine-tuning
///
/// Leaves the folders flaubert_ft_EPOCHS and camembert_ft_EPOCHS.
#[derive(Debug, Args)]
pub(super) struct FineTuningArgs {
    #[command(flatten)]
    data: DataArgs,

    /// The epochs of fine-tuning: the end of the folders' names
    #[arg(long, short, value_name = "EPOCHS", default_value_t = 1)]
    num_epochs: usize,

    /// FlauBERT after fine-tuning [default: ./flaubert_base_cased_EPOCHS]
    #[arg(long, value_name = "CHECKPOINT")]
    flaubert: Option<String>,

    /// CamemBERT after fine-tuning [default: ./camembert_base_EPOCHS]
    #[arg(long, value_name = "CHECKPOINT")]
    camembert: Option<String>,
}

#[derive(Debug, Args)]
struct DataArgs {
    /// FlauBERT's dataset folder
    #[arg(long, value_name = "DIR", default_value = FLAUBERT.data)]
    flaubert_data: PathBuf,

    /// CamemBERT's dataset folder
    #[arg(long, value_name = "DIR", default_value = CAMEMBERT.data)]
    camembert_data: PathBuf,

    /// The folder in which each model gets its own
    #[arg(long, value_name = "DIR", default_value = "results")]
    out: PathBuf,

    #[command(flatten)]
    sizes: SizesArgs,
}

#[derive(Debug, Args)]
struct SizesArgs {
    #[command(flatten)]
    sentences: SentencesArgs,

    /// Sentences of the further measures (anisotropy, IsoScore, CKA, ...): a number, or all
    /// [default: --sentences, else the largest of the three above]
    #[arg(long, value_name = "N|all", conflicts_with = "no_measures")]
    measure_sentences: Option<Count>,

    /// Leave the further measures out
    #[arg(long)]
    no_measures: bool,

    /// Decides the sample of tokens and the bootstrap of the further measures
    #[arg(long, default_value_t = 42)]
    seed: u64,

    /// Sentences per forward pass: changes memory and speed, not the figures
    #[arg(short = 'b', long, value_name = "BATCH", default_value_t = 8, value_parser = at_least_one)]
    batch: usize,
}

impl LayersArgs {
    /// The checkpoints that are read.
    pub(crate) fn checkpoints(&self) -> Vec<String> {
        vec![self.checkpoint.clone()]
    }

    /// Run the study; its summary as JSON.
    pub(crate) fn run(&self, common: &CommonArgs) -> Result<String> {
        let title = self.title.clone();
        let config = layers::Config {
            data: self.data.clone(),
            checkpoint: self.checkpoint.clone(),
            out: self.out.clone(),
            title: title.unwrap_or_else(|| self.checkpoint.clone()),
            amounts: self.sizes.amounts(),
            part: part(self.merge, self.shard.as_deref())?,
            execution: execution(self.sizes.batch, common),
        };
        keep_what_is_read(std::slice::from_ref(&config))?;
        to_json(&layers::run(&config)?)
    }
}

/// Refuse studies one of which would replace what one of them reads along with its output.
fn keep_what_is_read(studies: &[layers::Config]) -> Result<()> {
    let inputs = |study: &layers::Config| [study.data.clone(), (&study.checkpoint).into()];
    let inputs: Vec<PathBuf> = studies.iter().flat_map(inputs).collect();
    for study in studies {
        keep_inputs(&study.out, &inputs, Same::Replaced)?;
    }
    Ok(())
}

impl RawArgs {
    /// The checkpoints that are read.
    pub(crate) fn checkpoints(&self) -> Vec<String> {
        vec![self.flaubert.clone(), self.camembert.clone()]
    }

    /// Run both studies; their summaries as JSON.
    pub(crate) fn run(&self, common: &CommonArgs) -> Result<String> {
        let checkpoints = [self.flaubert.clone(), self.camembert.clone()];
        self.data.run(checkpoints, ("raw", "raw"), common)
    }
}

impl FineTuningArgs {
    /// The checkpoints that are read, where they are named.
    pub(crate) fn checkpoints(&self) -> Vec<String> {
        let named = self.flaubert.iter().chain(&self.camembert);
        named.cloned().collect()
    }

    /// Run both studies; their summaries as JSON.
    pub(crate) fn run(&self, common: &CommonArgs) -> Result<String> {
        let n = self.num_epochs;
        let given = [&self.flaubert, &self.camembert];
        let checkpoints = std::array::from_fn(|i| match given[i] {
            Some(name) => name.clone(),
            None => format!("./{}", MODELS[i].tuned_folder(n)),
        });
        let words = format!("fine-tuned, {n} epoch{}", if n == 1 { "" } else { "s" });
        self.data
            .run(checkpoints, (&format!("ft_{n}"), &words), common)
    }
}

impl DataArgs {
    /// Study both models, whose folders end in `suffix` and whose titles in `words`.
    fn run(
        &self,
        checkpoints: [String; 2],
        (suffix, words): (&str, &str),
        common: &CommonArgs,
    ) -> Result<String> {
        let data = [&self.flaubert_data, &self.camembert_data];
        let both = MODELS.iter().zip(data).zip(checkpoints);
        let studies = both.map(|((model, data), checkpoint)| layers::Config {
            data: data.clone(),
            checkpoint,
            out: self.out.join(format!("{}_{suffix}", model.name)),
            title: format!("{} {words}", model.title),
            amounts: self.sizes.amounts(),
            part: Part::Whole,
            execution: execution(self.sizes.batch, common),
        });
        let studies: Vec<layers::Config> = studies.collect();
        keep_what_is_read(&studies)?;
        let one = |study: &layers::Config| {
            tracing::info!("{}: {}", study.title, study.checkpoint);
            layers::run(study).with_context(|| study.title.clone())
        };
        to_json(&studies.iter().map(one).collect::<Result<Vec<_>>>()?)
    }
}

impl SizesArgs {
    fn amounts(&self) -> Amounts {
        let amounts = self.sentences.amounts(self.seed);
        Amounts {
            measure_sentences: self.measure_sentences.or(amounts.measure_sentences),
            measures: !self.no_measures,
            ..amounts
        }
    }
}

/// Options of `study layers`, `raw`, `fine-tuning` and `pipeline`.
#[derive(Debug, Args)]
pub(super) struct SentencesArgs {
    /// Sentences that every statistic looks at, unless its own option says otherwise: a number, or
    /// all [default: as in the notebooks]
    #[arg(long, value_name = "N|all")]
    sentences: Option<Count>,

    /// Sentences whose cosines are taken: a number, or all [default: --sentences, else 50]
    #[arg(long, value_name = "N|all")]
    cosine_sentences: Option<Count>,

    /// Sentences whose covariance is taken: a number, or all [default: --sentences, else 100]
    #[arg(long, value_name = "N|all")]
    trace_sentences: Option<Count>,

    /// Sentences whose tokens are stacked for the effective rank: a number, or all [default:
    /// --sentences, else 10]
    #[arg(long, value_name = "N|all")]
    erank_sentences: Option<Count>,
}

impl SentencesArgs {
    /// What is looked at, the further measures included; `seed` decides their sample of tokens and
    /// their bootstrap.
    pub(crate) fn amounts(&self, seed: u64) -> Amounts {
        let of = |own: Option<Count>, notebooks: usize| {
            own.or(self.sentences).unwrap_or(Count::First(notebooks))
        };
        Amounts {
            cosine_sentences: of(self.cosine_sentences, 50),
            trace_sentences: of(self.trace_sentences, 100),
            erank_sentences: of(self.erank_sentences, 10),
            measure_sentences: self.sentences,
            measures: true,
            seed,
        }
    }
}
