//! CPU, CUDA or Metal, and the number of threads.

use std::error::Error as _;

use candle_core::Device;

use crate::error::{Error, Result};

/// The device named `spec`: `cpu`, `cuda`, `cuda:N` or `metal`; without a name, the best one compiled in.
///
/// # Errors
/// [`Error::Usage`] for a name that is none of these or a device that this build lacks.
pub fn select(spec: Option<&str>) -> Result<Device> {
    let unavailable = |what: &str| {
        Error::Usage(format!(
            "--device {what}: this build or machine has none; build with --features {what}, or take cpu"
        ))
    };
    match spec {
        None => Ok(Device::cuda_if_available(0)
            .and_then(|d| {
                if d.is_cuda() {
                    Ok(d)
                } else {
                    Device::metal_if_available(0)
                }
            })
            .unwrap_or_else(|error| {
                tracing::warn!("the CPU is used, as the GPU that this build is for fails: {error}");
                Device::Cpu
            })),
        Some("cpu") => Ok(Device::Cpu),
        Some("metal") => Device::new_metal(0).map_err(|_| unavailable("metal")),
        Some("cuda") => Device::new_cuda(0).map_err(|_| unavailable("cuda")),
        Some(other) => match other.strip_prefix("cuda:").and_then(|n| n.parse().ok()) {
            Some(n) => Device::new_cuda(n).map_err(|_| unavailable("cuda")),
            None => Err(Error::Usage(format!(
                "--device {other}: expected cpu, cuda, cuda:N or metal"
            ))),
        },
    }
}

/// Start the threads of every parallel loop and matrix product: `threads` of them, `None` for all cores. Call once, at the start.
///
/// # Errors
/// [`Error::Usage`] for 0, and for so many that they would stand in each other's way: more than 256 and than four a core;
/// [`Error::Compute`] when the system gives no more threads.
pub fn set_threads(threads: Option<usize>) -> Result<()> {
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

fn require_sensible(n: usize) -> Result<()> {
    if n == 0 {
        return Err(Error::Usage("--threads 0: expected at least 1".into()));
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let most = (4 * cores).max(256);
    if n > most {
        return Err(Error::Usage(format!(
            "--threads {n}: expected at most {most}, this machine has {cores} cores"
        )));
    }
    Ok(())
}

/// An error of starting threads; made for `map_err(no_thread("the thread that reads"))`.
pub fn no_thread<E: std::error::Error>(what: &str) -> impl FnOnce(E) -> Error {
    let context = format!("cannot start {what}");
    move |e| {
        // rayon keeps the system's words to itself.
        let words = e.source().map_or_else(|| e.to_string(), |s| s.to_string());
        Error::Compute {
            context,
            source: format!("{words}: the limit of processes is reached; end others, raise it (ulimit -u), or pass --threads 1").into(),
        }
    }
}

/// Run `f` on one of the threads that parallel loops use. A loop started there shares its work out and goes on; started
/// elsewhere it has to hand over to such a thread and sleep, thousands of times in a training step.
pub fn on_worker<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| f())
}
