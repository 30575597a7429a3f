//! What the CPU kernels share: tensors as slices, loops over blocks of rows on all cores with the widest vector
//! instructions of the machine, and the elementary functions written so that the compiler vectorises them.
//!
//! Work is cut into blocks whose size depends on the width of a row alone, not on the number of threads, and partial
//! sums are added in the order of the blocks: results do not depend on how many threads there are.

use std::sync::Mutex;

use candle_core::{CpuStorage, InplaceOp1, Layout, Storage, Tensor};
use rayon::prelude::*;

use crate::error::{Error, Result};

/// Rows of `width` values that make one unit of parallel work: enough to be worth a thread's while.
pub(super) fn block_rows(width: usize) -> usize {
    const VALUES: usize = 48 * 1024;
    (VALUES / width.max(1)).max(64)
}

/// True where the vectorised path applies: f32 on the CPU.
pub(super) fn applies(t: &Tensor) -> bool {
    t.device().is_cpu() && t.dtype() == candle_core::DType::F32
}

/// Run `f` on the values of a contiguous f32 tensor that lives on the CPU.
pub(super) fn with<R>(t: &Tensor, f: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let (storage, layout) = t.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) => Ok(f(&values[start..end])),
        _ => Err(Error::Mismatch(format!(
            "expected a contiguous f32 tensor on the CPU, found {t:?}"
        ))),
    }
}

/// Run `f` on the values of a contiguous f32 CPU tensor and write into them. Every tensor that shares them sees it.
pub(super) fn with_mut(t: &Tensor, f: impl FnOnce(&mut [f32]) + Send) -> Result<()> {
    struct Op<F>(Mutex<Option<F>>);
    impl<F: FnOnce(&mut [f32]) + Send> InplaceOp1 for Op<F> {
        fn name(&self) -> &'static str {
            "with_mut"
        }
        fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
            let (CpuStorage::F32(values), Some((start, end))) =
                (storage, layout.contiguous_offsets())
            else {
                candle_core::bail!("expected a contiguous f32 tensor on the CPU")
            };
            let mut f = self
                .0
                .lock()
                .expect("nothing panics while it holds the lock");
            let f = f.take().expect("an operation is applied once");
            f(&mut values[start..end]);
            Ok(())
        }
    }
    Ok(t.inplace_op1(&Op(Mutex::new(Some(f))))?)
}

/// Call `f` compiled for the widest vector instructions that this processor has.
#[inline(always)]
pub(super) fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(f)
}

/// `f(first row, out block)` for every block of [`block_rows`] rows of `out`, in parallel.
pub(super) fn for_blocks(out: &mut [f32], width: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    let rows = block_rows(width);
    out.par_chunks_mut(rows * width)
        .enumerate()
        .for_each(|(i, block)| {
            vectorised(
                #[inline(always)]
                || f(i * rows, block),
            )
        });
}

/// The sum over blocks of rows of the `width` partial sums that `f(first row, last row, sums)` adds up.
pub(super) fn sum_blocks(
    rows: usize,
    width: usize,
    f: impl Fn(usize, usize, &mut [f32]) + Sync,
) -> Vec<f32> {
    let block = block_rows(width);
    let blocks = rows.div_ceil(block);
    let mut partial = vec![0f32; blocks * width];
    partial
        .par_chunks_mut(width.max(1))
        .enumerate()
        .for_each(|(i, sums)| {
            vectorised(
                #[inline(always)]
                || f(i * block, rows.min((i + 1) * block), sums),
            )
        });
    let mut total = vec![0f32; width];
    for block in partial.chunks(width.max(1)) {
        add_assign(&mut total, block);
    }
    total
}

/// `a += b`, element by element.
#[inline(always)]
pub(super) fn add_assign(a: &mut [f32], b: &[f32]) {
    for (x, y) in a.iter_mut().zip(b) {
        *x += y;
    }
}

/// eˣ within 2 units in the last place; 0 below −87, clamped above 88.
///
/// Range reduction by powers of two and a degree-6 polynomial (Cody and Waite 1980).
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³: adding it leaves the nearest integer in the low bits
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.3, 88.0);
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, x));
    let p = r.mul_add(1.0 / 720.0, 1.0 / 120.0);
    let p = p
        .mul_add(r, 1.0 / 24.0)
        .mul_add(r, 1.0 / 6.0)
        .mul_add(r, 0.5)
        .mul_add(r, 1.0)
        .mul_add(r, 1.0);
    p * f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23))
}

/// The error function within 4e-7.
///
/// An odd rational approximation on [−4, 4], the one that Eigen and XLA use for f32.
#[inline(always)]
pub(super) fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let t = x * x;
    let p = t.mul_add(-2.726_142_3e-10, 2.770_681_5e-8);
    let p = p
        .mul_add(t, -2.101_024e-6)
        .mul_add(t, -5.692_506_3e-5)
        .mul_add(t, -7.349_906_4e-4);
    let p = p.mul_add(t, -2.954_6e-3).mul_add(t, -1.609_603_4e-2);
    let q = t.mul_add(-1.456_607_2e-5, -2.133_740_5e-4);
    let q = q
        .mul_add(t, -1.682_827e-3)
        .mul_add(t, -7.373_329_4e-3)
        .mul_add(t, -1.426_473_9e-2);
    x * p / q
}
