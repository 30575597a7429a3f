//! The statistics, `.npy` files and the program `study`.

mod beyond;
mod browser;
mod intervals;
mod layer_measures;
mod measures;
mod merges;
mod npy;
mod pipeline;
mod program;
mod report;
mod shards;
mod statistics;
