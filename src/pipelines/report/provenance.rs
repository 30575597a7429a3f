//! What made the figures: commands, settings, versions and digests, from the manifests.

use std::path::Path;

use serde_json::{Map, Value};

use super::page::Page;
use super::results::{Results, source_manifest};
use crate::artifact::Manifest;
use crate::error::{Error, Result};

/// Write the last section; `own` is the manifest of the page itself.
pub(super) fn write(page: &mut Page, found: &Results, own: &Manifest) -> Result<()> {
    let words = page.words();
    page.section("provenance", words.provenance);
    page.paragraph(words.provenance_text);
    let mut made = Vec::new();
    for (name, manifest) in &found.manifests {
        sources(&mut made, manifest)?;
        made.push((name.clone(), manifest.clone()));
    }
    // prepare, fine-tune, extract, study: the order in which they were run
    let rank = |program: &str| match program {
        "flue-cls-prepare" => 0,
        "flue-cls-finetune" => 1,
        "data-cls" => 2,
        _ => 3,
    };
    made.sort_by_key(|(_, m)| rank(&m.program));
    let commands: Vec<String> = made
        .iter()
        .filter_map(|(name, m)| command(name, m))
        .collect();
    if !commands.is_empty() {
        page.heading(words.commands);
        page.preformatted(&commands.join("\n"));
    }
    let named = made.iter().map(|(name, m)| (format!("{name}: "), m));
    for (name, manifest) in named.chain([(String::new(), own)]) {
        let json = serde_json::to_string_pretty(manifest).map_err(Error::compute("manifest"))?;
        let title = format!("{name}{} {}", manifest.program, manifest.version);
        page.details(&title, &json);
    }
    Ok(())
}

/// The manifests of what a study read, where this toolkit made it: datasets, fine-tuned checkpoints, arrays.
fn sources(made: &mut Vec<(String, Manifest)>, manifest: &Manifest) -> Result<()> {
    let folders = ["data", "datasets", "checkpoint", "other"]
        .iter()
        .filter_map(|key| manifest.config.get(key)?.as_str())
        .map(|folder| (folder, format!("{folder}/manifest.json")));
    let arrays = manifest.inputs.keys().filter(|path| path.ends_with(".npy"));
    let arrays = arrays.map(|path| (&path[..], format!("{path}.manifest.json")));
    for (name, path) in folders.chain(arrays) {
        if made.iter().any(|(known, _)| known == name) {
            continue;
        }
        if let Some(source) = source_manifest(Path::new(&path))? {
            sources(made, &source)?;
            made.push((name.to_string(), source));
        }
    }
    Ok(())
}

/// The command line that repeats what a manifest tells of.
fn command(place: &str, manifest: &Manifest) -> Option<String> {
    let config = manifest.config.as_object()?;
    let mut words = vec![manifest.program.clone()];
    match &manifest.program[..] {
        "flue-cls-prepare" => {
            options(&mut words, config, &["max_shard_bytes", "merged_shards"]);
            words.push(quoted(place));
        }
        "flue-cls-finetune" => {
            options(&mut words, config, &["arguments", "num_train", "num_test"]);
            for (option, key) in [("-a", "num_train"), ("-b", "num_test")] {
                let count = config.get(key).filter(|v| !v.is_null());
                let count = count.map_or("all".into(), Value::to_string);
                words.push(format!("{option} {count}"));
            }
            let arguments = config.get("arguments")?.as_object()?;
            options(&mut words, arguments, &["shuffle"]);
            if arguments.get("shuffle") == Some(&Value::Bool(false)) {
                words.push("--data-order sequential".into());
            }
            words.push(format!("--save {}", quoted(place)));
        }
        "data-cls" => {
            options(&mut words, config, &["model_type", "version", "classes"]);
            words.push(format!("--out {}", quoted(place)));
        }
        _ => {
            options(&mut words, config, &["found"]);
            let revision = manifest.config.pointer("/found/revision");
            if let Some(revision) = revision.and_then(Value::as_str) {
                words.push(format!("--revision {}", quoted(revision)));
            }
        }
    }
    Some(words.join(" "))
}

/// Settings that an option turns on; the others are on unless one turns them off.
const SWITCHES: [&str; 5] = [
    "no_quotes",
    "lowercase",
    "group_by_length",
    "gradient_checkpointing",
    "load_best_model_at_end",
];

/// Settings as options; those whose names are in `others` are left out.
fn options(words: &mut Vec<String>, config: &Map<String, Value>, others: &[&str]) {
    for (key, value) in config {
        let option = match &key[..] {
            key if others.contains(&key) => continue,
            "batch_size" => "batch".to_string(),
            "num_train_epochs" => "num-epochs".to_string(),
            "use_token_type_ids" => "token-type-ids".to_string(),
            other => other.replace('_', "-"),
        };
        match value {
            Value::Null => {}
            Value::Bool(on) if SWITCHES.contains(&&key[..]) => {
                words.extend(on.then(|| format!("--{option}")));
            }
            Value::Bool(true) => {}
            Value::Bool(false) => words.push(format!("--no-{option}")),
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(Value::to_string).collect();
                words.push(format!("--{option} {}", items.join(",")));
            }
            Value::String(text) => words.push(format!("--{option} {}", quoted(text))),
            other => words.push(format!("--{option} {other}")),
        }
    }
}

/// Words as a shell takes them.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn commands_repeat_what_was_run() {
        let of = |program: &str, config: Value| {
            command("a folder/x", &Manifest::new(program, config)).unwrap()
        };
        assert_eq!(
            of(
                "flue-cls-prepare",
                json!({"checkpoint": "camembert-base", "revision": null, "data": "l'avis.csv", "pad": false,
                    "label_map": "bon=positive,nul=negative", "no_quotes": true, "lowercase": true, "max_shard_bytes": 5})
            ),
            "flue-cls-prepare --checkpoint camembert-base --data 'l'\\''avis.csv' --no-pad --label-map bon=positive,nul=negative --no-quotes --lowercase 'a folder/x'"
        );
        assert_eq!(
            of(
                "flue-cls-finetune",
                json!({"checkpoint": "c", "datasets": "d", "num_train": 5000, "num_test": null,
                    "arguments": {"learning_rate": 5e-5, "num_train_epochs": 1, "shuffle": false, "use_token_type_ids": false,
                        "group_by_length": false, "gradient_checkpointing": true}})
            ),
            "flue-cls-finetune --checkpoint c --datasets d -a 5000 -b all --learning-rate 0.00005 --num-epochs 1 \
             --no-token-type-ids --gradient-checkpointing --data-order sequential --save 'a folder/x'"
        );
        assert_eq!(
            of(
                "study layers",
                json!({"data": "d", "layers": [5, 7], "batch_size": 8, "measures": true,
                    "found": {"tokens": 3, "revision": "v1"}})
            ),
            "study layers --data d --layers 5,7 --batch 8 --revision v1"
        );
    }
}
