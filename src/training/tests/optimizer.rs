//! AdamW over the parameters of a model: clipping, the two groups of weight decay, and going on
//! from saved moments.

use super::*;

/// The gradients of `weight` times the loss of one sequence.
fn gradients(model: &dyn SequenceClassifier, weight: f64) -> Gradients {
    let mut gradients = Gradients::new(model.parameters().len());
    let input = Input {
        ids: &[8, 9, 10],
        columns: &[0, 1, 2],
        token_type_ids: None,
        bounds: &[0, 3],
    };
    model
        .accumulate_gradients(&input, &[1], weight, None, &mut gradients)
        .unwrap();
    gradients
}

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

fn weights(model: &dyn SequenceClassifier) -> Vec<Vec<f32>> {
    let parameters = model.parameters().iter();
    parameters.map(|p| values(p.var.as_tensor())).collect()
}

/// `torch.nn.utils.clip_grad_norm_`: the first momentum is a tenth of the gradient that is left.
#[test]
fn gradients_are_scaled_down_to_the_limit_and_never_up() {
    for name in CASES {
        let model = model(name);
        let norm = gradients(model.as_ref(), 1.0).norm().unwrap();
        let cases = [
            // (norm of the gradients, limit, what they are multiplied by)
            (1.0, 0.25, 0.25 / (1.0 + 1e-6)),
            (1.0, 4.0, 1.0),
            (1.0, 0.0, 1.0),
            // So small that the constant in the denominator is seen.
            (1e-6, 1e-6, 0.5),
        ];
        for (size, limit, scale) in cases {
            let gradients = gradients(model.as_ref(), size / norm);
            let arguments = TrainingArguments {
                max_grad_norm: limit,
                ..TrainingArguments::default()
            };
            let parameters = model.parameters();
            let mut optimizer = AdamW::new(parameters).unwrap();
            let found = optimizer.step(parameters, &gradients, 0.0, &arguments);
            assert!((found.unwrap() / size - 1.0).abs() < 1e-5);
            let moments = optimizer.named_moments(parameters);
            let momentums = moments.iter().filter(|(key, _)| key.starts_with("m."));
            let mut compared = 0;
            for (id, (key, m)) in momentums.enumerate() {
                let g = values(&gradients.get(id).unwrap().to_tensor().unwrap());
                for (m, g) in values(m).into_iter().zip(g) {
                    let want = 0.1 * scale * f64::from(g);
                    let error = (f64::from(m) - want).abs();
                    assert!(error <= 1e-5 * want.abs(), "{name}, {key}: {m} {want}");
                    compared += 1;
                }
            }
            assert_eq!(compared, parameters.num_elements());
        }
    }
}

/// Without gradients the decay is all there is.
#[test]
fn weights_decay_but_neither_biases_nor_layer_norms() {
    for name in CASES {
        let model = model(name);
        let before = weights(model.as_ref());
        let arguments = TrainingArguments {
            weight_decay: 0.5,
            ..TrainingArguments::default()
        };
        let (parameters, none) = (model.parameters(), gradients(model.as_ref(), 0.0));
        let mut optimizer = AdamW::new(parameters).unwrap();
        optimizer.step(parameters, &none, 0.1, &arguments).unwrap();
        for (p, (before, after)) in parameters
            .iter()
            .zip(before.iter().zip(weights(model.as_ref())))
        {
            let key = p.names[0].to_lowercase();
            let kept = ["bias", "layernorm", "layer_norm"];
            let factor = if kept.iter().any(|word| key.contains(word)) {
                1.0
            } else {
                0.95
            };
            for (before, after) in before.iter().zip(after) {
                let error = (before * factor - after).abs();
                assert!(error <= 1e-6 * before.abs(), "{name}, {key}");
            }
        }
    }
}

#[test]
fn saved_moments_go_on_bit_equal() {
    let arguments = TrainingArguments::default();
    let (whole, parts) = (model("flaubert"), model("flaubert"));
    let step = |model: &dyn SequenceClassifier, optimizer: &mut AdamW| {
        let gradients = gradients(model, 1.0);
        optimizer
            .step(model.parameters(), &gradients, 1e-3, &arguments)
            .unwrap();
    };
    let mut first = AdamW::new(whole.parameters()).unwrap();
    (0..4).for_each(|_| step(whole.as_ref(), &mut first));

    let parameters = parts.parameters();
    let mut second = AdamW::new(parameters).unwrap();
    (0..2).for_each(|_| step(parts.as_ref(), &mut second));
    let mut saved: HashMap<String, Tensor> = second.named_moments(parameters).into_iter().collect();
    let mut third = AdamW::new(parameters).unwrap();
    third
        .restore(parameters, 2, |name| saved.remove(name))
        .unwrap();
    assert!(saved.is_empty());
    (0..2).for_each(|_| step(parts.as_ref(), &mut third));
    assert!(weights(whole.as_ref()) == weights(parts.as_ref()));

    let error = third.restore(parameters, 2, |_| None).unwrap_err();
    assert!(error.to_string().contains("no fitting \"m."), "{error}");
}

#[test]
fn a_gradient_that_is_no_number_leaves_the_weights_as_they_are() {
    let model = model("camembert");
    let before = weights(model.as_ref());
    for weight in [f64::NAN, f64::INFINITY] {
        let broken = gradients(model.as_ref(), weight);
        let mut optimizer = AdamW::new(model.parameters()).unwrap();
        let error = optimizer
            .step(model.parameters(), &broken, 1e-3, &Default::default())
            .unwrap_err();
        assert!(error.to_string().contains("--learning-rate"), "{error}");
    }
    assert!(before == weights(model.as_ref()));
}
