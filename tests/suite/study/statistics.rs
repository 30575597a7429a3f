//! The accumulators against NumPy, and their merges.

use std::fs;

use flue_study::analysis::cosine::Cosine;
use flue_study::analysis::covariance::CovarianceTrace;
use flue_study::analysis::effective_rank::EffectiveRank;
use flue_study::artifact::npy::read_arrays;
use ndarray::Array2;
use serde_json::Value;

use crate::common::fixtures;

/// What the formulas of the original's notebooks give in NumPy on `states.npy`:
/// `tests/fixtures/study/goldens.py`.
struct Golden {
    /// By sentence, then by layer.
    states: Vec<[Array2<f32>; 2]>,
    figures: Value,
}

fn golden() -> Golden {
    let folder = fixtures().join("study");
    let matrices: Vec<Array2<f32>> = read_arrays(&folder.join("states.npy"))
        .unwrap()
        .into_iter()
        .map(|a| a.into_matrix().unwrap())
        .collect();
    let states = matrices
        .chunks(2)
        .map(|pair| [pair[0].clone(), pair[1].clone()])
        .collect();
    let text = fs::read_to_string(folder.join("statistics.json")).unwrap();
    Golden {
        states,
        figures: serde_json::from_str(&text).unwrap(),
    }
}

#[track_caller]
fn close(got: f64, want: &Value, tolerance: f64) {
    match want.as_f64() {
        Some(want) => assert!(
            (got - want).abs() <= tolerance * want.abs().max(1e-3),
            "{got} {want}"
        ),
        None => assert!(got.is_nan(), "{got}"),
    }
}

#[test]
fn cosines_traces_and_effective_rank_equal_numpy() {
    let golden = golden();
    for layer in 0..2 {
        let (mut cosine, mut trace) = (Cosine::default(), CovarianceTrace::default());
        let mut erank = EffectiveRank::new(24);
        for (s, states) in golden.states.iter().enumerate() {
            let row = &golden.figures["sentences"][2 * s + layer];
            close(
                cosine.add_sentence(states[layer].view()).unwrap(),
                &row["variance"],
                1e-4,
            );
            close(
                trace.add_sentence(states[layer].view()).unwrap(),
                &row["trace"],
                1e-9,
            );
            erank.add_sentence(states[layer].view()).unwrap();
        }
        let (want, got) = (&golden.figures["layers"][layer], cosine.summary());
        assert_eq!(got.count, want["count"].as_u64().unwrap());
        close(got.mean, &want["mean"], 1e-4);
        close(got.variance, &want["variance"], 1e-4);
        for (got, want) in got
            .five_numbers
            .iter()
            .zip(want["five"].as_array().unwrap())
        {
            close(*got, want, 1e-4);
        }
        close(erank.value().unwrap(), &want["erank"], 1e-9);
    }
}

/// Feeds `parts` of the golden sentences to accumulators of their own and merges these.
fn merged(golden: &Golden, parts: &[&[usize]]) -> (Cosine, CovarianceTrace, EffectiveRank) {
    let empty = || {
        (
            Cosine::default(),
            CovarianceTrace::default(),
            EffectiveRank::new(24),
        )
    };
    let mut whole = empty();
    for part in parts {
        let mut own = empty();
        for &s in *part {
            let tokens = golden.states[s][1].view();
            own.0.add_sentence(tokens).unwrap();
            own.1.add_sentence(tokens).unwrap();
            own.2.add_sentence(tokens).unwrap();
        }
        whole.0.merge(&own.0);
        whole.1.merge(&own.1);
        whole.2.merge(&own.2).unwrap();
    }
    whole
}

fn figures((cosine, trace, erank): &(Cosine, CovarianceTrace, EffectiveRank)) -> Vec<f64> {
    let c = cosine.summary();
    let mut figures = vec![c.count as f64, c.mean, c.variance];
    figures.extend(c.five_numbers);
    figures.extend(trace.five_numbers());
    figures.push(erank.value().unwrap());
    figures
}

#[test]
fn four_shards_merged_equal_one_run_and_a_wrong_merge_does_not() {
    let golden = golden();
    let one = figures(&merged(&golden, &[&[0, 1, 2, 3, 4, 5, 6]]));
    let shards = figures(&merged(&golden, &[&[0, 1], &[2], &[3, 4, 5], &[6]]));
    for (a, b) in one.iter().zip(&shards) {
        assert!((a - b).abs() <= 1e-9 * a.abs(), "{a} {b}");
    }
    // A shard that is lost, or merged twice, changes every figure that depends on it.
    for wrong in [
        &[&[0, 1][..], &[3, 4, 5], &[6]][..],
        &[&[0, 1], &[2, 6], &[3, 4, 5], &[6]],
    ] {
        let wrong = figures(&merged(&golden, wrong));
        let differs = |from: usize, to: usize| {
            (from..to).any(|i| (one[i] - wrong[i]).abs() > 1e-6 * one[i].abs())
        };
        assert!(differs(0, 1) && differs(1, 3) && differs(8, 13) && differs(13, 14));
    }
}

#[test]
fn values_that_are_not_finite_are_refused() {
    let mut bad = Array2::<f32>::ones((3, 4));
    bad[[1, 2]] = f32::NAN;
    let message = Cosine::default()
        .add_sentence(bad.view())
        .unwrap_err()
        .to_string();
    assert!(message.contains("token 1"), "{message}");
    assert!(CovarianceTrace::default().add_sentence(bad.view()).is_err());
    // a token of zeros has no direction: cosine 0
    let mut cosine = Cosine::default();
    cosine
        .add_sentence(ndarray::array![[0.0f32, 0.0], [1.0, 2.0]].view())
        .unwrap();
    assert_eq!(cosine.summary().mean, 0.0);
}
