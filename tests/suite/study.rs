//! The statistics against NumPy, `.npy` files against NumPy's own, and the program `study`.

use std::fs;
use std::path::Path;

use flue_study::analysis::cosine::Cosine;
use flue_study::analysis::covariance::CovarianceTrace;
use flue_study::analysis::effective_rank::EffectiveRank;
use flue_study::artifact::AtomicFile;
use flue_study::artifact::npy::{Array, DType, Header, NpyWriter, Values, read_arrays};
use ndarray::Array2;
use serde_json::Value;

use super::common::{Workspace, fixtures};

/// What the formulas of the original's notebooks give in NumPy on `states.npy`: `tests/fixtures/study/goldens.py`.
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

/// The arrays of `arrays.npy`, written by NumPy.
fn numpy_arrays() -> (Vec<u8>, Vec<Array>) {
    let path = fixtures().join("study/arrays.npy");
    (fs::read(&path).unwrap(), read_arrays(&path).unwrap())
}

#[test]
fn npy_files_equal_numpys_byte_for_byte() {
    let (bytes, arrays) = numpy_arrays();
    assert_eq!(arrays.len(), 8);
    assert_eq!(arrays[2].values, Values::I64((-3..4).collect()));
    assert_eq!(
        (arrays[6].shape.len(), &arrays[6].values),
        (0, &Values::F64(vec![1.5]))
    );
    assert_eq!(arrays[7].shape, [1, 12_345_678, 0]);

    let folder = Workspace::new();
    let path = folder.path("copy.npy");
    let header = |a: &Array| {
        let dtype = match &a.values {
            Values::F16(_) => DType::F16,
            Values::F32(_) => DType::F32,
            Values::F64(_) => DType::F64,
            Values::I32(_) => DType::I32,
            Values::I64(_) => DType::I64,
        };
        Header::new(dtype, a.shape.clone())
    };
    let headers: Vec<Header> = arrays.iter().map(header).collect();
    let file = AtomicFile::create(&path, false).unwrap();
    let mut writer = NpyWriter::new(&path, file, &headers).unwrap();
    // the last array first, and the first one from its end
    for (i, array) in arrays.iter().enumerate().rev() {
        match &array.values {
            Values::F32(v) if i == 0 => {
                for k in (0..v.len()).rev() {
                    writer.write(0, k, &v[k..=k]).unwrap();
                }
            }
            Values::F16(v) => writer.write(i, 0, v).unwrap(),
            Values::F32(v) => writer.write(i, 0, v).unwrap(),
            Values::F64(v) => writer.write(i, 0, v).unwrap(),
            Values::I32(v) => writer.write(i, 0, v).unwrap(),
            Values::I64(v) => writer.write(i, 0, v).unwrap(),
        }
    }
    writer.finish().unwrap().commit().unwrap();
    assert!(fs::read(&path).unwrap() == bytes);
}

#[test]
fn an_npy_writer_refuses_what_does_not_fit() {
    let folder = Workspace::new();
    let path = folder.path("a.npy");
    let make = || {
        let file = AtomicFile::create(&path, true).unwrap();
        NpyWriter::new(&path, file, &[Header::new(DType::F32, [2, 3])]).unwrap()
    };
    assert!(make().write(0, 4, &[0f32; 3]).is_err());
    assert!(make().write(0, usize::MAX, &[0f32; 3]).is_err());
    assert!(make().write(0, 0, &[0f64; 3]).is_err());
    assert!(make().write(1, 0, &[0f32; 3]).is_err());
    let mut short = make();
    short.write(0, 0, &[0f32; 5]).unwrap();
    assert!(short.finish().is_err());
    assert!(!path.exists());
}

#[test]
fn broken_npy_files_are_refused_with_their_place() {
    let folder = Workspace::new();
    let (bytes, _) = numpy_arrays();
    let refused = |name: &str, bytes: &[u8], words: &str| {
        let path = folder.path(name);
        fs::write(&path, bytes).unwrap();
        let message = read_arrays(&path).unwrap_err().to_string();
        assert!(
            message.contains(words) && message.contains(name),
            "{message}"
        );
    };
    refused("empty.npy", b"", "byte 0");
    refused("text.npy", b"text,label\nbon,1\n", "byte 0");
    refused("cut.npy", &bytes[..150], "cut short");
    refused("header.npy", &bytes[..60], "cut short");
    refused("tail.npy", &[&bytes[..], b"xx"].concat(), "cut short");
    let edit = |from: &str, to: &str| {
        let at = bytes
            .windows(from.len())
            .position(|w| w == from.as_bytes())
            .unwrap();
        [&bytes[..at], to.as_bytes(), &bytes[at + from.len()..]].concat()
    };
    refused("big.npy", &edit("<f4", ">f4"), ">f4");
    refused("order.npy", &edit("False", "True "), "Fortran");
    refused("shape.npy", &edit("(3, 5)", "(3, x)"), "shape");
    refused(
        "huge.npy",
        &edit("(3, 5), ", "(3, 99999999999999999999), "),
        "shape",
    );
    refused(
        "large.npy",
        &edit("(3, 5), }     ", "(3, 99999999), }"),
        "cut short",
    );
    refused(
        "version.npy",
        &[&bytes[..6], &[9], &bytes[7..]].concat(),
        "version 9",
    );
    let missing = read_arrays(Path::new("absent.npy"))
        .unwrap_err()
        .to_string();
    assert!(missing.contains("absent.npy"));
}
