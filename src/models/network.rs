//! An encoder of either family with, perhaps, its classification head.

use candle_core::{Device, Tensor};

use super::config::{Config, Family};
use super::embeddings::{Embeddings, EmbeddingsTape, Lookups, Table};
use super::heads::{Head, HeadTape};
use super::layer::{Drop, EncoderLayer, LayerNorm, LayerTape, Linear};
use super::parameters::{Gradients, Parameters, Weight};
use super::weights::Weights;
use super::{Encoder, Input, Loss, SequenceClassifier, camembert, flaubert};
use crate::error::{Error, Result};
use crate::nn::{self, DropoutSeed, Queries};
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
}

impl Names {
    pub(super) fn of(family: Family) -> &'static Self {
        match family {
            Family::Roberta => &camembert::NAMES,
            Family::Xlm => &flaubert::NAMES,
        }
    }
}

/// An encoder with or without a classification head.
#[derive(Debug)]
pub struct Network {
    config: Config,
    device: Device,
    embeddings: Embeddings,
    layers: Vec<EncoderLayer>,
    head: Option<Head>,
    parameters: Parameters,
    /// With `Some(n)` neither the embeddings nor the lowest n layers get a gradient.
    frozen: Option<usize>,
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
        let layers = (0..config.num_layers)
            .map(|i| self.layer(i, &config))
            .collect::<Result<Vec<_>>>()?;
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
                frozen: None,
            },
            initialised,
        ))
    }
}

/// What a training pass keeps for its way back.
struct Tape {
    /// Unless they are frozen.
    embeddings: Option<EmbeddingsTape>,
    /// Of the layers that were neither dropped nor frozen, with their numbers.
    layers: Vec<(usize, LayerTape)>,
    head: HeadTape,
}

impl Network {
    fn drop(&self, seed: Option<DropoutSeed>) -> Drop<'_> {
        Drop {
            config: &self.config,
            seed,
        }
    }

    fn lookups(&self, input: &Input<'_>) -> Result<Lookups> {
        let (config, limit) = (&self.config, self.config.max_length());
        if let Some(b) = input.bounds.windows(2).find(|b| b[1] - b[0] > limit) {
            let length = b[1] - b[0];
            return Err(Error::Mismatch(format!(
                "a sequence of {length} tokens is longer than the {limit} positions of the model: prepare the data with --max-length {limit}"
            )));
        }
        if let Some(id) = input
            .ids
            .iter()
            .find(|&&id| id as usize >= config.vocab_size)
        {
            return Err(Error::Mismatch(format!(
                "token id {id} is outside the model's vocabulary of {}: the data was prepared with another tokenizer; prepare it with this checkpoint",
                config.vocab_size
            )));
        }
        Ok(match config.family {
            Family::Roberta => camembert::lookups(input, config.pad_token_id),
            Family::Xlm => flaubert::lookups(input),
        })
    }

    /// Layers that this training pass leaves out (FlauBERT's layer drop).
    fn skipped(&self, layer: usize, seed: Option<DropoutSeed>) -> bool {
        let p = self.config.layer_drop;
        match seed {
            Some(s) if p > 0.0 => {
                Stream::new(s.seed, &format!("layer drop {} {layer}", s.step)).uniform() < p
            }
            _ => false,
        }
    }

    fn head(&self) -> Result<&Head> {
        self.head.as_ref().ok_or_else(|| {
            Error::Mismatch("this model was loaded without its classification head".into())
        })
    }

    /// Logits (B, C). The last layer is computed for the first tokens alone, which are all that the head sees.
    fn forward(&self, input: &Input<'_>, seed: Option<DropoutSeed>) -> Result<(Tensor, Tape)> {
        let drop = self.drop(seed);
        let (mut x, embeddings) = self.embeddings.forward(self.lookups(input)?, drop)?;
        let embeddings = self.frozen.is_none().then_some(embeddings);
        let used: Vec<usize> = (0..self.layers.len())
            .filter(|&i| !self.skipped(i, seed))
            .collect();
        let mut layers = Vec::with_capacity(used.len());
        for &i in &used {
            let queries = queries_of(input, used.last() == Some(&i));
            let (y, tape) = self.layers[i].forward(x, queries, drop)?;
            if self.frozen.is_none_or(|n| i >= n) {
                layers.push((i, tape));
            }
            x = y;
        }
        if used.is_empty() {
            x = Queries::First(input.bounds).of(&x)?;
        }
        let (logits, head) = self.head()?.forward(&x, drop)?;
        Ok((
            logits,
            Tape {
                embeddings,
                layers,
                head,
            },
        ))
    }

    fn backward(
        &self,
        input: &Input<'_>,
        tape: Tape,
        seed: Option<DropoutSeed>,
        of_logits: &Tensor,
        gradients: &mut Gradients,
    ) -> Result<()> {
        let drop = self.drop(seed);
        let mut g = self
            .head()?
            .backward(tape.head, drop, of_logits, gradients)?;
        if tape.layers.is_empty() && tape.embeddings.is_some() {
            let shape = (input.ids.len(), self.config.hidden_size);
            let zeros = Tensor::zeros(shape, g.dtype(), &self.device)?;
            g = Queries::First(input.bounds).add_to(zeros, &g)?;
        }
        let mut last = true;
        for (i, tape) in tape.layers.into_iter().rev() {
            let queries = queries_of(input, last);
            g = self.layers[i].backward(tape, queries, drop, g, gradients)?;
            last = false;
        }
        match tape.embeddings {
            Some(tape) => self.embeddings.backward(tape, drop, &g, gradients),
            None => Ok(()),
        }
    }
}

/// The tokens that a layer computes on the way to a classification head.
fn queries_of<'a>(input: &Input<'a>, last_layer: bool) -> Queries<'a> {
    if last_layer {
        Queries::First(input.bounds)
    } else {
        Queries::All(input.bounds)
    }
}

impl Encoder for Network {
    fn config(&self) -> &Config {
        &self.config
    }

    fn hidden_states(
        &self,
        input: &Input<'_>,
        last: usize,
        of_last: Queries<'_>,
        visit: &mut dyn FnMut(usize, &Tensor) -> Result<()>,
    ) -> Result<()> {
        if last > self.layers.len() {
            let n = self.layers.len();
            return Err(Error::Usage(format!(
                "layer {last} does not exist: this model has layers 0 (embeddings) to {n}"
            )));
        }
        let drop = self.drop(None);
        let (mut x, _) = self.embeddings.forward(self.lookups(input)?, drop)?;
        if last == 0 {
            return visit(0, &of_last.of(&x)?);
        }
        visit(0, &x)?;
        for layer in &self.layers[..last] {
            let number = layer.index + 1;
            let queries = match number == last {
                true => of_last,
                false => Queries::All(input.bounds),
            };
            x = layer.infer(x, queries)?;
            visit(number, &x)?;
        }
        Ok(())
    }
}

impl SequenceClassifier for Network {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn freeze(&mut self, layers: usize) -> Result<()> {
        let n = self.layers.len();
        if layers > n {
            return Err(Error::Usage(format!(
                "--freeze {layers}: this model has {n} encoder layers"
            )));
        }
        self.frozen = Some(layers);
        Ok(())
    }

    fn logits(&self, input: &Input<'_>) -> Result<Tensor> {
        let drop = self.drop(None);
        let mut x = self.embeddings.forward(self.lookups(input)?, drop)?.0;
        for layer in &self.layers {
            let last = layer.index + 1 == self.layers.len();
            x = layer.forward(x, queries_of(input, last), drop)?.0;
        }
        Ok(self.head()?.forward(&x, drop)?.0)
    }

    fn accumulate_gradients(
        &self,
        input: &Input<'_>,
        labels: &[u32],
        weight: f64,
        dropout: Option<DropoutSeed>,
        gradients: &mut Gradients,
    ) -> Result<Loss> {
        let (logits, tape) = self.forward(input, dropout)?;
        let loss = nn::cross_entropy(&logits, labels)?;
        self.backward(input, tape, dropout, &(loss.gradient * weight)?, gradients)?;
        Ok(Loss { mean: loss.loss })
    }
}
