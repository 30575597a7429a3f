//! The measures beyond the paper, against the authors' packages, scikit-learn and NumPy, and their
//! merges.

use std::fs;

use flue_study::analysis::cka::Representation;
use flue_study::analysis::cone::class_similarity;
use flue_study::analysis::effective_rank::EffectiveRank;
use flue_study::analysis::geometry::{Geometry, Reference};
use flue_study::analysis::intrinsic_dimension::two_nn;
use flue_study::analysis::isotropy::iso_score;
use flue_study::artifact::npy::read_arrays;
use ndarray::{Array2, Axis, concatenate};
use serde_json::Value;

use crate::common::fixtures;

/// The hidden states of `states.npy`, by layer, then by sentence.
fn states() -> [Vec<Array2<f32>>; 2] {
    let mut layers = [Vec::new(), Vec::new()];
    let arrays = read_arrays(&fixtures().join("study/states.npy")).unwrap();
    for (i, array) in arrays.into_iter().enumerate() {
        layers[i % 2].push(array.into_matrix().unwrap());
    }
    layers
}

/// `tests/fixtures/study/measures.py` says how it was made.
fn golden() -> Value {
    let text = fs::read_to_string(fixtures().join("study/measures.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[track_caller]
fn close(got: f64, want: &Value, tolerance: f64) {
    match want.as_f64() {
        Some(want) => assert!(
            (got - want).abs() <= tolerance * want.abs().max(1e-2),
            "{got} {want}"
        ),
        None => assert!(got.is_nan(), "{got}"),
    }
}

fn reference(golden: &Value) -> Reference {
    let numbers = |key: &str| golden[key].as_array().unwrap().clone();
    Reference {
        mean: numbers("mean")
            .iter()
            .map(|v| v.as_f64().unwrap() as f32)
            .collect(),
        leading: numbers("leading")
            .iter()
            .map(|v| v.as_u64().unwrap() as usize)
            .collect(),
    }
}

#[test]
fn geometry_equals_the_pairs_one_by_one() {
    let (golden, states) = (golden(), states());
    for (layer, sentences) in states.iter().enumerate() {
        let golden = &golden["layers"][layer];
        let mut geometry = Geometry::new(reference(golden));
        for (s, tokens) in sentences.iter().enumerate() {
            let found = geometry.add_sentence(tokens.view()).unwrap();
            assert_eq!(found.tokens, tokens.nrows());
            close(found.cosine, &golden["cosine"][s], 1e-9);
            close(found.centred_cosine, &golden["centred"][s], 1e-6);
            close(found.intra_similarity, &golden["intra"][s], 1e-9);
        }
        close(geometry.norms().mean(), &golden["norm"], 1e-9);
        close(geometry.norms().variance(), &golden["norm_variance"], 1e-9);
        close(geometry.directions().baseline(), &golden["baseline"], 1e-9);
        for (k, (dimension, share)) in geometry.directions().leading(2).into_iter().enumerate() {
            assert_eq!(golden["leading"][k], dimension);
            close(share, &golden["shares"][k], 1e-9);
            close(
                geometry.reduced()[k].baseline(),
                &golden["reduced"][k],
                1e-9,
            );
        }
    }
}

#[test]
fn geometries_merge_and_a_lost_shard_shows() {
    let (golden, states) = (golden(), states());
    let reference = reference(&golden["layers"][1]);
    let run = |parts: &[&[usize]]| {
        let mut whole = Geometry::new(reference.clone());
        for part in parts {
            let mut own = Geometry::new(reference.clone());
            for &s in *part {
                own.add_sentence(states[1][s].view()).unwrap();
            }
            whole.merge(&own).unwrap();
        }
        let reduced = whole.reduced().iter().map(|r| r.baseline());
        let figures = [
            whole.norms().mean(),
            whole.norms().variance(),
            whole.directions().baseline(),
        ];
        figures.into_iter().chain(reduced).collect::<Vec<f64>>()
    };
    let one = run(&[&[0, 1, 2, 3, 4, 5, 6]]);
    for (a, b) in one.iter().zip(run(&[&[4], &[0, 1, 2], &[], &[3, 5, 6]])) {
        assert!((a - b).abs() <= 1e-9 * a.abs(), "{a} {b}");
    }
    for (a, b) in one.iter().zip(run(&[&[4], &[0, 1, 2], &[5, 6]])) {
        assert!((a - b).abs() > 1e-6 * a.abs(), "{a} {b}");
    }
    let other = Geometry::new(Reference {
        leading: vec![0],
        ..reference.clone()
    });
    assert!(Geometry::new(reference.clone()).merge(&other).is_err());
    let mut bad = Array2::<f32>::ones((2, 24));
    assert!(
        Geometry::new(reference.clone())
            .add_sentence(bad.slice(ndarray::s![.., ..3]))
            .is_err()
    );
    bad[[0, 0]] = f32::INFINITY;
    assert!(Geometry::new(reference).add_sentence(bad.view()).is_err());
}

/// The intrinsic dimension of points of one group.
fn dimension(x: &Array2<f32>) -> f64 {
    two_nn(x.view(), &vec![0; x.nrows()]).unwrap().value
}

#[test]
fn iso_score_intrinsic_dimension_and_cka_equal_their_packages() {
    let (golden, states) = (golden(), states());
    let stacked = states.each_ref().map(|sentences| {
        let views: Vec<_> = sentences.iter().map(|s| s.view()).collect();
        concatenate(Axis(0), &views).unwrap()
    });
    for (layer, tokens) in stacked.iter().enumerate() {
        let golden = &golden["layers"][layer];
        let mut erank = EffectiveRank::new(24);
        for sentence in &states[layer] {
            erank.add_sentence(sentence.view()).unwrap();
        }
        // the package computes in single precision for part of the way
        close(
            iso_score(&erank.spectrum().covariance()),
            &golden["iso_score"],
            1e-5,
        );
        close(dimension(tokens), &golden["two_nn"], 1e-5);
    }
    let represent = |x: &Array2<f32>| Representation::new(x.view(), &vec![0; x.nrows()]).unwrap();
    let [one, other] = stacked.each_ref().map(represent);
    close(one.cka(&other).unwrap().value, &golden["cka"], 1e-6);
    close(one.cka(&one).unwrap().value, &Value::from(1.0), 1e-12);
    assert!(one.cka(&represent(&states[0][0])).is_err());
    assert!(dimension(&states[0][5]).is_nan());
    // a twin has no ratio and is left out
    let twice = concatenate(
        Axis(0),
        &[stacked[0].view(), stacked[0].slice(ndarray::s![..1, ..])],
    )
    .unwrap();
    assert!((dimension(&twice) - dimension(&stacked[0])).abs() < 1.0);

    let labels: Vec<i64> = (0..88).map(|i| i64::from(i * 7 % 5 < 2)).collect();
    let found = class_similarity(stacked[0].view(), &labels).unwrap();
    let classes = &golden["classes"];
    close(found.within_0, &classes["within_0"], 1e-9);
    close(found.within_1, &classes["within_1"], 1e-9);
    close(found.between, &classes["between"], 1e-9);
    close(found.silhouette, &classes["silhouette"], 1e-5);
    assert!(class_similarity(stacked[0].view(), &labels[1..]).is_err());
    assert!(class_similarity(stacked[0].view(), &[2; 88]).is_err());
}
