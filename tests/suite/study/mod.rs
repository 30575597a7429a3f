//! The statistics, `.npy` files and the program `study`.

mod beyond;
mod browser;
mod measures;
mod merges;
mod npy;
mod program;
mod report;
mod shards;
mod statistics;
