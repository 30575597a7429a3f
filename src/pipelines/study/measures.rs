//! The measures beyond the paper, over all layers of one model.
//!
//! Intervals are over sentences, for what a first look fixes: the mean that is taken off before the
//! centred cosine, and the leading dimensions that `baseline_without_k` leaves out, come from the
//! first 256 sentences; an adjusted similarity takes off the baseline as estimated, whose own
//! spread its interval does not hold. `leading_k_share` is of the leading dimensions of all. The
//! bootstrap of the IsoScore takes the first look's covariance for its derivative
//! ([`SpreadBootstrap`]). CKA and the intrinsic dimension have jackknife intervals over groups of
//! the sentences of the sample of tokens ([`deal`]).

use std::path::Path;

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::table::{Cell, Kind, TableWriter};
use crate::analysis::bootstrap::{Bootstrap, Weights};
use crate::analysis::cka::Representation;
use crate::analysis::effective_rank::{EffectiveRank, effective_rank};
use crate::analysis::geometry::DirectionSums;
use crate::analysis::geometry::{Geometry, Reference, SentenceGeometry};
use crate::analysis::intrinsic_dimension::two_nn;
use crate::analysis::isotropy::{SpreadBootstrap, iso_score};
use crate::analysis::jackknife::{Estimate, deal};
use crate::analysis::sample::TokenSample;
use crate::error::{Error, Result};
use crate::linalg::{GramMatrix, covariance_trace};
use crate::metrics::Interval;

/// Sentences from which means and leading dimensions are taken before the pass over all.
pub(super) const REFERENCE_SENTENCES: usize = 256;
/// Tokens in the sample from which CKA and the intrinsic dimension are taken.
const SAMPLE: usize = 2000;
/// Replicates of the bootstrap over sentences.
const REPLICATES: usize = 400;

/// Dimensions in the table of the leading ones.
const LISTED: usize = 5;
/// Dimensions that are left out of the cosine, one more each time.
const LEADING: usize = 3;
/// Tokens whose covariance is taken, or some more to the end of a sentence: enough for the
/// derivative of the IsoScore.
const TOKENS: u64 = 4096;

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
    /// Nothing seen yet. With `shared` spectra the effective ranks of the same sentences are given
    /// to [`finish`](Self::finish).
    pub(crate) fn new(first: &FirstLook, seed: u64, shared: bool) -> Result<Self> {
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
    pub(crate) fn add(
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
    pub(crate) fn merge(&mut self, other: &Self) -> Result<()> {
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

    /// Write `measures`, `leading` and `cka` into `folder`; `ranks` are the numbers of the layers
    /// and the effective ranks of the statistics.
    pub(crate) fn finish(self, folder: &Path, ranks: &[(usize, &EffectiveRank)]) -> Result<()> {
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
        write_measures(folder, numbers, &rows)?;
        write_leading(folder, numbers, &self.layers)?;
        let layers: Vec<Representation> = samples
            .par_iter()
            .map(|s| Representation::new(s.view(), &groups))
            .collect::<Result<_>>()?;
        write_cka(folder, numbers, &layers)
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

/// Every measure of every layer, with its interval where it has one.
fn write_measures(folder: &Path, numbers: &[usize], rows: &[Vec<Measure>]) -> Result<()> {
    let columns = [
        ("layer", Kind::Integer),
        ("measure", Kind::Text),
        ("value", Kind::Float),
        ("low", Kind::Float),
        ("high", Kind::Float),
    ];
    let mut table = TableWriter::create(folder, "measures", &columns)?;
    for (&number, measures) in numbers.iter().zip(rows) {
        for Measure(name, value, interval) in measures {
            let ends = interval.map_or([f64::NAN; 2], |i| [i.low, i.high]);
            table.row(&[
                number.into(),
                Cell::Text(name),
                (*value).into(),
                ends[0].into(),
                ends[1].into(),
            ])?;
        }
    }
    table.finish()
}

/// The dimensions that add most to the similarity of tokens.
fn write_leading(folder: &Path, numbers: &[usize], layers: &[Layer]) -> Result<()> {
    let columns = [
        ("layer", Kind::Integer),
        ("rank", Kind::Integer),
        ("dimension", Kind::Integer),
        ("share", Kind::Float),
    ];
    let mut table = TableWriter::create(folder, "leading", &columns)?;
    for (&number, layer) in numbers.iter().zip(layers) {
        let leading = layer.geometry.directions().leading(LISTED);
        for (rank, (dimension, share)) in leading.into_iter().enumerate() {
            table.row(&[
                number.into(),
                (rank + 1).into(),
                dimension.into(),
                share.into(),
            ])?;
        }
    }
    table.finish()
}

/// The likeness of all pairs of layers, over the tokens of a sample.
fn write_cka(folder: &Path, numbers: &[usize], layers: &[Representation]) -> Result<()> {
    let columns = [
        ("layer_a", Kind::Integer),
        ("layer_b", Kind::Integer),
        ("cka", Kind::Float),
        ("low", Kind::Float),
        ("high", Kind::Float),
    ];
    let mut table = TableWriter::create(folder, "cka", &columns)?;
    let pairs: Vec<(usize, usize)> = (0..numbers.len())
        .flat_map(|a| (a..numbers.len()).map(move |b| (a, b)))
        .collect();
    let values: Vec<Estimate> = pairs
        .par_iter()
        .map(|&(a, b)| layers[a].cka(&layers[b]))
        .collect::<Result<_>>()?;
    for ((a, b), Estimate { value, interval }) in pairs.into_iter().zip(values) {
        table.row(&[
            numbers[a].into(),
            numbers[b].into(),
            value.into(),
            interval.low.into(),
            interval.high.into(),
        ])?;
    }
    table.finish()
}

/// What some sentences tell of every layer: what the measures of all are compared with.
#[derive(Default)]
pub(super) struct FirstLook {
    layers: Vec<LayerLook>,
}

struct LayerLook {
    sum: Vec<f64>,
    tokens: f64,
    gram: GramMatrix,
    /// The sum of the tokens of the Gram matrix.
    gram_sum: Vec<f64>,
    geometry: Geometry,
}

/// What was found of one layer.
struct Seen {
    /// The mean of the tokens, and the dimensions that add most to their similarity.
    reference: Reference,
    /// The covariance of the tokens.
    covariance: Array2<f64>,
}

impl FirstLook {
    /// Add the states of one sentence: (tokens, hidden) of every layer.
    pub(crate) fn add(&mut self, states: &[(usize, ArrayView2<'_, f32>)]) -> Result<()> {
        if self.layers.is_empty() {
            self.layers = states.iter().map(|s| LayerLook::new(s.1.ncols())).collect();
        }
        let layers = self.layers.par_iter_mut().zip(states);
        layers.try_for_each(|(layer, (_, view))| layer.add(*view))
    }

    /// What was found, layer by layer.
    fn seen(&self) -> Vec<Seen> {
        self.layers.iter().map(LayerLook::seen).collect()
    }
}

impl LayerLook {
    fn new(hidden: usize) -> Self {
        Self {
            sum: vec![0.0; hidden],
            tokens: 0.0,
            gram: GramMatrix::new(hidden),
            gram_sum: vec![0.0; hidden],
            geometry: Geometry::new(Reference {
                mean: vec![0.0; hidden],
                leading: Vec::new(),
            }),
        }
    }

    fn add(&mut self, tokens: ArrayView2<'_, f32>) -> Result<()> {
        for row in tokens.rows() {
            let sums = self.sum.iter_mut().zip(row);
            sums.for_each(|(s, &x)| *s += f64::from(x));
        }
        self.tokens += tokens.nrows() as f64;
        if self.gram.rows() < TOKENS {
            self.gram.push(tokens)?;
            // Up to here every token was in both.
            self.gram_sum.clone_from(&self.sum);
        }
        self.geometry.add_sentence(tokens).map(|_| ())
    }

    fn seen(&self) -> Seen {
        let seen = self.gram.rows() as f64;
        let mut covariance = self.gram.products() / seen;
        for ((i, j), c) in covariance.indexed_iter_mut() {
            *c -= self.gram_sum[i] / seen * (self.gram_sum[j] / seen);
        }
        let leading = self.geometry.directions().leading(LEADING);
        Seen {
            reference: Reference {
                mean: self.sum.iter().map(|s| (s / self.tokens) as f32).collect(),
                leading: leading.into_iter().map(|l| l.0).collect(),
            },
            covariance,
        }
    }
}
