//! Reading one `.safetensors` file: the header first, then tensor by tensor, each read from its own
//! place. Nothing is mapped, so a file that changes or shrinks meanwhile ends in a message.
//!
//! The format is <https://github.com/huggingface/safetensors#format>.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use candle_core::{Device, Tensor};
use safetensors::tensor::{Dtype, Metadata};

use super::numbers::Number;
use crate::error::{Error, Result};
use crate::files::open_file;

const REMEDY: &str = "a complete safetensors file: copy or download it again";
/// The format's own limit on the bytes of the header.
const MAX_HEADER: u64 = 100_000_000;
/// Bytes that hold the length of the header.
const PREFIX: u64 = 8;

/// Add the tensors of the file `path`, as f32 on the CPU, to `tensors`.
///
/// # Errors
/// [`Error::Io`]; [`Error::Malformed`] with the tensor that is wrong.
pub(super) fn read(path: &Path, tensors: &mut BTreeMap<String, Tensor>) -> Result<()> {
    let mut file = open_file(path)?;
    let length = file.metadata().map_err(Error::io(path, "read"))?.len();
    let (header, start) = header(path, &mut file, length)?;
    for name in header.offset_keys() {
        let info = header.info(&name);
        let info = info.expect("the header gave this name");
        let wrong = |found: String, expected: &str| {
            Error::malformed(path, format!("tensor {name:?}"), found, expected)
        };
        let number = number(info.dtype).ok_or_else(|| {
            let expected = "floating-point or whole numbers of at most 64 bits";
            wrong(format!("type {:?}", info.dtype), expected)
        })?;
        let (first, last) = info.data_offsets;
        let mut bytes = vec![0; last - first];
        file.seek(SeekFrom::Start(start + first as u64))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|e| wrong(e.to_string(), REMEDY))?;
        let tensor = Tensor::from_vec(number.widen(&bytes), info.shape.as_slice(), &Device::Cpu);
        let tensor = tensor.map_err(|e| wrong(e.to_string(), "numbers in a shape"))?;
        tensors.insert(name, tensor);
    }
    Ok(())
}

/// The header, whose tensors lie one after another up to the end of the file, and where the first
/// one starts.
fn header(path: &Path, file: &mut File, length: u64) -> Result<(Metadata, u64)> {
    let bad = |place: &str, found: String| Error::malformed(path, place, found, REMEDY);
    let mut prefix = [0; PREFIX as usize];
    file.read_exact(&mut prefix)
        .map_err(|e| bad("byte 0", e.to_string()))?;
    let size = u64::from_le_bytes(prefix);
    if size > MAX_HEADER.min(length.saturating_sub(PREFIX)) {
        let found = format!("a header of {size} bytes in a file of {length}");
        return Err(bad("byte 0", found));
    }
    let mut text = vec![0; size as usize];
    file.read_exact(&mut text)
        .map_err(|e| bad("the header", e.to_string()))?;
    let header: Metadata =
        serde_json::from_slice(&text).map_err(|e| bad("the header", e.to_string()))?;
    let (start, data) = (PREFIX + size, header.data_len() as u64);
    match start.checked_add(data) {
        Some(end) if end == length => Ok((header, start)),
        _ => {
            let found =
                format!("{start} bytes of header and {data} of tensors in a file of {length}");
            Err(bad("", found))
        }
    }
}

fn number(dtype: Dtype) -> Option<Number> {
    Some(match dtype {
        Dtype::F64 => Number::F64,
        Dtype::F32 => Number::F32,
        Dtype::F16 => Number::F16,
        Dtype::BF16 => Number::BF16,
        Dtype::I64 => Number::I64,
        Dtype::I32 => Number::I32,
        Dtype::I16 => Number::I16,
        Dtype::I8 => Number::I8,
        Dtype::U8 => Number::U8,
        _ => return None,
    })
}
