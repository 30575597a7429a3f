//! Fine-tuning as Hugging Face's `Trainer` does it: trainer, optimizer, scheduler, state,
//! evaluation.

mod arguments;
mod checkpoints;
mod evaluation;
mod identity;
mod optimizer;
mod row_order;
mod scheduler;
mod trainer;
mod trainer_state;

pub use arguments::{BestMetric, EvalStrategy, Steps, TrainingArguments};
pub(crate) use checkpoints::clear_checkpoints;
pub(crate) use evaluation::{Evaluation, EvaluationRecord, evaluate};
pub(crate) use identity::Identity;
pub use optimizer::AdamW;
pub use scheduler::{SchedulerType, learning_rate};
pub(crate) use trainer::{TrainOutput, Trainer};
pub(crate) use trainer_state::{LogEntry, TrainerState};

#[cfg(test)]
mod tests;
