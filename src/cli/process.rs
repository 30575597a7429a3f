//! What acts on the whole process, which is a program's business and not the library's: threads,
//! signals, panics, the allocator, and the variables of a job.

use std::error::Error as _;
use std::panic::{set_hook, take_hook};
use std::sync::Once;
use std::thread;

use crate::device::{before_tensors, no_thread};
use crate::error::{Error, Result, interrupt, is_contained};
use crate::pipelines::extract::Shard;

/// Start what every program needs, with so many threads for parallel loops, by default one for each
/// core.
///
/// # Errors
/// Those of starting threads, and of a number of them that makes no sense.
pub(super) fn start(threads: Option<usize>) -> Result<()> {
    hide_contained_panics();
    before_tensors(keep_freed_memory);
    start_threads(threads)?;
    watch_signals()
}

/// Start the threads of every parallel loop and matrix product: so many, `None` for one a core.
fn start_threads(threads: Option<usize>) -> Result<()> {
    let mut builder = rayon::ThreadPoolBuilder::new();
    if let Some(n) = threads {
        require_sensible(n)?;
        builder = builder.num_threads(n);
    }
    match builder.build_global() {
        // Left to the first loop, it would end the program with a panic.
        Err(e) if e.source().is_some() => Err(no_thread("the threads of parallel loops")(e)),
        // A pool that exists already (in tests) stays.
        _ => Ok(()),
    }
}

/// Refuse 0 threads, and so many that they would stand in each other's way: more than 256 and than
/// four a core.
fn require_sensible(n: usize) -> Result<()> {
    if n == 0 {
        return Err(Error::setting("threads", n, "expected at least 1"));
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let most = (4 * cores).max(256);
    if n > most {
        let problem = format!("expected at most {most}, this machine has {cores} cores");
        return Err(Error::setting("threads", n, problem));
    }
    Ok(())
}

/// The first SIGINT, SIGTERM or SIGUSR1 asks the loops to stop and save; a second one ends the
/// process at once.
fn watch_signals() -> Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGUSR1])
        .map_err(Error::compute("signal handlers"))?;
    let watch = move || {
        for signal in signals.forever() {
            if interrupt::raised().is_some() {
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
            interrupt::raise(signal);
        }
    };
    thread::Builder::new()
        .spawn(watch)
        .map_err(no_thread("the thread that waits for signals"))?;
    Ok(())
}

/// Keep the panics of decoders over damaged files off stderr: they come back as errors (see
/// `error::contain`).
pub fn hide_contained_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let report = take_hook();
        set_hook(Box::new(move |info| {
            if !is_contained() {
                report(info);
            }
        }));
    });
}

/// Let the allocator keep what tensors free, for the next ones: by default glibc gives large blocks
/// back to the system at once, and the tensors of every step would be fresh pages, zeroed and
/// mapped one by one. Call it when a model is loaded, not before: the many small blocks of the
/// tokenizers would wait for each other in the one arena. Elsewhere than on glibc it does nothing.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // The largest threshold that glibc takes: half of the heap of an arena.
        const LARGEST: libc::c_int = 32 << 20;
        // SAFETY: mallopt only sets numbers of the allocator; values that it does not like it
        // ignores.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST);
            libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
            // Large blocks live in the main arena: the heaps of others are too small to hold many.
            libc::mallopt(libc::M_ARENA_MAX, 1);
        }
    }
}

/// The shard of a task of a Slurm job array, when there is one: (`SLURM_ARRAY_TASK_ID` − `_MIN`) /
/// `_STEP` of `_COUNT`. `variable` looks up the environment.
///
/// # Errors
/// [`Error::Usage`] when a variable is not a number or they do not fit together.
pub(super) fn slurm_shard(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Shard>> {
    const REMEDY: &str = "pass --shard i/N";
    let number = |name: &str, default: Option<usize>| -> Result<usize> {
        let name = format!("SLURM_ARRAY_TASK_{name}");
        match (variable(&name), default) {
            (Some(word), _) => word
                .trim()
                .parse()
                .map_err(|_| Error::Usage(format!("{name} is {word:?}, not a number: {REMEDY}"))),
            (None, Some(default)) => Ok(default),
            (None, None) => Err(Error::Usage(format!(
                "SLURM_ARRAY_TASK_ID is set but {name} is not: {REMEDY}"
            ))),
        }
    };
    if variable("SLURM_ARRAY_TASK_ID").is_none() {
        return Ok(None);
    }
    let (id, count) = (number("ID", None)?, number("COUNT", None)?);
    let (min, step) = (number("MIN", Some(0))?, number("STEP", Some(1))?);
    let index = id.checked_sub(min).filter(|_| step > 0).map(|n| n / step);
    let shard = index.and_then(|index| format!("{index}/{count}").parse().ok());
    shard.map(Some).ok_or_else(|| {
        Error::Usage(format!(
            "task {id} of a Slurm array from {min} by {step} is none of {count} shards: {REMEDY}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slurm_gives_the_default() {
        let with = |pairs: &[(&str, &str)]| {
            let pairs: Vec<_> = pairs
                .iter()
                .map(|(k, v)| (k.to_string(), v.to_string()))
                .collect();
            slurm_shard(|name| {
                let key = name.trim_start_matches("SLURM_ARRAY_TASK_");
                pairs.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone())
            })
        };
        assert_eq!(with(&[]).unwrap(), None);
        let shard = with(&[("ID", "7"), ("MIN", "1"), ("STEP", "2"), ("COUNT", "4")]);
        assert_eq!(shard.unwrap(), Some(Shard { index: 3, count: 4 }));
        let shard = with(&[("ID", "1"), ("COUNT", "4")]);
        assert_eq!(shard.unwrap(), Some(Shard { index: 1, count: 4 }));
        for bad in [
            &[("ID", "1")][..],
            &[("ID", "x"), ("COUNT", "4")],
            &[("ID", "9"), ("COUNT", "4")],
            &[("ID", "0"), ("MIN", "1"), ("COUNT", "4")],
        ] {
            assert_eq!(with(bad).unwrap_err().exit_status(), 2, "{bad:?}");
        }
    }
}
