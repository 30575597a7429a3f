//! What a run under way has in common with the run that goes on from its checkpoint.

use serde_json::{Value, json};

use super::{Config, EvalStrategy};
use crate::artifact::Fingerprints;
use crate::dataset::Split;
use crate::error::Result;
use crate::files::Digest;
use crate::training::Identity;

/// Rows of a split.
type Selection<'a> = (&'a Split, &'a [usize]);

/// The identity of a run that starts from the files of `checkpoint`, trains on the rows `train` and is evaluated on the rows `test`.
/// These count only where the run is evaluated before its end: the checkpoint that it goes on from knows nothing of them otherwise.
pub(super) fn of(
    config: &Config,
    checkpoint: &Fingerprints,
    train: Selection<'_>,
    test: Selection<'_>,
) -> Result<Identity> {
    let files: Vec<(String, Value)> = checkpoint
        .iter()
        .map(|(name, digest)| (format!("-c (its {name})"), json!(digest)))
        .collect();
    let mut settings = vec![
        ("-c", json!(config.checkpoint)),
        ("--dropout", json!(config.dropout)),
        ("-a", json!(train.1.len())),
    ];
    settings.extend(
        files
            .iter()
            .map(|(file, digest)| (&file[..], digest.clone())),
    );
    let evaluated = config.arguments.eval_strategy != EvalStrategy::No;
    if evaluated {
        settings.push(("-b", json!(test.1.len())));
    }
    settings.push(("-d (the rows of train)", digest(train)?));
    if evaluated {
        settings.push(("-d (the rows of test)", digest(test)?));
    }
    Ok(Identity::new(&config.arguments, settings))
}

/// The SHA-256 of what training sees of the rows: labels, tokens, token types.
fn digest((split, rows): Selection<'_>) -> Result<Value> {
    let mut hash = Digest::default();
    for &row in rows {
        let example = split.example(row)?;
        hash.update(example.label.to_le_bytes());
        for id in example.input_ids {
            hash.update(id.to_le_bytes());
        }
        let bytes = |values: &[i8]| values.iter().map(|v| *v as u8).collect::<Vec<u8>>();
        hash.update(bytes(example.attention_mask));
        hash.update(example.token_type_ids.map(bytes).unwrap_or_default());
    }
    Ok(Value::String(hash.hexadecimal()))
}
