//! What each program does, without its command line: `run(&Config) -> Result<Summary>`.

pub mod check;
pub mod download;
pub mod extract;
pub mod finetune;
pub mod pipeline;
pub mod prepare;
pub mod report;
pub mod study;

mod inputs;
pub(crate) mod original;
mod outputs;

pub use crate::artifact::record_command;
pub use crate::corpus::{LabelMap, ReadOptions};
pub use crate::hub::HubOptions;
pub use outputs::{Same, keep_inputs};
