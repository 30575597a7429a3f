//! Takes tensors from a checkpoint and registers them as parameters.

use candle_core::{DType, Device, Tensor};

use super::config::Config;
use super::layers::{LayerNorm, Linear};
use super::parameters::{Parameters, Weight};
use super::weights::Weights;
use crate::error::{Error, Result};
use crate::rng::Stream;

/// A network under construction.
pub(super) struct Builder<'a> {
    weights: &'a mut Weights,
    device: &'a Device,
    /// The type of the parameters' numbers.
    dtype: DType,
    pub(crate) parameters: Parameters,
    /// Names of head tensors that the checkpoint lacked and that were drawn anew.
    pub(crate) initialised: Vec<String>,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(weights: &'a mut Weights, device: &'a Device, dtype: DType) -> Self {
        Self {
            weights,
            device,
            dtype,
            parameters: Parameters::default(),
            initialised: Vec::new(),
        }
    }

    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        match self.weights.take(name, shape)? {
            Some(tensor) => Ok(tensor),
            None => Err(Error::malformed(
                self.weights.source(),
                format!("tensor {name:?}"),
                "no such tensor",
                format!(
                    "one of shape {shape:?}: is this a checkpoint of the model that config.json describes?"
                ),
            )),
        }
    }

    fn register(&mut self, names: Vec<String>, value: &Tensor, decay: bool) -> Result<Weight> {
        let value = value.to_dtype(self.dtype)?.to_device(self.device)?;
        self.parameters.push(names, &value, decay)
    }

    /// One tensor, to which weight decay applies.
    pub(crate) fn weight(&mut self, name: &str, shape: &[usize]) -> Result<Weight> {
        let value = self.take(name, shape)?;
        self.register(vec![name.to_owned()], &value, true)
    }

    /// A layer norm over H.
    pub(crate) fn layer_norm(&mut self, name: &str, config: &Config) -> Result<LayerNorm> {
        let mut part = |kind: &str| {
            let name = format!("{name}.{kind}");
            let value = self.take(&name, &[config.hidden_size])?;
            self.register(vec![name], &value, false)
        };
        Ok(LayerNorm {
            weight: part("weight")?,
            bias: part("bias")?,
            epsilon: config.layer_norm_eps,
        })
    }

    /// A linear layer whose rows are the layers called `names` one below the other, each of
    /// `outputs` rows.
    pub(crate) fn linear(
        &mut self,
        names: &[String],
        outputs: usize,
        inputs: usize,
    ) -> Result<Linear> {
        let mut part = |kind: &str, shape: &[usize]| {
            let names: Vec<String> = names.iter().map(|n| format!("{n}.{kind}")).collect();
            let values = names
                .iter()
                .map(|n| self.take(n, shape))
                .collect::<Result<Vec<_>>>()?;
            let value = if values.len() == 1 {
                values[0].clone()
            } else {
                Tensor::cat(&values, 0)?
            };
            self.register(names, &value, kind == "weight")
        };
        Ok(Linear {
            weight: part("weight", &[outputs, inputs])?,
            bias: part("bias", &[outputs])?,
        })
    }

    /// A linear layer of the head: from the checkpoint, or new as transformers' `_init_weights`
    /// starts it: weights normal with standard deviation `initializer_range` (`init_std`), biases
    /// 0.
    pub(crate) fn head_linear(
        &mut self,
        name: &str,
        outputs: usize,
        config: &Config,
        seed: u64,
    ) -> Result<Linear> {
        let inputs = config.hidden_size;
        let mut part = |kind: &str, shape: &[usize]| {
            let name = format!("{name}.{kind}");
            let value = match self.weights.take(&name, shape)? {
                Some(tensor) => tensor,
                None => {
                    let mut stream = Stream::new(seed, &name);
                    let spread = if kind == "weight" {
                        config.initializer_range
                    } else {
                        0.0
                    };
                    let values: Vec<f32> = (0..shape.iter().product())
                        .map(|_| (spread * stream.normal()) as f32)
                        .collect();
                    self.initialised.push(name.clone());
                    Tensor::from_vec(values, shape, &Device::Cpu)?
                }
            };
            self.register(vec![name], &value, kind == "weight")
        };
        Ok(Linear {
            weight: part("weight", &[outputs, inputs])?,
            bias: part("bias", &[outputs])?,
        })
    }
}
