//! AdamW over all parameters of a model, with gradient clipping.

use candle_core::{Tensor, Var};

use super::TrainingArguments;
use crate::error::{Error, Result};
use crate::models::{Gradients, Parameters};
use crate::nn::{AdamWStep, adamw_step};

/// `torch.optim.AdamW` with `torch.nn.utils.clip_grad_norm_` before it, as Trainer calls them.
pub struct AdamW {
    /// Of each parameter; none of a frozen one.
    moments: Vec<Option<[Var; 2]>>,
    steps: u64,
}

impl AdamW {
    /// Zero moments for every parameter that is not frozen.
    ///
    /// # Errors
    /// A candle error.
    pub fn new(parameters: &Parameters) -> Result<Self> {
        let moments = parameters
            .iter()
            .map(|p| {
                let zeros = || Var::zeros(p.var.shape(), p.var.dtype(), p.var.device());
                (!p.frozen).then(|| Ok([zeros()?, zeros()?])).transpose()
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { moments, steps: 0 })
    }

    /// One update of all parameters: the gradients' norm before clipping.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the norm is not finite: the weights are then as before. A candle
    /// error.
    pub fn step(
        &mut self,
        parameters: &Parameters,
        gradients: &Gradients,
        learning_rate: f64,
        arguments: &TrainingArguments,
    ) -> Result<f64> {
        let norm = gradients.norm()?;
        if !norm.is_finite() {
            return Err(Error::Mismatch(format!(
                "the gradient's norm is {norm} at update {}: take a smaller --learning-rate",
                self.steps + 1
            )));
        }
        self.steps += 1;
        // torch adds 1e-6 to the norm and never scales up; a limit of 0 means no clipping, as in
        // Trainer.
        let limit = arguments.max_grad_norm;
        let gradient_scale = if limit > 0.0 {
            (limit / (norm + 1e-6)).min(1.0)
        } else {
            1.0
        };
        for (id, parameter) in parameters.iter().enumerate() {
            let (Some(gradient), Some(moments)) = (gradients.get(id), &self.moments[id]) else {
                continue;
            };
            let step = AdamWStep {
                learning_rate,
                beta1: arguments.adam_beta1,
                beta2: arguments.adam_beta2,
                epsilon: arguments.adam_epsilon,
                weight_decay: if parameter.decay {
                    arguments.weight_decay
                } else {
                    0.0
                },
                gradient_scale,
                step: self.steps,
            };
            adamw_step(&parameter.var, gradient, moments, &step)?;
        }
        Ok(norm)
    }

    /// The moments by name (`m.` and `v.` before the parameter's first name), to be saved.
    pub(crate) fn named_moments(&self, parameters: &Parameters) -> Vec<(String, Tensor)> {
        let named = parameters.iter().zip(&self.moments);
        named
            .filter_map(|(p, moments)| Some((p, moments.as_ref()?)))
            .flat_map(|(p, [m, v])| {
                [
                    (format!("m.{}", p.names[0]), m.as_detached_tensor()),
                    (format!("v.{}", p.names[0]), v.as_detached_tensor()),
                ]
            })
            .collect()
    }

    /// Go on from saved moments after `steps` updates.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when one is absent or has another shape.
    pub(crate) fn restore(
        &mut self,
        parameters: &Parameters,
        steps: u64,
        mut moment: impl FnMut(&str) -> Option<Tensor>,
    ) -> Result<()> {
        for (p, moments) in parameters.iter().zip(&self.moments) {
            for (kind, slot) in ["m", "v"].iter().zip(moments.iter().flatten()) {
                let name = format!("{kind}.{}", p.names[0]);
                let tensor = moment(&name).filter(|t| t.dims() == slot.dims());
                let missing = || {
                    Error::Mismatch(format!(
                        "the checkpoint's optimizer has no fitting {name:?}"
                    ))
                };
                slot.set(&tensor.ok_or_else(missing)?.to_device(slot.device())?)?;
            }
        }
        self.steps = steps;
        Ok(())
    }
}
