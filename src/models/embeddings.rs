//! The first hidden state: embeddings summed, layer norm, dropout. The same in RoBERTa and XLM but for what is summed.

use candle_core::Tensor;

use super::layer::Drop;
use super::modules::{LayerNorm, NormTape};
use super::parameters::{Gradients, Weight};
use crate::error::Result;
use crate::nn::{self, Dropout};

/// One table of the sum.
#[derive(Debug)]
pub struct Table {
    pub(super) weight: Weight,
    /// The row that never receives a gradient.
    pub(super) padding: Option<u32>,
}

/// The tables and the layer norm over their sum.
#[derive(Debug)]
pub struct Embeddings {
    pub(super) tables: Vec<Table>,
    pub(super) norm: LayerNorm,
}

/// Which row of which table each token takes: (number of the table, ids). A table may be used more than once.
pub type Lookups = Vec<(usize, Vec<u32>)>;

/// What the backward pass needs.
pub struct EmbeddingsTape {
    lookups: Lookups,
    norm: NormTape,
}

impl Embeddings {
    fn dropout(&self, drop: Drop<'_>) -> Option<Dropout> {
        Dropout::new(drop.config.hidden_dropout, 0, drop.seed?)
    }

    /// The hidden state 0, (T, H).
    pub(super) fn forward(
        &self,
        lookups: Lookups,
        drop: Drop<'_>,
    ) -> Result<(Tensor, EmbeddingsTape)> {
        let tables: Vec<&Tensor> = lookups
            .iter()
            .map(|(table, _)| &self.tables[*table].weight.value)
            .collect();
        let ids: Vec<&[u32]> = lookups.iter().map(|(_, ids)| ids.as_slice()).collect();
        let (x, norm) = self.norm.forward(nn::embedding_sum(&tables, &ids)?)?;
        let x = match self.dropout(drop) {
            // What dropout does to an output is what its backward pass does to a gradient.
            Some(dropout) => nn::bias_dropout_residual_backward(&x, Some(dropout))?,
            None => x,
        };
        Ok((x, EmbeddingsTape { lookups, norm }))
    }

    pub(super) fn backward(
        &self,
        tape: EmbeddingsTape,
        drop: Drop<'_>,
        gradient: &Tensor,
        gradients: &mut Gradients,
    ) -> Result<()> {
        let of_normed = nn::bias_dropout_residual_backward(gradient, self.dropout(drop))?;
        let of_sum = self.norm.backward(tape.norm, &of_normed, gradients)?;
        for (number, table) in self.tables.iter().enumerate() {
            let ids: Vec<&[u32]> = tape
                .lookups
                .iter()
                .filter(|(t, _)| *t == number)
                .map(|(_, ids)| ids.as_slice())
                .collect();
            let rows = table.weight.value.dim(0)?;
            let slot = gradients.slot(&table.weight);
            nn::embedding_sum_backward(&of_sum, &ids, rows, table.padding, slot)?;
        }
        Ok(())
    }
}
