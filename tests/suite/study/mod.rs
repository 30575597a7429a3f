//! The statistics, `.npy` files and the program `study`.

mod npy;
mod program;
mod statistics;
