//! Seconds of the statistics of one layer on given hidden states; `benches/statistics_peers.py`
//! calls it and runs the notebooks' way on the same states.
//!
//! `FLUE_STATES` names a `.npy` file with one (tokens, hidden) matrix of single precision after
//! another, one a sentence. One line of JSON for each measure: its name, the seconds of the
//! quickest of ten runs, and what it found.

use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use flue_study::analysis::cosine::Cosine;
use flue_study::analysis::effective_rank::EffectiveRank;
use flue_study::artifact::npy::read_arrays;
use flue_study::error::{Error, Result};
use flue_study::linalg::covariance_trace;
use ndarray::Array2;

const RUNS: usize = 10;
/// The sentences of the effective rank, as in the notebooks.
const RANK_SENTENCES: usize = 10;

fn main() -> Result<()> {
    let Some(path) = std::env::var_os("FLUE_STATES") else {
        return Ok(());
    };
    let arrays = read_arrays(Path::new(&path))?;
    let states: Vec<Array2<f32>> = arrays.into_iter().filter_map(|a| a.into_matrix()).collect();
    report("cosine", || {
        let mut cosine = Cosine::default();
        for sentence in &states {
            cosine.add_sentence(sentence.view())?;
        }
        let found = cosine.summary();
        Ok([&[found.mean, found.variance][..], &found.five_numbers].concat())
    })?;
    report("trace", || Ok(vec![covariance_trace(states[0].view())]))?;
    report("erank", || {
        let mut rank = EffectiveRank::new(states[0].ncols());
        for sentence in states.iter().take(RANK_SENTENCES) {
            rank.add_sentence(sentence.view())?;
        }
        Ok(vec![rank.value()?])
    })
}

fn report(measure: &str, work: impl Fn() -> Result<Vec<f64>>) -> Result<()> {
    let mut best = f64::INFINITY;
    let mut found = Vec::new();
    for _ in 0..RUNS {
        let start = Instant::now();
        found = black_box(work()?);
        best = best.min(start.elapsed().as_secs_f64());
    }
    let line = serde_json::json!({ "measure": measure, "seconds": best, "found": found });
    writeln!(std::io::stdout(), "{line}").map_err(Error::io("stdout", "write"))
}
