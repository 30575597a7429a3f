//! The networks against transformers' values (see `tests/fixtures/models/make.py`) and against
//! finite differences.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor, Var};

use super::*;
use crate::models::checkpoint::{load_classifier, load_encoder};
use crate::nn::tests::largest;
use crate::nn::{self, AdamWStep, Owned, Sequences};

mod checkpoints;
mod finite_differences;
mod freezing;
mod left_padding;
mod other_heads;
mod plain_path;
mod recomputation;
mod reference;
mod wide;

const CASES: [&str; 4] = [
    "camembert",
    "roberta-relu-bin",
    "flaubert",
    "flaubert-pre-norm-sharded",
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/models")
        .join(name)
}

/// The releases of transformers whose values the fixtures hold; the second cannot run the pre-norm
/// FlauBERT.
const RELEASES: [&str; 2] = ["4.57.1", "5.24.0"];

/// The batch of a fixture, packed.
struct Batch {
    ids: Vec<u32>,
    columns: Vec<u32>,
    types: Vec<u32>,
    bounds: Vec<usize>,
    labels: Vec<u32>,
}

impl Batch {
    fn read(expected: &HashMap<String, Tensor>) -> Self {
        let rows = |k: &str| {
            expected[k]
                .to_dtype(DType::U32)
                .unwrap()
                .to_vec2::<u32>()
                .unwrap()
        };
        let (ids, mask) = (rows("ids"), rows("mask"));
        let labels = expected["labels"]
            .to_dtype(DType::U32)
            .unwrap()
            .to_vec1()
            .unwrap();
        let mut batch = Self {
            ids: vec![],
            columns: vec![],
            types: vec![],
            bounds: vec![0],
            labels,
        };
        for (ids, mask) in ids.iter().zip(&mask) {
            for (column, (&id, _)) in ids.iter().zip(mask).filter(|(_, m)| **m == 1).enumerate() {
                batch.ids.push(id);
                batch.columns.push(column as u32);
                batch.types.push(0);
            }
            batch.bounds.push(batch.ids.len());
        }
        batch
    }

    fn input(&self, with_types: bool) -> Input<'_> {
        let token_type_ids = with_types.then_some(&self.types[..]);
        Input {
            ids: &self.ids,
            columns: &self.columns,
            token_type_ids,
            bounds: &self.bounds,
        }
    }
}

struct Case {
    expected: HashMap<String, Tensor>,
    batch: Batch,
    model: Box<dyn SequenceClassifier>,
}

impl Case {
    fn load(name: &str) -> Self {
        Self::of_release(name, RELEASES[0])
    }

    /// Every fixture with the values of every release that can run it, under a name for messages.
    fn of_all_releases() -> impl Iterator<Item = (String, Self)> {
        let all = CASES.iter().flat_map(|name| RELEASES.map(|r| (*name, r)));
        let run = all.filter(|case| *case != ("flaubert-pre-norm-sharded", "5.24.0"));
        run.map(|(name, r)| {
            (
                format!("{name}, transformers {r}"),
                Self::of_release(name, r),
            )
        })
    }

    fn of_release(name: &str, release: &str) -> Self {
        let folder = fixture(name);
        let expected = folder.join(format!("expected-{release}.safetensors"));
        let expected = candle_core::safetensors::load(expected, &Device::Cpu).unwrap();
        let (model, report) =
            load_classifier(&folder, Config::read(&folder).unwrap(), &Device::Cpu, 1).unwrap();
        assert!(
            report.initialised.is_empty() && report.unused.is_empty(),
            "{report:?}"
        );
        Self {
            batch: Batch::read(&expected),
            expected,
            model,
        }
    }

    /// The model of a fixture under another configuration, with the fixture's batch.
    fn changed(name: &str, change: impl Fn(&mut Config)) -> Self {
        let folder = fixture(name);
        let mut config = Config::read(&folder).unwrap();
        change(&mut config);
        let (model, _) = load_classifier(&folder, config, &Device::Cpu, 1).unwrap();
        Self {
            model,
            ..Self::load(name)
        }
    }

    /// As in training: with token types for FlauBERT.
    fn training_input(&self) -> Input<'_> {
        self.batch
            .input(self.model.config().model_type == "flaubert")
    }

    fn gradients(&self) -> (f64, Gradients) {
        let mut gradients = Gradients::new(self.model.parameters().len());
        let (input, labels) = (self.training_input(), &self.batch.labels);
        let loss = self
            .model
            .accumulate_gradients(&input, labels, 1.0, None, &mut gradients)
            .unwrap();
        (loss.mean().unwrap(), gradients)
    }
}

/// A copy of what is there.
#[track_caller]
fn tensor(gradient: Option<&Owned>) -> Tensor {
    gradient.unwrap().to_tensor().unwrap()
}

#[track_caller]
fn close(what: &str, got: &Tensor, want: &Tensor, tolerance: f32) {
    assert_eq!(got.dims(), want.dims(), "{what}");
    let d = largest(&(got - want).unwrap());
    assert!(d <= tolerance, "{what}: largest difference {d}");
}

#[test]
fn hidden_states_are_those_of_transformers() {
    for (name, case) in Case::of_all_releases() {
        let last = case.model.config().num_layers;
        let mut seen = 0;
        let mut check = |layer: usize, states: &Tensor| {
            assert_eq!(layer, seen);
            seen += 1;
            for (row, b) in case.batch.bounds.windows(2).enumerate() {
                let want = case.expected[&format!("hidden.{layer}")]
                    .get(row)
                    .unwrap()
                    .narrow(0, 0, b[1] - b[0])
                    .unwrap();
                close(
                    &format!("{name}, hidden state {layer}"),
                    &states.narrow(0, b[0], b[1] - b[0]).unwrap(),
                    &want,
                    2e-6,
                );
            }
            Ok(())
        };
        case.model
            .hidden_states(&case.batch.input(false), last, Queries::All, &mut check)
            .unwrap();
        assert_eq!(seen, last + 1);
        for last in 0..=last {
            let mut states = Vec::new();
            for queries in [Queries::All, Queries::First] {
                let mut keep = |layer, x: &Tensor| {
                    if layer == last {
                        states.push(x.clone());
                    }
                    Ok(())
                };
                let input = case.batch.input(false);
                case.model
                    .hidden_states(&input, last, queries, &mut keep)
                    .unwrap();
            }
            let sequences = Sequences::new(&case.batch.bounds, &Device::Cpu).unwrap();
            let want = sequences.select(&states[0], Queries::First).unwrap();
            close(&format!("{name}, first tokens"), &states[1], &want, 2e-6);
        }
        let error = case
            .model
            .hidden_states(
                &case.batch.input(false),
                last + 1,
                Queries::All,
                &mut |_, _| Ok(()),
            )
            .unwrap_err();
        assert!(
            error.to_string().contains("layers 0 (embeddings) to 2"),
            "{error}"
        );
    }
}

#[test]
fn loss_and_every_gradient_are_those_of_transformers() {
    for (name, case) in Case::of_all_releases() {
        close(
            &name,
            &case.model.logits(&case.training_input()).unwrap(),
            &case.expected["logits"],
            2e-6,
        );
        let (loss, gradients) = case.gradients();
        let want = case.expected["loss"].to_vec1::<f32>().unwrap()[0] as f64;
        assert!(
            (loss - want).abs() < 1e-6,
            "{name}: loss {loss}, expected {want}"
        );
        let mut compared = 0;
        for (id, p) in case.model.parameters().iter().enumerate() {
            let g = gradients
                .get(id)
                .unwrap_or_else(|| panic!("{name}: no gradient for {:?}", p.names));
            let g = g.to_tensor().unwrap();
            let rows = g.dim(0).unwrap() / p.names.len();
            for (i, key) in p.names.iter().enumerate() {
                let want = &case.expected[&format!("grad.{key}")];
                close(
                    &format!("{name}, gradient of {key}"),
                    &g.narrow(0, i * rows, rows).unwrap(),
                    want,
                    2e-6,
                );
                compared += 1;
            }
        }
        assert_eq!(
            compared,
            case.expected
                .keys()
                .filter(|k| k.starts_with("grad."))
                .count(),
            "{name}"
        );
    }
}

#[test]
fn ten_steps_follow_torch() {
    for (name, case) in Case::of_all_releases() {
        let want = case.expected["steps"].to_vec1::<f32>().unwrap();
        let parameters = case.model.parameters();
        let zeros = |p: &Parameter| Var::from_tensor(&p.var.zeros_like().unwrap()).unwrap();
        let moments: Vec<[Var; 2]> = parameters.iter().map(|p| [zeros(p), zeros(p)]).collect();
        for (step, want) in want.iter().enumerate() {
            let (loss, gradients) = case.gradients();
            assert!(
                (loss - *want as f64).abs() < 2e-5,
                "{name}, step {step}: loss {loss}, expected {want}"
            );
            let update = AdamWStep {
                learning_rate: 1e-3 * (10 - step) as f64 / 10.0,
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
                weight_decay: 0.0,
                gradient_scale: (1.0 / (gradients.norm().unwrap() + 1e-6)).min(1.0),
                step: step as u64 + 1,
            };
            for (id, p) in parameters.iter().enumerate() {
                let gradient = gradients.get(id).unwrap();
                nn::adamw_step(&p.var, gradient, &moments[id], &update).unwrap();
            }
        }
    }
}

#[test]
fn a_sequence_alone_equals_itself_in_a_batch() {
    for name in CASES {
        let case = Case::load(name);
        let together = case.model.logits(&case.batch.input(false)).unwrap();
        for row in 0..3 {
            let (from, to) = (case.batch.bounds[row], case.batch.bounds[row + 1]);
            let bounds = [0, to - from];
            let (ids, columns) = (&case.batch.ids[from..to], &case.batch.columns[from..to]);
            let alone = Input {
                ids,
                columns,
                token_type_ids: None,
                bounds: &bounds,
            };
            close(
                name,
                &case.model.logits(&alone).unwrap(),
                &together.narrow(0, row, 1).unwrap(),
                1e-6,
            );
        }
    }
}

#[test]
fn dropout_changes_the_loss_and_is_reproducible() {
    for name in CASES {
        let case = Case::changed(name, |config| config.override_dropout(0.3));
        let run = |seed, step| {
            let mut g = Gradients::new(case.model.parameters().len());
            let seed = Some(DropoutSeed { seed, step });
            let (input, labels) = (case.training_input(), &case.batch.labels);
            let loss = case
                .model
                .accumulate_gradients(&input, labels, 1.0, seed, &mut g)
                .unwrap()
                .mean()
                .unwrap();
            (loss, g.norm().unwrap())
        };
        assert_eq!(run(1, 1), run(1, 1));
        assert!(
            run(1, 1) != run(1, 2)
                && run(1, 1) != run(2, 1)
                && run(1, 1) != (case.gradients().0, 0.0)
        );
    }
}

#[test]
fn ids_and_lengths_outside_the_model_are_refused() {
    let case = Case::load("camembert");
    let bounds = [0, 1];
    let one = Input {
        ids: &[40],
        columns: &[0],
        token_type_ids: None,
        bounds: &bounds,
    };
    let error = case.model.logits(&one).unwrap_err().to_string();
    assert!(
        error.contains("token id 40") && error.contains("vocabulary of 40"),
        "{error}"
    );
    let (ids, columns) = (vec![7; 39], (0..39).collect::<Vec<u32>>());
    let long = Input {
        ids: &ids,
        columns: &columns,
        token_type_ids: None,
        bounds: &[0, 39],
    };
    let error = case.model.logits(&long).unwrap_err().to_string();
    assert!(
        error.contains("39 tokens") && error.contains("38 positions"),
        "{error}"
    );
}
