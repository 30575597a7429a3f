//! The probe against PyTorch, and what it refuses.

use super::*;
use ndarray::Array2;

/// `tests/fixtures/study/goldens.py` says how it was made.
#[derive(Deserialize)]
struct Golden {
    train: Vec<Vec<f32>>,
    test: Vec<Vec<f32>>,
    train_labels: Vec<i64>,
    test_labels: Vec<i64>,
    start: Vec<f32>,
    history: Vec<Epoch>,
    weights: Vec<f32>,
    bias: f32,
}

fn golden() -> Golden {
    let text = include_str!("../../../tests/fixtures/study/probe.json");
    serde_json::from_str(text).unwrap()
}

fn matrix(rows: &[Vec<f32>]) -> Array2<f32> {
    let flat: Vec<f32> = rows.iter().flatten().copied().collect();
    Array2::from_shape_vec((rows.len(), rows[0].len()), flat).unwrap()
}

#[test]
fn five_epochs_equal_pytorch() {
    let mut g = golden();
    let (x, y) = (matrix(&g.train), matrix(&g.test));
    let (train, test) = (
        Rows {
            vectors: x.view(),
            labels: &g.train_labels,
        },
        Rows {
            vectors: y.view(),
            labels: &g.test_labels,
        },
    );
    let options = ProbeOptions {
        learning_rate: 1e-2,
        dropout: 0.0,
        ..ProbeOptions::default()
    };
    let mut unit = Unit::new(8, &options, &mut Stream::new(0, ""));
    unit.parameters[..8].copy_from_slice(&g.start);
    let order: Vec<usize> = (0..g.train.len()).collect();
    for want in &g.history {
        let (loss, accuracy) = unit.epoch(train, &order, &mut Stream::new(0, ""));
        let (confusion, test_loss) = unit.evaluate(test).unwrap();
        assert!((loss - want.train_loss).abs() < 1e-5, "{loss} {want:?}");
        assert!((accuracy - want.train_accuracy).abs() < 1e-6);
        assert!(
            (test_loss - want.test_loss).abs() < 1e-5,
            "{test_loss} {want:?}"
        );
        assert!((confusion.accuracy() - want.test_accuracy).abs() < 1e-6);
    }
    g.weights.push(g.bias);
    for (got, want) in unit.parameters.iter().zip(&g.weights) {
        assert!((got - want).abs() < 1e-5, "{got} {want}");
    }
}

/// Two clouds around ±1 in every dimension, labels 1 and 0.
fn clouds(n: usize, seed: u64) -> (Array2<f32>, Vec<i64>) {
    let mut s = Stream::new(seed, "clouds");
    let labels: Vec<i64> = (0..n).map(|_| s.below(2) as i64).collect();
    let x = Array2::from_shape_fn((n, 16), |(i, _)| {
        (s.normal() + 2.0 * labels[i] as f64 - 1.0) as f32
    });
    (x, labels)
}

#[test]
fn a_probe_learns_what_can_be_learnt_and_repeats_itself() {
    let ((x, labels), (y, test_labels)) = (clouds(640, 1), clouds(320, 2));
    let run = |name: &str, dropout| {
        let options = ProbeOptions {
            epochs: 20,
            dropout,
            ..ProbeOptions::default()
        };
        let (train_rows, test_rows) = (
            Rows {
                vectors: x.view(),
                labels: &labels,
            },
            Rows {
                vectors: y.view(),
                labels: &test_labels,
            },
        );
        train(train_rows, test_rows, &options, name).unwrap()
    };
    let probe = run("a", 0.1);
    assert!(probe.test.accuracy() > 0.97);
    assert_eq!(probe.history.len(), 20);
    assert_eq!(probe.history[19].test_accuracy, probe.test.accuracy());
    assert_eq!(run("a", 0.1).weights, probe.weights);
    assert_ne!(run("b", 0.1).weights, probe.weights);
    // An output that is dropped counts as class 0: about 5 % of the answers are wrong for that
    // reason alone.
    let (with, without) = (probe.history[19], run("a", 0.0).history[19]);
    let lost = without.train_accuracy - with.train_accuracy;
    assert!((0.02..0.08).contains(&lost), "{lost}");
}

#[test]
fn input_that_does_not_fit_is_refused() {
    let (x, labels) = clouds(4, 1);
    let try_train = |x: &Array2<f32>, labels: &[i64]| {
        let rows = Rows {
            vectors: x.view(),
            labels,
        };
        train(rows, rows, &ProbeOptions::default(), "").map(|_| ())
    };
    assert!(try_train(&x, &labels).is_ok());
    assert!(try_train(&x, &labels[..3]).is_err());
    assert!(try_train(&x, &[0, 1, 2, 0]).is_err());
    assert!(try_train(&Array2::zeros((0, 3)), &[]).is_err());
    let mut bad = x.clone();
    bad[[1, 1]] = f32::NAN;
    assert!(try_train(&bad, &labels).is_err());
    let test = Rows {
        vectors: x.slice(ndarray::s![.., ..15]),
        labels: &labels,
    };
    let rows = Rows {
        vectors: x.view(),
        labels: &labels,
    };
    assert!(train(rows, test, &ProbeOptions::default(), "").is_err());
    let default = ProbeOptions::default();
    for options in [
        ProbeOptions {
            batch_size: 0,
            ..default
        },
        ProbeOptions {
            dropout: 1.0,
            ..default
        },
        ProbeOptions {
            dropout: f64::NAN,
            ..default
        },
        ProbeOptions {
            learning_rate: f64::NAN,
            ..default
        },
    ] {
        let error = train(rows, rows, &options, "").unwrap_err();
        assert!(matches!(error, Error::Usage(_)), "{error}");
    }
}

/// NaN is not above 0: it would have been taken for class 0, and counted.
#[test]
fn an_output_that_overflows_is_no_answer() {
    let (x, labels) = clouds(40, 1);
    let large = x.mapv(|v| v.signum() * 3e38);
    let rows = Rows {
        vectors: large.view(),
        labels: &labels,
    };
    let error = train(rows, rows, &ProbeOptions::default(), "").unwrap_err();
    assert!(matches!(error, Error::Compute { .. }), "{error}");
}

#[test]
fn one_class_one_row_and_columns_that_do_not_vary() {
    let (x, _) = clouds(20, 1);
    let of = |x: ArrayView2<'_, f32>, labels: &[i64]| {
        let rows = Rows { vectors: x, labels };
        train(rows, rows, &ProbeOptions::default(), "").unwrap()
    };
    for class in [0, 1] {
        let probe = of(x.view(), &[class; 20]);
        assert_eq!(probe.test.count(1 - class as usize, 0), 0);
        assert_eq!(probe.test.total(), 20);
        assert!(probe.history[29].test_loss.is_finite());
    }
    let one = of(x.slice(ndarray::s![..1, ..]), &[1]);
    assert!(one.test.total() == 1 && one.history[29].train_loss.is_finite());
    let same = of(Array2::from_elem((20, 3), 0.1).view(), &[1; 20]);
    assert!(same.history[29].test_loss.is_finite());
    let no_columns = of(Array2::zeros((20, 0)).view(), &[1; 20]);
    assert!(no_columns.weights.is_empty() && no_columns.bias > 0.0);
}
