//! Loading a checkpoint as transformers' `from_pretrained` does, and saving one that it loads
//! without a remark.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};

use super::architecture::{self, Names};
use super::builder::Builder;
use super::config::Config;
use super::network::Network;
use super::task::{OtherHead, Task};
use super::weights::{Weights, weight_files};
use super::{Encoder, SequenceClassifier};
use crate::error::{Error, Result};
use crate::files::write_json;

/// What loading found, in the words of transformers' loading report.
#[derive(Debug, Clone, Default)]
pub struct LoadReport {
    /// Tensors of the classification head that the checkpoint lacks; they start anew.
    pub(crate) initialised: Vec<String>,
    /// Tensors of the checkpoint that only pre-training or another head needs; they are left out.
    pub(crate) unused: Vec<String>,
    /// The head for another task that the checkpoint holds; its tensors are among the unused ones.
    pub(crate) other_head: Option<OtherHead>,
}

/// Every file from which a model is loaded: its configuration, and its weights in one file or as an
/// index and shards.
///
/// # Errors
/// [`Error::NotFound`] when there are no weights; [`Error::Malformed`] for an index that does not
/// fit the folder.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = vec![folder.join("config.json")];
    files.extend(weight_files(folder)?);
    Ok(files)
}

/// Load the encoder in `folder`, without a head. A head for another task than classifying sequences
/// is named in a warning, as `AutoModel` does.
///
/// # Errors
/// [`Error::Malformed`] for a configuration, a tensor or a shape that is wrong, missing, or
/// unknown.
pub fn load_encoder(folder: &Path, device: &Device) -> Result<Box<dyn Encoder>> {
    let (network, report) = load(folder, Config::read(folder)?, (device, DType::F32), None)?;
    if let Some(other) = report.other_head {
        tracing::warn!("{}: {other} is not used", folder.display());
    }
    Ok(Box::new(network))
}

/// Load the encoder in `folder` with a classification head for `config.num_labels` classes. What
/// the checkpoint lacks of the head is drawn from `seed`; a head for another task is not used.
///
/// # Errors
/// See [`load_encoder`]; [`Error::Malformed`] also where `architectures` names another task than
/// the tensors are of.
pub fn load_classifier(
    folder: &Path,
    config: Config,
    device: &Device,
    seed: u64,
) -> Result<(Box<dyn SequenceClassifier>, LoadReport)> {
    let (network, report) = load(folder, config, (device, DType::F32), Some(seed))?;
    Ok((Box::new(network), report))
}

/// Whether the checkpoint in `folder` has a head that classifies sequences.
///
/// # Errors
/// Those of reading the weights.
pub(crate) fn has_head(folder: &Path, config: &Config) -> Result<bool> {
    let names = architecture::of(config).names();
    let mut weights = Weights::read(folder)?;
    normalise_names(&mut weights, names)?;
    let other = other_head(&weights, names, config.task());
    Ok(other.is_none() && weights.left().any(|name| names.is_head(name)))
}

/// Load a network with parameters of `dtype`; with a head when its seed is given.
pub(super) fn load(
    folder: &Path,
    config: Config,
    (device, dtype): (&Device, DType),
    head: Option<u64>,
) -> Result<(Network, LoadReport)> {
    let names = architecture::of(&config).names();
    let mut weights = Weights::read(folder)?;
    normalise_names(&mut weights, names)?;
    let other_head = other_head(&weights, names, config.task());
    if head.is_some() {
        require_one_reading(folder, &config, &weights, names)?;
        // Another head may call its tensors as ours does.
        if let Some(other) = &other_head {
            weights.discard(|name| names.is_head(name) && other.tensors.iter().any(|t| t == name));
        }
    }
    let builder = Builder::new(&mut weights, device, dtype);
    let (network, initialised) = Network::build(builder, device, config, head)?;
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

/// Refuse a head for sequences that `architectures` calls one for something else, or the other way
/// round.
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

/// The names of today: layer norms once had `gamma` and `beta`; a checkpoint of the bare encoder
/// lacks the prefix.
fn normalise_names(weights: &mut Weights, names: &Names) -> Result<()> {
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
    })
}

/// Write tensors as f32 into a new file, by their names, one at a time: the copies of all would
/// take the memory of the model again. Not with the safetensors crate, which has no word for a
/// tensor that cannot be copied, from a device that is lost for example.
fn write_tensors(path: &Path, mut tensors: Vec<(String, Tensor)>) -> Result<()> {
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let mut end = 0;
    let infos = tensors.iter().map(|(name, tensor)| {
        let start = end;
        end += size_of::<f32>() * tensor.elem_count();
        let info = TensorInfo {
            dtype: Dtype::F32,
            shape: tensor.dims().to_vec(),
            data_offsets: (start, end),
        };
        (name.clone(), info)
    });
    // Older transformers refuse a file without this key.
    let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let context = || format!("writing {}", path.display());
    let header = Metadata::new(Some(format), infos.collect()).map_err(Error::compute(context()))?;
    let mut header = serde_json::to_vec(&header).map_err(Error::compute(context()))?;
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = File::create(path).map_err(Error::io(path, "create"))?;
    let mut write = |bytes: &[u8]| file.write_all(bytes).map_err(Error::io(path, "write"));
    write(&(header.len() as u64).to_le_bytes())?;
    write(&header)?;
    for (name, tensor) in tensors {
        let values = tensor
            .flatten_all()
            .and_then(|t| t.to_dtype(DType::F32)?.to_vec1::<f32>())
            .map_err(Error::compute(format!("{}, tensor {name:?}", context())))?;
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        write(&bytes)?;
    }
    Ok(())
}

/// Write `config.json` and `model.safetensors` into `folder`, which exists: what `save_pretrained`
/// leaves.
///
/// # Errors
/// [`Error::Io`]; [`Error::Compute`] when a tensor cannot be copied from its device, and then the
/// file is not whole.
pub(crate) fn save_classifier(model: &dyn SequenceClassifier, folder: &Path) -> Result<()> {
    write_json(
        &folder.join("config.json"),
        &model.config().to_classifier_json(),
    )?;
    write_tensors(
        &folder.join("model.safetensors"),
        model.parameters().named_tensors()?,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_are_written_as_the_safetensors_crate_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let tensor = |n: usize, shape: &[usize]| {
            let values: Vec<f32> = (0..n).map(|i| i as f32 / 7.0).collect();
            Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
        };
        let odd = tensor(6, &[2, 3]).t().unwrap();
        let tensors = vec![
            ("b.weight".to_owned(), odd),
            ("a".to_owned(), tensor(1, &[])),
            ("b.bias".to_owned(), tensor(3, &[3])),
        ];
        write_tensors(&path, tensors.clone()).unwrap();
        let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
            .into_iter()
            .map(|(name, t)| {
                let values = t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                (name, t.dims().to_vec(), bytes)
            })
            .collect();
        let views = bytes.iter().map(|(name, shape, bytes)| {
            let view = safetensors::tensor::TensorView::new(Dtype::F32, shape.clone(), bytes);
            (name, view.unwrap())
        });
        let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let want = safetensors::serialize(views, Some(format)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), want);
    }

    /// It was once written as none, and all tensors behind it stood in the wrong place.
    #[test]
    fn a_tensor_that_cannot_be_copied_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        // candle holds numbers of this type and can do nothing with them
        let lost = Tensor::from_raw_buffer(&[1; 4], DType::F8E8M0, &[4], &Device::Cpu).unwrap();
        let good = Tensor::zeros(4, DType::F32, &Device::Cpu).unwrap();
        let tensors = vec![("a.weight".to_owned(), lost), ("b.weight".to_owned(), good)];
        let error = write_tensors(&path, tensors).unwrap_err().to_string();
        assert!(error.contains("model.safetensors"), "{error}");
        assert!(error.contains("a.weight"), "{error}");
    }
}
