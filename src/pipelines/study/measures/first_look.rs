//! A look at some sentences before the pass over all.

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use crate::analysis::geometry::{Geometry, Reference};
use crate::error::Result;
use crate::linalg::GramMatrix;

/// Dimensions that are left out of the cosine, one more each time.
const LEADING: usize = 3;
/// Tokens whose covariance is taken, or some more to the end of a sentence: enough for the derivative of the IsoScore.
const TOKENS: u64 = 4096;

/// What some sentences tell of every layer: what the measures of all are compared with.
#[derive(Default)]
pub(in crate::pipelines::study) struct FirstLook {
    layers: Vec<Layer>,
}

struct Layer {
    sum: Vec<f64>,
    tokens: f64,
    gram: GramMatrix,
    /// The sum of the tokens of the Gram matrix.
    gram_sum: Vec<f64>,
    geometry: Geometry,
}

/// What was found of one layer.
pub(super) struct Seen {
    /// The mean of the tokens, and the dimensions that add most to their similarity.
    pub reference: Reference,
    /// The covariance of the tokens.
    pub covariance: Array2<f64>,
}

impl FirstLook {
    /// Add the states of one sentence: (tokens, hidden) of every layer.
    pub fn add(&mut self, states: &[(usize, ArrayView2<'_, f32>)]) -> Result<()> {
        if self.layers.is_empty() {
            self.layers = states.iter().map(|s| Layer::new(s.1.ncols())).collect();
        }
        let layers = self.layers.par_iter_mut().zip(states);
        layers.try_for_each(|(layer, (_, view))| layer.add(*view))
    }

    /// What was found, layer by layer.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.layers.iter().map(Layer::seen).collect()
    }
}

impl Layer {
    fn new(hidden: usize) -> Self {
        Self {
            sum: vec![0.0; hidden],
            tokens: 0.0,
            gram: GramMatrix::new(hidden),
            gram_sum: vec![0.0; hidden],
            geometry: Geometry::new(Reference {
                mean: vec![0.0; hidden],
                leading: Vec::new(),
            }),
        }
    }

    fn add(&mut self, tokens: ArrayView2<'_, f32>) -> Result<()> {
        for row in tokens.rows() {
            let sums = self.sum.iter_mut().zip(row);
            sums.for_each(|(s, &x)| *s += f64::from(x));
        }
        self.tokens += tokens.nrows() as f64;
        if self.gram.rows() < TOKENS {
            self.gram.push(tokens)?;
            // Up to here every token was in both.
            self.gram_sum.clone_from(&self.sum);
        }
        self.geometry.add_sentence(tokens).map(|_| ())
    }

    fn seen(&self) -> Seen {
        let seen = self.gram.rows() as f64;
        let mut covariance = self.gram.products() / seen;
        for ((i, j), c) in covariance.indexed_iter_mut() {
            *c -= self.gram_sum[i] / seen * (self.gram_sum[j] / seen);
        }
        let leading = self.geometry.directions().leading(LEADING);
        Seen {
            reference: Reference {
                mean: self.sum.iter().map(|s| (s / self.tokens) as f32).collect(),
                leading: leading.into_iter().map(|l| l.0).collect(),
            },
            covariance,
        }
    }
}
