//! What made the figures: commands, settings, versions and digests, from the manifests.

use std::path::Path;

use serde_json::Value;

use super::page::Page;
use super::results::Results;
use crate::artifact::Manifest;

/// Write the last section.
pub(super) fn write(page: &mut Page, found: &Results) {
    let words = page.words();
    page.section("provenance", words.provenance);
    page.paragraph(words.provenance_text);
    let mut seen: Vec<String> = Vec::new();
    for (name, manifest) in &found.manifests {
        add(page, name, manifest, &mut seen);
        // The dataset and the checkpoint have manifests of their own where this toolkit made them.
        for key in ["data", "checkpoint"] {
            let folder = manifest.config.get(key).and_then(Value::as_str);
            if let Some(folder) = folder
                && let Ok(source) = Manifest::read(&Path::new(folder).join("manifest.json"))
            {
                add(page, folder, &source, &mut seen);
            }
        }
    }
}

fn add(page: &mut Page, name: &str, manifest: &Manifest, seen: &mut Vec<String>) {
    if seen.iter().any(|s| s == name) {
        return;
    }
    seen.push(name.to_string());
    let json = serde_json::to_string_pretty(manifest).unwrap_or_default();
    let text = match command(manifest) {
        Some(command) => format!("{}: {command}\n\n{json}", page.words().command),
        None => json,
    };
    page.details(
        &format!("{name}: {} {}", manifest.program, manifest.version),
        &text,
    );
}

/// The command line that repeats a study, from its settings; other programs keep their settings in words of their own.
fn command(manifest: &Manifest) -> Option<String> {
    if !manifest.program.starts_with("study ") {
        return None;
    }
    let mut words = vec![manifest.program.clone()];
    for (key, value) in manifest.config.as_object()? {
        let option = match key.as_str() {
            "batch_size" => "batch".to_string(),
            other => other.replace('_', "-"),
        };
        match (key.as_str(), value) {
            ("found", _) | (_, Value::Null) | (_, Value::Bool(true)) => {}
            ("use_token_type_ids", Value::Bool(false)) => words.push("--no-token-type-ids".into()),
            (_, Value::Bool(false)) => words.push(format!("--no-{option}")),
            (_, Value::Array(items)) => {
                let items: Vec<String> = items.iter().map(Value::to_string).collect();
                words.push(format!("--{option} {}", items.join(",")));
            }
            (_, Value::String(text)) if text.contains([' ', '\'']) => {
                words.push(format!("--{option} '{}'", text.replace('\'', "'\\''")));
            }
            (_, Value::String(text)) => words.push(format!("--{option} {text}")),
            (_, other) => words.push(format!("--{option} {other}")),
        }
    }
    Some(words.join(" "))
}
