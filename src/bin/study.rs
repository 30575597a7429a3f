//! `study`: the statistics of the hidden embeddings, as tables, pictures and one report.
//!
//! ```text
//! study raw
//! study layers --data camembert-tokens.datasets --checkpoint camembert-base --out layers --cosine-sentences all
//! ```

use std::process::ExitCode;

fn main() -> ExitCode {
    flue_study::cli::study::main()
}
