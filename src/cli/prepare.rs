//! The command line of `flue-cls-prepare`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use super::options::{CommonArgs, ReadingArgs, one_of, shard};
use super::program::{download, run_program};
use crate::pipelines::download;
use crate::pipelines::original::FLAUBERT;
use crate::pipelines::prepare::{self, Config, ExportConfig, Format, MergeConfig};

/// Tokenize labelled French reviews into a Hugging Face `DatasetDict` folder.
///
/// Prints one JSON object: the rows, the share of reviews cut at the maximum length, the mean
/// number of tokens. Exit status: 0 done, 1 failed, 2 wrong usage, 130 or 143 after a signal.
#[derive(Debug, Parser)]
#[command(name = "flue-cls-prepare", version)]
struct PrepareArgs {
    /// The folder to write
    #[arg(value_name = "OUT")]
    output: PathBuf,

    /// The checkpoint whose tokenizer is used: a folder, a name on the hub, tiny-camembert or
    /// tiny-flaubert
    #[arg(
        short,
        long,
        value_name = "CHECKPOINT",
        default_value = FLAUBERT.checkpoint()
    )]
    checkpoint: String,

    /// The reviews: a Webis CLS-10 tree or its .tar.gz; a CSV, TSV, JSON lines or Parquet file, or
    /// a folder of them, with `text` and `label` (splits by file name, all is `train` where no name
    /// says one); a DatasetDict folder; or the word sample [default: FLUE CLS from the hub]
    #[arg(long, value_name = "SOURCE")]
    data: Option<String>,

    #[command(flatten)]
    reading: ReadingArgs,

    /// Cut reviews at this many tokens, special ones included [default: what the tokenizer
    /// declares, at most 512]
    #[arg(long, value_name = "N")]
    max_length: Option<usize>,

    /// The files to write: arrow, which `load_from_disk` reads, or parquet with zstd
    #[arg(long, value_name = "FORMAT", value_parser = one_of::<Format>(), default_value = "arrow")]
    format: Format,

    /// Lower-case the text first (transformers ignores the `do_lower_case` of published FlauBERT
    /// checkpoints)
    #[arg(long)]
    lowercase: bool,

    /// Store the tokens only; by default rows are padded to the maximum length, as the original
    /// does
    #[arg(long)]
    no_pad: bool,

    /// Start another file before one passes this size, in bytes or with KB, MB, GB, KiB, MiB, GiB
    #[arg(long, value_name = "SIZE", default_value = "500MB", value_parser = parse_size)]
    max_shard_size: u64,

    /// Take the rows i, i+N, ... only and leave them in OUT.shards [default: from
    /// SLURM_ARRAY_TASK_ID, _MIN, _STEP and _COUNT inside a job array, else all rows]
    #[arg(long, value_name = "i/N")]
    shard: Option<String>,

    /// Make OUT of the finished shards in OUT.shards; all other settings are theirs
    #[arg(long, conflicts_with_all = ["checkpoint", "data", "label_map", "no_quotes", "max_length", "format", "lowercase", "no_pad",
        "max_shard_size", "shard"])]
    merge: bool,

    /// Write FlauBERT's tokenizer as tokenizer.json into OUT instead, for `AutoTokenizer` and the
    /// tokenizers crate; with --data, count the reviews to which that format, which knows no Moses
    /// rules, gives other ids
    #[arg(long, conflicts_with_all = ["max_length", "format", "no_pad", "max_shard_size", "shard", "merge"])]
    export_tokenizer: bool,

    #[command(flatten)]
    common: CommonArgs,
}

/// A number of bytes: `1000`, `500MB` (decimal), `64MiB` (binary).
fn parse_size(word: &str) -> std::result::Result<u64, String> {
    let word = word.trim();
    let end = word
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(word.len());
    let (digits, unit) = word.split_at(end);
    let scale: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return Err("write a number of bytes, or one with KB, MB, GB, KiB, MiB, GiB".into()),
    };
    let number: u64 = digits.parse().map_err(|_| "no number".to_string())?;
    let bytes = number.checked_mul(scale).filter(|&bytes| bytes > 0);
    bytes.ok_or_else(|| "out of range".into())
}

impl PrepareArgs {
    /// The configuration of a run that tokenizes.
    ///
    /// # Errors
    /// For a shard that is none.
    fn config(&self) -> Result<Config> {
        let shard = shard(self.shard.as_deref())?;
        Ok(Config {
            checkpoint: self.checkpoint.clone(),
            source: self.data.clone(),
            reading: self.reading.options(),
            max_length: self.max_length,
            format: self.format,
            lowercase: self.lowercase.then_some(true),
            pad: !self.no_pad,
            max_shard_bytes: self.max_shard_size,
            shard,
            hub: self.common.hub(),
            output: self.output.clone(),
            overwrite: self.common.overwrite,
        })
    }

    fn run(&self) -> Result<String> {
        if self.common.download_only {
            // The comparison of an export has no reviews of its own.
            let reads = !self.merge && (!self.export_tokenizer || self.data.is_some());
            let needs = download::Config {
                tokenizers: vec![self.checkpoint.clone()],
                source: reads.then(|| self.data.clone()),
                ..Default::default()
            };
            return download(&self.common, needs);
        }
        if self.export_tokenizer {
            let summary = prepare::export_tokenizer(&ExportConfig {
                checkpoint: self.checkpoint.clone(),
                source: self.data.clone(),
                reading: self.reading.options(),
                lowercase: self.lowercase.then_some(true),
                hub: self.common.hub(),
                output: self.output.clone(),
                overwrite: self.common.overwrite,
            })?;
            return pretty(&summary);
        }
        let summary = if self.merge {
            prepare::merge(&MergeConfig {
                output: self.output.clone(),
                overwrite: self.common.overwrite,
            })?
        } else {
            prepare::run(&self.config()?)?
        };
        pretty(&summary)
    }
}

/// A summary as lines of JSON.
fn pretty(summary: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string_pretty(summary).context("the summary as JSON")
}

/// Run `flue-cls-prepare` on the arguments of the process.
pub fn main() -> ExitCode {
    run_program(
        "flue-cls-prepare",
        |args: &PrepareArgs| &args.common,
        PrepareArgs::run,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_decimal_and_binary_units() {
        assert_eq!(parse_size("1000"), Ok(1000));
        assert_eq!(parse_size("500MB"), Ok(500_000_000));
        assert_eq!(parse_size("64 MiB"), Ok(64 << 20));
        assert_eq!(parse_size("1gb"), Ok(1_000_000_000));
        for bad in ["", "MB", "-1", "1.5GB", "0", "1TB", "99999999999GB"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }
}
