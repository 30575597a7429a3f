//! The command line of `study`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use super::common::{CommonArgs, download, part, to_json};
use super::{pipeline, run_program};
use crate::error::Result;
use crate::pipelines::report;
use crate::pipelines::study::{Count, cls, compare, cone, convergence, export, layers, models};

/// Study how FlauBERT and CamemBERT represent a sentence, layer by layer, before and after fine-tuning.
///
/// Each study leaves a folder of tables (CSV and Parquet) and pictures (PNG and SVG) and prints a summary as JSON.
///
/// Exit status: 0 done, 1 failed, 2 wrong usage, 130 or 143 after a signal.
#[derive(Debug, Parser)]
#[command(name = "study", version)]
pub struct StudyArgs {
    #[command(subcommand)]
    command: Study,

    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Subcommand)]
enum Study {
    Layers(LayersArgs),
    Raw(RawArgs),
    FineTuning(FineTuningArgs),
    Cls(ClsArgs),
    Cone(ConeArgs),
    Compare(CompareArgs),
    Convergence(ConvergenceArgs),
    Report(ReportArgs),
    Export(ExportArgs),
    Pipeline(pipeline::PipelineArgs),
}

/// Take cosines, traces of covariances and the effective rank of every layer of one model
///
/// Leaves cosine.csv, cosine_variance.csv, trace.csv and erank.csv, the same as Parquet, and a picture of each.
/// Sentences are the first rows of the test split, unshuffled; tokens are those that are not padding.
#[derive(Debug, Args)]
struct LayersArgs {
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
struct RawArgs {
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
struct FineTuningArgs {
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
    /// Sentences whose cosines are taken: a number, or all
    #[arg(long, value_name = "N|all", default_value = "50")]
    cosine_sentences: Count,

    /// Sentences whose covariance is taken: a number, or all
    #[arg(long, value_name = "N|all", default_value = "100")]
    trace_sentences: Count,

    /// Sentences whose tokens are stacked for the effective rank: a number, or all
    #[arg(long, value_name = "N|all", default_value = "10")]
    erank_sentences: Count,

    /// Sentences of the further measures (anisotropy, IsoScore, CKA, ...): a number, or all [default: the largest of the three above]
    #[arg(long, value_name = "N|all", conflicts_with = "no_measures")]
    measure_sentences: Option<Count>,

    /// Leave the further measures out
    #[arg(long)]
    no_measures: bool,

    /// Decides the sample of tokens and the bootstrap of the further measures
    #[arg(long, default_value_t = 42)]
    seed: u64,

    /// Sentences per forward pass: changes memory and speed, not the figures
    #[arg(short = 'b', long, value_name = "BATCH", default_value_t = 8)]
    batch: usize,
}

/// Train one linear probe per model and layer on the [CLS] vectors that data-cls stored
///
/// Leaves treillis.csv (model,layer,accuracy), probes.csv, logistic.csv (logistic regression to convergence with its strength
/// chosen by cross-validation, and on shuffled labels), classes.csv, curves.csv, the heat maps and the training curves.
#[derive(Debug, Args)]
struct ClsArgs {
    #[command(flatten)]
    arrays: ArraysArgs,

    /// The folder that receives tables and pictures
    #[arg(long, value_name = "DIR", default_value = "results/cls")]
    out: PathBuf,

    /// The same number of epochs for every probe [default: the original's, 30 for FlauBERT, 200 for CamemBERT, 60 at its layer 12]
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,

    /// Only the original's probe: neither logistic regression nor the control on shuffled labels
    #[arg(long)]
    no_logistic: bool,

    /// Decides initial weights, order of rows, dropout, folds and shuffled labels
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

/// Compare the [CLS] vector of every review with that of the first one, by label
///
/// Leaves cone.csv (model,split,row,label,cosine) and a scatter for each model, of the last layer stored.
#[derive(Debug, Args)]
struct ConeArgs {
    #[command(flatten)]
    arrays: ArraysArgs,

    /// The folder that receives the table and the pictures
    #[arg(long, value_name = "DIR", default_value = "results/cone")]
    out: PathBuf,
}

/// Tell how alike the layers of two models are over the same tokens, raw against fine-tuned (linear CKA)
///
/// Leaves comparison.csv (layer_a,layer_b,cka), a heat map of all pairs of layers and a line of the same layers.
#[derive(Debug, Args)]
struct CompareArgs {
    /// A dataset folder as flue-cls-prepare writes it
    #[arg(long, value_name = "DIR")]
    data: PathBuf,

    /// The first model: a local folder or a name on the hub
    #[arg(long, short, value_name = "CHECKPOINT")]
    checkpoint: String,

    /// The second model, of the same tokens
    #[arg(long, value_name = "CHECKPOINT")]
    other: String,

    /// The folder that receives the table and the pictures
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// What pictures call the two [default: both checkpoints]
    #[arg(long, value_name = "WORDS")]
    title: Option<String>,

    /// Sentences whose tokens are sampled: a number, or all
    #[arg(long, value_name = "N|all", default_value = "200")]
    sentences: Count,

    /// Decides the sample of 2,000 tokens
    #[arg(long, default_value_t = 42)]
    seed: u64,

    /// Sentences per forward pass: changes memory and speed, not the figures
    #[arg(short = 'b', long, value_name = "BATCH", default_value_t = 8)]
    batch: usize,
}

/// Correlate the convergence of each sentence's tokens with how well a fine-tuned model classifies it
///
/// Leaves convergence.csv (target,group,layer,rows,spearman,low,high), sentences.csv, cosines.csv and pictures: over all sentences,
/// by category and by length.
#[derive(Debug, Args)]
struct ConvergenceArgs {
    /// A dataset folder as flue-cls-prepare writes it
    #[arg(long, value_name = "DIR")]
    data: PathBuf,

    /// A fine-tuned classifier: a local folder or a name on the hub
    #[arg(long, short, value_name = "CHECKPOINT")]
    checkpoint: String,

    /// The folder that receives tables and pictures
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// What pictures call the model [default: the checkpoint]
    #[arg(long, value_name = "WORDS")]
    title: Option<String>,

    /// Sentences to look at: a number, or all
    #[arg(long, value_name = "N|all", default_value = "all")]
    sentences: Count,

    /// Do not give the classifier the token types of the data (for a FlauBERT that was fine-tuned without them)
    #[arg(long)]
    no_token_type_ids: bool,

    /// Sentences per forward pass: changes memory and speed, not the figures
    #[arg(short = 'b', long, value_name = "BATCH", default_value_t = 8)]
    batch: usize,
}

#[derive(Debug, Args)]
struct ArraysArgs {
    /// The folder of {flaubert,camembert}_{raw,ft}.npy; those that are absent are left out
    #[arg(long, value_name = "DIR", default_value = "numpy_save")]
    npy: PathBuf,

    /// The numbers of the layers that the files hold [default: as their manifests say, else 5,7,9,11,12]
    #[arg(long, value_name = "N,N,...", value_delimiter = ',')]
    layers: Option<Vec<usize>>,
}

/// Gather everything that the studies left in one HTML page that needs nothing else
#[derive(Debug, Args)]
struct ReportArgs {
    /// The folder in which the studies left their folders
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,

    /// The page [default: report.html in the folder of results]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// The language of the page: en or fr
    #[arg(long, value_name = "LANGUAGE", default_value = "en")]
    lang: report::Language,
}

/// Gather the tables of all studies for notebooks: one Parquet file for each kind of table
///
/// The tables of one kind stand below each other, with a first column `run`: the folder that each row comes from.
#[derive(Debug, Args)]
struct ExportArgs {
    /// The folder in which the studies left their folders
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,

    /// The folder that receives the files [default: tables in the folder of results]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Parse the command line and run the study it names.
pub fn main() -> ExitCode {
    run_program("study", |a: &StudyArgs| &a.common, run)
}

fn run(arguments: &StudyArgs) -> Result<String> {
    let common = &arguments.common;
    if common.download_only && !matches!(arguments.command, Study::Pipeline(_)) {
        return download(common, checkpoints(&arguments.command));
    }
    match &arguments.command {
        Study::Layers(a) => to_json(&layers::run(&layers_config(a, common)?)?),
        Study::Raw(a) => {
            let models = both_models([&a.flaubert, &a.camembert], &a.data, "raw");
            to_json(&models::run(&models_config(
                models,
                "raw".into(),
                &a.data,
                common,
            ))?)
        }
        Study::FineTuning(a) => {
            let n = a.num_epochs;
            let flaubert = a.flaubert.clone();
            let flaubert = flaubert.unwrap_or_else(|| format!("./flaubert_base_cased_{n}"));
            let camembert = a.camembert.clone();
            let camembert = camembert.unwrap_or_else(|| format!("./camembert_base_{n}"));
            let words = format!("fine-tuned, {n} epoch{}", if n == 1 { "" } else { "s" });
            let models = both_models([&flaubert, &camembert], &a.data, &words);
            to_json(&models::run(&models_config(
                models,
                format!("ft_{n}"),
                &a.data,
                common,
            ))?)
        }
        Study::Cls(a) => to_json(&cls::run(&cls::Config {
            npy: a.arrays.npy.clone(),
            out: a.out.clone(),
            layers: a.arrays.layers.clone(),
            epochs: a.epochs,
            logistic: !a.no_logistic,
            seed: a.seed,
            overwrite: common.overwrite,
        })?),
        Study::Cone(a) => to_json(&cone::run(&cone::Config {
            npy: a.arrays.npy.clone(),
            out: a.out.clone(),
            layers: a.arrays.layers.clone(),
            overwrite: common.overwrite,
        })?),
        Study::Compare(a) => to_json(&compare::run(&compare_config(a, common))?),
        Study::Convergence(a) => to_json(&convergence::run(&convergence::Config {
            data: a.data.clone(),
            checkpoint: a.checkpoint.clone(),
            out: a.out.clone(),
            title: a.title.clone().unwrap_or_else(|| a.checkpoint.clone()),
            sentences: a.sentences,
            use_token_type_ids: !a.no_token_type_ids,
            batch_size: a.batch,
            device: common.device.clone(),
            hub: common.hub(),
            overwrite: common.overwrite,
        })?),
        Study::Pipeline(a) => pipeline::run(a, common),
        Study::Export(a) => to_json(&export::run(&export::Config {
            results: a.results.clone(),
            out: a.out.clone().unwrap_or_else(|| a.results.join("tables")),
            overwrite: common.overwrite,
        })?),
        Study::Report(a) => to_json(&report::run(&report::Config {
            results: a.results.clone(),
            language: a.lang,
            out: a
                .out
                .clone()
                .unwrap_or_else(|| a.results.join("report.html")),
            overwrite: common.overwrite,
        })?),
    }
}

/// The checkpoints that a study reads.
fn checkpoints(study: &Study) -> Vec<String> {
    match study {
        Study::Layers(a) => vec![a.checkpoint.clone()],
        Study::Raw(a) => vec![a.flaubert.clone(), a.camembert.clone()],
        Study::FineTuning(a) => a.flaubert.iter().chain(&a.camembert).cloned().collect(),
        Study::Compare(a) => vec![a.checkpoint.clone(), a.other.clone()],
        Study::Convergence(a) => vec![a.checkpoint.clone()],
        _ => Vec::new(),
    }
}

fn layers_config(a: &LayersArgs, common: &CommonArgs) -> Result<layers::Config> {
    Ok(layers::Config {
        part: part(a.merge, a.shard.as_deref())?,
        data: a.data.clone(),
        checkpoint: a.checkpoint.clone(),
        out: a.out.clone(),
        title: a.title.clone().unwrap_or_else(|| a.checkpoint.clone()),
        cosine_sentences: a.sizes.cosine_sentences,
        trace_sentences: a.sizes.trace_sentences,
        erank_sentences: a.sizes.erank_sentences,
        measure_sentences: a.sizes.measure_sentences,
        measures: !a.sizes.no_measures,
        seed: a.sizes.seed,
        batch_size: a.sizes.batch,
        device: common.device.clone(),
        hub: common.hub(),
        overwrite: common.overwrite,
    })
}

fn compare_config(a: &CompareArgs, common: &CommonArgs) -> compare::Config {
    let both = || format!("{}, {}", a.checkpoint, a.other);
    compare::Config {
        data: a.data.clone(),
        checkpoint: a.checkpoint.clone(),
        other: a.other.clone(),
        out: a.out.clone(),
        title: a.title.clone().unwrap_or_else(both),
        sentences: a.sentences,
        seed: a.seed,
        batch_size: a.batch,
        device: common.device.clone(),
        hub: common.hub(),
        overwrite: common.overwrite,
    }
}

fn both_models(checkpoints: [&String; 2], data: &DataArgs, words: &str) -> Vec<models::Model> {
    let names = [("flaubert", "FlauBERT"), ("camembert", "CamemBERT")];
    let data = [&data.flaubert_data, &data.camembert_data];
    (0..2)
        .map(|i| models::Model {
            name: names[i].0.into(),
            title: format!("{} {words}", names[i].1),
            data: data[i].clone(),
            checkpoint: checkpoints[i].clone(),
        })
        .collect()
}

fn models_config(
    models: Vec<models::Model>,
    suffix: String,
    data: &DataArgs,
    common: &CommonArgs,
) -> models::Config {
    models::Config {
        models,
        out: data.out.clone(),
        suffix,
        cosine_sentences: data.sizes.cosine_sentences,
        trace_sentences: data.sizes.trace_sentences,
        erank_sentences: data.sizes.erank_sentences,
        measure_sentences: data.sizes.measure_sentences,
        measures: !data.sizes.no_measures,
        seed: data.sizes.seed,
        batch_size: data.sizes.batch,
        device: common.device.clone(),
        hub: common.hub(),
        overwrite: common.overwrite,
    }
}
