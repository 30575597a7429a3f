//! Every accumulator: four shards merged give what one run gives, and a shard that is lost or
//! counted twice is noticed.

use flue_study::analysis::bootstrap::{Bootstrap, Weights};
use flue_study::analysis::cosine::Cosine;
use flue_study::analysis::covariance::CovarianceTrace;
use flue_study::analysis::effective_rank::EffectiveRank;
use flue_study::analysis::geometry::{DirectionSums, Geometry, Reference};
use flue_study::analysis::isotropy::SpreadBootstrap;
use flue_study::analysis::moments::Moments;
use flue_study::analysis::quantile::Quantiles;
use flue_study::analysis::sample::TokenSample;
use flue_study::linalg::{GramMatrix, Spectrum, TallFactor};
use flue_study::rng::Stream;
use ndarray::{Array2, Axis};

const HIDDEN: usize = 12;
const SENTENCES: usize = 60;

/// 60 sentences of 1 to 30 tokens, a common direction in all of them.
fn sentences() -> Vec<Array2<f32>> {
    let mut random = Stream::new(4, "sentences");
    let mut sentence = |_| {
        let tokens = 1 + random.below(30);
        Array2::from_shape_fn((tokens, HIDDEN), |(_, j)| {
            (1.0 + random.normal() * (1.0 + j as f64)) as f32
        })
    };
    (0..SENTENCES).map(&mut sentence).collect()
}

/// The accumulator of all shards, merged in turn; of one shard, without any merge.
fn merged<A>(
    shards: &[Vec<usize>],
    empty: impl Fn() -> A,
    mut add: impl FnMut(&mut A, usize),
    merge: impl Fn(&mut A, &A),
) -> A {
    let mut parts = shards.iter().map(|shard| {
        let mut own = empty();
        shard.iter().for_each(|&s| add(&mut own, s));
        own
    });
    let mut whole = parts.next().unwrap();
    parts.for_each(|part| merge(&mut whole, &part));
    whole
}

/// Require that `figures` of four shards are those of one run, and that they tell when a shard is
/// left out or, unless `idempotent`, merged twice.
#[track_caller]
fn check(name: &str, idempotent: bool, figures: impl Fn(&[Vec<usize>]) -> Vec<f64>) {
    let shard = |from: usize, to: usize| (from..to).collect::<Vec<usize>>();
    let one = figures(&[shard(0, SENTENCES)]);
    assert!(one.iter().all(|v| v.is_finite()), "{name}: {one:?}");
    let four = [shard(0, 7), shard(7, 8), shard(8, 31), shard(31, SENTENCES)];
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(1e-6);
    let same =
        |got: &[f64]| got.len() == one.len() && one.iter().zip(got).all(|(&a, &b)| close(a, b));
    assert!(
        same(&figures(&four)),
        "{name}: {one:?} {:?}",
        figures(&four)
    );
    let reversed: Vec<_> = four.iter().rev().cloned().collect();
    assert!(same(&figures(&reversed)), "{name}: another order");
    let lost = [&four[..1], &four[2..]].concat();
    assert!(!same(&figures(&lost)), "{name}: a shard was lost unnoticed");
    let twice = [&four[..], &four[1..2]].concat();
    assert_eq!(same(&figures(&twice)), idempotent, "{name}: a shard twice");
}

#[test]
fn sums_and_quantiles() {
    let states = sentences();
    check("moments", false, |shards| {
        let push = |m: &mut Moments, s: usize| {
            states[s].iter().for_each(|&v| m.push(f64::from(v)));
        };
        let m = merged(shards, Moments::default, push, Moments::merge);
        vec![m.count() as f64, m.mean(), m.variance()]
    });
    // below the limit of exact quantiles, and beyond it, where numbers are counted in bins
    for many in [1, Quantiles::EXACT_LIMIT / 4_000] {
        check("quantiles", false, |shards| {
            let extend = |q: &mut Quantiles, s: usize| {
                let values: Vec<f32> = states[s].iter().map(|v| (v / 50.0).sin()).collect();
                (0..many).for_each(|_| q.extend(&values).unwrap());
            };
            let q = merged(shards, Quantiles::default, extend, Quantiles::merge);
            assert_eq!(q.error_bound() > 0.0, many > 1);
            [&[q.count() as f64][..], &q.five_numbers()].concat()
        });
    }
    check("cosine", false, |shards| {
        let add = |c: &mut Cosine, s: usize| {
            c.add_sentence(states[s].view()).unwrap();
        };
        let c = merged(shards, Cosine::default, add, Cosine::merge).summary();
        let first = [c.count as f64, c.mean, c.variance];
        [&first[..], &c.five_numbers].concat()
    });
    check("covariance trace", false, |shards| {
        let add = |t: &mut CovarianceTrace, s: usize| {
            t.add_sentence(states[s].view()).unwrap();
        };
        let merge = CovarianceTrace::merge;
        let traces = merged(shards, CovarianceTrace::default, add, merge);
        traces.five_numbers().to_vec()
    });
}

#[test]
fn matrices_and_spectra() {
    let states = sentences();
    check("Gram matrix", false, |shards| {
        let push = |g: &mut GramMatrix, s: usize| g.push(states[s].view()).unwrap();
        let merge = |a: &mut GramMatrix, b: &GramMatrix| a.merge(b).unwrap();
        let gram = merged(shards, || GramMatrix::new(HIDDEN), push, merge);
        let mut figures = gram.products().into_raw_vec_and_offset().0;
        figures.push(gram.rows() as f64);
        figures
    });
    check("QR factor", false, |shards| {
        let push = |t: &mut TallFactor, s: usize| t.push(states[s].view()).unwrap();
        let merge = |a: &mut TallFactor, b: &TallFactor| a.merge(b).unwrap();
        let factor = merged(shards, || TallFactor::new(HIDDEN), push, merge);
        factor.singular_values().unwrap()
    });
    // below the limit of the QR factor, and beyond it
    for many in [1, 20] {
        check("spectrum", false, |shards| {
            let push = |p: &mut Spectrum, s: usize| {
                (0..many).for_each(|_| p.push(states[s].view()).unwrap());
            };
            let merge = |a: &mut Spectrum, b: &Spectrum| a.merge(b).unwrap();
            let spectrum = merged(shards, || Spectrum::new(HIDDEN), push, merge);
            let mut figures = spectrum.singular_values().unwrap();
            figures.extend(spectrum.covariance());
            figures
        });
        check("effective rank", false, |shards| {
            let add = |e: &mut EffectiveRank, s: usize| {
                (0..many).for_each(|_| e.add_sentence(states[s].view()).unwrap());
            };
            let merge = |a: &mut EffectiveRank, b: &EffectiveRank| a.merge(b).unwrap();
            let rank = merged(shards, || EffectiveRank::new(HIDDEN), add, merge);
            vec![rank.value().unwrap(), rank.tokens() as f64]
        });
    }
}

#[test]
fn directions_and_geometry() {
    let states = sentences();
    check("directions", false, |shards| {
        let add = |d: &mut DirectionSums, s: usize| {
            let sum = states[s].sum_axis(Axis(0)).mapv(f64::from).to_vec();
            d.add_sentence(&sum, states[s].nrows());
        };
        let merge = |a: &mut DirectionSums, b: &DirectionSums| a.merge(b).unwrap();
        let directions = merged(shards, || DirectionSums::new(HIDDEN), add, merge);
        let mut figures = directions.contributions();
        figures.push(directions.baseline());
        figures
    });
    check("geometry", false, |shards| {
        let empty = || {
            Geometry::new(Reference {
                mean: vec![0.5; HIDDEN],
                leading: vec![11, 3],
            })
        };
        let add = |g: &mut Geometry, s: usize| {
            g.add_sentence(states[s].view()).unwrap();
        };
        let merge = |a: &mut Geometry, b: &Geometry| a.merge(b).unwrap();
        let g = merged(shards, empty, add, merge);
        let mut figures = vec![
            g.norms().count() as f64,
            g.norms().mean(),
            g.norms().variance(),
            g.directions().baseline(),
        ];
        figures.extend(g.reduced().iter().map(DirectionSums::baseline));
        figures
    });
}

#[test]
fn bootstraps_and_samples() {
    let states = sentences();
    check("bootstrap", false, |shards| {
        let add = |b: &mut Bootstrap, s: usize| {
            let value = f64::from(states[s].sum());
            b.add(
                value,
                states[s].nrows() as f64,
                &Weights::of(1, s as u64, 50),
            );
        };
        let merge = |a: &mut Bootstrap, b: &Bootstrap| a.merge(b).unwrap();
        let bootstrap = merged(shards, || Bootstrap::new(50), add, merge);
        let interval = bootstrap.interval();
        vec![bootstrap.estimate(), interval.low, interval.high]
    });
    check("spread", false, |shards| {
        let covariance =
            Array2::from_diag(&ndarray::Array1::from_iter((1..=HIDDEN).map(|d| d as f64)));
        let empty = || SpreadBootstrap::new(vec![1.0; HIDDEN], &covariance, 50).unwrap();
        let add = |b: &mut SpreadBootstrap, s: usize| {
            let weights = Weights::of(1, s as u64, 50);
            b.add_sentence(states[s].view(), &weights).unwrap();
        };
        let merge = |a: &mut SpreadBootstrap, b: &SpreadBootstrap| a.merge(b).unwrap();
        let spread = merged(shards, empty, add, merge);
        let (score, trace) = (spread.iso_score(&covariance), spread.trace(&covariance));
        vec![score.low, score.high, trace.low, trace.high]
    });
    // Every token has its own number: one that comes twice is still one token.
    check("sample", true, |shards| {
        let add = |t: &mut TokenSample, s: usize| {
            let views = [states[s].view()];
            t.add_sentence(s as u64, &views).unwrap();
        };
        let sample = merged(
            shards,
            || TokenSample::new(400, 9),
            add,
            |a, b| a.merge(b).unwrap(),
        );
        let mut figures: Vec<f64> = sample.layer(0).iter().map(|&v| f64::from(v)).collect();
        figures.push(sample.len() as f64);
        figures
    });
}
