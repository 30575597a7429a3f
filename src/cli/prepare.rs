//! The command line of `flue-cls-prepare`.
