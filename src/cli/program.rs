//! The frame around each program: its command line, logging, threads and signals before, the result
//! and the exit status after.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Command, Parser};

use super::options::CommonArgs;
use super::process;
use crate::error::Error;
use crate::pipelines::{download, record_command};
use crate::progress;

/// Do what `--download-only` asks for in a program that has these needs.
///
/// # Errors
/// Those of [`download::run`]; [`Error::Usage`] with `--offline`.
pub(super) fn download(common: &CommonArgs, needs: download::Config) -> Result<String> {
    if common.offline {
        let both = "--download-only and --offline: give one of them";
        return Err(Error::Usage(both.into()).into());
    }
    let hub = common.hub();
    to_json(&download::run(&download::Config { hub, ..needs })?)
}

/// A summary as one line of JSON, for stdout.
///
/// # Errors
/// When it cannot be written as JSON.
pub(super) fn to_json(summary: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(summary).context("the summary as JSON")
}

/// Parse the command line as `A`, set up logging, threads and signals, run `body`, and print the
/// JSON or text it returns on stdout (nothing when it is empty).
///
/// Exit status: 0 done, 1 failed, 2 wrong usage, 128 + N after signal N.
pub(super) fn run_program<A: Parser>(
    program: &str,
    common: impl Fn(&A) -> &CommonArgs,
    body: impl FnOnce(&A) -> Result<String>,
) -> ExitCode {
    let arguments = parse::<A>();
    let words = std::env::args_os().skip(1);
    let words = words.map(|word| word.to_string_lossy().into_owned());
    record_command(std::iter::once(program.to_owned()).chain(words).collect());
    let outcome = start(common(&arguments))
        .and_then(|()| body(&arguments))
        .and_then(|text| print(&text));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{program}: {}", line(&error));
            ExitCode::from(exit_status(&error))
        }
    }
}

/// What was done, and why it failed: the contexts from the outside in, down to the library's error,
/// whose message holds its causes.
fn line(error: &anyhow::Error) -> String {
    let mut words = Vec::new();
    for part in error.chain() {
        let library = part.downcast_ref::<Error>();
        words.push(library.map_or_else(|| part.to_string(), in_options));
        if library.is_some() {
            break;
        }
    }
    words.join(": ")
}

/// An error of the library for who typed the command: a setting is called by its option, and the
/// option that helps is named.
fn in_options(error: &Error) -> String {
    match error {
        Error::Setting { name, .. } => {
            let option = format!("--{}", name.replace('_', "-"));
            error.to_string().replacen(name, &option, 1)
        }
        Error::OutputExists(_) => {
            format!("{error}: pass --overwrite to replace it, or choose another name")
        }
        Error::Interrupted { .. } => {
            format!("{error}; the same command goes on with it, flue-cls-finetune with --resume")
        }
        _ => error.to_string(),
    }
}

/// That of the library's error; 1 without one.
fn exit_status(error: &anyhow::Error) -> u8 {
    error.downcast_ref().map_or(1, Error::exit_status)
}

/// The command line as `A`; help and wrong usage end the process. What looks like a negative number
/// is a value, so that its refusal names the option that it was given to.
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

fn start(common: &CommonArgs) -> Result<()> {
    start_logging(common);
    progress::set_mode(if common.quiet {
        progress::Mode::Silent
    } else {
        progress::Mode::detect()
    });
    Ok(process::start(common.threads)?)
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

/// Log lines on stderr, above a progress bar. What cannot be written is lost: a reader that went
/// away, as `head` does or a terminal that was closed, must not end a run of hours.
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
        written => Ok(written.map_err(Error::io("stdout", "write"))?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_each_cause_once_and_the_status_of_the_library_s_error() {
        let refused = std::io::Error::other("refused");
        let error: Result<()> = Err(Error::io("a/b", "read")(refused).into());
        let error = error.context("FlauBERT raw").unwrap_err();
        assert_eq!(line(&error), "FlauBERT raw: a/b: cannot read: refused");
        assert_eq!(exit_status(&error), 1);
        let usage = anyhow::Error::from(Error::Usage("x".into())).context("--npy");
        assert_eq!((line(&usage), exit_status(&usage)), ("--npy: x".into(), 2));
        let setting = anyhow::Error::from(Error::setting("max_length", 9, "at most 8"));
        assert_eq!(line(&setting), "--max-length 9: at most 8");
        let other = Err::<(), _>(std::io::Error::other("refused")).context("stdout");
        assert_eq!(line(&other.unwrap_err()), "stdout: refused");
    }
}
