//! The first hidden state: embeddings summed, layer norm, dropout.

use candle_core::{Device, Tensor};

use super::builder::Builder;
use super::config::Config;
use super::layers::{EMBEDDINGS_SITE, LayerNorm, Pass};
use super::parameters::{Gradients, Weight};
use crate::error::Result;
use crate::nn;

/// One table of the sum.
#[derive(Debug)]
struct Table {
    weight: Weight,
    /// The row that never receives a gradient.
    padding: Option<u32>,
}

/// The tables and the layer norm over their sum.
#[derive(Debug)]
pub(super) struct Embeddings {
    tables: Vec<Table>,
    norm: LayerNorm,
    dropout: f64,
}

/// Which row of which table each token takes: (number of the table, ids (T)), on the device.
pub(super) struct Lookups(Vec<(usize, Tensor)>);

impl Lookups {
    pub(crate) fn new(ids: Vec<(usize, Vec<u32>)>, device: &Device) -> Result<Self> {
        let on_device = |(table, ids): (usize, Vec<u32>)| {
            let tokens = ids.len();
            Ok((table, Tensor::from_vec(ids, tokens, device)?))
        };
        Ok(Self(ids.into_iter().map(on_device).collect::<Result<_>>()?))
    }
}

impl Embeddings {
    /// Tables of these (name, rows, row that is padding), and the norm of that name.
    pub(crate) fn load(
        builder: &mut Builder<'_>,
        config: &Config,
        tables: &[(String, usize, Option<u32>)],
        norm: &str,
    ) -> Result<Self> {
        let table = |(name, rows, padding): &(String, usize, Option<u32>)| {
            Ok(Table {
                weight: builder.weight(name, &[*rows, config.hidden_size])?,
                padding: *padding,
            })
        };
        Ok(Self {
            tables: tables.iter().map(table).collect::<Result<_>>()?,
            norm: builder.layer_norm(norm, config)?,
            dropout: config.hidden_dropout,
        })
    }

    /// The hidden state 0, (T, H), and the way back, which ends here.
    pub(crate) fn forward<'a>(
        &'a self,
        lookups: Lookups,
        pass: Pass<'a>,
    ) -> Result<(
        Tensor,
        impl FnOnce(&Tensor, &mut Gradients) -> Result<()> + 'a,
    )> {
        let Lookups(lookups) = lookups;
        let table = |(table, _): &(usize, Tensor)| &self.tables[*table].weight.value;
        let tables: Vec<&Tensor> = lookups.iter().map(table).collect();
        let ids: Vec<&Tensor> = lookups.iter().map(|(_, ids)| ids).collect();
        let (x, norm_backward) = self.norm.forward(nn::embedding_sum(&tables, &ids)?)?;
        let dropout = pass.dropout(self.dropout, EMBEDDINGS_SITE);
        let x = nn::dropout(&x, dropout)?;
        let backward = move |gradient: &Tensor, gradients: &mut Gradients| {
            let of_normed = nn::dropout(gradient, dropout)?;
            let of_sum = norm_backward(&of_normed, gradients)?.into_tensor();
            for (number, table) in self.tables.iter().enumerate() {
                let uses = lookups.iter().filter(|(t, _)| *t == number);
                let ids: Vec<&Tensor> = uses.map(|(_, ids)| ids).collect();
                let rows = table.weight.value.dim(0)?;
                let slot = gradients.slot(&table.weight);
                nn::embedding_sum_backward(&of_sum, &ids, rows, table.padding, slot)?;
            }
            Ok(())
        };
        Ok((x, backward))
    }
}
