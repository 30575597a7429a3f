//! The command line of `data-cls`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use super::options::{CommonArgs, LabelArgs, at_least_one, one_of, part};
use super::program::{download, run_program, to_json};
use crate::pipelines::download;
use crate::pipelines::extract::{Config, LayerList, Run, StorageType, Tokens, run};
use crate::pipelines::original::{CAMEMBERT, FLAUBERT, MODELS, Original};

/// Extract the [CLS] states of FlauBERT and CamemBERT, before and after fine-tuning.
///
/// Without --checkpoint it makes the original's four files in numpy_save:
/// {flaubert,camembert}_{raw,ft}.npy. With --checkpoint, --data and --out it makes one file. The
/// ending of the file chooses its format: .npy (the original's layout), .parquet, .arrow or
/// .safetensors.
///
/// States are gathered in OUT.shards, in chunks of 64 rows, until the file is complete: the same
/// command goes on with them after a kill and ends with the same bytes.
///
/// Exit status: 0 done, 1 failed, 2 wrong usage, 130 or 143 after SIGINT or SIGTERM; what is
/// complete stays.
#[derive(Debug, Parser)]
#[command(name = "data-cls", version)]
struct DataClsArgs {
    /// The most rows computed together, fewer where they are long; it changes memory and speed, not
    /// the states
    #[arg(short = 'b', long, value_name = "BATCH", default_value_t = 32, value_parser = at_least_one)]
    batch: usize,

    /// Layers to keep, 0 (embeddings) to the number of layers: 5,7,9, 0-12, -1 for the last, or all
    #[arg(
        long,
        value_name = "LIST",
        allow_hyphen_values = true,
        default_value = "5,7,9,11,12"
    )]
    layers: LayerList,

    /// Only the first N rows of each split
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    limit: Option<usize>,

    /// The first token's state, every token's (not in .npy), or the mean over the tokens
    #[arg(long, value_parser = one_of::<Tokens>(), default_value = "cls")]
    tokens: Tokens,

    /// How numbers are stored; bf16 in .safetensors only
    #[arg(long, value_parser = one_of::<StorageType>(), default_value = "f32")]
    dtype: StorageType,

    /// Compute the chunks i, i+N, ... of 64 rows only and leave them in OUT.shards [default: from
    /// SLURM_ARRAY_TASK_ID, _MIN, _STEP and _COUNT inside a job array, else all rows]
    #[arg(long, value_name = "i/N")]
    shard: Option<String>,

    /// Make OUT of the finished shards in OUT.shards; the other options as they were given with
    /// --shard
    #[arg(long, conflicts_with = "shard")]
    merge: bool,

    #[command(flatten)]
    labels: LabelArgs,

    /// Begin even where the disk seems too small for the states
    #[arg(long)]
    force: bool,

    /// One run: the prepared data
    #[arg(long, value_name = "DIR", requires = "checkpoint")]
    data: Option<PathBuf>,

    /// One run: the checkpoint, a folder or a name on the hub
    #[arg(long, value_name = "CKPT", requires = "data", requires = "out")]
    checkpoint: Option<String>,

    /// One run: the file to write
    #[arg(long, value_name = "FILE", requires = "checkpoint")]
    out: Option<PathBuf>,

    #[command(flatten)]
    names: Names,

    #[command(flatten)]
    common: CommonArgs,
}

/// The names of the four runs.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Names of the four runs")]
struct Names {
    /// FlauBERT's prepared data
    #[arg(long, value_name = "DIR", default_value = FLAUBERT.data)]
    flaubert_data: PathBuf,

    /// CamemBERT's prepared data
    #[arg(long, value_name = "DIR", default_value = CAMEMBERT.data)]
    camembert_data: PathBuf,

    /// FlauBERT before fine-tuning
    #[arg(long, value_name = "CKPT", default_value = FLAUBERT.checkpoint())]
    flaubert_raw: String,

    /// FlauBERT after fine-tuning
    #[arg(long, value_name = "CKPT", default_value_t = tuned(&FLAUBERT))]
    flaubert_ft: String,

    /// CamemBERT before fine-tuning
    #[arg(long, value_name = "CKPT", default_value = CAMEMBERT.checkpoint())]
    camembert_raw: String,

    /// CamemBERT after fine-tuning
    #[arg(long, value_name = "CKPT", default_value_t = tuned(&CAMEMBERT))]
    camembert_ft: String,

    /// Folder of the four files
    #[arg(long, value_name = "DIR", default_value = "numpy_save")]
    out_dir: PathBuf,
}

/// The folder of a model after one epoch.
fn tuned(model: &Original) -> String {
    format!("./{}", model.tuned_folder(1))
}

impl DataClsArgs {
    fn runs(&self) -> Vec<Run> {
        if let (Some(data), Some(checkpoint), Some(out)) = (&self.data, &self.checkpoint, &self.out)
        {
            return vec![Run {
                data: data.clone(),
                checkpoint: checkpoint.clone(),
                out: out.clone(),
            }];
        }
        let n = &self.names;
        let [flaubert, camembert] = MODELS.map(|model| model.variants().map(|v| v.name));
        [
            (&n.flaubert_data, &n.flaubert_raw, flaubert[0]),
            (&n.flaubert_data, &n.flaubert_ft, flaubert[1]),
            (&n.camembert_data, &n.camembert_raw, camembert[0]),
            (&n.camembert_data, &n.camembert_ft, camembert[1]),
        ]
        .map(|(data, checkpoint, name)| Run {
            data: data.clone(),
            checkpoint: checkpoint.clone(),
            out: n.out_dir.join(format!("{name}.npy")),
        })
        .into()
    }

    fn config(&self) -> Result<Config> {
        Ok(Config {
            runs: self.runs(),
            layers: self.layers.clone(),
            batch_size: self.batch,
            limit: self.limit,
            tokens: self.tokens,
            dtype: self.dtype,
            part: part(self.merge, self.shard.as_deref())?,
            force: self.force,
            overwrite: self.common.overwrite,
            device: self.common.device.clone(),
            label_map: self.labels.map(),
            hub: self.common.hub(),
        })
    }
}

/// Run the program.
pub fn main() -> ExitCode {
    run_program(
        "data-cls",
        |a: &DataClsArgs| &a.common,
        |a| {
            if a.common.download_only {
                let checkpoints = a.runs().into_iter().map(|run| run.checkpoint);
                let needs = download::Config {
                    checkpoints: checkpoints.collect(),
                    ..Default::default()
                };
                return download(&a.common, needs);
            }
            to_json(&run(&a.config()?)?)
        },
    )
}
