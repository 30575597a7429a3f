//! What each program does, without its command line: `run(&Config) -> Result<Summary>`.

pub(crate) mod check;
pub(crate) mod download;
pub(crate) mod extract;
pub(crate) mod finetune;
pub(crate) mod pipeline;
pub(crate) mod prepare;
pub(crate) mod report;
pub(crate) mod study;

mod inputs;
pub(crate) mod original;
mod outputs;

pub(crate) use crate::artifact::record_command;
pub(crate) use crate::corpus::{LabelMap, ReadOptions};
pub use crate::hub::HubOptions;
pub(crate) use outputs::{Same, keep_inputs};
