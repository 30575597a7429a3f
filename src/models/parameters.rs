//! The trainable tensors of a model, and their gradients.

use candle_core::{Tensor, Var};

use crate::error::Result;
use crate::nn::{self, GradientSlot, Owned};

/// A trainable tensor as a layer holds it: the values, shared with the store, and its place there.
#[derive(Debug, Clone)]
pub(crate) struct Weight {
    /// The values; an update of the parameter is seen here.
    pub(crate) value: Tensor,
    /// Its number in [`Parameters`] and [`Gradients`].
    pub(crate) id: usize,
}

/// A parameter with the checkpoint's names for it. Query, key and value are one parameter with
/// three names, its rows cut in as many equal parts.
#[derive(Debug)]
pub struct Parameter {
    /// Names in the checkpoint, in the order of the rows.
    pub(crate) names: Vec<String>,
    /// The values.
    pub(crate) var: Var,
    /// Whether weight decay applies: not to biases nor to layer norms, as Trainer's
    /// `get_decay_parameter_names`.
    pub(crate) decay: bool,
    /// Whether it stays as it is.
    pub(crate) frozen: bool,
}

/// All parameters of a model, in the order in which they were loaded.
#[derive(Debug, Default)]
pub struct Parameters(Vec<Parameter>);

impl Parameters {
    /// Register a parameter.
    ///
    /// # Errors
    /// A candle error.
    pub(super) fn push(
        &mut self,
        names: Vec<String>,
        value: &Tensor,
        decay: bool,
    ) -> Result<Weight> {
        let var = Var::from_tensor(value)?;
        let weight = Weight {
            value: var.as_detached_tensor(),
            id: self.0.len(),
        };
        self.0.push(Parameter {
            names,
            var,
            decay,
            frozen: false,
        });
        Ok(weight)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Parameter> {
        self.0.iter()
    }

    /// Leave the first `n` of them as they are, and no other.
    pub(super) fn freeze(&mut self, n: usize) {
        for (id, p) in self.0.iter_mut().enumerate() {
            p.frozen = id < n;
        }
    }

    /// How many tensors.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many numbers.
    pub(crate) fn num_elements(&self) -> usize {
        self.0.iter().map(|p| p.var.elem_count()).sum()
    }

    /// Every tensor under its name in the checkpoint.
    ///
    /// # Errors
    /// A candle error.
    pub(crate) fn named_tensors(&self) -> Result<Vec<(String, Tensor)>> {
        let mut named = Vec::new();
        for p in &self.0 {
            let tensor = p.var.as_detached_tensor();
            let rows = tensor.dim(0)? / p.names.len();
            for (i, name) in p.names.iter().enumerate() {
                named.push((name.clone(), tensor.narrow(0, i * rows, rows)?));
            }
        }
        Ok(named)
    }
}

/// One gradient for each parameter of a model, summed over what is added.
#[derive(Debug)]
pub struct Gradients(Vec<GradientSlot>);

impl Gradients {
    /// No gradient yet for any of `n` parameters.
    pub fn new(n: usize) -> Self {
        Self((0..n).map(|_| GradientSlot::default()).collect())
    }

    /// Start anew, keeping the memory.
    pub fn reset(&mut self) {
        self.0.iter_mut().for_each(GradientSlot::reset);
    }

    /// Where the gradient of `weight` adds up.
    pub(super) fn slot(&mut self, weight: &Weight) -> &mut GradientSlot {
        &mut self.0[weight.id]
    }

    /// Add to the gradient of `weight`.
    ///
    /// # Errors
    /// A candle error.
    pub(super) fn add(&mut self, weight: &Weight, gradient: Owned) -> Result<()> {
        self.slot(weight).add(gradient)
    }

    /// The gradient of parameter `id`; `None` when nothing was added.
    pub(crate) fn get(&self, id: usize) -> Option<&Owned> {
        self.0.get(id).and_then(GradientSlot::get)
    }

    /// The Euclidean norm of all gradients together.
    ///
    /// # Errors
    /// A candle error.
    pub(crate) fn norm(&self) -> Result<f64> {
        let squares = self
            .0
            .iter()
            .filter_map(GradientSlot::get)
            .map(nn::sum_of_squares)
            .collect::<Result<Vec<_>>>()?;
        Ok(squares.iter().sum::<f64>().sqrt())
    }
}
