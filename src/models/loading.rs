//! Making a network from a checkpoint.

use candle_core::{Device, Tensor};

use super::config::{Config, Family};
use super::embeddings::{Embeddings, Table};
use super::heads::Head;
use super::layer::EncoderLayer;
use super::modules::{LayerNorm, Linear};
use super::network::Network;
use super::parameters::{Parameters, Weight};
use super::task::Task;
use super::weights::Weights;
use super::{camembert, flaubert};
use crate::error::{Error, Result};
use crate::rng::Stream;

/// What a family calls its tensors; `{}` stands for the number of the layer.
pub(super) struct Names {
    pub(super) prefix: &'static str,
    pub(super) tables: &'static [&'static str],
    pub(super) embeddings_norm: &'static str,
    pub(super) qkv: [&'static str; 3],
    pub(super) output: &'static str,
    pub(super) norm1: &'static str,
    pub(super) expand: &'static str,
    pub(super) contract: &'static str,
    pub(super) norm2: &'static str,
    /// Linear layers of the classification head, with the whole name.
    pub(super) head: &'static [&'static str],
    /// What only pre-training needs, with the whole prefix.
    pub(super) pretraining: &'static [&'static str],
    /// How the tensors of heads for other tasks begin, with the task.
    pub(super) other_heads: &'static [(&'static str, Task)],
}

impl Names {
    pub(super) fn of(family: Family) -> &'static Self {
        match family {
            Family::Roberta => &camembert::NAMES,
            Family::Xlm => &flaubert::NAMES,
        }
    }

    /// Whether a tensor belongs to a classification head of sequences.
    pub(super) fn is_head(&self, tensor: &str) -> bool {
        self.head.iter().any(|h| tensor.starts_with(h))
    }

    /// The task of the other head that a tensor belongs to.
    pub(super) fn other_task(&self, tensor: &str) -> Option<Task> {
        let found = self.other_heads.iter().find(|(p, _)| tensor.starts_with(p));
        found.map(|(_, task)| *task)
    }

    /// Whether only pre-training needs a tensor.
    pub(super) fn is_pretraining(&self, tensor: &str) -> bool {
        self.pretraining.iter().any(|p| tensor.starts_with(p))
    }
}

/// Takes tensors from a checkpoint and registers them as parameters.
pub(super) struct Builder<'a> {
    pub(super) weights: &'a mut Weights,
    pub(super) device: &'a Device,
    pub(super) parameters: Parameters,
    /// Names of head tensors that the checkpoint lacked and that were drawn anew.
    pub(super) initialised: Vec<String>,
}

impl Builder<'_> {
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
        self.parameters
            .push(names, &value.to_device(self.device)?, decay)
    }

    fn table(&mut self, name: String, shape: &[usize], padding: Option<u32>) -> Result<Table> {
        let value = self.take(&name, shape)?;
        Ok(Table {
            weight: self.register(vec![name], &value, true)?,
            padding,
        })
    }

    fn norm(&mut self, name: &str, config: &Config) -> Result<LayerNorm> {
        let mut part = |kind: &str| {
            let name = format!("{name}.{kind}");
            let value = self.take(&name, &[config.hidden_size])?;
            self.register(vec![name], &value, false)
        };
        Ok(LayerNorm {
            gamma: part("weight")?,
            beta: part("bias")?,
            epsilon: config.layer_norm_eps,
        })
    }

    /// A linear layer whose rows are the layers called `names` one below the other.
    fn linear(&mut self, names: &[String], outputs: usize, inputs: usize) -> Result<Linear> {
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

    /// A linear layer of the head: from the checkpoint, or new as transformers' `_init_weights` starts it: weights
    /// normal with standard deviation `initializer_range` (`init_std`), biases 0.
    fn head_linear(
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

    fn layer(&mut self, index: usize, config: &Config) -> Result<EncoderLayer> {
        let names = Names::of(config.family);
        let name = |pattern: &str| {
            format!(
                "{}{}",
                names.prefix,
                pattern.replace("{}", &index.to_string())
            )
        };
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        Ok(EncoderLayer {
            index,
            qkv: self.linear(&names.qkv.map(name), hidden, hidden)?,
            output: self.linear(&[name(names.output)], hidden, hidden)?,
            norm1: self.norm(&name(names.norm1), config)?,
            expand: self.linear(&[name(names.expand)], wide, hidden)?,
            contract: self.linear(&[name(names.contract)], hidden, wide)?,
            norm2: self.norm(&name(names.norm2), config)?,
            shape: config.attention_shape(),
            activation: config.activation,
            pre_norm: config.pre_norm,
        })
    }

    fn embeddings(&mut self, config: &Config) -> Result<Embeddings> {
        let names = Names::of(config.family);
        let pad = Some(config.pad_token_id);
        // XLM's positions have no padding row, RoBERTa's types neither.
        let shapes = match config.family {
            Family::Roberta => vec![
                (config.vocab_size, pad),
                (config.max_position_embeddings, pad),
                (config.type_vocab_size, None),
            ],
            Family::Xlm => vec![
                (config.vocab_size, pad),
                (config.max_position_embeddings, None),
            ],
        };
        let mut tables = Vec::new();
        for (name, (rows, padding)) in names.tables.iter().zip(shapes) {
            tables.push(self.table(
                format!("{}{name}", names.prefix),
                &[rows, config.hidden_size],
                padding,
            )?);
        }
        Ok(Embeddings {
            tables,
            norm: self.norm(
                &format!("{}{}", names.prefix, names.embeddings_norm),
                config,
            )?,
        })
    }

    fn head(&mut self, config: &Config, seed: u64) -> Result<Head> {
        let names = Names::of(config.family).head;
        Ok(match config.family {
            Family::Roberta => Head::Roberta {
                dense: self.head_linear(names[0], config.hidden_size, config, seed)?,
                out_proj: self.head_linear(names[1], config.num_labels, config, seed)?,
            },
            Family::Xlm => Head::Summary {
                summary: self.head_linear(names[0], config.num_labels, config, seed)?,
            },
        })
    }

    /// The whole network; with a head when `head_seed` is given, which also draws what the checkpoint lacks of it.
    pub(super) fn build(
        mut self,
        config: Config,
        head_seed: Option<u64>,
    ) -> Result<(Network, Vec<String>)> {
        let embeddings = self.embeddings(&config)?;
        let (mut layers, mut parameters_below) = (Vec::new(), Vec::new());
        for i in 0..config.num_layers {
            parameters_below.push(self.parameters.len());
            layers.push(self.layer(i, &config)?);
        }
        parameters_below.push(self.parameters.len());
        let head = head_seed.map(|seed| self.head(&config, seed)).transpose()?;
        let Self {
            device,
            parameters,
            initialised,
            ..
        } = self;
        Ok((
            Network {
                config,
                device: device.clone(),
                embeddings,
                layers,
                head,
                parameters,
                parameters_below,
                frozen: None,
                gradient_checkpointing: false,
            },
            initialised,
        ))
    }
}
