//! Frozen layers get no gradient, and the others the one they had.

use super::{CASES, Case, tensor};

#[test]
fn only_what_is_not_frozen_has_a_gradient_and_the_same_one() {
    for name in CASES {
        let (loss, all) = Case::load(name).gradients();
        for layers in 0..=2 {
            let mut case = Case::load(name);
            case.model.freeze(layers).unwrap();
            let (frozen_loss, gradients) = case.gradients();
            assert_eq!(loss, frozen_loss);
            for (id, p) in case.model.parameters().iter().enumerate() {
                let trained = is_above(&p.names[0], layers);
                assert_eq!(p.frozen, !trained, "{}", p.names[0]);
                let what = format!("{name}, {layers} frozen, {}", p.names[0]);
                match gradients.get(id) {
                    None => assert!(!trained, "{what}: no gradient"),
                    Some(g) => {
                        assert!(trained, "{what}: a gradient");
                        super::close(&what, &tensor(Some(g)), &tensor(all.get(id)), 0.0);
                    }
                }
            }
        }
        let error = Case::load(name).model.freeze(3).unwrap_err();
        assert!(error.to_string().contains("2 encoder layers"), "{error}");
    }
}

/// Whether a parameter belongs to a layer from `layers` on, or to the head.
fn is_above(name: &str, layers: usize) -> bool {
    // The head's names are those without the encoder's prefix.
    if name.starts_with("classifier.") || name.starts_with("sequence_summary.") {
        return true;
    }
    let number = name.split('.').find_map(|part| part.parse::<usize>().ok());
    number.is_some_and(|layer| layer >= layers)
}
