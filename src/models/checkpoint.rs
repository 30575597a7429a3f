//! Loading a checkpoint as transformers' `from_pretrained` does, and saving one that it loads without a remark.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use safetensors::tensor::Dtype;

use super::config::Config;
use super::loading::{Builder, Names};
use super::network::Network;
use super::parameters::Parameters;
use super::weights::{Weights, weight_files};
use super::{Encoder, SequenceClassifier};
use crate::error::{Error, Result};

/// What loading found, in the words of transformers' loading report.
#[derive(Debug, Clone, Default)]
pub struct LoadReport {
    /// Tensors of the classification head that the checkpoint lacks; they start anew.
    pub initialised: Vec<String>,
    /// Tensors of the checkpoint that only pre-training or another head needs; they are left out.
    pub unused: Vec<String>,
}

/// Every file from which a model is loaded: its configuration, and its weights in one file or as an index and shards.
///
/// # Errors
/// [`Error::NotFound`] when there are no weights; [`Error::Malformed`] for an index that does not fit the folder.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = vec![folder.join("config.json")];
    files.extend(weight_files(folder)?);
    Ok(files)
}

/// Load the encoder in `folder`, without a head.
///
/// # Errors
/// [`Error::Malformed`] for a configuration, a tensor or a shape that is wrong, missing, or unknown.
pub fn load_encoder(folder: &Path, device: &Device) -> Result<Box<dyn Encoder>> {
    let (network, _) = load(folder, Config::read(folder)?, device, None)?;
    Ok(Box::new(network))
}

/// Load the encoder in `folder` with a classification head for `config.num_labels` classes. What the checkpoint lacks
/// of the head is drawn from `seed`.
///
/// # Errors
/// See [`load_encoder`].
pub fn load_classifier(
    folder: &Path,
    config: Config,
    device: &Device,
    seed: u64,
) -> Result<(Box<dyn SequenceClassifier>, LoadReport)> {
    let (network, report) = load(folder, config, device, Some(seed))?;
    Ok((Box::new(network), report))
}

/// Whether the checkpoint in `folder` has the tensors of a classification head.
///
/// # Errors
/// Those of reading the weights.
pub fn has_head(folder: &Path, config: &Config) -> Result<bool> {
    let weights = Weights::read(folder)?;
    let head = Names::of(config.family).head;
    let has = |layer: &&str| weights.left().any(|name| name.starts_with(*layer));
    Ok(head.iter().all(|layer| has(&layer)))
}

fn load(
    folder: &Path,
    config: Config,
    device: &Device,
    head: Option<u64>,
) -> Result<(Network, LoadReport)> {
    crate::nn::keep_freed_memory();
    let names = Names::of(config.family);
    let mut weights = Weights::read(folder)?;
    normalise_names(&mut weights, names);
    let builder = Builder {
        weights: &mut weights,
        device,
        parameters: Parameters::default(),
        initialised: Vec::new(),
    };
    let (network, initialised) = builder.build(config, head)?;
    let ignored = |name: &&str| {
        let other_head = head.is_none() && names.head.iter().any(|h| name.starts_with(h));
        other_head
            || names.pretraining.iter().any(|p| name.starts_with(p))
            || name.ends_with("position_ids")
    };
    let (unused, unknown): (Vec<&str>, Vec<&str>) = weights.left().partition(ignored);
    if let Some(name) = unknown.first() {
        let found = format!(
            "a tensor that the model does not have ({} such)",
            unknown.len()
        );
        return Err(Error::malformed(
            weights.source(),
            format!("tensor {name:?}"),
            found,
            "only those that config.json describes",
        ));
    }
    let unused = unused.into_iter().map(str::to_owned).collect();
    Ok((
        network,
        LoadReport {
            initialised,
            unused,
        },
    ))
}

/// The names of today: layer norms once had `gamma` and `beta`; a checkpoint of the bare encoder lacks the prefix.
fn normalise_names(weights: &mut Weights, names: &Names) {
    let bare = !weights.left().any(|n| n.starts_with(names.prefix));
    let of_encoder = |n: &str| {
        !names
            .head
            .iter()
            .chain(names.pretraining)
            .any(|p| n.starts_with(p))
    };
    weights.rename(|n| {
        let n = match n.rsplit_once('.') {
            Some((start, "gamma")) => format!("{start}.weight"),
            Some((start, "beta")) => format!("{start}.bias"),
            _ => n.to_owned(),
        };
        if bare && of_encoder(&n) {
            format!("{}{n}", names.prefix)
        } else {
            n
        }
    });
}

/// A tensor whose bytes are made when they are written, one tensor at a time.
struct Stored(Tensor);

impl safetensors::View for Stored {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        self.0.dims()
    }
    fn data(&self) -> Cow<'_, [u8]> {
        let values = self
            .0
            .flatten_all()
            .and_then(|t| t.to_dtype(candle_core::DType::F32)?.to_vec1::<f32>());
        Cow::Owned(
            values
                .unwrap_or_default()
                .iter()
                .flat_map(|x| x.to_le_bytes())
                .collect(),
        )
    }
    fn data_len(&self) -> usize {
        self.0.elem_count() * 4
    }
}

/// Write `config.json` and `model.safetensors` into `folder`, which exists: what `save_pretrained` leaves.
///
/// # Errors
/// [`Error::Io`] or a candle error.
pub fn save_classifier(model: &dyn SequenceClassifier, folder: &Path) -> Result<()> {
    let path = folder.join("config.json");
    let json = serde_json::to_string_pretty(&model.config().to_classifier_json())
        .map_err(Error::compute("config.json"))?;
    std::fs::write(&path, json + "\n").map_err(Error::io(&path, "write"))?;
    let path = folder.join("model.safetensors");
    let tensors = model
        .parameters()
        .named_tensors()?
        .into_iter()
        .map(|(name, t)| (name, Stored(t)));
    // Older transformers refuse a file without this key.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize_to_file(tensors, Some(metadata), &path).map_err(|e| match e {
        safetensors::SafeTensorError::IoError(source) => Error::Io {
            path: path.clone(),
            action: "write",
            source,
        },
        other => Error::Compute {
            context: format!("writing {}", path.display()),
            source: Box::new(other),
        },
    })
}
