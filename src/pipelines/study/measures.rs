//! The measures beyond the paper, over all layers of one model.
//!
//! Intervals are over sentences, for what a first look fixes: the mean that is taken off before the centred cosine, and the
//! leading dimensions that `baseline_without_k` leaves out, come from the first 256 sentences; an adjusted similarity takes off the
//! baseline as estimated, whose own spread its interval does not hold. `leading_k_share` is of the leading dimensions of all.

use std::path::Path;

use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::table::{Cell, Kind, TableWriter};
use crate::analysis::bootstrap::{Bootstrap, Weights};
use crate::analysis::cka::Representation;
use crate::analysis::directions::DirectionSums;
use crate::analysis::effective_rank::{EffectiveRank, effective_rank};
use crate::analysis::geometry::{Geometry, Reference, SentenceGeometry};
use crate::analysis::intrinsic_dimension::two_nn;
use crate::analysis::isotropy::iso_score;
use crate::analysis::sample::TokenSample;
use crate::error::{Error, Result};
use crate::linalg::covariance_trace;
use crate::metrics::Interval;

/// Sentences from which means and leading dimensions are taken before the pass over all.
pub(super) const REFERENCE_SENTENCES: usize = 256;
/// Dimensions that are left out of the cosine, one more each time.
const LEADING: usize = 3;
/// Dimensions in the table of the leading ones.
const LISTED: usize = 5;
/// Tokens in the sample from which CKA and the intrinsic dimension are taken.
const SAMPLE: usize = 2000;
/// Replicates of the bootstrap over sentences.
const REPLICATES: usize = 400;

/// A first look at some sentences: what the measures of all are compared with.
#[derive(Default)]
pub(super) struct FirstLook {
    layers: Vec<(Vec<f64>, f64, Geometry)>,
}

impl FirstLook {
    /// Add the states of one sentence: (tokens, hidden) of every layer.
    pub fn add(&mut self, states: &[(usize, ArrayView2<'_, f32>)]) -> Result<()> {
        if self.layers.is_empty() {
            let empty = |hidden: usize| Reference {
                mean: vec![0.0; hidden],
                leading: Vec::new(),
            };
            let layer = |(_, v): &(usize, ArrayView2<'_, f32>)| {
                (vec![0.0; v.ncols()], 0.0, Geometry::new(empty(v.ncols())))
            };
            self.layers = states.iter().map(layer).collect();
        }
        for ((sum, tokens, geometry), (_, view)) in self.layers.iter_mut().zip(states) {
            for row in view.rows() {
                sum.iter_mut()
                    .zip(row)
                    .for_each(|(s, &x)| *s += f64::from(x));
            }
            *tokens += view.nrows() as f64;
            geometry.add_sentence(*view)?;
        }
        Ok(())
    }

    fn references(self) -> Vec<Reference> {
        self.layers
            .into_iter()
            .map(|(sum, tokens, geometry)| Reference {
                mean: sum.iter().map(|s| (s / tokens) as f32).collect(),
                leading: geometry
                    .directions()
                    .leading(LEADING)
                    .into_iter()
                    .map(|(dimension, _)| dimension)
                    .collect(),
            })
            .collect()
    }
}

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
    pub fn new(first: FirstLook, seed: u64, shared: bool) -> Self {
        let bootstrap = || Bootstrap::new(REPLICATES);
        let layer = |reference: Reference| Layer {
            spectrum: (!shared).then(|| EffectiveRank::new(reference.mean.len())),
            geometry: Geometry::new(reference),
            norm: bootstrap(),
            cosine: bootstrap(),
            centred: bootstrap(),
            intra: bootstrap(),
            trace: bootstrap(),
        };
        Self {
            seed,
            layers: first.references().into_iter().map(layer).collect(),
            sample: TokenSample::new(SAMPLE, seed),
        }
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
        self.sample.merge(&other.sample);
        Ok(())
    }

    /// Write `measures`, `leading` and `cka` into `folder`; `ranks` are the numbers of the layers and the effective ranks of
    /// the statistics.
    pub fn finish(self, folder: &Path, ranks: &[(usize, &EffectiveRank)]) -> Result<()> {
        let numbers: Vec<usize> = ranks.iter().map(|r| r.0).collect();
        let numbers = &numbers[..];
        let samples: Vec<_> = (0..numbers.len()).map(|i| self.sample.layer(i)).collect();
        let rows: Vec<Vec<Measure>> = self
            .layers
            .par_iter()
            .zip(ranks)
            .zip(&samples)
            .map(|((layer, rank), sample)| {
                let spectrum = layer.spectrum.as_ref().unwrap_or(rank.1);
                layer.measures(spectrum, sample.view())
            })
            .collect::<Result<_>>()?;
        write_measures(folder, numbers, &rows)?;
        write_leading(folder, numbers, &self.layers)?;
        write_cka(folder, numbers, &samples)
    }
}

/// A value, with its interval over sentences where it has one.
struct Measure(String, f64, Option<Interval>);

impl Layer {
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
        self.trace.merge(&other.trace)
    }

    fn measures(
        &self,
        spectrum: &EffectiveRank,
        sample: ArrayView2<'_, f32>,
    ) -> Result<Vec<Measure>> {
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
        let isotropy = match spectrum.tokens() {
            0 | 1 => f64::NAN,
            _ => iso_score(&covariance)?,
        };
        let mut measures = vec![
            over_sentences("norm", &self.norm, 0.0),
            over_sentences("cosine", &self.cosine, 0.0),
            over_sentences("centred_cosine", &self.centred, 0.0),
            over_sentences("intra_similarity", &self.intra, 0.0),
            alone("baseline", baseline),
            over_sentences("adjusted_intra_similarity", &self.intra, baseline),
            over_sentences("adjusted_cosine", &self.cosine, baseline),
            over_sentences("trace", &self.trace, 0.0),
            alone("corpus_trace", covariance.diag().sum()),
            alone("erank", effective_rank(&values)),
            alone("erank_of_squares", effective_rank(&squares)),
            alone("iso_score", isotropy),
            alone("intrinsic_dimension", two_nn(sample)),
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

fn write_cka(folder: &Path, numbers: &[usize], samples: &[ndarray::Array2<f32>]) -> Result<()> {
    let columns = [
        ("layer_a", Kind::Integer),
        ("layer_b", Kind::Integer),
        ("cka", Kind::Float),
    ];
    let mut table = TableWriter::create(folder, "cka", &columns)?;
    let layers: Vec<Representation> = samples
        .par_iter()
        .map(|s| Representation::new(s.view()))
        .collect();
    let pairs: Vec<(usize, usize)> = (0..numbers.len())
        .flat_map(|a| (a..numbers.len()).map(move |b| (a, b)))
        .collect();
    let values: Vec<f64> = pairs
        .par_iter()
        .map(|&(a, b)| layers[a].cka(&layers[b]))
        .collect::<Result<_>>()?;
    for ((a, b), value) in pairs.into_iter().zip(values) {
        table.row(&[numbers[a].into(), numbers[b].into(), value.into()])?;
    }
    table.finish()
}
