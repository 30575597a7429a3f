//! What a family of encoders has of its own.

use std::fmt::Debug;

use crate::error::Result;
use crate::models::Input;
use crate::models::block::Block;
use crate::models::builder::Builder;
use crate::models::config::{Config, Reader};
use crate::models::embeddings::Embeddings;
use crate::models::layers::Head;
use crate::models::task::Task;

/// One family: how its configuration reads, how its tensors are called, and of what parts its
/// network is made.
pub(in crate::models) trait Architecture: Debug + Send + Sync {
    /// The `model_type`s of the `config.json`s that it reads.
    fn model_types(&self) -> &'static [&'static str];

    /// Read a configuration. A key that is absent takes the default of the transformers class.
    ///
    /// # Errors
    /// [`Malformed`](crate::error::Error::Malformed) with the key that is wrong or not supported.
    fn read(&self, json: &Reader<'_>) -> Result<Config>;

    /// The names by which a checkpoint's tensors are sorted.
    fn names(&self) -> &'static Names;

    /// The tables of embeddings.
    ///
    /// # Errors
    /// [`Malformed`](crate::error::Error::Malformed) with the tensor that is wrong or missing.
    fn embeddings(&self, builder: &mut Builder<'_>, config: &Config) -> Result<Embeddings>;

    /// Which row of which table each token of a batch takes: (number of the table, ids (T)). A
    /// table may be used more than once. The token ids are below the vocabulary's size and the
    /// sequences no longer than the positions.
    ///
    /// # Errors
    /// [`Mismatch`](crate::error::Error::Mismatch) for a token beyond the tables.
    fn lookups(&self, config: &Config, input: &Input<'_>) -> Result<Vec<(usize, Vec<u32>)>>;

    /// Layer `index` of the encoder, from 0.
    ///
    /// # Errors
    /// As [`embeddings`](Self::embeddings).
    fn block(
        &self,
        builder: &mut Builder<'_>,
        config: &Config,
        index: usize,
    ) -> Result<Box<dyn Block>>;

    /// The classification head; `seed` draws what the checkpoint lacks of it.
    ///
    /// # Errors
    /// As [`embeddings`](Self::embeddings).
    fn head(&self, builder: &mut Builder<'_>, config: &Config, seed: u64) -> Result<Box<dyn Head>>;
}

/// How the tensors of a checkpoint begin, by what they are for.
#[derive(Debug)]
pub(in crate::models) struct Names {
    /// Those of the encoder, in the checkpoint of a model with a head.
    pub(crate) prefix: &'static str,
    /// Those of the classification head, with the whole prefix.
    pub(crate) head: &'static [&'static str],
    /// Those that only pre-training needs, with the whole prefix.
    pub(crate) pretraining: &'static [&'static str],
    /// Those of heads for other tasks.
    pub(crate) other_heads: &'static [(&'static str, Task)],
}

impl Names {
    /// Whether a tensor belongs to a classification head of sequences.
    pub(crate) fn is_head(&self, tensor: &str) -> bool {
        self.head.iter().any(|h| tensor.starts_with(h))
    }

    /// The task of the other head that a tensor belongs to.
    pub(crate) fn other_task(&self, tensor: &str) -> Option<Task> {
        let found = self.other_heads.iter().find(|(p, _)| tensor.starts_with(p));
        found.map(|(_, task)| *task)
    }

    /// Whether only pre-training needs a tensor.
    pub(crate) fn is_pretraining(&self, tensor: &str) -> bool {
        self.pretraining.iter().any(|p| tensor.starts_with(p))
    }
}
