//! An encoder over the rows of a split: each sentence's hidden states go to a sink, one sentence at
//! a time, in the order of the rows.
//!
//! Sentences are packed end to end, so nothing is computed for padding and sorting them by length
//! would save nothing. At any time the states of two passes exist, whatever the number of rows.
//! Time grows linearly with tokens, but for attention, which grows with the square of a sentence's
//! length.

use std::collections::BTreeSet;

use candle_core::{DType, Device, Tensor};
use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::batching::PackedBatch;
use crate::dataset::Split;
use crate::device::on_worker;
use crate::error::{Error, Result, interrupt};
use crate::models::{Encoder, Input};
use crate::nn::{Queries, Sequences};
use crate::progress::Progress;

mod sentences;
mod text_encoder;

pub use text_encoder::{EncodedText, TextEncoder};

/// One sentence with the hidden states that were asked for.
pub(crate) struct Sentence<'a> {
    /// Its row in the split, from 0.
    pub(crate) row: usize,
    /// (layer, states of shape (records, hidden size)), by increasing layer. There is a record for
    /// each token of [`Tokens::All`], else one.
    pub(crate) layers: &'a [(usize, ArrayView2<'a, f32>)],
}

/// What takes the sentences: a statistic, or a file.
pub(crate) trait Sink {
    /// Called once per sentence, in the order of the rows.
    ///
    /// # Errors
    /// An error ends the extraction.
    fn sentence(&mut self, sentence: &Sentence<'_>) -> Result<()>;
}

/// Which states of a sentence are handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tokens {
    /// The first token's, `[CLS]` or `<s>`.
    Cls,
    /// Every token's that is not padding.
    All,
    /// The mean over those tokens, special ones included.
    Mean,
}

/// What to extract.
#[derive(Debug, Clone)]
pub(crate) struct ExtractOptions {
    /// Layers, 0 (embeddings) to n. Nothing is computed above the highest.
    pub(crate) layers: Vec<usize>,
    /// Which states.
    pub(crate) tokens: Tokens,
    /// The most rows of a pass, of which two are under way at a time; fewer where they are long. It
    /// changes memory and speed, not the states.
    pub(crate) batch_size: usize,
}

/// Bytes that the widest activation of a pass may take: the allocator keeps blocks up to 32 MiB for
/// the next pass, where larger ones are fresh pages each time; smaller passes would spend more on
/// packing weights for the products.
const PASS_BYTES: usize = 31 << 20;

/// Passes under way at the same time: a thread that has nothing left to do in an operation of one
/// helps with the other.
const PASSES: usize = 2;

/// An encoder about to run over rows of a split, without dropout and from ids and mask alone.
pub(crate) struct Extractor<'a> {
    encoder: &'a dyn Encoder,
    split: &'a Split,
    layers: BTreeSet<usize>,
    last: usize,
    tokens: Tokens,
    batch_size: usize,
    /// The most tokens of a pass, unless one sentence has more.
    pass_tokens: usize,
    progress: Progress,
}

impl<'a> Extractor<'a> {
    /// Check that split and encoder fit each other. `rows` is how many will be asked for, for the
    /// progress bar.
    ///
    /// # Errors
    /// [`Error::Usage`] without a layer, [`Error::Mismatch`] when the data was prepared for another
    /// model.
    pub(crate) fn new(
        encoder: &'a dyn Encoder,
        split: &'a Split,
        options: &ExtractOptions,
        rows: usize,
    ) -> Result<Self> {
        let layers: BTreeSet<usize> = options.layers.iter().copied().collect();
        let Some(&last) = layers.last() else {
            return Err(Error::Usage("no layer was asked for".into()));
        };
        let config = encoder.config();
        if !split.is_empty() {
            config.check_first_token(split.example(0)?.input_ids, split.folder())?;
        }
        let widest = config.intermediate_size.max(3 * config.hidden_size);
        Ok(Self {
            encoder,
            split,
            layers,
            last,
            tokens: options.tokens,
            batch_size: options.batch_size.max(1),
            pass_tokens: PASS_BYTES / (4 * widest.max(1)),
            progress: Progress::new(
                format!("hidden states of {}", split.name()),
                rows as u64,
                "rows",
            ),
        })
    }

    /// Hand every one of `rows` to `sink`, in their order.
    ///
    /// # Errors
    /// [`Error::Interrupted`] after a signal, what reading a row, the encoder or the sink gives.
    pub(crate) fn run(&mut self, rows: &[usize], sink: &mut dyn Sink) -> Result<()> {
        let mut rest = rows;
        while !rest.is_empty() {
            interrupt::check()?;
            let mut batches = Vec::with_capacity(PASSES);
            while batches.len() < PASSES && !rest.is_empty() {
                let (pass, later) = rest.split_at(self.rows_of_pass(rest)?);
                batches.push(self.gather(pass)?);
                rest = later;
            }
            let states: Vec<_> = on_worker(|| {
                batches
                    .par_iter()
                    .map(|b| self.states(b))
                    .collect::<Result<_>>()
            })?;
            for (batch, states) in batches.iter().zip(states) {
                sentences::hand_over(batch, &states, self.tokens, sink)?;
                self.progress.advance(batch.labels.len() as u64);
            }
        }
        Ok(())
    }

    fn gather(&self, rows: &[usize]) -> Result<PackedBatch> {
        let batch = PackedBatch::gather(self.split, rows)?;
        let config = self.encoder.config();
        batch.check_fits(self.split, config.vocab_size, config.max_length())?;
        Ok(batch)
    }

    /// How many of the first rows make one pass.
    fn rows_of_pass(&self, rows: &[usize]) -> Result<usize> {
        let mut tokens = 0;
        for (i, &row) in rows.iter().take(self.batch_size).enumerate() {
            tokens += self.split.example(row)?.tokens().len();
            if i > 0 && tokens > self.pass_tokens {
                return Ok(i);
            }
        }
        Ok(rows.len().min(self.batch_size))
    }

    /// The states of the wanted layers, as f32 on the CPU.
    fn states(&self, batch: &PackedBatch) -> Result<Vec<(usize, Tensor)>> {
        let input = Input {
            ids: &batch.ids,
            columns: &batch.columns,
            token_type_ids: None,
            bounds: &batch.bounds,
        };
        let of_last = match self.tokens {
            Tokens::Cls => Queries::First,
            Tokens::All | Tokens::Mean => Queries::All,
        };
        let mut states = Vec::with_capacity(self.layers.len());
        let mut sequences = None;
        self.encoder
            .hidden_states(&input, self.last, of_last, &mut |layer, tensor| {
                if self.layers.contains(&layer) {
                    let tensor = match self.tokens {
                        Tokens::Cls if layer < self.last => {
                            let sequences = match &mut sequences {
                                Some(known) => known,
                                none => none.insert(Sequences::new(input.bounds, tensor.device())?),
                            };
                            sequences.select(tensor, of_last)?
                        }
                        _ => tensor.clone(),
                    };
                    let tensor = tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
                    states.push((layer, tensor.contiguous()?));
                }
                Ok(())
            })?;
        Ok(states)
    }
}
