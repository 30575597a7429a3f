//! The `data-cls` program.
