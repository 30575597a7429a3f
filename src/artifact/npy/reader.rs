//! Reading all arrays of a file.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use half::f16;
use ndarray::{Array1, Array2};

use super::header::{DType, Element, Header, MAGIC};
use crate::error::{Error, Result};
use crate::files::open_file;

/// The numbers of an array, in C order.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Half precision.
    F16(Vec<f16>),
    /// Single precision.
    F32(Vec<f32>),
    /// Double precision.
    F64(Vec<f64>),
    /// 32-bit whole numbers.
    I32(Vec<i32>),
    /// 64-bit whole numbers.
    I64(Vec<i64>),
}

/// One array of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// The length of each axis.
    pub shape: Vec<usize>,
    /// Its numbers.
    pub values: Values,
}

impl Array {
    /// The array as a matrix of single precision, when it has two axes and holds floating-point numbers.
    pub fn into_matrix(self) -> Option<Array2<f32>> {
        let [rows, columns] = self.shape[..] else {
            return None;
        };
        let values: Vec<f32> = match self.values {
            Values::F16(v) => v.into_iter().map(f16::to_f32).collect(),
            Values::F32(v) => v,
            Values::F64(v) => v.into_iter().map(|x| x as f32).collect(),
            Values::I32(_) | Values::I64(_) => return None,
        };
        let matrix = Array2::from_shape_vec((rows, columns), values);
        Some(matrix.expect("as many numbers were read as the shape has"))
    }

    /// The array as a list of whole numbers, when it has one axis and holds such.
    pub fn into_integers(self) -> Option<Array1<i64>> {
        match (self.shape.len(), self.values) {
            (1, Values::I64(v)) => Some(v.into()),
            (1, Values::I32(v)) => Some(v.into_iter().map(i64::from).collect()),
            _ => None,
        }
    }
}

/// All arrays of a file, in their order.
///
/// # Errors
/// [`Error::Io`] when it cannot be read; [`Error::Malformed`], naming the byte, when it is no `.npy` file, is cut short,
/// or holds big-endian, Fortran-ordered or other numbers than [`Values`] has.
pub fn read_arrays(path: &Path) -> Result<Vec<Array>> {
    let file = open_file(path)?;
    let length = file.metadata().map_err(Error::io(path, "read"))?.len();
    let mut source = Source {
        path,
        reader: BufReader::with_capacity(1 << 20, file),
        position: 0,
        length,
    };
    if length == 0 {
        return Err(source.malformed(0, "an empty file", "an array written by np.save"));
    }
    let mut arrays = Vec::new();
    while source.position < length {
        arrays.push(source.array()?);
    }
    Ok(arrays)
}

struct Source<'a> {
    path: &'a Path,
    reader: BufReader<File>,
    position: u64,
    length: u64,
}

impl Source<'_> {
    fn malformed(&self, at: u64, found: impl std::fmt::Display, expected: &str) -> Error {
        Error::malformed(self.path, format!("byte {at}"), found, expected)
    }

    fn bytes(&mut self, n: usize, what: &str) -> Result<Vec<u8>> {
        let left = self.length - self.position;
        if n as u64 > left {
            return Err(self.malformed(
                self.position,
                format!("{left} bytes before the end"),
                &format!("{n} bytes of {what}; the file is cut short"),
            ));
        }
        let mut bytes = vec![0; n];
        self.reader
            .read_exact(&mut bytes)
            .map_err(Error::io(self.path, "read"))?;
        self.position += n as u64;
        Ok(bytes)
    }

    fn header(&mut self) -> Result<Header> {
        let start = self.position;
        let head = self.bytes(MAGIC.len() + 2, "an array's beginning")?;
        if &head[..MAGIC.len()] != MAGIC {
            let what = "an array written by np.save (it begins with \\x93NUMPY)";
            return Err(self.malformed(start, "other bytes", what));
        }
        let size = match head[MAGIC.len()] {
            1 => 2,
            2 | 3 => 4,
            version => {
                let found = format!("version {version} of the format");
                return Err(self.malformed(start, found, "version 1, 2 or 3"));
            }
        };
        let mut length = self.bytes(size, "a header's length")?;
        length.resize(4, 0);
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]);
        let text = self.bytes(length as usize, "a header")?;
        let text = String::from_utf8_lossy(&text);
        Header::parse(&text).map_err(|(found, expected)| self.malformed(start, found, expected))
    }

    fn array(&mut self) -> Result<Array> {
        let start = self.position;
        let header = self.header()?;
        let size = header
            .elements()
            .and_then(|n| n.checked_mul(header.dtype.size()));
        let Some(size) = size else {
            let found = format!("the shape {:?}", header.shape);
            return Err(self.malformed(start, found, "a shape that fits in memory"));
        };
        let bytes = self.bytes(size, &format!("an array of shape {:?}", header.shape))?;
        let values = match header.dtype {
            DType::F16 => Values::F16(decode(&bytes)),
            DType::F32 => Values::F32(decode(&bytes)),
            DType::F64 => Values::F64(decode(&bytes)),
            DType::I32 => Values::I32(decode(&bytes)),
            DType::I64 => Values::I64(decode(&bytes)),
        };
        Ok(Array {
            shape: header.shape,
            values,
        })
    }
}

fn decode<T: Element>(bytes: &[u8]) -> Vec<T> {
    bytes.chunks_exact(T::DTYPE.size()).map(T::get).collect()
}
