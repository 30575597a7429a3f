//! `flue-cls-finetune`: see `flue-cls-finetune --help`.
use std::process::ExitCode;

fn main() -> ExitCode {
    flue_study::cli::finetune::main()
}
