//! Results do not depend on the number of threads, to the last bit.

use candle_core::DType;

use super::plain_path::results;

/// More rows than one block of any kernel, and sequences shorter and longer than a block of
/// queries.
#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let bounds = [0, 1, 60, 500, 900];
    let with_threads = |n: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build();
        pool.unwrap().install(|| results(DType::F32, 2600, &bounds))
    };
    let one = with_threads(1);
    for threads in [2, 3, 5] {
        for ((what, a), (_, b)) in one.iter().zip(with_threads(threads)) {
            let bits = |t: &candle_core::Tensor| {
                let values = t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                values.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            assert!(bits(a) == bits(&b), "{what} with {threads} threads");
        }
    }
}
