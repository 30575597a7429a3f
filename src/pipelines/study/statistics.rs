//! All statistics of one pass over the sentences of one model.

use std::path::Path;

use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::measures::Measures;
use super::spool::SpoolReader;
use super::table::{Kind, TableWriter};
use crate::analysis::cosine::{Cosine, CosineSummary};
use crate::analysis::covariance::CovarianceTrace;
use crate::analysis::effective_rank::EffectiveRank;
use crate::error::{Error, Result};

/// How many sentences each statistic looks at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sizes {
    pub(crate) cosine: usize,
    pub(crate) trace: usize,
    pub(crate) erank: usize,
    /// 0 for none.
    pub(crate) measures: usize,
}

impl Sizes {
    /// The number of sentences that must be read.
    pub(crate) fn most(&self) -> usize {
        self.cosine
            .max(self.trace)
            .max(self.erank)
            .max(self.measures)
    }
}

/// The accumulators of one layer.
#[derive(Serialize, Deserialize)]
struct Layer {
    number: usize,
    cosine: Cosine,
    trace: CovarianceTrace,
    erank: EffectiveRank,
}

/// What a layer's accumulators found.
pub(super) struct LayerSummary {
    pub(crate) number: usize,
    pub(crate) cosine: CosineSummary,
    pub(crate) trace: [f64; 5],
    pub(crate) erank: f64,
}

/// What is found of a sentence in one layer: the variance of its cosines, the trace of its
/// covariance, tokens, norm, cosine, centred cosine, intra-sentence similarity; NaN for what was
/// not asked for.
const FOUND: usize = 7;

/// The numbers of a spooled row, of `layers` layers: that of the sentence first.
pub(super) fn row_width(layers: usize) -> usize {
    1 + FOUND * layers
}

/// Takes sentences one at a time, in the order of rows. What it holds does not grow with them, but
/// for a number a layer.
#[derive(Serialize, Deserialize)]
pub(super) struct Statistics {
    sizes: Sizes,
    layers: Vec<Layer>,
    sentences: usize,
    tokens: u64,
    measures: Option<Measures>,
}

impl Statistics {
    /// Nothing seen yet.
    pub(crate) fn new(sizes: Sizes, measures: Option<Measures>) -> Self {
        Self {
            sizes,
            layers: Vec::new(),
            sentences: 0,
            tokens: 0,
            measures,
        }
    }

    /// Sentences seen so far.
    pub(crate) fn sentences(&self) -> usize {
        self.sentences
    }

    /// Tokens seen so far.
    pub(crate) fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Add the states of sentence number `sentence`: (tokens, hidden) of every layer. Gives its row
    /// for the spool.
    pub(crate) fn add(
        &mut self,
        sentence: usize,
        states: &[(usize, ArrayView2<'_, f32>)],
    ) -> Result<Vec<f64>> {
        if self.layers.is_empty() {
            self.layers = states
                .iter()
                .map(|(number, view)| Layer {
                    number: *number,
                    cosine: Cosine::default(),
                    trace: CovarianceTrace::default(),
                    erank: EffectiveRank::new(view.ncols()),
                })
                .collect();
        }
        self.check_layers(states.iter().map(|s| s.0))?;
        let sizes = self.sizes;
        let found: Vec<(Option<f64>, Option<f64>)> = self
            .layers
            .par_iter_mut()
            .zip(states)
            .map(|(layer, (_, view))| layer.add(sentence, *view, sizes))
            .collect::<Result<_>>()?;
        let mut row = vec![f64::NAN; row_width(states.len())];
        row[0] = sentence as f64;
        let (cells, _) = row[1..].as_chunks_mut::<FOUND>();
        for (cells, (variance, trace)) in cells.iter_mut().zip(found) {
            cells[0] = variance.unwrap_or(f64::NAN);
            cells[1] = trace.unwrap_or(f64::NAN);
        }
        if let Some(measures) = &mut self.measures
            && sentence < sizes.measures
        {
            for (cells, g) in cells.iter_mut().zip(measures.add(sentence, states)?) {
                let tokens = g.tokens as f64;
                let values = [
                    tokens,
                    g.norm,
                    g.cosine,
                    g.centred_cosine,
                    g.intra_similarity,
                ];
                cells[2..].copy_from_slice(&values);
            }
        }
        self.sentences += 1;
        let (_, first) = states.first().expect("no extraction is without a layer");
        self.tokens += first.nrows() as u64;
        Ok(row)
    }

    fn check_layers(&self, numbers: impl Iterator<Item = usize>) -> Result<()> {
        if self.layers.iter().map(|l| l.number).eq(numbers) {
            return Ok(());
        }
        Err(Error::Mismatch(format!(
            "after {} sentences: other layers than in the first",
            self.sentences
        )))
    }

    /// Take in all sentences of another part of the same study.
    pub(crate) fn merge(&mut self, other: &Self) -> Result<()> {
        if other.sentences == 0 {
            return Ok(());
        }
        self.check_layers(other.layers.iter().map(|l| l.number))?;
        for (mine, theirs) in self.layers.iter_mut().zip(&other.layers) {
            mine.cosine.merge(&theirs.cosine);
            mine.trace.merge(&theirs.trace);
            mine.erank.merge(&theirs.erank)?;
        }
        match (&mut self.measures, &other.measures) {
            (Some(mine), Some(theirs)) => mine.merge(theirs)?,
            (None, None) => {}
            _ => {
                return Err(Error::Mismatch(
                    "parts of studies with different settings".into(),
                ));
            }
        }
        self.sentences += other.sentences;
        self.tokens += other.tokens;
        Ok(())
    }

    /// Write the tables into `folder`, those by sentence from `spool`, and return what they hold.
    pub(crate) fn finish(self, folder: &Path, spool: SpoolReader) -> Result<Vec<LayerSummary>> {
        self.write_by_sentence(folder, spool)?;
        let summaries: Vec<LayerSummary> = self
            .layers
            .par_iter()
            .map(Layer::summary)
            .collect::<Result<_>>()?;
        if let Some(measures) = self.measures {
            let ranks: Vec<_> = self.layers.iter().map(|l| (l.number, &l.erank)).collect();
            measures.finish(folder, &ranks)?;
        }
        write_cosine(folder, &summaries)?;
        write_erank(folder, &summaries)?;
        Ok(summaries)
    }
}

impl Statistics {
    fn write_by_sentence(&self, folder: &Path, mut spool: SpoolReader) -> Result<()> {
        let table = |stem, names: &[&'static str]| {
            let mut columns = vec![("sentence", Kind::Integer), ("layer", Kind::Integer)];
            columns.extend(names.iter().map(|&name| {
                let kind = if name == "tokens" {
                    Kind::Integer
                } else {
                    Kind::Float
                };
                (name, kind)
            }));
            TableWriter::create(folder, stem, &columns)
        };
        let geometry = [
            "tokens",
            "norm",
            "cosine",
            "centred_cosine",
            "intra_similarity",
        ];
        let mut variances = table("cosine_variance", &["variance"])?;
        let mut traces = table("trace", &["trace"])?;
        let mut sentences = match &self.measures {
            Some(_) => Some(table("sentences", &geometry)?),
            None => None,
        };
        while let Some(row) = spool.next_row()? {
            let sentence = row[0] as usize;
            for (layer, found) in self.layers.iter().zip(row[1..].as_chunks::<FOUND>().0) {
                let place = [sentence.into(), layer.number.into()];
                if sentence < self.sizes.cosine {
                    variances.row(&[place[0], place[1], found[0].into()])?;
                }
                if sentence < self.sizes.trace {
                    traces.row(&[place[0], place[1], found[1].into()])?;
                }
                if let Some(table) = &mut sentences
                    && sentence < self.sizes.measures
                {
                    let mut cells = vec![place[0], place[1], (found[2] as usize).into()];
                    cells.extend(found[3..].iter().map(|&v| super::table::Cell::Float(v)));
                    table.row(&cells)?;
                }
            }
        }
        variances.finish()?;
        traces.finish()?;
        sentences.map_or(Ok(()), TableWriter::finish)
    }
}

impl Layer {
    /// The variance of the sentence's cosines and the trace of its covariance, where they are asked
    /// for.
    fn add(
        &mut self,
        sentence: usize,
        tokens: ArrayView2<'_, f32>,
        sizes: Sizes,
    ) -> Result<(Option<f64>, Option<f64>)> {
        let variance = (sentence < sizes.cosine)
            .then(|| self.cosine.add_sentence(tokens))
            .transpose()?;
        let trace = (sentence < sizes.trace)
            .then(|| self.trace.add_sentence(tokens))
            .transpose()?;
        if sentence < sizes.erank {
            self.erank.add_sentence(tokens)?;
        }
        Ok((variance, trace))
    }

    fn summary(&self) -> Result<LayerSummary> {
        Ok(LayerSummary {
            number: self.number,
            cosine: self.cosine.summary(),
            trace: self.trace.five_numbers(),
            erank: self.erank.value()?,
        })
    }
}

fn write_cosine(folder: &Path, layers: &[LayerSummary]) -> Result<()> {
    let floats = ["mean", "variance", "min", "q1", "median", "q3", "max"].map(|n| (n, Kind::Float));
    let mut columns = vec![("layer", Kind::Integer), ("count", Kind::Integer)];
    columns.extend(floats);
    let mut table = TableWriter::create(folder, "cosine", &columns)?;
    for layer in layers {
        let c = &layer.cosine;
        let mut cells = vec![
            layer.number.into(),
            c.count.into(),
            c.mean.into(),
            c.variance.into(),
        ];
        cells.extend(c.five_numbers.map(super::table::Cell::Float));
        table.row(&cells)?;
    }
    table.finish()
}

fn write_erank(folder: &Path, layers: &[LayerSummary]) -> Result<()> {
    let columns = [("layer", Kind::Integer), ("erank", Kind::Float)];
    let mut table = TableWriter::create(folder, "erank", &columns)?;
    for layer in layers {
        table.row(&[layer.number.into(), layer.erank.into()])?;
    }
    table.finish()
}
