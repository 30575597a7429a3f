//! Tokenize labelled French reviews into a Hugging Face `DatasetDict` folder.
//!
//! ```text
//! flue-cls-prepare -c camembert-base --data cls-acl10-unprocessed.tar.gz out.datasets
//! ```

use std::process::ExitCode;

fn main() -> ExitCode {
    flue_study::cli::prepare::main()
}
