//! The tensors of a checkpoint: `model.safetensors` or `pytorch_model.bin`, in one file or in
//! shards.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use candle_core::{Storage, Tensor};

use super::{pickle, safetensors_file};
use crate::error::{Error, Result};
use crate::files::{presence, read_json};

/// The tensors of a checkpoint by name, as f32 on the CPU.
pub(crate) struct Weights {
    tensors: BTreeMap<String, Tensor>,
    source: PathBuf,
}

impl Weights {
    /// Read the weights in `folder`: `model.safetensors` before `pytorch_model.bin`, each whole
    /// before sharded.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there are none; [`Error::Malformed`] with the file and tensor that
    /// is wrong.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let WeightFiles {
            source,
            places,
            files,
        } = WeightFiles::find(folder)?;
        let mut tensors = BTreeMap::new();
        for file in files {
            let mut own = BTreeMap::new();
            read_file(&file, &mut own)?;
            // Of a tensor that stands in several shards the index says which one counts.
            own.retain(|name, _| places.get(name).is_none_or(|place| *place == file));
            for (name, tensor) in own {
                if tensors.insert(name.clone(), tensor).is_some() {
                    return Err(Error::malformed(
                        &source,
                        format!("tensor {name:?}"),
                        "two shards have it, and the index does not say which one counts",
                        "one of them",
                    ));
                }
            }
        }
        if let Some(name) = places.keys().find(|name| !tensors.contains_key(*name)) {
            return Err(Error::malformed(
                &source,
                format!("tensor {name:?}"),
                "no such tensor in its shard",
                "every tensor of the index",
            ));
        }
        Ok(Self { tensors, source })
    }

    /// The file that was read, or the index of the shards.
    pub(crate) fn source(&self) -> &Path {
        &self.source
    }

    /// Take the tensor `name` out, checked against its expected shape and for numbers that are
    /// none: a single NaN would spread over every state that is computed, without a word.
    ///
    /// # Errors
    /// [`Error::Malformed`] when its shape is another, or a number is NaN or infinite.
    pub(crate) fn take(&mut self, name: &str, shape: &[usize]) -> Result<Option<Tensor>> {
        let Some(tensor) = self.tensors.remove(name) else {
            return Ok(None);
        };
        if tensor.dims() != shape {
            return Err(Error::malformed(
                &self.source,
                format!("tensor {name:?}"),
                format!("shape {:?}", tensor.dims()),
                format!("{shape:?}, as config.json says"),
            ));
        }
        self.require_finite(name, &tensor)?;
        Ok(Some(tensor))
    }

    fn require_finite(&self, name: &str, tensor: &Tensor) -> Result<()> {
        let Some((mut at, number)) = first_not_finite(tensor)? else {
            return Ok(());
        };
        let mut index = vec![0; tensor.rank()];
        for (i, &size) in index.iter_mut().zip(tensor.dims()).rev() {
            (*i, at) = (at % size, at / size);
        }
        let expected =
            "finite numbers: its training diverged or the file is damaged; take another checkpoint";
        let place = format!("tensor {name:?}, number {index:?}");
        Err(Error::malformed(&self.source, place, number, expected))
    }

    /// The names of the tensors that nobody took.
    pub(crate) fn left(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Leave out the tensors whose name `of` picks.
    pub(crate) fn discard(&mut self, of: impl Fn(&str) -> bool) {
        self.tensors.retain(|name, _| !of(name));
    }

    /// Give tensors other names.
    ///
    /// # Errors
    /// [`Error::Malformed`] when two get the same one.
    pub(crate) fn rename(&mut self, f: impl Fn(&str) -> String) -> Result<()> {
        let mut renamed = BTreeMap::new();
        for (old, tensor) in std::mem::take(&mut self.tensors) {
            let name = f(&old);
            if renamed.insert(name.clone(), tensor).is_some() {
                return Err(Error::malformed(
                    &self.source,
                    format!("tensor {old:?}"),
                    format!("another one that stands for {name:?}"),
                    "one of them",
                ));
            }
        }
        self.tensors = renamed;
        Ok(())
    }
}

/// The files from which the weights in `folder` are read: one, or an index and its shards.
///
/// # Errors
/// Those of [`Weights::read`], but for what the files of weights hold.
pub(super) fn weight_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let WeightFiles { source, files, .. } = WeightFiles::find(folder)?;
    Ok(match files.contains(&source) {
        true => files,
        false => [vec![source], files].concat(),
    })
}

/// Where the weights of a checkpoint lie.
struct WeightFiles {
    /// The file, or the index of the shards.
    source: PathBuf,
    /// The shard of each tensor that an index lists.
    places: BTreeMap<String, PathBuf>,
    /// The file, or the shards.
    files: Vec<PathBuf>,
}

impl WeightFiles {
    fn find(folder: &Path) -> Result<Self> {
        for (whole, index) in [
            ("model.safetensors", "model.safetensors.index.json"),
            ("pytorch_model.bin", "pytorch_model.bin.index.json"),
        ] {
            let (whole, index) = (folder.join(whole), folder.join(index));
            if presence::is_taken(&whole)? {
                return Ok(Self {
                    source: whole.clone(),
                    places: BTreeMap::new(),
                    files: vec![whole],
                });
            }
            if presence::is_taken(&index)? {
                return Self::of_index(folder, index);
            }
        }
        Err(Error::NotFound {
            what: format!("weights in {}", folder.display()),
            remedy: "expected model.safetensors, pytorch_model.bin, or one of them in shards with its .index.json".into(),
        })
    }

    fn of_index(folder: &Path, index: PathBuf) -> Result<Self> {
        let json: serde_json::Value = read_json(&index, "a JSON object")?;
        let map = json.get("weight_map").and_then(|m| m.as_object());
        let map = map.ok_or_else(|| {
            Error::malformed(
                &index,
                "",
                "no \"weight_map\"",
                "tensor names with their files",
            )
        })?;
        let (mut files, mut places) = (BTreeSet::new(), BTreeMap::new());
        for (name, file) in map {
            // A shard lies in the folder itself: a path that leads elsewhere is not followed.
            match file
                .as_str()
                .filter(|f| !f.is_empty() && Path::new(f).file_name() == Some(f.as_ref()))
            {
                Some(file) => {
                    files.insert(file);
                    places.insert(name.clone(), folder.join(file));
                }
                None => {
                    return Err(Error::malformed(
                        &index,
                        format!("tensor {name:?}"),
                        file,
                        "a file name",
                    ));
                }
            };
        }
        if let Some(file) = files.iter().find(|file| !folder.join(file).is_file()) {
            let found = "no such file in the folder";
            let expected = "every shard that the index lists: copy or download it again";
            return Err(Error::malformed(
                &index,
                format!("shard {file}"),
                found,
                expected,
            ));
        }
        Ok(Self {
            places,
            files: files.into_iter().map(|file| folder.join(file)).collect(),
            source: index,
        })
    }
}

/// The first number of a tensor that is NaN or infinite, and where it stands in the order of the
/// file.
fn first_not_finite(tensor: &Tensor) -> Result<Option<(usize, f32)>> {
    let (storage, layout) = tensor.storage_and_layout();
    let (Storage::Cpu(storage), Some((start, end))) = (&*storage, layout.contiguous_offsets())
    else {
        unreachable!("files are read into whole tensors on the CPU")
    };
    let numbers = &storage.as_slice::<f32>()?[start..end];
    // A loop without a way out, which the compiler vectorises: nearly always it is the only one.
    let magnitude = |x: &f32| x.to_bits() & !(1 << 31);
    let most = numbers.iter().map(magnitude).fold(0, u32::max);
    if most < f32::INFINITY.to_bits() {
        return Ok(None);
    }
    let place = numbers.iter().position(|x| !x.is_finite());
    Ok(place.map(|i| (i, numbers[i])))
}

fn read_file(path: &Path, tensors: &mut BTreeMap<String, Tensor>) -> Result<()> {
    if path.extension().is_some_and(|e| e == "bin") {
        pickle::read(path, tensors)
    } else {
        safetensors_file::read(path, tensors)
    }
}
