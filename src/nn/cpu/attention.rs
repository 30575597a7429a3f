//! Attention, cut into (sequence, head) pairs. Scores exist for a block of queries at a time, so
//! memory is linear in the length of a sequence; the backward pass computes the probabilities again
//! (as Dao et al. 2022 do).

use std::cell::RefCell;

use candle_core::Tensor;
use gemm::{Parallelism, gemm};
use rayon::prelude::*;

use super::{exp, values, vectorised};
use crate::error::Result;
use crate::nn::options::{AttentionShape, Dropout};
use crate::nn::sequences::{Queries, Sequences};

pub(in crate::nn) fn attention(
    qkv: &Tensor,
    sequences: &Sequences,
    queries: Queries,
    shape: AttentionShape,
    dropout: Option<Dropout>,
) -> Result<Tensor> {
    let (rows, hidden) = (sequences.num_rows(queries), shape.hidden());
    let mut out = vec![0f32; rows * hidden];
    let target = Shared(out.as_mut_ptr());
    {
        let qkv = values(qkv)?;
        let qkv = &*qkv;
        units(sequences, queries, shape.heads)
            .into_par_iter()
            .for_each(|unit| {
                SCRATCH.with_borrow_mut(|scratch| {
                    forward_unit(qkv, unit, shape, dropout, scratch, &target)
                });
            });
    }
    Ok(Tensor::from_vec(out, (rows, hidden), qkv.device())?)
}

pub(in crate::nn) fn attention_backward(
    qkv: &Tensor,
    sequences: &Sequences,
    queries: Queries,
    shape: AttentionShape,
    dropout: Option<Dropout>,
    gradient: &Tensor,
) -> Result<Tensor> {
    let mut out = vec![0f32; qkv.elem_count()];
    let target = Shared(out.as_mut_ptr());
    {
        let (qkv, gradient) = (values(qkv)?, values(gradient)?);
        let (qkv, gradient) = (&*qkv, &*gradient);
        units(sequences, queries, shape.heads)
            .into_par_iter()
            .for_each(|unit| {
                SCRATCH.with_borrow_mut(|s| {
                    backward_unit(qkv, gradient, unit, shape, dropout, s, &target)
                });
            });
    }
    Ok(Tensor::from_vec(out, qkv.shape(), qkv.device())?)
}

/// All units, the longest first so that the threads end together.
fn units(sequences: &Sequences, queries: Queries, heads: usize) -> Vec<Unit> {
    let pairs = sequences.bounds().windows(2).enumerate();
    let mut units: Vec<Unit> = pairs
        .flat_map(|(i, b)| {
            let length = b[1] - b[0];
            let (queries, row) = match queries {
                Queries::All => (length, b[0]),
                Queries::First => (length.min(1), i),
            };
            (0..heads).map(move |head| Unit {
                start: b[0],
                length,
                queries,
                row,
                head,
            })
        })
        .collect();
    units.sort_by_key(|u| std::cmp::Reverse(u.length));
    units
}

/// Scores that exist at the same time in each buffer: what the cache of a core holds beside the
/// rest. With more queries in a block the products lay out keys and values less often.
const SCORES: usize = 1 << 17;

/// How many queries make a block: all blocks of a unit are about the same.
fn block_of(unit: Unit, scores: usize) -> usize {
    let most = (scores / unit.length).max(64);
    unit.queries.div_ceil(unit.queries.div_ceil(most))
}

/// One head of one sequence.
#[derive(Clone, Copy)]
struct Unit {
    /// First row of the sequence.
    start: usize,
    length: usize,
    /// How many of its tokens attend, from the first.
    queries: usize,
    /// The row of the output that belongs to the first of them.
    row: usize,
    head: usize,
}

/// Per-thread buffers, grown to the longest sequence seen.
#[derive(Default)]
struct Scratch {
    probabilities: Vec<f32>,
    gradient: Vec<f32>,
    mask: Vec<f32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// An output of which every unit writes its own rows and columns.
struct Shared(*mut f32);
// SAFETY: units are disjoint (sequence, head) rectangles of the output, so no two threads touch the
// same element.
unsafe impl Sync for Shared {}

/// Scores of `queries` queries against all keys become probabilities, in place.
#[inline(always)]
fn softmax_rows(scores: &mut [f32], length: usize) {
    for row in scores.chunks_exact_mut(length) {
        let mut maxima = [f32::NEG_INFINITY; 16];
        let (chunks, rest) = row.as_chunks::<16>();
        for chunk in chunks {
            maxima
                .iter_mut()
                .zip(chunk)
                .for_each(|(m, x)| *m = m.max(*x));
        }
        let max = rest
            .iter()
            .chain(&maxima)
            .fold(f32::NEG_INFINITY, |m, x| m.max(*x));
        let mut sums = [0f32; 16];
        let mut add_exponentials = |chunk: &mut [f32; 16]| {
            for (s, x) in sums.iter_mut().zip(chunk) {
                *x = exp(*x - max);
                *s += *x;
            }
        };
        let (chunks, rest) = row.as_chunks_mut::<16>();
        chunks.iter_mut().for_each(&mut add_exponentials);
        // The end of a row at vector speed too: what fills it up counts for less than rounding.
        let mut end = [f32::NEG_INFINITY; 16];
        end[..rest.len()].copy_from_slice(rest);
        add_exponentials(&mut end);
        rest.copy_from_slice(&end[..rest.len()]);
        let inverse = 1.0 / sums.iter().sum::<f32>();
        row.iter_mut().for_each(|x| *x *= inverse);
    }
}

/// The probabilities of the block of queries from `first`, before dropout.
fn probabilities(
    q: View,
    k: View,
    unit: Unit,
    first: usize,
    shape: AttentionShape,
    out: &mut [f32],
) {
    let rows = out.len() / unit.length;
    let (a, b) = (q.at_row(first), k.transposed());
    // SAFETY: `q` and `k` are this unit's rows of the packed matrix, `out` is a buffer of rows ×
    // length.
    unsafe {
        let size = (rows, unit.length, shape.head_size);
        product(
            size,
            (a, b),
            (out.as_mut_ptr(), unit.length),
            shape.scale() as f32,
            false,
        );
    }
    vectorised(
        #[inline(always)]
        || softmax_rows(out, unit.length),
    );
}

/// The dropout factors of the queries from `first`, one row each; all ones without dropout.
fn dropout_rows(mask: &mut [f32], dropout: Dropout, unit: Unit, first: usize, heads: usize) {
    vectorised(
        #[inline(always)]
        || {
            for (r, row) in mask.chunks_exact_mut(unit.length).enumerate() {
                dropout.fill((unit.start + first + r) * heads + unit.head, row);
            }
        },
    );
}

fn forward_unit(
    qkv: &[f32],
    unit: Unit,
    shape: AttentionShape,
    dropout: Option<Dropout>,
    scratch: &mut Scratch,
    out: &Shared,
) {
    let (hidden, column) = (shape.hidden(), unit.head * shape.head_size);
    let [q, k, v] = [0, 1, 2].map(|i| View::new(qkv, 3 * hidden, unit.start, i * hidden + column));
    if unit.queries == 0 {
        return;
    }
    let block = block_of(unit, SCORES);
    for buffer in [&mut scratch.probabilities, &mut scratch.mask] {
        buffer.resize(buffer.len().max(block * unit.length), 0.0);
    }
    for first in (0..unit.queries).step_by(block) {
        let rows = block.min(unit.queries - first);
        let p = &mut scratch.probabilities[..rows * unit.length];
        probabilities(q, k, unit, first, shape, p);
        if let Some(d) = dropout {
            let mask = &mut scratch.mask[..rows * unit.length];
            dropout_rows(mask, d, unit, first, shape.heads);
            vectorised(
                #[inline(always)]
                || p.iter_mut().zip(mask).for_each(|(p, m)| *p *= *m),
            );
        }
        let weights = View {
            data: p.as_ptr(),
            row: unit.length,
            column: 1,
        };
        // SAFETY: this unit's rows and columns of the output, which no other unit writes.
        unsafe {
            let target = out.0.add((unit.row + first) * hidden + column);
            product(
                (rows, shape.head_size, unit.length),
                (weights, v),
                (target, hidden),
                1.0,
                false,
            );
        }
    }
}

/// With P the probabilities, D the dropout factors and O = (P∘D)·V: ∂V = (P∘D)ᵀ·∂O; ∂P = D∘(∂O·Vᵀ);
/// ∂S = P∘(∂P − Σ ∂P∘P); ∂Q = ∂S·K/√d; ∂K = ∂Sᵀ·Q/√d.
fn backward_unit(
    qkv: &[f32],
    gradient: &[f32],
    unit: Unit,
    shape: AttentionShape,
    dropout: Option<Dropout>,
    scratch: &mut Scratch,
    out: &Shared,
) {
    let (hidden, head_size, length) = (shape.hidden(), shape.head_size, unit.length);
    let column = unit.head * head_size;
    let [q, k, v] = [0, 1, 2].map(|i| View::new(qkv, 3 * hidden, unit.start, i * hidden + column));
    let g = View::new(gradient, hidden, unit.row, column);
    // SAFETY: the three column ranges of this unit's rows, which no other unit writes.
    let [dq, dk, dv] =
        [0, 1, 2].map(|i| unsafe { out.0.add(unit.start * 3 * hidden + i * hidden + column) });
    if unit.queries == 0 {
        return;
    }
    let queries = block_of(unit, SCORES / 2);
    for buffer in [
        &mut scratch.probabilities,
        &mut scratch.gradient,
        &mut scratch.mask,
    ] {
        buffer.resize(buffer.len().max(queries * length), 0.0);
    }
    for first in (0..unit.queries).step_by(queries) {
        let rows = queries.min(unit.queries - first);
        let p = &mut scratch.probabilities[..rows * length];
        let ds = &mut scratch.gradient[..rows * length];
        let dropped = &mut scratch.mask[..rows * length];
        probabilities(q, k, unit, first, shape, p);
        let g = g.at_row(first);
        let block = |values: &[f32]| View {
            data: values.as_ptr(),
            row: length,
            column: 1,
        };
        // SAFETY: `ds` is a buffer of rows × length; `g` and `v` are this unit's rows.
        unsafe {
            product(
                (rows, length, head_size),
                (g, v.transposed()),
                (ds.as_mut_ptr(), length),
                1.0,
                false,
            )
        };
        match dropout {
            Some(d) => dropout_rows(dropped, d, unit, first, shape.heads),
            None => dropped.fill(1.0),
        }
        vectorised(
            #[inline(always)]
            || score_gradient(p, ds, dropped, length),
        );
        let scale = shape.scale() as f32;
        // SAFETY: the products write this unit's own rows and columns of the output, and read
        // buffers and inputs.
        unsafe {
            let (dropped, ds) = (block(dropped), block(ds));
            product(
                (length, head_size, rows),
                (dropped.transposed(), g),
                (dv, 3 * hidden),
                1.0,
                true,
            );
            product(
                (length, head_size, rows),
                (ds.transposed(), q.at_row(first)),
                (dk, 3 * hidden),
                scale,
                true,
            );
            let target = dq.add(first * 3 * hidden);
            product(
                (rows, head_size, length),
                (ds, k),
                (target, 3 * hidden),
                scale,
                false,
            );
        }
    }
}

/// From P, ∂(P∘D) in `ds` and D in `dropped`: leaves ∂S in `ds` and P∘D in `dropped`.
#[inline(always)]
fn score_gradient(p: &[f32], ds: &mut [f32], dropped: &mut [f32], length: usize) {
    let rows = p
        .chunks_exact(length)
        .zip(ds.chunks_exact_mut(length))
        .zip(dropped.chunks_exact_mut(length));
    for ((p, ds), d) in rows {
        let mut sums = [0f32; 16];
        let ((ps, p_rest), (dss, ds_rest), (drops, d_rest)) = (
            p.as_chunks::<16>(),
            ds.as_chunks_mut::<16>(),
            d.as_chunks_mut::<16>(),
        );
        for ((p, ds), d) in ps.iter().zip(dss).zip(drops) {
            for (((s, p), ds), d) in sums.iter_mut().zip(p).zip(ds).zip(d) {
                *ds *= *d;
                *d *= p;
                *s = p.mul_add(*ds, *s);
            }
        }
        let mut sum: f32 = sums.iter().sum();
        for ((p, ds), d) in p_rest.iter().zip(ds_rest).zip(d_rest) {
            *ds *= *d;
            *d *= p;
            sum += p * *ds;
        }
        ds.iter_mut()
            .zip(p)
            .for_each(|(ds, p)| *ds = p * (*ds - sum));
    }
}

/// A matrix inside a larger row-major one: its first element and the distance between its rows.
#[derive(Clone, Copy)]
struct View {
    data: *const f32,
    row: usize,
    column: usize,
}

impl View {
    /// The columns from `column` of the rows from `start` of `values`, whose rows are `width` wide.
    fn new(values: &[f32], width: usize, start: usize, column: usize) -> Self {
        Self {
            data: values[start * width + column..].as_ptr(),
            row: width,
            column: 1,
        }
    }

    fn at_row(self, row: usize) -> Self {
        // Only an address: it is read by `product`, whose callers keep it inside the matrix.
        Self {
            data: self.data.wrapping_add(row * self.row),
            ..self
        }
    }

    fn transposed(self) -> Self {
        Self {
            row: self.column,
            column: self.row,
            ..self
        }
    }
}

/// out (m × n, rows `out_row` apart) = keep·out + factor·a·b, with `a` m × k and `b` k × n.
///
/// # Safety
/// The three matrices lie inside live allocations, and `out` overlaps neither of the others nor
/// what another thread uses.
unsafe fn product(
    (m, n, k): (usize, usize, usize),
    (a, b): (View, View),
    (out, out_row): (*mut f32, usize),
    factor: f32,
    add: bool,
) {
    // SAFETY: the strides describe the matrices that the caller vouches for.
    unsafe {
        gemm(
            m,
            n,
            k,
            out,
            1,
            out_row as isize,
            add,
            a.data,
            a.column as isize,
            a.row as isize,
            b.data,
            b.column as isize,
            b.row as isize,
            if add { 1.0 } else { 0.0 },
            factor,
            false,
            false,
            false,
            Parallelism::None,
        )
    }
}
