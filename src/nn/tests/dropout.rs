//! The random numbers of dropout.

use candle_core::Device;

use super::SEED;
use crate::nn::*;
use crate::rng::philox4x32;

#[test]
fn dropout_depends_on_its_key_alone_and_keeps_the_mean() {
    let mask = |p, site, step| {
        let d = Dropout::new(p, site, DropoutSeed { seed: 1, step }).unwrap();
        d.mask(0, 200, 50, &Device::Cpu)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap()
    };
    let m = mask(0.1, 0, 0);
    assert_eq!(m, mask(0.1, 0, 0));
    assert!(m != mask(0.1, 1, 0) && m != mask(0.1, 0, 1));
    let kept = m.iter().filter(|&&x| x > 0.0).count() as f64 / m.len() as f64;
    assert!((kept - 0.9).abs() < 0.02, "{kept}");
    assert!(m.iter().all(|&x| x == 0.0 || (x - 1.0 / 0.9).abs() < 1e-6));
    assert!(mask(1.0, 0, 0).iter().all(|&x| x == 0.0));
    assert!(Dropout::new(0.0, 0, SEED).is_none());
}

/// The rule that the type documents, with the generator called directly: an interrupted run must
/// find the same masks.
#[test]
fn a_mask_is_that_of_its_counter_and_key() {
    let seed = DropoutSeed {
        seed: 0x1234_5678_9ABC_DEF0,
        step: 0x0BAD_CAFE_7654_3210,
    };
    let key = [0x9ABC_DEF0, 0x1234_5678 ^ 0x0BAD_CAFE];
    for (p, width) in [(0.1, 50), (0.5, 3), (0.75, 8)] {
        let dropout = Dropout::new(p, 77, seed).unwrap();
        let mask = dropout.mask(5, 40, width, &Device::Cpu).unwrap();
        for (row, factors) in mask.to_vec2::<f32>().unwrap().into_iter().enumerate() {
            for (column, factor) in factors.into_iter().enumerate() {
                let counter = [column as u32 / 4, 5 + row as u32, 77, 0x7654_3210];
                let word = philox4x32(counter, key)[column % 4];
                let dropped = f64::from(word) < p * 2f64.powi(32);
                let want = if dropped { 0.0 } else { 1.0 / (1.0 - p) };
                let error = (f64::from(factor) - want).abs();
                assert!(error <= 1e-6 * want, "p {p}, row {row}, column {column}");
            }
        }
    }
}
