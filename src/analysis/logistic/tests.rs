use super::*;
use serde::Deserialize;

/// `tests/fixtures/study/logistic.py` says how it was made.
#[derive(Deserialize)]
struct Golden {
    vectors: Vec<Vec<f32>>,
    labels: Vec<i64>,
    fits: Vec<Fit>,
    folds: Vec<usize>,
    accuracy: Vec<f64>,
}

#[derive(Deserialize)]
struct Fit {
    strength: f64,
    weights: Vec<f64>,
    loss: f64,
}

fn golden() -> (Golden, Array2<f64>) {
    let text = include_str!("../../../tests/fixtures/study/logistic.json");
    let golden: Golden = serde_json::from_str(text).unwrap();
    let x = Array2::from_shape_fn((golden.vectors.len(), 5), |(i, j)| golden.vectors[i][j]);
    let x = Standard::of(x.view()).apply(x.view());
    (golden, x)
}

#[test]
fn weights_and_loss_equal_scikit_learns() {
    let (golden, x) = golden();
    let rows: Vec<usize> = (0..x.nrows()).collect();
    for fit in &golden.fits {
        let problem = Problem::new(&x, &golden.labels, &rows, fit.strength);
        let found = problem.minimise(vec![0.0; 6], TOLERANCE).unwrap();
        for (got, want) in found.iter().zip(&fit.weights) {
            assert!((got - want).abs() < 1e-6, "{}: {got} {want}", fit.strength);
        }
        let loss = problem.at(found).value;
        assert!((loss / fit.loss - 1.0).abs() < 1e-9, "{loss} {}", fit.loss);
    }
}

#[test]
fn accuracies_over_folds_equal_scikit_learns() {
    let (golden, x) = golden();
    let found = validate(&x, &golden.labels, &golden.folds).unwrap();
    for (got, want) in found.iter().zip(&golden.accuracy) {
        assert!(
            (got - want).abs() < 1e-12,
            "{found:?} {:?}",
            golden.accuracy
        );
    }
}

/// Two clouds that overlap, in columns of different size and place.
fn clouds(n: usize, seed: u64) -> (Array2<f32>, Vec<i64>) {
    let mut s = Stream::new(seed, "clouds");
    let labels: Vec<i64> = (0..n).map(|_| s.below(2) as i64).collect();
    let x = Array2::from_shape_fn((n, 12), |(i, j)| {
        let side = 2.0 * labels[i] as f64 - 1.0;
        (10.0 * j as f64 + (1 + j) as f64 * (s.normal() + 0.3 * side)) as f32
    });
    (x, labels)
}

fn all(labels: &[i64]) -> Vec<usize> {
    (0..labels.len()).collect()
}

#[test]
fn there_is_one_minimum_even_for_classes_that_a_plane_parts() {
    let mut parted = clouds(40, 3);
    for (mut row, &label) in parted.0.rows_mut().into_iter().zip(&parted.1) {
        row[0] += 50.0 * label as f32;
    }
    for (x, labels) in [clouds(300, 1), clouds(9, 2), parted] {
        let x = Standard::of(x.view()).apply(x.view());
        let rows = all(&labels);
        for strength in STRENGTHS {
            let problem = Problem::new(&x, &labels, &rows, strength);
            let one = problem.minimise(vec![0.0; 13], TOLERANCE).unwrap();
            let other = problem.minimise(vec![0.5; 13], TOLERANCE).unwrap();
            for (a, b) in one.iter().zip(&other) {
                assert!((a - b).abs() < 1e-5, "{strength}: {a} {b}");
            }
        }
    }
}

#[test]
fn the_gradient_is_the_slope() {
    let (x, labels) = clouds(50, 2);
    let x = Standard::of(x.view()).apply(x.view());
    let rows: Vec<usize> = (10..50).collect();
    let problem = Problem::new(&x, &labels, &rows, 0.5);
    let w: Vec<f64> = (0..13).map(|i| 0.1 * (f64::from(i) - 6.0)).collect();
    let gradient = problem.at(w.clone()).gradient;
    for i in 0..13 {
        let at = |d: f64| {
            let mut moved = w.clone();
            moved[i] += d;
            problem.at(moved).value
        };
        let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
        assert!((slope - gradient[i]).abs() < 1e-6, "{i}");
    }
}

#[test]
fn it_learns_what_can_be_learnt_and_nothing_from_shuffled_labels() {
    let ((x, labels), (z, test_labels)) = (clouds(400, 5), clouds(400, 6));
    let (train, test) = (
        Rows {
            vectors: x.view(),
            labels: &labels,
        },
        Rows {
            vectors: z.view(),
            labels: &test_labels,
        },
    );
    let found = select(train, test, 42).unwrap();
    assert!(found.real.test.accuracy() > 0.8);
    let control = found.control.test.accuracy();
    assert!((0.4..0.6).contains(&control), "{control}");
    assert!(found.selectivity() > 0.2);
    assert_eq!(found.control.strength, found.real.strength);
    let best = found.validation.iter().copied().fold(0.0, f64::max);
    let chosen = STRENGTHS.iter().position(|&s| s == found.real.strength);
    assert_eq!(found.validation[chosen.unwrap()], best);
    assert_eq!(
        select(train, test, 42).unwrap().real.weights,
        found.real.weights
    );
    assert_ne!(
        select(train, test, 43).unwrap().validation,
        found.validation
    );
}

#[test]
fn folds_hold_as_many_of_each_class() {
    let labels: Vec<i64> = (0..103).map(|i| i64::from(i % 4 == 0)).collect();
    let folds = stratified_folds(&labels, 1).unwrap();
    for class in [0, 1] {
        let sizes: Vec<usize> = (0..FOLDS)
            .map(|f| {
                let own = |&i: &usize| folds[i] == f && labels[i] == class;
                (0..103).filter(own).count()
            })
            .collect();
        let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
        assert!(most - least <= 1, "{sizes:?}");
    }
    assert!(stratified_folds(&labels[..12], 1).is_err());
}

/// A view of a matrix that lies column by column: its rows once came out empty, and every answer
/// was the intercept's.
#[test]
fn the_order_in_memory_does_not_matter() {
    let (x, labels) = clouds(60, 5);
    let by_columns = x.t().as_standard_layout().into_owned().reversed_axes();
    assert!(by_columns.as_slice().is_none());
    let of = |x: &Array2<f32>| {
        let rows = Rows {
            vectors: x.view(),
            labels: &labels,
        };
        select(rows, rows, 42).unwrap()
    };
    let (one, other) = (of(&x), of(&by_columns));
    assert!(one.real.test.accuracy() > 0.7);
    assert_eq!(one.validation, other.validation);
    assert_eq!(one.real.test, other.real.test);
}

/// The mean of sixty times 0.1 is not 0.1 in binary: its rounding is no deviation.
#[test]
fn a_column_that_does_not_vary_says_nothing() {
    let (x, labels) = clouds(60, 5);
    let (mut constant, mut test) = (x.clone(), x.clone());
    constant.column_mut(3).fill(0.1);
    test.column_mut(3).fill(0.100_001);
    let scale = Standard::of(constant.view());
    assert_eq!(
        scale.apply(constant.view()).column(3),
        Array1::<f64>::zeros(60)
    );
    assert!(
        scale
            .apply(test.view())
            .column(3)
            .iter()
            .all(|v| v.abs() < 1e-5)
    );
    let rows = |x| Rows {
        vectors: x,
        labels: &labels,
    };
    let found = select(rows(constant.view()), rows(test.view()), 42).unwrap();
    assert_eq!(found.real.weights[3], 0.0);
    assert!(found.real.test.accuracy() > 0.7);
}

#[test]
fn input_that_does_not_fit_is_refused() {
    let (x, labels) = clouds(40, 1);
    let rows = Rows {
        vectors: x.view(),
        labels: &labels,
    };
    for columns in [1, 11] {
        let narrow = Rows {
            vectors: x.slice(ndarray::s![.., ..columns]),
            labels: &labels,
        };
        assert!(select(rows, narrow, 1).is_err());
    }
    let one_class = Rows {
        vectors: x.view(),
        labels: &[1; 40],
    };
    assert!(select(one_class, rows, 1).is_err());
    let mut bad = x.clone();
    bad[[0, 0]] = f32::NAN;
    let bad = Rows {
        vectors: bad.view(),
        labels: &labels,
    };
    assert!(select(rows, bad, 1).is_err());
}
