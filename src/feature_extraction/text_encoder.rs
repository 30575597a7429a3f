//! From texts to hidden states without a dataset: what a program that uses this library begins
//! with.

use candle_core::{DType, Device, Tensor};
use ndarray::{Array2, ArrayView2};

use crate::device;
use crate::error::{Error, Result};
use crate::hub::{Hub, HubOptions};
use crate::models::checkpoint::load_encoder;
use crate::models::{Encoder, Input};
use crate::nn::Queries;
use crate::tokenization::{AlignedEncoding, Offset, Tokenizer, TokenizerOptions, from_pretrained};

/// A checkpoint with its tokenizer: reads the hidden states of texts, every layer of every token.
pub struct TextEncoder {
    tokenizer: Box<dyn Tokenizer>,
    encoder: Box<dyn Encoder>,
    max_length: usize,
}

/// A text's tokens, special ones included, their places in it, and their hidden states.
#[derive(Debug, Clone)]
pub struct EncodedText {
    /// The tokens as the vocabulary writes them (T).
    pub tokens: Vec<String>,
    /// Their ids (T).
    pub token_ids: Vec<u32>,
    /// The place of each token in the text, in bytes and in characters (T); empty at 0 for the
    /// special tokens that were added.
    pub offsets: Vec<Offset>,
    /// Whether the text was longer than the model's positions, and its end left out.
    pub truncated: bool,
    /// Of each layer (T, H), the embeddings first.
    layers: Vec<Array2<f32>>,
}

impl EncodedText {
    /// n: the layers are numbered from 0, the embeddings, to n.
    pub fn num_layers(&self) -> usize {
        self.layers.len() - 1
    }

    /// The hidden states of a layer, (T, H): transformers' `hidden_states[layer]`.
    ///
    /// # Panics
    /// When `layer` is above [`num_layers`](Self::num_layers).
    pub fn hidden_states(&self, layer: usize) -> ArrayView2<'_, f32> {
        self.layers[layer].view()
    }
}

impl TextEncoder {
    /// The checkpoint of that name, a folder or a repository at the hub, on the best device that
    /// this build has.
    ///
    /// # Errors
    /// When it is not found, or one of its files is wrong.
    pub fn from_pretrained(name: &str) -> Result<Self> {
        let folder = Hub::new(HubOptions::default()).checkpoint(name)?;
        let tokenizer = from_pretrained(&folder, &TokenizerOptions::default())?;
        let encoder = load_encoder(&folder, &device::select(None)?)?;
        let max_length = tokenizer
            .model_max_length()
            .min(encoder.config().max_length());
        Ok(Self {
            tokenizer,
            encoder,
            max_length,
        })
    }

    /// The hidden states of texts, in their order, without dropout. Texts are computed one after
    /// another; the memory of all their states is 4·T·H bytes a layer.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when tokenizer and model do not fit each other; a candle error.
    pub fn encode(&self, texts: &[&str]) -> Result<Vec<EncodedText>> {
        texts.iter().map(|text| self.encode_one(text)).collect()
    }

    fn encode_one(&self, text: &str) -> Result<EncodedText> {
        let AlignedEncoding {
            encoding, offsets, ..
        } = self.tokenizer.encode_aligned(text, Some(self.max_length))?;
        let columns: Vec<u32> = (0..encoding.ids.len() as u32).collect();
        let input = Input {
            ids: &encoding.ids,
            columns: &columns,
            token_type_ids: None,
            bounds: &[0, encoding.ids.len()],
        };
        let mut layers = Vec::new();
        let mut keep = |_, states: &Tensor| {
            layers.push(to_array(states)?);
            Ok(())
        };
        let last = self.encoder.config().num_layers;
        device::on_worker(|| {
            self.encoder
                .hidden_states(&input, last, Queries::All, &mut keep)
        })?;
        let token = |id: &u32| {
            self.tokenizer.token(*id).ok_or_else(|| {
                Error::Mismatch(format!("the tokenizer has no token of its own id {id}"))
            })
        };
        Ok(EncodedText {
            tokens: encoding.ids.iter().map(token).collect::<Result<_>>()?,
            token_ids: encoding.ids,
            offsets,
            truncated: encoding.truncated,
            layers,
        })
    }
}

/// A matrix of any device and type of number as f32 on the CPU.
fn to_array(states: &Tensor) -> Result<Array2<f32>> {
    let shape = states.dims2()?;
    let values = states.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
    let values = values.flatten_all()?.to_vec1()?;
    Array2::from_shape_vec(shape, values).map_err(Error::compute("hidden states"))
}
