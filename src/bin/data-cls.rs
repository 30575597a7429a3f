//! `data-cls`: see `data-cls --help`.
use std::process::ExitCode;

fn main() -> ExitCode {
    flue_study::cli::data_cls::main()
}
