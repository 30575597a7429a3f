//! Loops over vectors, compiled for the widest vector instructions that the processor has.

/// Partial sums that are added up side by side, so that no addition waits for the one before.
const LANES: usize = 16;

/// Call `f`, a closure marked `#[inline(always)]`, compiled for the widest vector instructions of
/// the processor.
#[inline(always)]
pub(crate) fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(f)
}

/// The product of two vectors in double precision; 0 for vectors without a dimension.
///
/// # Panics
/// When one is longer than the other.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(
        a.len(),
        b.len(),
        "vectors of one space have as many numbers"
    );
    vectorised(
        #[inline(always)]
        || {
            let mut sums = [0f64; LANES];
            let (chunks, others) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
            let rest = chunks.remainder().iter().zip(others.remainder());
            let rest: f64 = rest.map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
            for (x, y) in chunks.zip(others) {
                for lane in 0..LANES {
                    sums[lane] += f64::from(x[lane]) * f64::from(y[lane]);
                }
            }
            sums.iter().sum::<f64>() + rest
        },
    )
}

/// The sum of `of` each number in double precision; `of` is a closure marked `#[inline(always)]`.
#[inline(always)]
pub(crate) fn sum(values: &[f32], of: impl Fn(f64) -> f64) -> f64 {
    vectorised(
        #[inline(always)]
        || {
            let mut sums = [0f64; LANES];
            let chunks = values.chunks_exact(LANES);
            let rest: f64 = chunks.remainder().iter().map(|&v| of(f64::from(v))).sum();
            for chunk in chunks {
                for lane in 0..LANES {
                    sums[lane] += of(f64::from(chunk[lane]));
                }
            }
            sums.iter().sum::<f64>() + rest
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_products() {
        for n in [0, 1, 16, 37] {
            let a: Vec<f32> = (0..n).map(|i| i as f32 - 4.0).collect();
            let want: f64 = a.iter().map(|&x| f64::from(x) * 3.0).sum();
            assert_eq!(dot(&a, &vec![3.0; n]), want);
            assert_eq!(sum(&a, |x| 3.0 * x), want);
        }
    }

    /// The rest of the shorter one would have stood against other numbers than its own.
    #[test]
    #[should_panic = "as many numbers"]
    fn vectors_of_two_lengths_have_no_product() {
        dot(&[1.0; 17], &[1.0; 33]);
    }
}
