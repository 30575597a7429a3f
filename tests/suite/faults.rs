//! Faults while the programs run: killed at any step, another run at the same output, disks that
//! are full or read-only, folders that disappear, clocks that jump.

mod disk;
mod inputs;
pub mod kills;
mod leftovers;
mod locks;
mod pipeline;
mod reading;
mod threads;
