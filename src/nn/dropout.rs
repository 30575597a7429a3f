//! Dropout whose random numbers depend only on (seed, step, site, position), never on threads or history.

use candle_core::{Device, Tensor};

use crate::error::Result;
use crate::rng::philox4x32;

/// What every dropout of one training step shares.
#[derive(Debug, Clone, Copy)]
pub struct DropoutSeed {
    /// The seed of the run.
    pub seed: u64,
    /// The number of the micro-batch, counted from the start of the run.
    pub step: u64,
}

/// One dropout: elements are zeroed with probability `p` and the others divided by 1 − p (Srivastava et al. 2014).
///
/// The decision for column `j` of row `r` is word `j mod 4` of Philox4x32-10 (Salmon et al. 2011) with counter
/// `(j / 4, r, site, step)` and the seed as key: an interrupted run, or another number of threads, draws the same.
#[derive(Debug, Clone, Copy)]
pub struct Dropout {
    p: f32,
    site: u32,
    step: u32,
    key: [u32; 2],
}

impl Dropout {
    /// The dropout with probability `p` at place `site` of the network; `None` when nothing is ever dropped.
    pub fn new(p: f64, site: u32, seed: DropoutSeed) -> Option<Self> {
        if p <= 0.0 {
            return None;
        }
        let key = [
            seed.seed as u32,
            (seed.seed >> 32) as u32 ^ (seed.step >> 32) as u32,
        ];
        Some(Self {
            p: p.min(1.0) as f32,
            site,
            step: seed.step as u32,
            key,
        })
    }

    /// Fill `mask` with the factors of row `row`: 0 or 1 / (1 − p).
    #[inline(always)]
    pub(super) fn fill(&self, row: usize, mask: &mut [f32]) {
        let threshold = (self.p as f64 * 4_294_967_296.0) as u32;
        let kept = if self.p < 1.0 {
            1.0 / (1.0 - self.p)
        } else {
            0.0
        };
        let (quads, rest) = mask.as_chunks_mut::<4>();
        let draw =
            |block: usize| philox4x32([block as u32, row as u32, self.site, self.step], self.key);
        for (block, quad) in quads.iter_mut().enumerate() {
            *quad = draw(block).map(|word| if word >= threshold { kept } else { 0.0 });
        }
        for (x, word) in rest.iter_mut().zip(draw(quads.len())) {
            *x = if word >= threshold { kept } else { 0.0 };
        }
    }

    /// The factors of rows `first..first + rows` as a tensor (rows, width) on `device`, for the plain
    /// path.
    ///
    /// # Errors
    /// A candle error.
    pub fn mask(&self, first: usize, rows: usize, width: usize, device: &Device) -> Result<Tensor> {
        let mut mask = vec![0f32; rows * width];
        for (r, row) in mask.chunks_mut(width.max(1)).enumerate() {
            self.fill(first + r, row);
        }
        Ok(Tensor::from_vec(mask, (rows, width), device)?)
    }
}
