//! The intervals of CKA, the intrinsic dimension and the IsoScore, against brute force in NumPy.

use std::fs;

use flue_study::analysis::bootstrap::Weights;
use flue_study::analysis::cka::Representation;
use flue_study::analysis::effective_rank::EffectiveRank;
use flue_study::analysis::intrinsic_dimension::two_nn;
use flue_study::analysis::isotropy::{SpreadBootstrap, iso_score};
use flue_study::analysis::jackknife::{Estimate, deal};
use flue_study::artifact::npy::read_arrays;
use ndarray::{Array2, Axis, concatenate};
use serde_json::Value;

use crate::common::fixtures;

/// The states of `intervals.npy`, by layer, then by sentence.
fn states() -> [Vec<Array2<f32>>; 2] {
    let mut layers = [Vec::new(), Vec::new()];
    let arrays = read_arrays(&fixtures().join("study/intervals.npy")).unwrap();
    for (i, array) in arrays.into_iter().enumerate() {
        layers[i % 2].push(array.into_matrix().unwrap());
    }
    layers
}

fn stacked(sentences: &[Array2<f32>]) -> Array2<f32> {
    let views: Vec<_> = sentences.iter().map(|s| s.view()).collect();
    concatenate(Axis(0), &views).unwrap()
}

/// `tests/fixtures/study/intervals.py` says how it was made.
fn golden() -> Value {
    let text = fs::read_to_string(fixtures().join("study/intervals.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The group of each token.
fn groups(sentences: &[Array2<f32>]) -> Vec<usize> {
    let numbers = sentences.iter().enumerate();
    let numbers: Vec<u64> = numbers
        .flat_map(|(s, x)| vec![s as u64; x.nrows()])
        .collect();
    deal(&numbers)
}

#[track_caller]
fn assert_close(got: Estimate, want: &Value, tolerance: f64) {
    let got = [got.value, got.interval.low, got.interval.high];
    for (got, want) in got.iter().zip(want.as_array().unwrap()) {
        let want = want.as_f64().unwrap();
        assert!((got - want).abs() < tolerance, "{got} {want}");
    }
}

#[test]
fn figures_without_each_group_are_those_of_the_points_left() {
    let (golden, states) = (golden(), states());
    let groups = groups(&states[0]);
    assert_eq!(groups.iter().max(), Some(&19));
    let layers = states.each_ref().map(|s| stacked(s));
    for (layer, points) in layers.iter().enumerate() {
        let want = &golden["layers"][layer]["two_nn"];
        assert_close(two_nn(points.view(), &groups).unwrap(), want, 1e-6);
    }
    let [one, other] = layers
        .each_ref()
        .map(|x| Representation::new(x.view(), &groups).unwrap());
    assert_close(one.cka(&other).unwrap(), &golden["cka"], 1e-6);
    let own = one.cka(&one).unwrap();
    assert_eq!(
        [own.value, own.interval.low, own.interval.high],
        [1.0; 3],
        "a layer is wholly like itself"
    );
    assert!(Representation::new(layers[0].view(), &groups[1..]).is_err());
    let others = Representation::new(layers[0].view(), &vec![0; groups.len()]).unwrap();
    assert!(one.cka(&others).is_err());
    // One group has no interval, not even of a layer with itself.
    let found = others.cka(&others).unwrap();
    assert!(found.value == 1.0 && found.interval.low.is_nan());
    let alone = |x: &Array2<f32>| Representation::new(x.view(), &vec![0; groups.len()]).unwrap();
    let found = alone(&layers[0]).cka(&alone(&layers[1])).unwrap();
    let want = golden["cka"][0].as_f64().unwrap();
    assert!((found.value - want).abs() < 1e-6);
    assert!(found.interval.low.is_nan() && found.interval.high.is_nan());
}

/// The interval is as wide as two standard errors on either side, by either way of finding them.
#[test]
fn the_iso_scores_interval_is_that_of_a_bootstrap_of_whole_sentences() {
    const REPLICATES: usize = 4000;
    let (golden, states) = (golden(), states());
    for (layer, sentences) in states.iter().enumerate() {
        let mut rank = EffectiveRank::new(8);
        for sentence in sentences {
            rank.add_sentence(sentence.view()).unwrap();
        }
        let covariance = rank.spectrum().covariance();
        let mean = rank.spectrum().mean().mapv(|m| m as f32).to_vec();
        let mut spread = SpreadBootstrap::new(mean, &covariance, REPLICATES).unwrap();
        for (s, sentence) in sentences.iter().enumerate() {
            let weights = Weights::of(5, s as u64, REPLICATES);
            spread.add_sentence(sentence.view(), &weights).unwrap();
        }
        let golden = &golden["layers"][layer];
        let (score, interval) = (iso_score(&covariance), spread.iso_score(&covariance));
        assert!((score - golden["iso_score"].as_f64().unwrap()).abs() < 1e-5);
        assert!(interval.low < score && score < interval.high);
        // in logarithms of (tr C)²/‖C‖² = 1 + 7 score
        let [low, high] = [interval.low, interval.high].map(|s| (1.0 + 7.0 * s).ln());
        for (way, tolerance) in [("linear", 0.06), ("bootstrap", 0.08)] {
            let error = golden["log_errors"][way].as_f64().unwrap();
            let ratio = (high - low) / (2.0 * 1.96 * error);
            assert!((ratio - 1.0).abs() < tolerance, "{way}: {ratio}");
        }
        let trace = spread.trace(&covariance);
        let whole = covariance.diag().sum();
        assert!(trace.low < whole && whole < trace.high);
        assert!(
            spread
                .add_sentence(
                    sentences[0].slice(ndarray::s![.., 1..]),
                    &Weights::of(1, 1, 1)
                )
                .is_err()
        );
    }
}
