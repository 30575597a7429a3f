//! Gradient checkpointing changes no bit of a loss or a gradient.

use super::{CASES, Case, close, tensor};
use crate::models::Gradients;
use crate::nn::DropoutSeed;

#[test]
fn what_is_computed_again_is_the_same_to_the_last_bit() {
    for (name, frozen) in CASES.into_iter().flat_map(|n| [(n, None), (n, Some(1))]) {
        let mut case = Case::changed(name, |config| config.override_dropout(0.2));
        if let Some(layers) = frozen {
            case.model.freeze(layers).unwrap();
        }
        let run = |case: &Case| {
            let mut gradients = Gradients::new(case.model.parameters().len());
            let (input, labels) = (case.training_input(), &case.batch.labels);
            let seed = Some(DropoutSeed { seed: 5, step: 1 });
            let loss = case
                .model
                .accumulate_gradients(&input, labels, 1.0, seed, &mut gradients)
                .unwrap();
            (loss.mean().unwrap(), gradients)
        };
        let (loss, kept) = run(&case);
        case.model.set_gradient_checkpointing(true);
        let (again, computed) = run(&case);
        assert_eq!(loss.to_bits(), again.to_bits());
        let mut compared = 0;
        for (id, p) in case.model.parameters().iter().enumerate() {
            let what = format!("{name}, {}", p.names[0]);
            match (kept.get(id), computed.get(id)) {
                (kept @ Some(_), computed @ Some(_)) => {
                    close(&what, &tensor(computed), &tensor(kept), 0.0);
                    compared += 1;
                }
                (None, None) => assert!(p.frozen, "{what}"),
                _ => panic!("{what}: a gradient in one way only"),
            }
        }
        assert!(compared > 10, "{name}: {compared}");
    }
}
