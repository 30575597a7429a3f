//! The statistics, `.npy` files and the program `study`.

mod beyond;
mod measures;
mod npy;
mod program;
mod statistics;
