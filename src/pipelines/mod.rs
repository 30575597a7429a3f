//! What each program does, without its command line: `run(&Config) -> Result<Summary>`.

pub mod download;
pub mod extract;
pub mod finetune;
pub mod pipeline;
pub mod prepare;
pub mod report;
pub mod study;

pub use crate::hub::HubOptions;
