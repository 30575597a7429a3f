//! How many sentences the statistics by layer look at.

use clap::Args;

use crate::pipelines::study::{Amounts, Count};

/// Options of `study layers`, `raw`, `fine-tuning` and `pipeline`.
#[derive(Debug, Args)]
pub(super) struct SentencesArgs {
    /// Sentences that every statistic looks at, unless its own option says otherwise: a number, or all [default: as in the notebooks]
    #[arg(long, value_name = "N|all")]
    sentences: Option<Count>,

    /// Sentences whose cosines are taken: a number, or all [default: --sentences, else 50]
    #[arg(long, value_name = "N|all")]
    cosine_sentences: Option<Count>,

    /// Sentences whose covariance is taken: a number, or all [default: --sentences, else 100]
    #[arg(long, value_name = "N|all")]
    trace_sentences: Option<Count>,

    /// Sentences whose tokens are stacked for the effective rank: a number, or all [default: --sentences, else 10]
    #[arg(long, value_name = "N|all")]
    erank_sentences: Option<Count>,
}

impl SentencesArgs {
    /// What is looked at, the further measures included; `seed` decides their sample of tokens and their bootstrap.
    pub fn amounts(&self, seed: u64) -> Amounts {
        let of = |own: Option<Count>, notebooks: usize| {
            own.or(self.sentences).unwrap_or(Count::First(notebooks))
        };
        Amounts {
            cosine_sentences: of(self.cosine_sentences, 50),
            trace_sentences: of(self.trace_sentences, 100),
            erank_sentences: of(self.erank_sentences, 10),
            measure_sentences: self.sentences,
            measures: true,
            seed,
        }
    }
}
