//! The `flue-cls-prepare` program.
