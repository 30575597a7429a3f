//! The statistics, `.npy` files and the program `study`.

mod measures;
mod npy;
mod program;
mod statistics;
