//! The command lines of the four programs: arguments to a validated configuration, logging, exit
//! status.

pub mod data_cls;
pub mod finetune;
pub mod prepare;
pub mod study;

mod options;
mod process;
mod program;

pub use process::{hide_contained_panics, keep_freed_memory};
