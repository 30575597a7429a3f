//! The command line of `data-cls`.
