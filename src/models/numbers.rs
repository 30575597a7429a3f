//! The types of numbers that checkpoints hold, and their values as f32.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

/// The type of the numbers of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U8,
}

impl Number {
    /// Bytes of one number.
    pub(super) fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 => 1,
        }
    }

    /// Little-endian numbers of this type as f32; bytes that make no whole number at the end are
    /// left out.
    pub(super) fn widen(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
            Self::F32 => each(bytes, f32::from_le_bytes),
            Self::F16 => halves(bytes, f16::from_le_bytes),
            Self::BF16 => halves(bytes, bf16::from_le_bytes),
            Self::I64 => each(bytes, |b| i64::from_le_bytes(b) as f32),
            Self::I32 => each(bytes, |b| i32::from_le_bytes(b) as f32),
            Self::I16 => each(bytes, |b| f32::from(i16::from_le_bytes(b))),
            Self::I8 => each(bytes, |b| f32::from(i8::from_le_bytes(b))),
            Self::U8 => each(bytes, |b| f32::from(u8::from_le_bytes(b))),
        }
    }
}

fn each<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&b| number(b)).collect()
}

/// Numbers of two bytes, widened by the processor's own instruction where there is one.
fn halves<T>(bytes: &[u8], number: impl Fn([u8; 2]) -> T) -> Vec<f32>
where
    [T]: HalfFloatSliceExt,
{
    let narrow: Vec<T> = bytes.as_chunks().0.iter().map(|&b| number(b)).collect();
    let mut wide = vec![0f32; narrow.len()];
    narrow.convert_to_f32_slice(&mut wide);
    wide
}
