//! One file to make, with everything known about it.

use std::path::Path;

use super::{Config, Opened, Run, SPLITS, StorageType, Tokens};
use crate::artifact::{Inputs, Manifest};
use crate::dataset::Split;
use crate::error::{Error, Result};
use crate::models;
use crate::pipelines::inputs::{Reads, add_checkpoint, add_splits};

/// The format of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Npy,
    Parquet,
    Arrow,
    Safetensors,
}

impl Format {
    /// By the ending of `path`, where it can hold these states.
    pub fn of(path: &Path, tokens: Tokens, dtype: StorageType) -> Result<Self> {
        let refused = |why: &str| Err(Error::Usage(format!("{}: {why}", path.display())));
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        let format = match ending {
            "npy" => Self::Npy,
            "parquet" => Self::Parquet,
            "arrow" => Self::Arrow,
            "safetensors" => Self::Safetensors,
            _ => {
                return refused("expected a name ending in .npy, .parquet, .arrow or .safetensors");
            }
        };
        if format == Self::Npy && tokens == Tokens::All {
            return refused(
                "--tokens all gives rows of different lengths, which .npy cannot hold: choose .parquet, .arrow or .safetensors",
            );
        }
        if format != Self::Safetensors && dtype == StorageType::BF16 {
            return refused("this format has no bf16: choose f16, or .safetensors");
        }
        Ok(format)
    }
}

/// One run with everything opened but the weights.
pub(super) struct Job<'a> {
    pub config: &'a Config,
    pub run: &'a Run,
    /// Whether what stands under the name of the output is replaced.
    pub overwrite: bool,
    /// With the same numbers for the same classes.
    pub splits: &'a [Split; 2],
    /// The names of the classes, in the order of the labels.
    pub classes: &'a [String],
    /// The checkpoint.
    pub folder: &'a Path,
    /// The layers to keep, in the order of the output.
    pub layers: Vec<usize>,
    model: models::Config,
}

impl<'a> Job<'a> {
    pub fn new(config: &'a Config, opened: &'a Opened<'a>) -> Result<Self> {
        let model = models::Config::read(&opened.folder)?;
        for split in opened.splits.iter().filter(|s| !s.is_empty()) {
            model.check_first_token(split.example(0)?.input_ids, split.folder())?;
        }
        Ok(Self {
            config,
            run: opened.run,
            overwrite: opened.overwrite,
            splits: &opened.splits,
            classes: &opened.classes,
            folder: &opened.folder,
            layers: config.layers.of(model.num_layers, &opened.run.checkpoint)?,
            model,
        })
    }

    /// How many rows of a split are taken.
    pub fn rows(&self, split: &Split) -> usize {
        self.config
            .limit
            .map_or(split.len(), |n| n.min(split.len()))
    }

    /// How many states are kept of a row with this mask.
    pub fn records(&self, attention_mask: &[i8]) -> usize {
        match self.config.tokens {
            Tokens::All => attention_mask.iter().filter(|m| **m != 0).count(),
            Tokens::Cls | Tokens::Mean => 1,
        }
    }

    pub fn format(&self) -> Result<Format> {
        Format::of(&self.run.out, self.config.tokens, self.config.dtype)
    }

    pub fn hidden(&self) -> usize {
        self.model.hidden_size
    }

    /// Bytes of one state of one layer.
    pub fn record_bytes(&self) -> usize {
        self.hidden() * self.config.dtype.size()
    }

    /// What self-describing files carry in their metadata, and every file in its manifest.
    pub fn describe(&self) -> serde_json::Value {
        let c = self.config;
        serde_json::json!({
            "checkpoint": self.run.checkpoint,
            "revision": c.hub.revision,
            "model_type": self.model.model_type,
            "data": self.run.data,
            "classes": self.classes,
            "label_map": c.label_map,
            "layers": self.layers,
            "limit": c.limit,
            "tokens": match c.tokens { Tokens::Cls => "cls", Tokens::All => "all", Tokens::Mean => "mean" },
            "dtype": c.dtype,
            "batch_size": c.batch_size,
            "version": env!("CARGO_PKG_VERSION"),
        })
    }

    /// The settings, and what tells weights and data from others.
    pub fn manifest(&self) -> Result<Manifest> {
        let mut manifest = Manifest::new("data-cls", self.describe());
        manifest.add_inputs(&inputs(self.run, self.folder, self.config.tokens)?)?;
        Ok(manifest)
    }
}

/// What is read for `run`: the checkpoint, which lies in `folder`, and both splits of the data.
///
/// # Errors
/// Those of finding the files.
pub(in crate::pipelines) fn inputs(run: &Run, folder: &Path, tokens: Tokens) -> Result<Inputs> {
    let reads = match tokens {
        // The tokenizer says where in its text a token stands.
        Tokens::All => Reads::Both,
        Tokens::Cls | Tokens::Mean => Reads::Model,
    };
    let mut inputs = Inputs::default();
    add_checkpoint(&mut inputs, &run.checkpoint, folder, reads)?;
    add_splits(&mut inputs, &run.data, &SPLITS)?;
    Ok(inputs)
}
