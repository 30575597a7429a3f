//! A random sample of tokens, of a fixed size however many there are.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::rng::Stream;

/// The tokens whose random numbers are smallest (bottom-k sampling): each token's number is a
/// function of the seed, its sentence and its place, so the sample is uniform, the same whatever
/// the order of sentences, and that of merged parts is that of the whole. The vectors of all layers
/// are kept for each token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TokenSample {
    size: usize,
    stream: Stream,
    /// By random number; then sentence and token, so that keys differ.
    tokens: BTreeMap<(u64, u64, u64), Vec<Vec<f32>>>,
}

impl TokenSample {
    /// A sample of at most `size` tokens.
    pub fn new(size: usize, seed: u64) -> Self {
        Self {
            size,
            stream: Stream::new(seed, "tokens"),
            tokens: BTreeMap::new(),
        }
    }

    /// Offer the tokens of sentence number `sentence`: (tokens, hidden) of every layer.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when there is no layer, layers differ in their number of tokens, or they
    /// are not those of the tokens before.
    pub fn add_sentence(&mut self, sentence: u64, layers: &[ArrayView2<'_, f32>]) -> Result<()> {
        let wrong = |what: &str| Err(Error::Mismatch(format!("sentence {sentence}: {what}")));
        let Some(count) = layers.first().map(|l| l.nrows()) else {
            return wrong("no layer");
        };
        if layers.iter().any(|l| l.nrows() != count) {
            return wrong("layers of different numbers of tokens");
        }
        let known = self.tokens.first_key_value();
        if known.is_some_and(|(_, token)| {
            !token
                .iter()
                .map(Vec::len)
                .eq(layers.iter().map(|l| l.ncols()))
        }) {
            return wrong("other layers, or other dimensions, than those of the sentences before");
        }
        for token in 0..count {
            let words = self.stream.block(sentence << 32 | token as u64);
            let number = u64::from(words[0]) | u64::from(words[1]) << 32;
            let key = (number, sentence, token as u64);
            if self.admits(key) {
                let vectors = layers.iter().map(|l| l.row(token).to_vec()).collect();
                self.tokens.insert(key, vectors);
                self.shrink();
            }
        }
        Ok(())
    }

    fn admits(&self, key: (u64, u64, u64)) -> bool {
        let last = self.tokens.last_key_value();
        self.tokens.len() < self.size || last.is_some_and(|(last, _)| key < *last)
    }

    fn shrink(&mut self) {
        while self.tokens.len() > self.size {
            self.tokens.pop_last();
        }
    }

    /// Add the sample of other sentences.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when it has another seed or size.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.size != other.size || self.stream != other.stream {
            return Err(Error::Mismatch(
                "samples of different seeds or sizes cannot be merged".into(),
            ));
        }
        self.tokens
            .extend(other.tokens.iter().map(|(k, v)| (*k, v.clone())));
        self.shrink();
        Ok(())
    }

    /// How many tokens it holds.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The sentence of each token, in the order of [`layer`](Self::layer).
    pub(crate) fn sentences(&self) -> Vec<u64> {
        self.tokens.keys().map(|key| key.1).collect()
    }

    /// The vectors of layer number `layer` of those that were offered, (tokens, hidden), in a
    /// random order; (0, 0) when there is no token.
    ///
    /// # Panics
    /// When so many layers were not offered.
    pub fn layer(&self, layer: usize) -> Array2<f32> {
        let rows: Vec<&[f32]> = self
            .tokens
            .values()
            .map(|layers| &layers[layer][..])
            .collect();
        let hidden = rows.first().map_or(0, |r| r.len());
        Array2::from_shape_fn((rows.len(), hidden), |(i, j)| rows[i][j])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sentence s has s % 5 tokens; a token's vector is its sentence and place.
    fn sentence(s: u64) -> Array2<f32> {
        Array2::from_shape_fn((s as usize % 5, 2), |(i, j)| {
            if j == 0 { s as f32 } else { i as f32 }
        })
    }

    fn run(sentences: impl Iterator<Item = u64>) -> TokenSample {
        let mut sample = TokenSample::new(50, 7);
        for s in sentences {
            let x = sentence(s);
            sample
                .add_sentence(s, &[x.view(), (&x * 2.0).view()])
                .unwrap();
        }
        sample
    }

    #[test]
    fn order_and_shards_do_not_matter() {
        let whole = run(0..400);
        assert_eq!(whole.len(), 50);
        assert_eq!(run((0..400).rev()).layer(0), whole.layer(0));
        let mut merged = run(0..3);
        merged.merge(&run(100..400)).unwrap();
        merged.merge(&run(3..100)).unwrap();
        assert_eq!(merged.layer(0), whole.layer(0));
        assert_eq!(merged.layer(1), whole.layer(0) * 2.0);
        let sentences: Vec<u64> = whole.layer(0).column(0).iter().map(|&s| s as u64).collect();
        assert_eq!(merged.sentences(), sentences);
        let mut lost = run(0..3);
        lost.merge(&run(100..400)).unwrap();
        assert_ne!(lost.layer(0), whole.layer(0));
    }

    #[test]
    fn every_token_has_the_same_chance() {
        // 80 sentences of 0..4 tokens, 160 in all, of which 50 are drawn, 400 times over
        let mut drawn = [0u32; 5];
        for seed in 0..400 {
            let mut sample = TokenSample::new(50, seed);
            for s in 0..80 {
                sample.add_sentence(s, &[sentence(s).view()]).unwrap();
            }
            for row in sample.layer(0).rows() {
                drawn[row[0] as usize % 5] += 1;
            }
        }
        for (length, &count) in drawn.iter().enumerate() {
            let expected = 400.0 * 50.0 * length as f64 / 10.0;
            assert!(
                (f64::from(count) - expected).abs() <= 5.0 * expected.sqrt(),
                "{length}"
            );
        }
    }

    #[test]
    fn few_tokens_are_all_kept() {
        let sample = run(0..6);
        assert_eq!(sample.len(), 10);
        assert_eq!(TokenSample::new(5, 1).len(), 0);
        let x = sentence(3);
        let y = sentence(2);
        assert!(
            TokenSample::new(5, 1)
                .add_sentence(0, &[x.view(), y.view()])
                .is_err()
        );
        assert_eq!(TokenSample::new(5, 1).layer(3).dim(), (0, 0));
    }

    #[test]
    fn other_layers_and_other_samples_are_refused() {
        let mut sample = run(0..6);
        let x = sentence(9);
        assert!(sample.add_sentence(9, &[]).is_err());
        assert!(sample.add_sentence(9, &[x.view()]).is_err());
        let wide = Array2::zeros((4, 3));
        assert!(sample.add_sentence(9, &[x.view(), wide.view()]).is_err());
        assert!(sample.merge(&TokenSample::new(50, 8)).is_err());
        assert!(sample.merge(&TokenSample::new(49, 7)).is_err());
        assert_eq!(sample.len(), 10);
    }
}
