//! The measures beyond the paper, over all layers of one model.
//!
//! Intervals are over sentences, for what a first look fixes: the mean that is taken off before the centred cosine, and the
//! leading dimensions that `baseline_without_k` leaves out, come from the first 256 sentences; an adjusted similarity takes off the
//! baseline as estimated, whose own spread its interval does not hold. `leading_k_share` is of the leading dimensions of all. The bootstrap
//! of the IsoScore takes the first look's covariance for its derivative ([`SpreadBootstrap`]). CKA and the intrinsic dimension have
//! jackknife intervals over groups of the sentences of the sample of tokens ([`deal`]).

use std::path::Path;

use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::analysis::bootstrap::{Bootstrap, Weights};
use crate::analysis::cka::Representation;
use crate::analysis::effective_rank::{EffectiveRank, effective_rank};
use crate::analysis::geometry::{DirectionSums, Geometry, SentenceGeometry};
use crate::analysis::intrinsic_dimension::two_nn;
use crate::analysis::isotropy::{SpreadBootstrap, iso_score};
use crate::analysis::jackknife::{Estimate, deal};
use crate::analysis::sample::TokenSample;
use crate::error::{Error, Result};
use crate::linalg::covariance_trace;
use crate::metrics::Interval;

mod first_look;
mod tables;

pub(super) use first_look::FirstLook;
use first_look::Seen;
use tables::LISTED;

/// Sentences from which means and leading dimensions are taken before the pass over all.
pub(super) const REFERENCE_SENTENCES: usize = 256;
/// Tokens in the sample from which CKA and the intrinsic dimension are taken.
const SAMPLE: usize = 2000;
/// Replicates of the bootstrap over sentences.
const REPLICATES: usize = 400;

/// The accumulators of one layer.
#[derive(Serialize, Deserialize)]
struct Layer {
    geometry: Geometry,
    /// None where the effective rank's own accumulator sees the same sentences.
    spectrum: Option<EffectiveRank>,
    norm: Bootstrap,
    cosine: Bootstrap,
    centred: Bootstrap,
    intra: Bootstrap,
    trace: Bootstrap,
    spread: SpreadBootstrap,
}

/// Takes sentences one at a time.
#[derive(Serialize, Deserialize)]
pub(super) struct Measures {
    seed: u64,
    layers: Vec<Layer>,
    sample: TokenSample,
}

impl Measures {
    /// Nothing seen yet. With `shared` spectra the effective ranks of the same sentences are given to
    /// [`finish`](Self::finish).
    pub fn new(first: &FirstLook, seed: u64, shared: bool) -> Result<Self> {
        let seen = first.seen();
        Ok(Self {
            seed,
            layers: seen
                .into_par_iter()
                .map(|layer| Layer::new(layer, shared))
                .collect::<Result<_>>()?,
            sample: TokenSample::new(SAMPLE, seed),
        })
    }

    /// Add the states of sentence number `sentence`; what was found of it in each layer.
    pub fn add(
        &mut self,
        sentence: usize,
        states: &[(usize, ArrayView2<'_, f32>)],
    ) -> Result<Vec<SentenceGeometry>> {
        if states.len() != self.layers.len() {
            return Err(Error::Mismatch(format!(
                "sentence {sentence}: {} layers, {} in the first ones",
                states.len(),
                self.layers.len()
            )));
        }
        let weights = Weights::of(self.seed, sentence as u64, REPLICATES);
        let found: Vec<SentenceGeometry> = self
            .layers
            .par_iter_mut()
            .zip(states)
            .map(|(layer, (_, view))| layer.add(*view, &weights))
            .collect::<Result<_>>()?;
        let views: Vec<_> = states.iter().map(|s| s.1).collect();
        self.sample.add_sentence(sentence as u64, &views)?;
        Ok(found)
    }

    /// Take in all sentences of another part of the same study.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.layers.len() != other.layers.len() {
            return Err(Error::Mismatch(
                "parts of studies of different numbers of layers".into(),
            ));
        }
        for (mine, theirs) in self.layers.iter_mut().zip(&other.layers) {
            mine.merge(theirs)?;
        }
        self.sample.merge(&other.sample)
    }

    /// Write `measures`, `leading` and `cka` into `folder`; `ranks` are the numbers of the layers and the effective ranks of
    /// the statistics.
    pub fn finish(self, folder: &Path, ranks: &[(usize, &EffectiveRank)]) -> Result<()> {
        let numbers: Vec<usize> = ranks.iter().map(|r| r.0).collect();
        let numbers = &numbers[..];
        let samples: Vec<_> = (0..numbers.len()).map(|i| self.sample.layer(i)).collect();
        let groups = deal(&self.sample.sentences());
        let rows: Vec<Vec<Measure>> = self
            .layers
            .par_iter()
            .zip(ranks)
            .zip(&samples)
            .map(|((layer, rank), sample)| {
                let spectrum = layer.spectrum.as_ref().unwrap_or(rank.1);
                let mut measures = layer.measures(spectrum)?;
                let Estimate { value, interval } = two_nn(sample.view(), &groups)?;
                measures.push(Measure("intrinsic_dimension".into(), value, Some(interval)));
                Ok(measures)
            })
            .collect::<Result<_>>()?;
        tables::write_measures(folder, numbers, &rows)?;
        tables::write_leading(folder, numbers, &self.layers)?;
        let layers: Vec<Representation> = samples
            .par_iter()
            .map(|s| Representation::new(s.view(), &groups))
            .collect::<Result<_>>()?;
        tables::write_cka(folder, numbers, &layers)
    }
}

/// A value, with its interval over sentences where it has one.
struct Measure(String, f64, Option<Interval>);

impl Layer {
    fn new(seen: Seen, shared: bool) -> Result<Self> {
        let Seen {
            reference,
            covariance,
        } = seen;
        let bootstrap = || Bootstrap::new(REPLICATES);
        Ok(Self {
            spectrum: (!shared).then(|| EffectiveRank::new(reference.mean.len())),
            spread: SpreadBootstrap::new(reference.mean.clone(), &covariance, REPLICATES)?,
            geometry: Geometry::new(reference),
            norm: bootstrap(),
            cosine: bootstrap(),
            centred: bootstrap(),
            intra: bootstrap(),
            trace: bootstrap(),
        })
    }

    fn add(&mut self, tokens: ArrayView2<'_, f32>, weights: &Weights) -> Result<SentenceGeometry> {
        let found = self.geometry.add_sentence(tokens)?;
        if let Some(spectrum) = &mut self.spectrum {
            spectrum.add_sentence(tokens)?;
        }
        self.norm.add(found.norm, found.tokens as f64, weights);
        self.cosine.add(found.cosine, 1.0, weights);
        self.centred.add(found.centred_cosine, 1.0, weights);
        self.intra.add(found.intra_similarity, 1.0, weights);
        self.trace.add(covariance_trace(tokens), 1.0, weights);
        self.spread.add_sentence(tokens, weights)?;
        Ok(found)
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        self.geometry.merge(&other.geometry)?;
        match (&mut self.spectrum, &other.spectrum) {
            (Some(mine), Some(theirs)) => mine.merge(theirs)?,
            (None, None) => {}
            _ => {
                return Err(Error::Mismatch(
                    "parts of studies with different settings".into(),
                ));
            }
        }
        self.norm.merge(&other.norm)?;
        self.cosine.merge(&other.cosine)?;
        self.centred.merge(&other.centred)?;
        self.intra.merge(&other.intra)?;
        self.trace.merge(&other.trace)?;
        self.spread.merge(&other.spread)
    }

    fn measures(&self, spectrum: &EffectiveRank) -> Result<Vec<Measure>> {
        let over_sentences = |name: &str, bootstrap: &Bootstrap, less: f64| {
            let Interval { low, high } = bootstrap.interval();
            let interval = Interval {
                low: low - less,
                high: high - less,
            };
            Measure(name.into(), bootstrap.estimate() - less, Some(interval))
        };
        let alone = |name: &str, value: f64| Measure(name.into(), value, None);
        let baseline = self.geometry.directions().baseline();
        let values = spectrum.spectrum().singular_values()?;
        let squares: Vec<f64> = values.iter().map(|v| v * v).collect();
        let covariance = spectrum.spectrum().covariance();
        let (trace, isotropy) = (covariance.diag().sum(), iso_score(&covariance));
        let with = |name: &str, value: f64, interval| Measure(name.into(), value, Some(interval));
        let mut measures = vec![
            over_sentences("norm", &self.norm, 0.0),
            over_sentences("cosine", &self.cosine, 0.0),
            over_sentences("centred_cosine", &self.centred, 0.0),
            over_sentences("intra_similarity", &self.intra, 0.0),
            alone("baseline", baseline),
            over_sentences("adjusted_intra_similarity", &self.intra, baseline),
            over_sentences("adjusted_cosine", &self.cosine, baseline),
            over_sentences("trace", &self.trace, 0.0),
            with("corpus_trace", trace, self.spread.trace(&covariance)),
            alone("erank", effective_rank(&values)),
            alone("erank_of_squares", effective_rank(&squares)),
            with("iso_score", isotropy, self.spread.iso_score(&covariance)),
        ];
        let leading = self.geometry.directions().leading(LISTED);
        for (k, without) in self.geometry.reduced().iter().enumerate() {
            let share = leading.iter().take(k + 1).map(|l| l.1).sum();
            measures.push(alone(&format!("leading_{}_share", k + 1), share));
            let baseline = DirectionSums::baseline(without);
            measures.push(alone(&format!("baseline_without_{}", k + 1), baseline));
        }
        Ok(measures)
    }
}
