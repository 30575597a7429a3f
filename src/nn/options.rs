//! What kernels are told besides tensors, and what they tell.

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

/// One dropout: elements are zeroed with probability `p` and the others divided by 1 − p
/// (Srivastava et al. 2014).
///
/// The decision for column `j` of row `r` is word `j mod 4` of Philox4x32-10 (Salmon et al. 2011)
/// with counter `(j / 4, r, site, step)` and the seed as key: an interrupted run, or another number
/// of threads, draws the same.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dropout {
    p: f32,
    site: u32,
    step: u32,
    key: [u32; 2],
}

impl Dropout {
    /// The dropout with probability `p` at place `site` of the network; `None` when nothing is ever
    /// dropped.
    pub(crate) fn new(p: f64, site: u32, seed: DropoutSeed) -> Option<Self> {
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

    /// The factors of rows `first..first + rows` as a tensor (rows, width) on `device`, for the
    /// plain path.
    ///
    /// # Errors
    /// A candle error.
    pub(crate) fn mask(
        &self,
        first: usize,
        rows: usize,
        width: usize,
        device: &Device,
    ) -> Result<Tensor> {
        let mut mask = vec![0f32; rows * width];
        for (r, row) in mask.chunks_mut(width.max(1)).enumerate() {
            self.fill(first + r, row);
        }
        Ok(Tensor::from_vec(mask, (rows, width), device)?)
    }
}

/// The function between the two linear layers of a feed-forward block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// x·Φ(x) with the exact normal distribution function, by erf (Hendrycks and Gimpel 2016);
    /// transformers' "gelu".
    Gelu,
    /// max(x, 0).
    Relu,
}

impl Activation {
    /// From the `hidden_act` of a configuration. "gelu" means the exact form, as in transformers.
    /// `None` for a function that is not provided.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "gelu" => Some(Self::Gelu),
            "relu" => Some(Self::Relu),
            _ => None,
        }
    }
}

/// The heads of an attention layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AttentionShape {
    /// Number of heads, A.
    pub(crate) heads: usize,
    /// Size of a head, H / A.
    pub(crate) head_size: usize,
}

impl AttentionShape {
    /// H.
    pub(crate) fn hidden(self) -> usize {
        self.heads * self.head_size
    }

    /// What scores are multiplied by: 1/√(head size).
    pub(crate) fn scale(self) -> f64 {
        1.0 / (self.head_size as f64).sqrt()
    }
}

/// The numbers of one AdamW update, all of them after bias correction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdamWStep {
    /// Learning rate of this step.
    pub(crate) learning_rate: f64,
    /// Decay rate of the first moment.
    pub(crate) beta1: f64,
    /// Decay rate of the second moment.
    pub(crate) beta2: f64,
    /// Added to the root of the second moment.
    pub(crate) epsilon: f64,
    /// Decoupled weight decay of this parameter.
    pub(crate) weight_decay: f64,
    /// The gradient is multiplied by this first (gradient clipping).
    pub(crate) gradient_scale: f64,
    /// 1-based number of this update.
    pub(crate) step: u64,
}

impl AdamWStep {
    /// 1 − β₁ᵗ and √(1 − β₂ᵗ).
    pub(super) fn bias_corrections(&self) -> (f64, f64) {
        let power = |beta: f64| 1.0 - beta.powf(self.step as f64);
        (power(self.beta1), power(self.beta2).sqrt())
    }
}

/// The mean cross-entropy of a batch, with what follows from the same pass.
pub(crate) struct CrossEntropy {
    /// Mean over the B rows of −ln softmax(logits)_label, in nats; one number in f64.
    pub(crate) loss: Tensor,
    /// Its gradient with respect to the logits, (B, C).
    pub(crate) gradient: Tensor,
    /// The loss of each row (B), in f64.
    pub(crate) per_row: Tensor,
}
