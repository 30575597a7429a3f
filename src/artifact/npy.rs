//! NumPy's `.npy` arrays, several in one file as the original stores them: what `np.save` called
//! again and again on one open file writes, and `np.load` called again and again reads.
//!
//! The format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.
//! Little-endian numbers in C order.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use half::f16;
use ndarray::{Array1, Array2};

use crate::error::{Error, Result};
use crate::files::open_file;

mod writer;

pub use writer::NpyWriter;

/// A number that has a [`DType`].
pub trait Element: Copy {
    /// Its type in the header.
    const DTYPE: DType;
    /// Append its little-endian bytes.
    fn put(self, bytes: &mut Vec<u8>);
}

/// What differs between the types of numbers: a name here, the type, and NumPy's name with the byte
/// order.
macro_rules! types {
    ($($(#[$doc:meta])* $name:ident $type:ty = $descr:literal,)*) => {
        /// The types of numbers that are read and written.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum DType {
            $($(#[$doc])* $name,)*
        }

        impl DType {
            const ALL: &[Self] = &[$(Self::$name),*];

            /// NumPy's name, with the byte order.
            pub(crate) fn descr(self) -> &'static str {
                match self {
                    $(Self::$name => $descr,)*
                }
            }

            /// Bytes of one number.
            pub(crate) fn size(self) -> usize {
                match self {
                    $(Self::$name => size_of::<$type>(),)*
                }
            }

            /// The numbers in some little-endian bytes.
            fn decode(self, bytes: &[u8]) -> Values {
                match self {
                    $(Self::$name => {
                        let (numbers, []) = bytes.as_chunks() else {
                            unreachable!("as many bytes were read as the numbers take");
                        };
                        Values::$name(numbers.iter().map(|n| <$type>::from_le_bytes(*n)).collect())
                    })*
                }
            }
        }

        /// The numbers of an array, in C order.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Values {
            $($(#[$doc])* $name(Vec<$type>),)*
        }

        $(impl Element for $type {
            const DTYPE: DType = DType::$name;
            fn put(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
        })*
    };
}

types! {
    /// Half precision.
    F16 f16 = "<f2",
    /// Single precision.
    F32 f32 = "<f4",
    /// Double precision.
    F64 f64 = "<f8",
    /// 32-bit whole numbers.
    I32 i32 = "<i4",
    /// 64-bit whole numbers.
    I64 i64 = "<i8",
}

const MAGIC: &[u8] = b"\x93NUMPY";
const ALIGNMENT: usize = 64;
/// NumPy leaves room so that the first axis can grow to this many digits in place
/// (`GROWTH_AXIS_MAX_DIGITS`).
const GROWTH_DIGITS: usize = 21;

/// The type and shape of one array, always in C order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The type of its numbers.
    pub(crate) dtype: DType,
    /// The length of each axis.
    pub(crate) shape: Vec<usize>,
}

impl Header {
    /// A header.
    pub fn new(dtype: DType, shape: impl Into<Vec<usize>>) -> Self {
        Self {
            dtype,
            shape: shape.into(),
        }
    }

    /// How many numbers the array holds; `None` when that overflows.
    pub(crate) fn elements(&self) -> Option<usize> {
        self.shape
            .iter()
            .try_fold(1usize, |product, &axis| product.checked_mul(axis))
    }

    /// The bytes in front of the numbers, the same as NumPy's (version 1.0 of the format).
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let axes: Vec<String> = self.shape.iter().map(usize::to_string).collect();
        let shape = match axes.len() {
            1 => format!("({},)", axes[0]),
            _ => format!("({})", axes.join(", ")),
        };
        let growth = axes
            .first()
            .map_or(0, |axis| GROWTH_DIGITS.saturating_sub(axis.len()));
        let text = format!(
            "{{'descr': '{}', 'fortran_order': False, 'shape': {shape}, }}{:growth$}",
            self.dtype.descr(),
            ""
        );
        let before = MAGIC.len() + 4;
        // The line end counts; a header that already fits gets a whole line more, as NumPy does.
        let padding = ALIGNMENT - (before + text.len() + 1) % ALIGNMENT;
        let text = format!("{text}{:padding$}\n", "");
        let length = (text.len() as u16).to_le_bytes();
        [MAGIC, &[1, 0], &length, text.as_bytes()].concat()
    }

    /// Parse the dictionary text of a header; the error says what was found and what was expected.
    fn parse(text: &str) -> std::result::Result<Self, (String, &'static str)> {
        let text = text.trim();
        let value = |key: &str| {
            let after = [format!("'{key}':"), format!("\"{key}\":")]
                .iter()
                .find_map(|k| text.find(k.as_str()).map(|at| at + k.len()));
            after.map(|at| text[at..].trim_start())
        };
        let shown = || text.chars().take(120).collect::<String>();

        let descr = value("descr").ok_or((shown(), "a header with 'descr'"))?;
        let quoted: String = match descr.chars().next() {
            Some(quote @ ('\'' | '"')) => descr[1..].chars().take_while(|&c| c != quote).collect(),
            _ => descr.chars().take(40).collect(),
        };
        let dtype = DType::ALL.iter().find(|dtype| dtype.descr() == quoted);
        let dtype = *dtype.ok_or((
            format!("numbers of type {quoted:?}"),
            "<f2, <f4, <f8, <i4 or <i8 (convert with .astype)",
        ))?;
        let order = value("fortran_order").ok_or((shown(), "a header with 'fortran_order'"))?;
        if !order.starts_with("False") {
            return Err((
                "an array in Fortran order".into(),
                "C order (np.ascontiguousarray)",
            ));
        }
        let shape = value("shape")
            .and_then(|s| s.strip_prefix('('))
            .and_then(|s| s.split_once(')'))
            .ok_or((shown(), "a header with a tuple 'shape'"))?
            .0;
        let shape = shape
            .split(',')
            .map(str::trim)
            .filter(|axis| !axis.is_empty())
            .map(|axis| {
                axis.parse()
                    .map_err(|_| (shown(), "whole numbers in 'shape'"))
            })
            .collect::<std::result::Result<Vec<usize>, _>>()?;
        Ok(Self { dtype, shape })
    }
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
    /// The array as a matrix of single precision, when it has two axes and holds floating-point
    /// numbers.
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
/// [`Error::Io`] when it cannot be read; [`Error::Malformed`], naming the byte, when it is no
/// `.npy` file, is cut short, or holds big-endian, Fortran-ordered or other numbers than [`Values`]
/// has.
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
        Ok(Array {
            values: header.dtype.decode(&bytes),
            shape: header.shape,
        })
    }
}
