//! What the training loop hands to a model for each micro-batch.

use super::*;

/// What a model was asked for: (dropout seed, weight, labels, whether it saw token types).
type Call = (DropoutSeed, f64, Vec<u32>, bool);

/// A model that takes note of what it is asked for.
struct Recorder {
    model: Box<dyn SequenceClassifier>,
    calls: Mutex<Vec<Call>>,
}

impl Encoder for Recorder {
    fn config(&self) -> &Config {
        self.model.config()
    }

    fn hidden_states(
        &self,
        input: &Input<'_>,
        last: usize,
        of_last: Queries,
        visit: &mut dyn FnMut(usize, &Tensor) -> Result<()>,
    ) -> Result<()> {
        self.model.hidden_states(input, last, of_last, visit)
    }
}

impl SequenceClassifier for Recorder {
    fn parameters(&self) -> &Parameters {
        self.model.parameters()
    }

    fn freeze(&mut self, layers: usize) -> Result<()> {
        self.model.freeze(layers)
    }

    fn set_label_names(&mut self, names: &[String]) {
        self.model.set_label_names(names);
    }

    fn set_gradient_checkpointing(&mut self, on: bool) {
        self.model.set_gradient_checkpointing(on);
    }

    fn logits(&self, input: &Input<'_>) -> Result<Tensor> {
        self.model.logits(input)
    }

    fn accumulate_gradients(
        &self,
        input: &Input<'_>,
        labels: &[u32],
        weight: f64,
        dropout: Option<DropoutSeed>,
        gradients: &mut Gradients,
    ) -> Result<Loss> {
        let types = input.token_type_ids.is_some();
        let call = (dropout.unwrap(), weight, labels.to_vec(), types);
        self.calls.lock().unwrap().push(call);
        let model = &self.model;
        model.accumulate_gradients(input, labels, weight, dropout, gradients)
    }
}

/// Five rows in updates of two micro-batches of two rows: the last update of an epoch has one
/// micro-batch, of one row.
#[test]
fn every_micro_batch_has_its_seed_its_weight_and_its_rows() {
    for (name, use_token_type_ids) in [("camembert", true), ("flaubert", true), ("flaubert", false)]
    {
        let recorder = Recorder {
            model: model(name),
            calls: Mutex::default(),
        };
        let arguments = TrainingArguments {
            per_device_train_batch_size: 2,
            gradient_accumulation_steps: 2,
            num_train_epochs: 2,
            shuffle: false,
            logging_steps: 1.into(),
            seed: 7,
            use_token_type_ids,
            ..TrainingArguments::default()
        };
        // The labels of the rows 0, 1 and 2 are 0, 1 and 1.
        let state = train(name, &recorder, &arguments, &[0, 1, 2, 0, 0]);
        let want = [
            (0, 0.5, vec![0, 1]),
            (1, 0.5, vec![1, 0]),
            (2, 1.0, vec![0]),
            (4, 0.5, vec![0, 1]),
            (5, 0.5, vec![1, 0]),
            (6, 1.0, vec![0]),
        ];
        let calls = recorder.calls.into_inner().unwrap();
        assert_eq!(calls.len(), want.len());
        let types = name == "flaubert" && use_token_type_ids;
        for ((seed, weight, labels, seen), (step, w, rows)) in calls.into_iter().zip(want) {
            assert_eq!((seed.seed, seed.step), (7, step));
            assert_eq!((weight, labels, seen), (w, rows, types));
        }
        let rates = logged(&state, "learning_rate");
        for (rate, want) in rates.iter().zip([1.0, 0.75, 0.5, 0.25]) {
            assert!((rate - 5e-5 * want).abs() < 1e-12, "{rates:?}");
        }
    }
}

/// Without dropout an update on eight rows is that on two times four of them: the weights differ by
/// rounding alone.
#[test]
fn two_times_four_rows_make_the_update_of_eight() {
    for name in CASES {
        let rows = [0, 1, 2, 1, 0, 0, 2, 1];
        let run = |batch, accumulation| {
            let arguments = TrainingArguments {
                learning_rate: 1e-3,
                adam_epsilon: 1e-3,
                per_device_train_batch_size: batch,
                gradient_accumulation_steps: accumulation,
                num_train_epochs: 3,
                logging_steps: 1.into(),
                ..TrainingArguments::default()
            };
            let model = model(name);
            let state = train(name, model.as_ref(), &arguments, &rows);
            (state, model.parameters().named_tensors().unwrap())
        };
        let ((whole, weights), (parts, others)) = (run(8, 1), run(4, 2));
        for key in ["loss", "grad_norm"] {
            for (a, b) in logged(&whole, key).iter().zip(logged(&parts, key)) {
                assert!((a - b).abs() < 1e-6 * (1.0 + a), "{name}, {key}: {a} {b}");
            }
        }
        for ((key, a), (_, b)) in weights.iter().zip(&others) {
            let difference = (a - b).unwrap().abs().unwrap().flatten_all().unwrap();
            let largest = difference.max(0).unwrap().to_scalar::<f32>().unwrap();
            assert!(largest < 1e-6, "{name}, {key}: {largest}");
        }
    }
}

/// The learning rate rises from 0 over the first updates, then falls to what would be 0 after the
/// last.
#[test]
fn an_update_has_the_learning_rate_of_its_place_in_the_run() {
    let arguments = TrainingArguments {
        learning_rate: 1e-3,
        warmup_steps: 2.into(),
        per_device_train_batch_size: 3,
        num_train_epochs: 6,
        logging_steps: 1.into(),
        ..TrainingArguments::default()
    };
    let state = train(
        "camembert",
        model("camembert").as_ref(),
        &arguments,
        &[0, 1, 2],
    );
    let rates = logged(&state, "learning_rate");
    let want = [0.0, 0.5, 1.0, 0.75, 0.5, 0.25];
    assert_eq!(rates.len(), want.len());
    for (rate, want) in rates.iter().zip(want) {
        assert!((rate - 1e-3 * want).abs() < 1e-12, "{rates:?}");
    }
}
