//! Options that all programs share, and the frame around each: logging, signals, exit status.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Command, Parser};

use super::process;
use crate::error::{Error, Result};
use crate::pipelines::extract::{Part, Shard};
use crate::pipelines::{HubOptions, LabelMap, ReadOptions, download};
use crate::progress;
use crate::progress::Progress;

/// The options that every program takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Common options")]
pub struct CommonArgs {
    /// Where tensors live: cpu, cuda, cuda:N or metal [default: the best one compiled in]
    #[arg(long, global = true, value_name = "DEVICE")]
    pub device: Option<String>,

    /// Number of threads [default: all cores]
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<usize>,

    /// Never touch the network: names are looked up on disk and in the cache only
    #[arg(long, global = true)]
    pub offline: bool,

    /// Fetch what the run needs from the network into the cache and stop: for a node with a connection, before --offline runs
    #[arg(long, global = true)]
    pub download_only: bool,

    /// Cache of downloaded files [default: the cache of Hugging Face's libraries]
    #[arg(long, global = true, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,

    /// Branch, tag or commit of a checkpoint on the hub [default: main]
    #[arg(long, global = true, value_name = "REV")]
    pub revision: Option<String>,

    /// Replace an output that exists
    #[arg(long, global = true)]
    pub overwrite: bool,

    /// No log and no progress on stderr; errors are still printed
    #[arg(long, short, global = true)]
    pub quiet: bool,

    /// More log lines on stderr; twice for debugging
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl CommonArgs {
    /// Where checkpoints are looked up.
    pub fn hub(&self) -> HubOptions {
        HubOptions {
            offline: self.offline,
            cache_dir: self.cache_dir.clone(),
            revision: self.revision.clone(),
            watch: Some(|name, from, size| {
                let mut progress =
                    Progress::new(format!("download {name}"), size, "bytes").from(from);
                Box::new(move |n| progress.advance(n))
            }),
        }
    }
}

/// What the classes are called, for programs that read prepared data.
#[derive(Debug, Clone, Args)]
pub(super) struct LabelArgs {
    /// Other names for classes, where data, splits or a classifier call them differently
    #[arg(long, value_name = "NAME=CLASS,...")]
    label_map: Option<LabelMap>,
}

impl LabelArgs {
    /// The map; without the option one that says nothing.
    pub fn map(&self) -> LabelMap {
        self.label_map.clone().unwrap_or_default()
    }
}

/// How reviews are read where they can be read in several ways.
#[derive(Debug, Clone, Args)]
pub(super) struct ReadingArgs {
    /// What other words for the classes mean, as bon=positive,mauvais=negative: in tables, and wherever data, splits or a
    /// classifier call the classes differently
    #[arg(long, value_name = "NAME=CLASS,...")]
    label_map: Option<LabelMap>,

    /// In CSV and TSV a quote is a character like any other, and every line is a row
    #[arg(long)]
    no_quotes: bool,
}

impl ReadingArgs {
    /// These as options of the reader.
    pub fn options(&self) -> ReadOptions {
        ReadOptions {
            label_map: self.label_map.clone().unwrap_or_default(),
            no_quotes: self.no_quotes,
        }
    }
}

/// Do what `--download-only` asks for in a program that needs these checkpoints and no reviews.
///
/// # Errors
/// Those of [`download::run`].
pub(super) fn download(common: &CommonArgs, checkpoints: Vec<String>) -> Result<String> {
    let hub = common.hub();
    to_json(&download::run(&download::Config {
        checkpoints,
        hub,
        ..Default::default()
    })?)
}

/// A summary as one line of JSON, for stdout.
///
/// # Errors
/// [`Error::Compute`] when it cannot be written as JSON.
pub(super) fn to_json(summary: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(summary).map_err(Error::compute("the summary"))
}

/// Parse the command line as `A`, set up logging, threads and signals, run `body`, and print the JSON or text it
/// returns on stdout (nothing when it is empty).
///
/// Exit status: 0 done, 1 failed, 2 wrong usage, 128 + N after signal N.
pub fn run_program<A: Parser>(
    program: &str,
    common: impl Fn(&A) -> &CommonArgs,
    body: impl FnOnce(&A) -> Result<String>,
) -> ExitCode {
    let arguments = parse::<A>();
    let outcome = start(common(&arguments))
        .and_then(|()| body(&arguments))
        .and_then(|text| print(&text));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{program}: {}", process::message(&error));
            ExitCode::from(error.exit_status())
        }
    }
}

/// The command line as `A`; help and wrong usage end the process. What looks like a negative number is a value, so that its
/// refusal names the option that it was given to.
fn parse<A: Parser>() -> A {
    fn with_negative_numbers(command: Command) -> Command {
        command
            .mut_args(|a| {
                let value = a.get_action().takes_values();
                a.allow_negative_numbers(value)
            })
            .mut_subcommands(with_negative_numbers)
    }
    let mut command = with_negative_numbers(A::command());
    let parsed = A::from_arg_matches(&command.get_matches_mut());
    parsed.unwrap_or_else(|e| e.format(&mut command).exit())
}

/// Parses a number of rows, epochs or sentences that must not be 0.
pub(super) fn at_least_one(word: &str) -> std::result::Result<usize, String> {
    let number = word.parse().ok().filter(|n| *n > 0);
    number.ok_or_else(|| "expected a whole number of at least 1".into())
}

fn start(common: &CommonArgs) -> Result<()> {
    start_logging(common);
    process::start(common.threads)?;
    progress::set_mode(if common.quiet {
        progress::Mode::Silent
    } else {
        progress::Mode::detect()
    });
    Ok(())
}

fn start_logging(common: &CommonArgs) {
    use tracing_subscriber::filter::LevelFilter;
    let level = match (common.quiet, common.verbose) {
        (true, _) => LevelFilter::OFF,
        (_, 0) => LevelFilter::INFO,
        (_, 1) => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(LevelFilter::WARN.into())
        .parse_lossy(format!("warn,flue_study={level}"));
    let filter = if common.quiet {
        tracing_subscriber::EnvFilter::new("off")
    } else {
        filter
    };
    // Colours are for terminals, and for those who did not refuse them (https://no-color.org).
    let colours = std::env::var_os("NO_COLOR").is_none_or(|word| word.is_empty());
    // A second call, from a test, keeps the first subscriber.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Log)
        .with_ansi(colours && std::io::stderr().is_terminal())
        .with_target(false)
        .without_time()
        .try_init();
}

/// Log lines on stderr, above a progress bar. What cannot be written is lost: a reader that went away, as `head` does or a
/// terminal that was closed, must not end a run of hours.
struct Log;

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        progress::above(|| {
            let _ = std::io::stderr().write_all(line);
        });
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Results go to stdout; a reader that closes the pipe early is not a failure.
pub(super) fn print(text: &str) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    match writeln!(std::io::stdout(), "{text}") {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(source) => Err(Error::Io {
            path: "stdout".into(),
            action: "write",
            source,
        }),
        Ok(()) => Ok(()),
    }
}

/// The part of the work that `--merge` and `--shard` ask for.
///
/// # Errors
/// As [`shard`].
pub(super) fn part(merge: bool, word: Option<&str>) -> Result<Part> {
    if merge {
        return Ok(Part::Merge);
    }
    Ok(shard(word)?.map_or(Part::Whole, Part::Shard))
}

/// The shard of a call: `--shard i/N`, else that of a task of a SLURM job array, else none.
///
/// # Errors
/// [`crate::error::Error::Usage`] for a shard that is none.
pub(super) fn shard(word: Option<&str>) -> Result<Option<Shard>> {
    if let Some(word) = word {
        return word.parse().map(Some);
    }
    let shard = process::slurm_shard(|name| std::env::var(name).ok())?;
    if let Some(shard) = shard {
        tracing::info!("shard {shard}, from SLURM_ARRAY_TASK_ID");
    }
    Ok(shard)
}
