//! The kernels on a CPU, in f32, and what they share: the values of tensors, loops over blocks of
//! rows on all cores with the widest vector instructions of the machine, and the elementary
//! functions written so that the compiler vectorises them.
//!
//! Work is cut into blocks whose size depends on the width of a row alone, not on the number of
//! threads, and partial sums are added in the order of the blocks: results do not depend on how
//! many threads there are.

use std::ops::{Deref, DerefMut, Range};
use std::sync::Mutex;

use candle_core::{CpuStorage, InplaceOp1, Layout, Storage, Tensor, Var, WithDType};
use rayon::prelude::*;

use super::owned::Owned;
use crate::error::{Error, Result};

mod attention;
mod elementwise;
mod embedding;
mod layer_norm;
mod linear;

pub(super) use attention::{attention, attention_backward};
pub(super) use elementwise::{
    adamw_step, add_in_place, add_to_first_rows, bias_activation, bias_activation_backward,
    bias_activation_in_place, bias_dropout_residual, cross_entropy, dropout, multiply_in_place,
    sum_of_squares,
};
pub(super) use embedding::{embedding_sum, embedding_sum_backward};
pub(super) use layer_norm::{layer_norm, layer_norm_backward};
pub(super) use linear::{
    add_bias, bias_backward, linear_backward, linear_no_bias, weight_backward,
};

/// Rows of `width` values that make one unit of parallel work: enough to be worth a thread's while.
fn block_rows(width: usize) -> usize {
    const VALUES: usize = 48 * 1024;
    (VALUES / width.max(1)).max(64)
}

/// The values of a contiguous tensor on the CPU, to be read.
struct Values<S, T> {
    storage: S,
    range: Range<usize>,
    number: std::marker::PhantomData<T>,
}

impl<S: Deref<Target = Storage>, T: WithDType> Deref for Values<S, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        let Storage::Cpu(storage) = &*self.storage else {
            unreachable!("checked when the values were asked for")
        };
        let values = storage.as_slice::<T>();
        &values.expect("checked when the values were asked for")[self.range.clone()]
    }
}

fn not_ours(t: &Tensor) -> Error {
    // Without its values, which may be taken out.
    let (dims, dtype, device) = (t.dims(), t.dtype(), t.device().location());
    Error::Mismatch(format!(
        "expected a contiguous tensor on the CPU that nothing writes to, found one of shape {dims:?} and {dtype:?} on {device:?}"
    ))
}

/// The numbers of a contiguous tensor of f32 that lives on the CPU, for as long as the guard is
/// held.
fn values(t: &Tensor) -> Result<impl Deref<Target = [f32]> + '_> {
    read(t)
}

/// As [`values`], of a list of ids.
fn id_values(t: &Tensor) -> Result<impl Deref<Target = [u32]> + '_> {
    read(t)
}

fn read<T: WithDType>(t: &Tensor) -> Result<impl Deref<Target = [T]> + '_> {
    let (storage, layout) = t.storage_and_layout();
    let (start, end) = layout.contiguous_offsets().ok_or_else(|| not_ours(t))?;
    match &*storage {
        Storage::Cpu(s) if s.as_slice::<T>().is_ok_and(|values| end <= values.len()) => {}
        _ => return Err(not_ours(t)),
    }
    Ok(Values {
        storage,
        range: start..end,
        number: std::marker::PhantomData,
    })
}

/// The values of a tensor, to be written: they are taken out of it, and put back when this is
/// dropped. Who reads the tensor meanwhile gets an error rather than half of a result.
struct ValuesMut<'a> {
    tensor: &'a Tensor,
    values: Vec<f32>,
    range: Range<usize>,
}

impl<'a> ValuesMut<'a> {
    fn take(tensor: &'a Tensor) -> Result<Self> {
        let range = tensor.layout().contiguous_offsets();
        let (start, end) = range.ok_or_else(|| not_ours(tensor))?;
        let values = exchange(tensor, Vec::new())?;
        let taken = Self {
            tensor,
            values,
            range: start..end,
        };
        // Shorter than that where another guard holds them.
        match end <= taken.values.len() {
            true => Ok(taken),
            false => Err(not_ours(tensor)),
        }
    }

    /// Of the tensor that an [`Owned`] holds, which nobody else can see.
    fn of_owned(x: &'a mut Owned) -> Result<Self> {
        Self::take(x.tensor())
    }

    /// Of a variable, which is there to change: who shares it wants to see the change.
    fn of_var(x: &'a Var) -> Result<Self> {
        Self::take(x.as_tensor())
    }
}

impl Deref for ValuesMut<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[self.range.clone()]
    }
}

impl DerefMut for ValuesMut<'_> {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[self.range.clone()]
    }
}

impl Drop for ValuesMut<'_> {
    fn drop(&mut self) {
        let back = exchange(self.tensor, std::mem::take(&mut self.values));
        back.expect("the values came from there");
    }
}

/// Give a tensor other values, all of its storage; returns those it had.
fn exchange(t: &Tensor, values: Vec<f32>) -> Result<Vec<f32>> {
    struct Exchange(Mutex<Vec<f32>>);
    impl InplaceOp1 for Exchange {
        fn name(&self) -> &'static str {
            "exchange"
        }
        fn cpu_fwd(&self, storage: &mut CpuStorage, _: &Layout) -> candle_core::Result<()> {
            let CpuStorage::F32(values) = storage else {
                candle_core::bail!("expected a tensor of f32 on the CPU")
            };
            let mut others = self
                .0
                .lock()
                .expect("nothing panics while it holds the lock");
            std::mem::swap(values, &mut others);
            Ok(())
        }
    }
    let exchange = Exchange(Mutex::new(values));
    t.inplace_op1(&exchange)?;
    let values = exchange.0.into_inner();
    Ok(values.expect("nothing panics while it holds the lock"))
}

/// Call `f` compiled for the widest vector instructions that this processor has.
#[inline(always)]
fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(f)
}

/// `f(first row, out block)` for every block of [`block_rows`] rows of `out`, in parallel.
fn for_blocks(out: &mut [f32], width: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
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

/// The sum over blocks of rows of the `width` partial sums that `f(first row, last row, sums)` adds
/// up.
fn sum_blocks(rows: usize, width: usize, f: impl Fn(usize, usize, &mut [f32]) + Sync) -> Vec<f32> {
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
fn add_assign(a: &mut [f32], b: &[f32]) {
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
