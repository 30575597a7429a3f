//! An encoder of either family with, perhaps, its classification head: its forward and backward pass. `loading` makes it.

use candle_core::{Device, Tensor};

use super::config::{Config, Family};
use super::embeddings::{Embeddings, EmbeddingsTape, Lookups};
use super::heads::{Head, HeadTape};
use super::layer::{Drop, EncoderLayer, LayerTape};
use super::parameters::{Gradients, Parameters};
use super::{Encoder, Input, Loss, SequenceClassifier, camembert, flaubert};
use crate::error::{Error, Result};
use crate::nn::{self, DropoutSeed, Queries};
use crate::rng::Stream;

/// An encoder with or without a classification head.
#[derive(Debug)]
pub struct Network {
    pub(super) config: Config,
    pub(super) device: Device,
    pub(super) embeddings: Embeddings,
    pub(super) layers: Vec<EncoderLayer>,
    pub(super) head: Option<Head>,
    pub(super) parameters: Parameters,
    /// How many parameters stand before those of each layer, and then before those of the head.
    pub(super) parameters_below: Vec<usize>,
    /// With `Some(n)` neither the embeddings nor the lowest n layers get a gradient.
    pub(super) frozen: Option<usize>,
    /// Whether a training pass keeps only the input of each layer.
    pub(super) gradient_checkpointing: bool,
}

/// What a training pass keeps for its way back.
struct Tape {
    /// Unless they are frozen.
    embeddings: Option<EmbeddingsTape>,
    /// Of the layers that were neither dropped nor frozen, with their numbers.
    layers: Vec<(usize, Kept)>,
    head: HeadTape,
}

/// What a training pass keeps of a layer.
enum Kept {
    /// All that its backward pass needs.
    Tape(LayerTape),
    /// The input alone, from which its backward pass makes the rest again: dropout draws the same numbers, so the gradients are
    /// the same to the last bit (gradient checkpointing: Chen et al. 2016).
    Input(Tensor),
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
            Family::Xlm => {
                if let Some(column) = input.columns.iter().find(|&&c| c as usize >= limit) {
                    return Err(Error::Mismatch(format!(
                        "a token stands in column {column} of its row, which is padded on the left, and the model has {limit} positions: prepare the data with --max-length {limit}"
                    )));
                }
                flaubert::lookups(input)
            }
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
            let input = self.gradient_checkpointing.then(|| x.clone());
            let (y, tape) = self.layers[i].forward(x, queries, drop)?;
            if self.frozen.is_none_or(|n| i >= n) {
                layers.push((i, input.map_or(Kept::Tape(tape), Kept::Input)));
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
        for (i, kept) in tape.layers.into_iter().rev() {
            let queries = queries_of(input, last);
            let tape = match kept {
                Kept::Tape(tape) => tape,
                Kept::Input(x) => self.layers[i].forward(x, queries, drop)?.1,
            };
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

    fn set_label_names(&mut self, names: &[String]) {
        assert_eq!(names.len(), self.config.num_labels, "a name for each class");
        self.config.set_labels(names);
    }

    fn freeze(&mut self, layers: usize) -> Result<()> {
        let n = self.layers.len();
        if layers > n {
            return Err(Error::Usage(format!(
                "--freeze {layers}: this model has {n} encoder layers"
            )));
        }
        self.frozen = Some(layers);
        self.parameters.freeze(self.parameters_below[layers]);
        Ok(())
    }

    fn set_gradient_checkpointing(&mut self, on: bool) {
        self.gradient_checkpointing = on;
    }

    fn logits(&self, input: &Input<'_>) -> Result<Tensor> {
        let drop = self.drop(None);
        let mut x = self.embeddings.forward(self.lookups(input)?, drop)?.0;
        for layer in &self.layers {
            let last = layer.index + 1 == self.layers.len();
            x = layer.infer(x, queries_of(input, last))?;
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
