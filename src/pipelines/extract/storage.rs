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
    /// IEEE half precision: 11 bits, nothing beyond 65,504.
    F16,
    /// The upper half of an f32: 8 bits, nothing beyond 3.39·10³⁸; in safetensors only.
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
    ///
    /// # Errors
    /// The first value that is not finite, or not any more when it is rounded.
    pub(super) fn put(self, values: &[f32], bytes: &mut Vec<u8>) -> Result<(), f32> {
        let odd = match self {
            Self::F32 => {
                bytes.extend(values.iter().flat_map(|x| x.to_le_bytes()));
                values.iter().position(|x| !x.is_finite())
            }
            Self::F16 => {
                let mut half = vec![f16::ZERO; values.len()];
                half.convert_from_f32_slice(values);
                bytes.extend(half.iter().flat_map(|x| x.to_le_bytes()));
                half.iter().position(|x| !x.is_finite())
            }
            Self::BF16 => {
                let mut half = vec![bf16::ZERO; values.len()];
                half.convert_from_f32_slice(values);
                bytes.extend(half.iter().flat_map(|x| x.to_le_bytes()));
                half.iter().position(|x| !x.is_finite())
            }
        };
        odd.map_or(Ok(()), |place| Err(values[place]))
    }

    /// Its name on the command line, and its largest number.
    pub(super) fn limit(self) -> (&'static str, f32) {
        match self {
            Self::F32 => ("f32", f32::MAX),
            Self::F16 => ("f16", f16::MAX.to_f32()),
            Self::BF16 => ("bf16", bf16::MAX.to_f32()),
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
            dtype.put(&[1.0, -2.5, 0.1], &mut bytes).unwrap();
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

    #[test]
    fn what_becomes_infinite_is_told() {
        let put = |dtype: StorageType, value: f32| dtype.put(&[0.0, value, 1.0], &mut Vec::new());
        // 65,504 is the largest; what is nearer to it than to 65,536 is rounded to it
        for fits in [65_504.0, -65_519.0] {
            assert_eq!(put(StorageType::F16, fits), Ok(()));
        }
        for large in [65_520.0, -70_000.0, 1e38] {
            assert_eq!(put(StorageType::F16, large), Err(large));
            assert_eq!(put(StorageType::BF16, large), Ok(()));
        }
        assert_eq!(put(StorageType::BF16, f32::MAX), Err(f32::MAX));
        assert_eq!(put(StorageType::F32, f32::MAX), Ok(()));
        for dtype in [StorageType::F32, StorageType::F16, StorageType::BF16] {
            assert!(put(dtype, f32::NAN).unwrap_err().is_nan());
            assert_eq!(put(dtype, f32::INFINITY), Err(f32::INFINITY));
            let most = dtype.limit().1;
            assert_eq!(put(dtype, most), Ok(()));
        }
    }
}
