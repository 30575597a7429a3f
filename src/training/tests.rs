//! The training loop against torch's losses (see `tests/fixtures/models/make.py`), and what it hands to a model.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use candle_core::{DType, Device, Tensor};

use super::*;
use crate::dataset::{
    DEFAULT_SHARD_BYTES, DatasetDict, DatasetDictWriter, Format, Padding, Rows, Split, WriteOptions,
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

fn expected(name: &str) -> HashMap<String, Tensor> {
    let path = fixture(name).join("expected.safetensors");
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

/// The batch of a fixture as the split `train` of a prepared folder, with token types for FlauBERT.
fn split(name: &str, folder: &Path) -> Split {
    let expected = expected(name);
    let rows = |key: &str| {
        let numbers = expected[key].to_dtype(DType::U32).unwrap();
        numbers.to_vec2::<u32>().unwrap()
    };
    let labels = expected["labels"].to_vec1::<i64>().unwrap();
    let token_type_ids = name.starts_with("flaubert");
    let mut table = Rows::new(token_type_ids);
    for (i, (ids, mask)) in rows("ids").iter().zip(rows("mask")).enumerate() {
        let length = mask.iter().filter(|m| **m == 1).count();
        let padding = Padding {
            length: 33,
            id: 1,
            left: false,
        };
        table.push("", labels[i], i as i32, &ids[..length], Some(padding));
    }
    let options = WriteOptions {
        format: Format::Arrow,
        max_shard_bytes: DEFAULT_SHARD_BYTES,
        token_type_ids,
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

/// Ten updates on the whole batch, and on its three rows one after another, whose gradients make up the same.
#[test]
fn ten_updates_follow_torch_also_where_gradients_accumulate() {
    let plain = TrainingArguments {
        learning_rate: 1e-3,
        num_train_epochs: 10,
        shuffle: false,
        logging_steps: 1,
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
            let want = expected(name)[key].to_vec1::<f32>().unwrap();
            for (batch, accumulation) in [(3, 1), (1, 3)] {
                let arguments = TrainingArguments {
                    per_device_train_batch_size: batch,
                    gradient_accumulation_steps: accumulation,
                    ..arguments.clone()
                };
                let state = train(name, model(name).as_ref(), &arguments, &[0, 1, 2]);
                let losses = logged(&state, "loss");
                assert_eq!(losses.len(), want.len());
                for (step, (loss, want)) in losses.iter().zip(&want).enumerate() {
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
