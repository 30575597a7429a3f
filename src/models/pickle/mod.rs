//! Reading one `pytorch_model.bin`: what `torch.save` writes for a dictionary of tensors, in either
//! of its layouts (`torch/serialization.py`): a zip archive with `data.pkl` and a member for each
//! storage (since torch 1.6), or pickles followed by the storages (before).
//!
//! A pickle is a program. This one is run by a machine that can only build tensors ([`machine`]),
//! sizes are held against the file before memory is taken, and nothing is mapped.

use std::collections::BTreeMap;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use candle_core::{Device, Tensor};

use self::archive::Zip;
use self::legacy::Legacy;
use self::value::{Storage, Value, Values, View};
use crate::error::{Error, Result};
use crate::files::open_file;

mod archive;
mod legacy;
mod machine;
mod value;

#[cfg(test)]
mod tests;

const REMEDY: &str = "a complete file as torch.save writes it: copy or download it again";
/// Tensors may share a storage, but not so much that a small file fills the memory: numbers for
/// each byte of the file.
const MOST_NUMBERS_PER_BYTE: u64 = 2;

/// One of the two layouts.
enum Layout {
    Zip(Zip),
    Legacy(Legacy),
}

impl Layout {
    /// The bytes of a storage, as many as its numbers take.
    fn bytes(&mut self, path: &Path, storage: &Storage) -> Result<Vec<u8>> {
        match self {
            Self::Zip(zip) => zip.bytes(path, storage),
            Self::Legacy(legacy) => legacy.bytes(path, storage),
        }
    }
}

/// Add the tensors of the file `path`, as f32 on the CPU, to `tensors`.
///
/// # Errors
/// [`Error::Io`]; [`Error::Malformed`] naming the instruction, the name, the storage or the tensor
/// that is refused.
pub(super) fn read(path: &Path, tensors: &mut BTreeMap<String, Tensor>) -> Result<()> {
    let file = open_file(path)?;
    let length = file.metadata().map_err(Error::io(path, "read"))?.len();
    let mut reader = BufReader::new(file);
    let mut start = Vec::new();
    reader
        .by_ref()
        .take(2)
        .read_to_end(&mut start)
        .and_then(|_| reader.seek(SeekFrom::Start(0)))
        .map_err(Error::io(path, "read"))?;
    let (mut layout, top, values) = match start.as_slice() {
        b"PK" => Zip::open(path, reader)?,
        [0x80, 2] => Legacy::open(path, reader, length)?,
        _ => {
            let found = "neither a zip archive nor a pickle";
            return Err(Error::malformed(path, "byte 0", found, REMEDY));
        }
    };
    let views = state_dict(path, top, &values)?;
    check_expansion(path, &views, &values, length)?;
    let mut by_storage: BTreeMap<&str, Vec<(&str, &View)>> = BTreeMap::new();
    for (name, view) in views {
        let storage = &values.storages[view.storage];
        by_storage
            .entry(&storage.key)
            .or_default()
            .push((name, view));
    }
    check_storages(path, &by_storage, &values, length)?;
    for views in by_storage.into_values() {
        let storage = &values.storages[views[0].1.storage];
        let numbers = storage.number.widen(&layout.bytes(path, storage)?);
        for (name, view) in views {
            let tensor = tensor(view, &values.storages[view.storage], storage, &numbers);
            let tensor = tensor.map_err(|found| {
                Error::malformed(path, format!("tensor {name:?}"), found, REMEDY)
            })?;
            tensors.insert(name.to_owned(), tensor);
        }
    }
    Ok(())
}

/// The tensors of the dictionary that a checkpoint is.
fn state_dict<'v>(path: &Path, top: Value, values: &'v Values) -> Result<Vec<(&'v str, &'v View)>> {
    let bad =
        |place: String, found: &str, expected: &str| Error::malformed(path, place, found, expected);
    let pairs = match top {
        Value::Dict(at) => values.dicts.get(at),
        _ => None,
    };
    let pairs = pairs.ok_or_else(|| bad(String::new(), top.kind(), "a dictionary of tensors"))?;
    let tensor = |&(key, value): &(Value, Value)| {
        let expected = "names of tensors: save model.state_dict()";
        let name = values
            .text(key)
            .ok_or_else(|| bad("a key".into(), key.kind(), expected))?;
        let view = match value {
            Value::Tensor(at) => values.tensors.get(at),
            _ => None,
        };
        let expected = "a tensor: save model.state_dict()";
        let view = view.ok_or_else(|| bad(format!("key {name:?}"), value.kind(), expected))?;
        Ok((name, view))
    };
    pairs.iter().map(tensor).collect()
}

/// Refuse tensors that together are far larger than the file, or that reach beyond their storage.
fn check_expansion(
    path: &Path,
    views: &[(&str, &View)],
    values: &Values,
    length: u64,
) -> Result<()> {
    let mut all = 0u64;
    for (name, view) in views {
        let storage = &values.storages[view.storage];
        let count = view.elements_within(storage.elements).ok_or_else(|| {
            let found = format!(
                "shape {:?} with strides {:?} from number {} of a storage of {}",
                view.shape, view.strides, view.offset, storage.elements
            );
            Error::malformed(
                path,
                format!("tensor {name:?}"),
                found,
                "a part of its storage",
            )
        })?;
        all = all.saturating_add(count as u64);
    }
    if all > length.saturating_mul(MOST_NUMBERS_PER_BYTE) {
        let found = format!("tensors of {all} numbers in a file of {length} bytes");
        return Err(Error::malformed(path, "", found, REMEDY));
    }
    Ok(())
}

/// Refuse storages that together are larger than the file: members of an archive may overlap, and
/// each would be read.
fn check_storages(
    path: &Path,
    by_storage: &BTreeMap<&str, Vec<(&str, &View)>>,
    values: &Values,
    length: u64,
) -> Result<()> {
    let mut all = 0u64;
    for views in by_storage.values() {
        let storage = &values.storages[views[0].1.storage];
        let bytes = (storage.elements as u64).saturating_mul(storage.number.size() as u64);
        all = all.saturating_add(bytes);
    }
    if all > length {
        let found = format!("storages of {all} bytes in a file of {length} bytes");
        return Err(Error::malformed(path, "", found, REMEDY));
    }
    Ok(())
}

/// A tensor out of the numbers of its storage, which two tensors must describe alike.
fn tensor(
    view: &View,
    own: &Storage,
    storage: &Storage,
    numbers: &[f32],
) -> std::result::Result<Tensor, String> {
    if own != storage {
        return Err(format!("storage {:?} with two types or sizes", storage.key));
    }
    let count = view.elements_within(numbers.len());
    let count = count.ok_or_else(|| "more numbers than its storage has".to_owned())?;
    let values = match numbers.get(view.offset..view.offset + count) {
        Some(run) if view.is_contiguous() => run.to_vec(),
        _ => view.gather(count, numbers),
    };
    Tensor::from_vec(values, view.shape.as_slice(), &Device::Cpu).map_err(|e| e.to_string())
}
