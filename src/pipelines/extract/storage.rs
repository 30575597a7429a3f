//! The types in which states are stored.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use serde::Serialize;

/// How a number of a state is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StorageType {
    /// As computed.
    F32,
    /// IEEE half precision: 11 bits, values beyond 65,504 become infinite.
    F16,
    /// The upper half of an f32: 8 bits; in safetensors only.
    BF16,
}

impl StorageType {
    /// Bytes of a number.
    pub(super) fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
        }
    }

    /// Append `values`, rounded to nearest, as little-endian bytes.
    pub(super) fn put(self, values: &[f32], bytes: &mut Vec<u8>) {
        match self {
            Self::F32 => bytes.extend(values.iter().flat_map(|x| x.to_le_bytes())),
            Self::F16 => {
                let mut half = vec![f16::ZERO; values.len()];
                half.convert_from_f32_slice(values);
                bytes.extend(half.iter().flat_map(|x| x.to_le_bytes()));
            }
            Self::BF16 => {
                let mut half = vec![bf16::ZERO; values.len()];
                half.convert_from_f32_slice(values);
                bytes.extend(half.iter().flat_map(|x| x.to_le_bytes()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_to_nearest() {
        let bytes = |dtype: StorageType| {
            let mut bytes = Vec::new();
            dtype.put(&[1.0, -2.5, 0.1], &mut bytes);
            assert_eq!(bytes.len(), 3 * dtype.size());
            bytes
        };
        // numpy.array([1, -2.5, 0.1], dtype).tobytes(), and torch.bfloat16
        assert_eq!(bytes(StorageType::F16), [0, 0x3c, 0, 0xc1, 0x66, 0x2e]);
        assert_eq!(
            bytes(StorageType::BF16),
            [0x80, 0x3f, 0x20, 0xc0, 0xcd, 0x3d]
        );
        assert_eq!(bytes(StorageType::F32)[..4], 1f32.to_le_bytes());
    }
}
