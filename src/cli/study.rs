//! The command line of `study`.
