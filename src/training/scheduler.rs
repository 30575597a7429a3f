//! The learning rate of each step.

use serde::{Deserialize, Serialize};

/// How the learning rate changes over the run: transformers' `SchedulerType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchedulerType {
    /// Linear warm-up, then linear decay to 0.
    Linear,
    /// Always the same.
    Constant,
    /// Linear warm-up, then always the same.
    ConstantWithWarmup,
    /// Linear warm-up, then half a cosine down to 0.
    Cosine,
}

/// The learning rate of update `step` (from 0) of `total`, after `warmup` updates of linear warm-up
/// to `base`.
///
/// References: transformers' `get_linear_schedule_with_warmup` and its siblings in
/// `optimization.py`.
pub fn learning_rate(kind: SchedulerType, base: f64, step: u64, warmup: u64, total: u64) -> f64 {
    if kind == SchedulerType::Constant {
        return base;
    }
    if step < warmup {
        return base * step as f64 / warmup.max(1) as f64;
    }
    let span = total.saturating_sub(warmup).max(1) as f64;
    match kind {
        SchedulerType::Linear => base * (total.saturating_sub(step) as f64 / span).max(0.0),
        SchedulerType::Cosine => {
            let progress = (step - warmup) as f64 / span;
            base * (0.5 * (1.0 + (std::f64::consts::PI * progress).cos())).max(0.0)
        }
        SchedulerType::Constant | SchedulerType::ConstantWithWarmup => base,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values printed by transformers 4.57.1: `get_scheduler(name, AdamW(lr=1), 2, 6)`,
    /// `get_last_lr()` before each step.
    #[test]
    fn schedules_are_those_of_transformers() {
        let cases = [
            (SchedulerType::Linear, [0.0, 0.5, 1.0, 0.75, 0.5, 0.25]),
            (SchedulerType::Constant, [1.0; 6]),
            (
                SchedulerType::ConstantWithWarmup,
                [0.0, 0.5, 1.0, 1.0, 1.0, 1.0],
            ),
            (
                SchedulerType::Cosine,
                [
                    0.0,
                    0.5,
                    1.0,
                    0.853_553_390_593_273_7,
                    0.5,
                    0.146_446_609_406_726_3,
                ],
            ),
        ];
        for (kind, want) in cases {
            for (step, want) in want.iter().enumerate() {
                assert!(
                    (learning_rate(kind, 1.0, step as u64, 2, 6) - want).abs() < 1e-12,
                    "{kind:?} {step}"
                );
            }
        }
    }
}
