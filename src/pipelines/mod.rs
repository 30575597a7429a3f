//! What each program does, without its command line: `run(&Config) -> Result<Summary>`.

pub mod check;
pub mod download;
pub mod extract;
pub mod finetune;
mod inputs;
mod labels;
mod overlap;
pub mod pipeline;
pub mod prepare;
pub mod report;
mod shared_folder;
pub mod study;

pub use crate::corpus::{LabelMap, ReadOptions};
pub use crate::hub::HubOptions;
pub use overlap::{Same, keep_inputs};
