//! CPU, CUDA or Metal, and the number of threads.

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
            .unwrap_or(Device::Cpu)),
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

/// Use `threads` threads in every parallel loop and matrix product; `None` means all cores. Call once, at the start.
///
/// # Errors
/// [`Error::Usage`] for 0, and for so many that they would stand in each other's way: more than 256 and than four a core.
pub fn set_threads(threads: Option<usize>) -> Result<()> {
    let Some(n) = threads else { return Ok(()) };
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
    // A pool that exists already (in tests) stays.
    let _ = rayon::ThreadPoolBuilder::new()
        .num_threads(n)
        .build_global();
    Ok(())
}

/// Run `f` on one of the threads that parallel loops use. A loop started there shares its work out and goes on; started
/// elsewhere it has to hand over to such a thread and sleep, thousands of times in a training step.
pub fn on_worker<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| f())
}
