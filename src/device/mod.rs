//! CPU, CUDA or Metal, and where parallel loops run.

use std::sync::OnceLock;

use candle_core::Device;

use crate::error::{Error, Result};

/// What a program wants done before tensors are made.
static BEFORE_TENSORS: OnceLock<fn()> = OnceLock::new();

/// Have `prepare` called by every [`select`], which comes before the tensors of a model are made: a
/// program sets its allocator there. The first call counts.
pub(crate) fn before_tensors(prepare: fn()) {
    BEFORE_TENSORS.get_or_init(|| prepare);
}

/// The device named `spec`: `cpu`, `cuda`, `cuda:N` or `metal`; without a name, the best one
/// compiled in.
///
/// # Errors
/// [`Error::Setting`] for a name that is none of these or a device that this build lacks.
pub fn select(spec: Option<&str>) -> Result<Device> {
    if let Some(prepare) = BEFORE_TENSORS.get() {
        prepare();
    }
    let unavailable = |kind: &str| {
        Error::setting(
            "device",
            kind,
            format!("this build or machine has none; build with the feature {kind}, or take cpu"),
        )
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
            None => Err(Error::setting(
                "device",
                other,
                "expected cpu, cuda, cuda:N or metal",
            )),
        },
    }
}

/// An error of starting threads; made for `map_err(no_thread("the thread that reads"))`.
pub(crate) fn no_thread<E: std::error::Error>(what: &str) -> impl FnOnce(E) -> Error {
    let context = format!("cannot start {what}");
    move |e| {
        // rayon keeps the system's words to itself.
        let words = e.source().map_or_else(|| e.to_string(), |s| s.to_string());
        Error::Compute {
            context,
            source: format!("{words}: the limit of processes is reached; end others, raise it (ulimit -u), or use fewer threads").into(),
        }
    }
}

/// Run `f` on one of the threads that parallel loops use. A loop started there shares its work out
/// and goes on; started elsewhere it has to hand over to such a thread and sleep, thousands of
/// times in a training step.
pub fn on_worker<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| f())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_program_prepares_before_tensors_are_made() {
        static PREPARED: AtomicBool = AtomicBool::new(false);
        before_tensors(|| PREPARED.store(true, Ordering::SeqCst));
        assert!(!PREPARED.load(Ordering::SeqCst));
        assert!(select(Some("cpu")).unwrap().is_cpu());
        assert!(PREPARED.load(Ordering::SeqCst));
    }

    #[test]
    fn another_device_is_refused_by_its_name() {
        for name in ["tpu", "cuda:x", "CPU"] {
            let message = select(Some(name)).unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("device {name}: ")),
                "{message}"
            );
        }
    }
}
