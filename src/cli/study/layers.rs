//! The command lines of `study layers`, `study raw` and `study fine-tuning`.

use std::path::PathBuf;

use clap::Args;

use super::super::common::{CommonArgs, at_least_one, part, to_json};
use super::execution;
use super::sentences::SentencesArgs;
use crate::error::Result;
use crate::pipelines::extract::Part;
use crate::pipelines::study::{Amounts, Count, layers};
use crate::pipelines::{Same, keep_inputs};

/// Take cosines, traces of covariances and the effective rank of every layer of one model
///
/// Leaves cosine.csv, cosine_variance.csv, trace.csv and erank.csv, the same as Parquet, and a picture of each.
/// Sentences are the first rows of the test split, unshuffled; tokens are those that are not padding.
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

    /// See the chunks i, i+N, ... of 64 sentences only and leave what they give in OUT.shards [default: from SLURM_ARRAY_TASK_ID,
    /// _MIN, _STEP and _COUNT inside a job array, else all]
    #[arg(long, value_name = "i/N")]
    shard: Option<String>,

    /// Make OUT of the finished shards in OUT.shards; the other options as they were given with --shard
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
    #[arg(
        long,
        value_name = "CHECKPOINT",
        default_value = "flaubert/flaubert_base_cased"
    )]
    flaubert: String,

    /// CamemBERT: a local folder or a name on the hub
    #[arg(long, value_name = "CHECKPOINT", default_value = "camembert-base")]
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
    #[arg(long, value_name = "DIR", default_value = "flaubert-tokens.datasets")]
    flaubert_data: PathBuf,

    /// CamemBERT's dataset folder
    #[arg(long, value_name = "DIR", default_value = "camembert-tokens.datasets")]
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

    /// Sentences of the further measures (anisotropy, IsoScore, CKA, ...): a number, or all [default: --sentences, else the largest
    /// of the three above]
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
    pub fn checkpoints(&self) -> Vec<String> {
        vec![self.checkpoint.clone()]
    }

    /// Run the study; its summary as JSON.
    pub fn run(&self, common: &CommonArgs) -> Result<String> {
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
    pub fn checkpoints(&self) -> Vec<String> {
        vec![self.flaubert.clone(), self.camembert.clone()]
    }

    /// Run both studies; their summaries as JSON.
    pub fn run(&self, common: &CommonArgs) -> Result<String> {
        let checkpoints = [&self.flaubert, &self.camembert];
        self.data.run(checkpoints, ("raw", "raw"), common)
    }
}

impl FineTuningArgs {
    /// The checkpoints that are read, where they are named.
    pub fn checkpoints(&self) -> Vec<String> {
        let named = self.flaubert.iter().chain(&self.camembert);
        named.cloned().collect()
    }

    /// Run both studies; their summaries as JSON.
    pub fn run(&self, common: &CommonArgs) -> Result<String> {
        let n = self.num_epochs;
        let named = |given: &Option<String>, base: &str| {
            let given = given.clone();
            given.unwrap_or_else(|| format!("./{base}_{n}"))
        };
        let flaubert = named(&self.flaubert, "flaubert_base_cased");
        let camembert = named(&self.camembert, "camembert_base");
        let words = format!("fine-tuned, {n} epoch{}", if n == 1 { "" } else { "s" });
        let suffix = format!("ft_{n}");
        let checkpoints = [&flaubert, &camembert];
        self.data.run(checkpoints, (&suffix, &words), common)
    }
}

impl DataArgs {
    /// Study FlauBERT and CamemBERT, whose folders end in `suffix` and whose titles in `words`.
    fn run(
        &self,
        checkpoints: [&String; 2],
        (suffix, words): (&str, &str),
        common: &CommonArgs,
    ) -> Result<String> {
        let names = [("flaubert", "FlauBERT"), ("camembert", "CamemBERT")];
        let data = [&self.flaubert_data, &self.camembert_data];
        let study = |i: usize| layers::Config {
            data: data[i].clone(),
            checkpoint: checkpoints[i].clone(),
            out: self.out.join(format!("{}_{suffix}", names[i].0)),
            title: format!("{} {words}", names[i].1),
            amounts: self.sizes.amounts(),
            part: Part::Whole,
            execution: execution(self.sizes.batch, common),
        };
        let studies = [study(0), study(1)];
        keep_what_is_read(&studies)?;
        to_json(&layers::run_all(&studies)?)
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
