//! The header of one array: its number type and shape.

use half::f16;

/// The types of numbers that are read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DType {
    /// `<f2`
    F16,
    /// `<f4`
    F32,
    /// `<f8`
    F64,
    /// `<i4`
    I32,
    /// `<i8`
    I64,
}

impl DType {
    /// NumPy's name, with the byte order.
    pub fn descr(self) -> &'static str {
        match self {
            DType::F16 => "<f2",
            DType::F32 => "<f4",
            DType::F64 => "<f8",
            DType::I32 => "<i4",
            DType::I64 => "<i8",
        }
    }

    /// Bytes of one number.
    pub fn size(self) -> usize {
        match self {
            DType::F16 => 2,
            DType::F32 | DType::I32 => 4,
            DType::F64 | DType::I64 => 8,
        }
    }

    pub(super) fn from_descr(descr: &str) -> Option<Self> {
        [DType::F16, DType::F32, DType::F64, DType::I32, DType::I64]
            .into_iter()
            .find(|d| d.descr() == descr)
    }
}

/// A number that has a [`DType`].
pub trait Element: Copy {
    /// Its type in the header.
    const DTYPE: DType;
    /// Append its little-endian bytes.
    fn put(self, bytes: &mut Vec<u8>);
    /// Read it from exactly `DTYPE.size()` bytes; zeros stand for missing ones.
    fn get(bytes: &[u8]) -> Self;
}

macro_rules! element {
    ($type:ty, $dtype:expr) => {
        impl Element for $type {
            const DTYPE: DType = $dtype;
            fn put(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
            fn get(bytes: &[u8]) -> Self {
                let mut own = [0; size_of::<$type>()];
                let n = own.len().min(bytes.len());
                own[..n].copy_from_slice(&bytes[..n]);
                <$type>::from_le_bytes(own)
            }
        }
    };
}
element!(f16, DType::F16);
element!(f32, DType::F32);
element!(f64, DType::F64);
element!(i32, DType::I32);
element!(i64, DType::I64);

pub(super) const MAGIC: &[u8; 6] = b"\x93NUMPY";
const ALIGNMENT: usize = 64;
/// NumPy leaves room so that the first axis can grow to this many digits in place (`GROWTH_AXIS_MAX_DIGITS`).
const GROWTH_DIGITS: usize = 21;

/// The type and shape of one array, always in C order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The type of its numbers.
    pub dtype: DType,
    /// The length of each axis.
    pub shape: Vec<usize>,
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
    pub fn elements(&self) -> Option<usize> {
        self.shape
            .iter()
            .try_fold(1usize, |product, &axis| product.checked_mul(axis))
    }

    /// The bytes in front of the numbers, the same as NumPy's (version 1.0 of the format).
    pub fn to_bytes(&self) -> Vec<u8> {
        let axes: Vec<String> = self.shape.iter().map(usize::to_string).collect();
        let shape = match axes.len() {
            1 => format!("({},)", axes[0]),
            _ => format!("({})", axes.join(", ")),
        };
        let growth = axes
            .first()
            .map_or(0, |a| GROWTH_DIGITS.saturating_sub(a.len()));
        let mut text = format!(
            "{{'descr': '{}', 'fortran_order': False, 'shape': {shape}, }}{}",
            self.dtype.descr(),
            " ".repeat(growth)
        );
        let before = MAGIC.len() + 4;
        // The line end counts; a header that already fits gets a whole line more, as NumPy does.
        let padding = ALIGNMENT - (before + text.len() + 1) % ALIGNMENT;
        text.push_str(&" ".repeat(padding));
        text.push('\n');
        let mut bytes = Vec::with_capacity(before + text.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[1, 0]);
        bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
        bytes
    }

    /// Parse the dictionary text of a header; the error says what was found and what was expected.
    pub(super) fn parse(text: &str) -> Result<Self, (String, &'static str)> {
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
        let dtype = DType::from_descr(&quoted).ok_or((
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
            .collect::<Result<Vec<usize>, _>>()?;
        Ok(Self { dtype, shape })
    }
}
