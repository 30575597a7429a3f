//! An encoder of any family with, perhaps, its classification head: its forward and backward pass.

use candle_core::{Device, Tensor};

use super::architecture::{self, Architecture};
use super::block::Block;
use super::builder::Builder;
use super::config::Config;
use super::embeddings::{Embeddings, Lookups};
use super::layers::{Backward, Head, Pass};
use super::parameters::{Gradients, Parameters};
use super::{Encoder, Input, Loss, SequenceClassifier};
use crate::error::{Error, Result};
use crate::nn::{self, DropoutSeed, Queries, Sequences};
use crate::rng::Stream;

/// An encoder with or without a classification head.
#[derive(Debug)]
pub(super) struct Network {
    architecture: &'static dyn Architecture,
    config: Config,
    device: Device,
    embeddings: Embeddings,
    blocks: Vec<Box<dyn Block>>,
    head: Option<Box<dyn Head>>,
    parameters: Parameters,
    /// How many parameters stand before those of each layer, and then before those of the head.
    parameters_below: Vec<usize>,
    /// With `Some(n)` neither the embeddings nor the lowest n layers get a gradient.
    frozen: Option<usize>,
    /// Whether a training pass keeps only the input of each layer.
    gradient_checkpointing: bool,
}

/// The way back from the gradient of the logits to the parameters.
type WayBack<'a> = Box<dyn FnOnce(Tensor, &mut Gradients) -> Result<()> + 'a>;

impl Network {
    /// The network that `config` describes, and the names of the head's tensors that were drawn
    /// anew; with a head when `head_seed` is given, which draws them.
    pub(crate) fn build(
        mut builder: Builder<'_>,
        device: &Device,
        config: Config,
        head_seed: Option<u64>,
    ) -> Result<(Self, Vec<String>)> {
        let architecture = architecture::of(&config);
        let embeddings = architecture.embeddings(&mut builder, &config)?;
        let (mut blocks, mut parameters_below) = (Vec::new(), Vec::new());
        for index in 0..config.num_layers {
            parameters_below.push(builder.parameters.len());
            blocks.push(architecture.block(&mut builder, &config, index)?);
        }
        parameters_below.push(builder.parameters.len());
        let head = head_seed
            .map(|seed| architecture.head(&mut builder, &config, seed))
            .transpose()?;
        let network = Self {
            architecture,
            config,
            device: device.clone(),
            embeddings,
            blocks,
            head,
            parameters: builder.parameters,
            parameters_below,
            frozen: None,
            gradient_checkpointing: false,
        };
        Ok((network, builder.initialised))
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
        Lookups::new(self.architecture.lookups(config, input)?, &self.device)
    }

    fn sequences(&self, input: &Input<'_>) -> Result<Sequences> {
        Sequences::new(input.bounds, &self.device)
    }

    /// Whether a training pass leaves a layer out (FlauBERT's layer drop).
    fn is_skipped(&self, layer: usize, seed: Option<DropoutSeed>) -> bool {
        let p = self.config.layer_drop;
        match seed {
            Some(s) if p > 0.0 => {
                Stream::new(s.seed, &format!("layer drop {} {layer}", s.step)).uniform() < p
            }
            _ => false,
        }
    }

    fn head(&self) -> Result<&dyn Head> {
        self.head.as_deref().ok_or_else(|| {
            Error::Mismatch("this model was loaded without its classification head".into())
        })
    }

    /// Logits (B, C) and the way back. The last layer is computed for the first tokens alone, which
    /// are all that the head sees.
    fn forward<'a>(&'a self, input: &Input<'_>, pass: Pass<'a>) -> Result<(Tensor, WayBack<'a>)> {
        let (mut x, embeddings_backward) = self.embeddings.forward(self.lookups(input)?, pass)?;
        let used: Vec<usize> = (0..self.blocks.len())
            .filter(|&i| !self.is_skipped(i, pass.dropout))
            .collect();
        let mut ways_back = Vec::with_capacity(used.len());
        for &i in &used {
            let (y, backward) = self.block(i, x, queries_of(used.last() == Some(&i)), pass)?;
            if self.frozen.is_none_or(|n| i >= n) {
                ways_back.push(backward);
            }
            x = y;
        }
        if used.is_empty() {
            x = pass.sequences.select(&x, Queries::First)?;
        }
        let (logits, head_backward) = self.head()?.forward(&x, pass)?;
        let embeddings_backward = self.frozen.is_none().then_some(embeddings_backward);
        let shape = (input.ids.len(), self.config.hidden_size);
        let way_back: WayBack<'a> = Box::new(move |of_logits, gradients| {
            let mut g = head_backward(of_logits, gradients)?;
            if ways_back.is_empty() && embeddings_backward.is_some() {
                let zeros = nn::Owned::zeros(shape, g.dtype(), g.device())?;
                g = pass.sequences.add(zeros, &g, Queries::First)?.into_tensor();
            }
            for backward in ways_back.into_iter().rev() {
                g = backward(g, gradients)?;
            }
            match embeddings_backward {
                Some(backward) => backward(&g, gradients),
                None => Ok(()),
            }
        });
        Ok((logits, way_back))
    }

    /// Layer `i`. With gradient checkpointing (Chen et al. 2016) its way back holds the input alone
    /// and makes the rest again: dropout draws the same numbers, so the gradients are the same to
    /// the last bit.
    fn block<'a>(
        &'a self,
        i: usize,
        x: Tensor,
        queries: Queries,
        pass: Pass<'a>,
    ) -> Result<(Tensor, Backward<'a>)> {
        let block = &self.blocks[i];
        if !self.gradient_checkpointing {
            return block.forward(x, queries, pass);
        }
        let (y, _) = block.forward(x.clone(), queries, pass)?;
        let again: Backward<'a> = Box::new(move |gradient, gradients| {
            let (_, backward) = block.forward(x, queries, pass)?;
            backward(gradient, gradients)
        });
        Ok((y, again))
    }
}

/// The tokens that a layer computes on the way to a classification head.
fn queries_of(is_last: bool) -> Queries {
    match is_last {
        true => Queries::First,
        false => Queries::All,
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
        of_last: Queries,
        visit: &mut dyn FnMut(usize, &Tensor) -> Result<()>,
    ) -> Result<()> {
        let n = self.blocks.len();
        if last > n {
            return Err(Error::Usage(format!(
                "layer {last} does not exist: this model has layers 0 (embeddings) to {n}"
            )));
        }
        let sequences = &self.sequences(input)?;
        let pass = Pass {
            sequences,
            dropout: None,
        };
        let (mut x, _) = self.embeddings.forward(self.lookups(input)?, pass)?;
        if last == 0 {
            return visit(0, &sequences.select(&x, of_last)?);
        }
        visit(0, &x)?;
        for (number, block) in (1..=last).zip(&self.blocks) {
            let queries = match number == last {
                true => of_last,
                false => Queries::All,
            };
            x = block.infer(x, queries, pass)?;
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
        let n = self.blocks.len();
        if layers > n {
            let problem = format!("this model has {n} encoder layers");
            return Err(Error::setting("freeze", layers, problem));
        }
        self.frozen = Some(layers);
        self.parameters.freeze(self.parameters_below[layers]);
        Ok(())
    }

    fn set_gradient_checkpointing(&mut self, on: bool) {
        self.gradient_checkpointing = on;
    }

    fn logits(&self, input: &Input<'_>) -> Result<Tensor> {
        let pass = Pass {
            sequences: &self.sequences(input)?,
            dropout: None,
        };
        let (mut x, _) = self.embeddings.forward(self.lookups(input)?, pass)?;
        for (i, block) in self.blocks.iter().enumerate() {
            x = block.infer(x, queries_of(i + 1 == self.blocks.len()), pass)?;
        }
        Ok(self.head()?.forward(&x, pass)?.0)
    }

    fn accumulate_gradients(
        &self,
        input: &Input<'_>,
        labels: &[u32],
        weight: f64,
        dropout: Option<DropoutSeed>,
        gradients: &mut Gradients,
    ) -> Result<Loss> {
        let pass = Pass {
            sequences: &self.sequences(input)?,
            dropout,
        };
        let (logits, way_back) = self.forward(input, pass)?;
        let cross_entropy = nn::cross_entropy(&logits, labels)?;
        way_back((cross_entropy.gradient * weight)?, gradients)?;
        Ok(Loss::new(cross_entropy.loss))
    }
}
