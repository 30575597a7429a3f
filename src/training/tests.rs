//! The training loop against torch's losses (see `tests/fixtures/models/make.py`), and what it
//! hands to a model.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use candle_core::{DType, Device, Tensor};

use super::*;
use crate::dataset::{
    Columns, DEFAULT_SHARD_BYTES, DatasetDict, DatasetDictWriter, Format, Padding, Row, Rows,
    Split, WriteOptions,
};
use crate::error::Result;
use crate::models::checkpoint::load_classifier;
use crate::models::{Config, Encoder, Gradients, Input, Loss, Parameters, SequenceClassifier};
use crate::nn::{DropoutSeed, Queries};

mod micro_batches;
mod optimizer;

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

fn model(name: &str) -> Box<dyn SequenceClassifier> {
    let folder = fixture(name);
    let config = Config::read(&folder).unwrap();
    load_classifier(&folder, config, &Device::Cpu, 1).unwrap().0
}

/// What a release of transformers makes of the batch of a fixture; none where it cannot run it.
fn of_release(name: &str, release: &str) -> Option<HashMap<String, Tensor>> {
    if (name, release) == ("flaubert-pre-norm-sharded", "5.24.0") {
        return None;
    }
    let path = fixture(name).join(format!("expected-{release}.safetensors"));
    Some(candle_core::safetensors::load(path, &Device::Cpu).unwrap())
}

fn expected(name: &str) -> HashMap<String, Tensor> {
    of_release(name, "4.57.1").unwrap()
}

/// The batch of a fixture as the split `train` of a prepared folder, with token types for FlauBERT.
fn split(name: &str, folder: &Path) -> Split {
    let expected = expected(name);
    let rows = |key: &str| {
        let numbers = expected[key].to_dtype(DType::U32).unwrap();
        numbers.to_vec2::<u32>().unwrap()
    };
    let labels = expected["labels"].to_vec1::<i64>().unwrap();
    let columns = Columns {
        token_type_ids: name.starts_with("flaubert"),
        category: false,
    };
    let mut table = Rows::new(columns);
    for (i, (ids, mask)) in rows("ids").iter().zip(rows("mask")).enumerate() {
        let length = mask.iter().filter(|m| **m == 1).count();
        let padding = Padding {
            length: 33,
            id: 1,
            left: false,
        };
        let row = Row {
            text: "",
            label: labels[i],
            idx: i as i32,
            category: None,
        };
        table.push(row, &ids[..length], Some(padding));
    }
    let options = WriteOptions {
        format: Format::Arrow,
        max_shard_bytes: DEFAULT_SHARD_BYTES,
        columns,
        class_names: (0..=labels.iter().copied().max().unwrap())
            .map(|i| format!("class {i}"))
            .collect(),
        is_flue: false,
    };
    let mut writer = DatasetDictWriter::new(folder, options);
    let mut train = writer.split("train").unwrap();
    train.write(table).unwrap();
    train.finish().unwrap();
    writer.finish().unwrap();
    DatasetDict::open(folder).unwrap().split("train").unwrap()
}

/// Train `model` on `rows` of a fixture's batch: the log.
fn train(
    name: &str,
    model: &dyn SequenceClassifier,
    arguments: &TrainingArguments,
    rows: &[usize],
) -> TrainerState {
    let folder = tempfile::tempdir().unwrap();
    let split = split(name, folder.path());
    let trainer = Trainer {
        model,
        arguments,
        split: &split,
        rows,
        eval_split: &split,
        eval_rows: rows,
        checkpoints: folder.path().join("checkpoints"),
        resume: false,
        identity: Identity::new(arguments, []),
    };
    trainer.train().unwrap().state
}

fn logged(state: &TrainerState, key: &str) -> Vec<f64> {
    let lines = state.log_history.iter();
    lines.map(|line| line[key].as_f64().unwrap()).collect()
}

/// Ten updates on the whole batch, and on its three rows one after another, whose gradients make up
/// the same.
#[test]
fn ten_updates_follow_torch_also_where_gradients_accumulate() {
    let plain = TrainingArguments {
        learning_rate: 1e-3,
        num_train_epochs: 10,
        shuffle: false,
        logging_steps: 1.into(),
        ..TrainingArguments::default()
    };
    let decayed = TrainingArguments {
        learning_rate: 1e-2,
        adam_beta1: 0.8,
        adam_beta2: 0.9,
        adam_epsilon: 1e-2,
        weight_decay: 1.0,
        max_grad_norm: 0.3,
        ..plain.clone()
    };
    for name in CASES {
        for (key, arguments) in [("steps", &plain), ("decayed", &decayed)] {
            let releases = ["4.57.1", "5.24.0"].map(|release| of_release(name, release));
            let losses = releases.into_iter().flatten().map(|of| of[key].clone());
            let all: Vec<Vec<f32>> = losses.map(|l| l.to_vec1().unwrap()).collect();
            for (batch, accumulation) in [(3, 1), (1, 3)] {
                let arguments = TrainingArguments {
                    per_device_train_batch_size: batch,
                    gradient_accumulation_steps: accumulation,
                    ..arguments.clone()
                };
                let state = train(name, model(name).as_ref(), &arguments, &[0, 1, 2]);
                let losses = logged(&state, "loss");
                assert_eq!(losses.len(), all[0].len());
                let steps = all
                    .iter()
                    .flat_map(|want| losses.iter().zip(want).enumerate());
                for (step, (loss, want)) in steps {
                    let difference = (loss - f64::from(*want)).abs();
                    assert!(
                        difference < 2e-5,
                        "{name}, {key}, {accumulation} parts, step {step}: loss {loss}, expected {want}"
                    );
                }
            }
        }
    }
}
