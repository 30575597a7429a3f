//! Loading a checkpoint as transformers' `from_pretrained` does, and saving one that it loads without a remark.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use candle_core::{Device, Tensor};
use safetensors::tensor::Dtype;

use super::config::Config;
use super::loading::{Builder, Names};
use super::network::Network;
use super::parameters::Parameters;
use super::task::{OtherHead, Task};
use super::weights::Weights;
use super::{Encoder, SequenceClassifier};
use crate::error::{Error, Result};

/// What loading found, in the words of transformers' loading report.
#[derive(Debug, Clone, Default)]
pub struct LoadReport {
    /// Tensors of the classification head that the checkpoint lacks; they start anew.
    pub initialised: Vec<String>,
    /// Tensors of the checkpoint that only pre-training or another head needs; they are left out.
    pub unused: Vec<String>,
    /// The head for another task that the checkpoint holds; its tensors are among the unused ones.
    pub other_head: Option<OtherHead>,
}

/// Load the encoder in `folder`, without a head. A head for another task than classifying sequences is named in a warning, as
/// `AutoModel` does.
///
/// # Errors
/// [`Error::Malformed`] for a configuration, a tensor or a shape that is wrong, missing, or unknown.
pub fn load_encoder(folder: &Path, device: &Device) -> Result<Box<dyn Encoder>> {
    let (network, report) = load(folder, Config::read(folder)?, device, None)?;
    if let Some(other) = report.other_head {
        tracing::warn!("{}: {other} is not used", folder.display());
    }
    Ok(Box::new(network))
}

/// Load the encoder in `folder` with a classification head for `config.num_labels` classes. What the checkpoint lacks
/// of the head is drawn from `seed`; a head for another task is not used.
///
/// # Errors
/// See [`load_encoder`]; [`Error::Malformed`] also where `architectures` names another task than the tensors are of.
pub fn load_classifier(
    folder: &Path,
    config: Config,
    device: &Device,
    seed: u64,
) -> Result<(Box<dyn SequenceClassifier>, LoadReport)> {
    let (network, report) = load(folder, config, device, Some(seed))?;
    Ok((Box::new(network), report))
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
    let other_head = other_head(&weights, names, config.task());
    if head.is_some() {
        require_one_reading(folder, &config, &weights, names)?;
        // Another head may call its tensors as ours does.
        if let Some(other) = &other_head {
            weights.discard(|name| names.is_head(name) && other.tensors.iter().any(|t| t == name));
        }
    }
    let builder = Builder {
        weights: &mut weights,
        device,
        parameters: Parameters::default(),
        initialised: Vec::new(),
    };
    let (network, initialised) = builder.build(config, head)?;
    let ignored = |name: &&str| {
        (head.is_none() && names.is_head(name))
            || names.other_task(name).is_some()
            || names.is_pretraining(name)
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
    let unused: BTreeSet<&str> = unused
        .into_iter()
        .chain(
            other_head
                .iter()
                .flat_map(|o| o.tensors.iter().map(String::as_str)),
        )
        .collect();
    let unused = unused.into_iter().map(str::to_owned).collect();
    Ok((
        network,
        LoadReport {
            initialised,
            unused,
            other_head,
        },
    ))
}

/// The head for another task that the weights hold; `declared` is what `architectures` says.
fn other_head(weights: &Weights, names: &Names, declared: Option<Task>) -> Option<OtherHead> {
    let task = weights.left().find_map(|name| names.other_task(name))?;
    // The tensors of multiple choice begin as those of another head do.
    let shares_our_names = task == Task::MultipleChoice;
    let tensors = weights.left().filter(|name| {
        names.other_task(name).is_some() || (shares_our_names && names.is_head(name))
    });
    Some(OtherHead {
        tensors: tensors.map(str::to_owned).collect(),
        task: match declared {
            Some(Task::MultipleChoice) => Task::MultipleChoice,
            _ => task,
        },
    })
}

/// Refuse a head for sequences that `architectures` calls one for something else, or the other way round.
fn require_one_reading(
    folder: &Path,
    config: &Config,
    weights: &Weights,
    names: &Names,
) -> Result<()> {
    let Some(tensor) = weights.left().find(|name| names.is_head(name)) else {
        return Ok(());
    };
    let multiple_choice = |name: &str| names.other_task(name) == Some(Task::MultipleChoice);
    let by_tensors = match weights.left().any(multiple_choice) {
        true => Task::MultipleChoice,
        false => Task::SequenceClassification,
    };
    match config.task() {
        // A configuration from before fine-tuning tells nothing of the head.
        None | Some(Task::LanguageModelling) => Ok(()),
        Some(declared) if declared == by_tensors => Ok(()),
        Some(_) => Err(Error::malformed(
            folder.join("config.json"),
            "key \"architectures\"",
            config.architecture().unwrap_or("nothing"),
            format!(
                "a class for {by_tensors}, whose head the weights hold ({tensor}): correct the key, or remove it to go by the \
                 tensors"
            ),
        )),
    }
}

/// The names of today: layer norms once had `gamma` and `beta`; a checkpoint of the bare encoder lacks the prefix.
fn normalise_names(weights: &mut Weights, names: &Names) {
    let bare = !weights.left().any(|n| n.starts_with(names.prefix));
    let of_encoder =
        |n: &str| !names.is_head(n) && !names.is_pretraining(n) && names.other_task(n).is_none();
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
