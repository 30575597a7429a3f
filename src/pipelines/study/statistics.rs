//! All statistics of one pass over the sentences of one model.

use std::path::Path;

use ndarray::ArrayView2;
use rayon::prelude::*;

use super::measures::Measures;
use super::table::{Kind, TableWriter};
use crate::analysis::cosine::{Cosine, CosineSummary};
use crate::analysis::covariance::CovarianceTrace;
use crate::analysis::effective_rank::EffectiveRank;
use crate::error::{Error, Result};

/// How many sentences each statistic looks at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub cosine: usize,
    pub trace: usize,
    pub erank: usize,
    /// 0 for none.
    pub measures: usize,
}

impl Sizes {
    /// The number of sentences that must be read.
    pub fn most(&self) -> usize {
        self.cosine
            .max(self.trace)
            .max(self.erank)
            .max(self.measures)
    }
}

/// The accumulators of one layer.
struct Layer {
    number: usize,
    cosine: Cosine,
    trace: CovarianceTrace,
    erank: EffectiveRank,
}

/// What a layer's accumulators found.
pub(super) struct LayerSummary {
    pub number: usize,
    pub cosine: CosineSummary,
    pub trace: [f64; 5],
    pub erank: f64,
}

/// Takes sentences one at a time, in the order of rows; the tables by sentence grow on disk as they come.
pub(super) struct Statistics {
    sizes: Sizes,
    layers: Vec<Layer>,
    sentences: usize,
    tokens: u64,
    variances: TableWriter,
    traces: TableWriter,
    measures: Option<Measures>,
}

impl Statistics {
    /// Nothing seen yet; tables are written into `folder`.
    pub fn new(folder: &Path, sizes: Sizes, measures: Option<Measures>) -> Result<Self> {
        let by_sentence = |stem, name| {
            let columns = [
                ("sentence", Kind::Integer),
                ("layer", Kind::Integer),
                (name, Kind::Float),
            ];
            TableWriter::create(folder, stem, &columns)
        };
        Ok(Self {
            sizes,
            layers: Vec::new(),
            sentences: 0,
            tokens: 0,
            variances: by_sentence("cosine_variance", "variance")?,
            traces: by_sentence("trace", "trace")?,
            measures,
        })
    }

    /// Sentences seen so far.
    pub fn sentences(&self) -> usize {
        self.sentences
    }

    /// Tokens seen so far.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Add the states of one sentence: (tokens, hidden) of every layer.
    pub fn add(&mut self, states: &[(usize, ArrayView2<'_, f32>)]) -> Result<()> {
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
        if !self
            .layers
            .iter()
            .map(|l| l.number)
            .eq(states.iter().map(|s| s.0))
        {
            return Err(Error::Mismatch(format!(
                "sentence {}: other layers than in the first sentence",
                self.sentences
            )));
        }
        let (sentence, sizes) = (self.sentences, self.sizes);
        let found: Vec<(Option<f64>, Option<f64>)> = self
            .layers
            .par_iter_mut()
            .zip(states)
            .map(|(layer, (_, view))| layer.add(sentence, *view, sizes))
            .collect::<Result<_>>()?;
        for (layer, (variance, trace)) in self.layers.iter().zip(found) {
            let place = [sentence.into(), layer.number.into()];
            if let Some(variance) = variance {
                self.variances.row(&[place[0], place[1], variance.into()])?;
            }
            if let Some(trace) = trace {
                self.traces.row(&[place[0], place[1], trace.into()])?;
            }
        }
        if let Some(measures) = &mut self.measures
            && sentence < sizes.measures
        {
            measures.add(sentence, states)?;
        }
        self.sentences += 1;
        self.tokens += states.first().map_or(0, |s| s.1.nrows() as u64);
        Ok(())
    }

    /// Complete the tables by sentence, write those by layer into `folder`, and return what they hold.
    pub fn finish(self, folder: &Path) -> Result<Vec<LayerSummary>> {
        self.variances.finish()?;
        self.traces.finish()?;
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

impl Layer {
    /// The variance of the sentence's cosines and the trace of its covariance, where they are asked for.
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
