//! The stages of the tokenizers, on the sample's reviews and the two tiny tokenizers; or, for
//! `tokenization_peers.py`, the time that given texts take.
//!
//! `cargo bench --bench tokenization` measures with criterion. With `FLUE_TEXTS` (a JSON lines file
//! of strings) and `FLUE_TOKENIZERS` (folders, separated by colons) it prints one JSON line for
//! each folder instead: seconds of the best of `FLUE_ROUNDS` rounds over all texts, on all cores
//! (`RAYON_NUM_THREADS` limits them), truncated at 512.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use criterion::{Criterion, Throughput};
use flue_study::tokenization::flaubert::moses;
use flue_study::tokenization::{TokenizerOptions, from_pretrained};

fn main() {
    match std::env::var("FLUE_TEXTS") {
        Ok(path) => time_given_texts(&path),
        Err(_) => {
            let mut criterion = Criterion::default().configure_from_args();
            stages(&mut criterion);
            criterion.final_summary();
        }
    }
}

/// The texts of the sample's reviews.
fn sample() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/cls-acl10-unprocessed/fr");
    let mut texts = Vec::new();
    for category in ["books", "dvd", "music"] {
        let path = root.join(category).join("train.review");
        let reviews = std::fs::read_to_string(path).unwrap();
        let texts_of = |block: &str| {
            let (_, rest) = block.split_once("<text>")?;
            Some(rest.split_once("</text>")?.0.to_string())
        };
        texts.extend(reviews.split("\n\n").filter_map(texts_of));
    }
    assert!(texts.len() > 1000, "the sample is in data/");
    texts
}

fn stages(criterion: &mut Criterion) {
    let texts = sample();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let bytes = texts.iter().map(|text| text.len() as u64).sum();
    let mut group = criterion.benchmark_group("tokenization");
    group.throughput(Throughput::Bytes(bytes)).sample_size(20);
    group.bench_function("moses punctuation", |b| {
        b.iter(|| {
            for text in &texts {
                black_box(moses::normalize_punctuation(text));
            }
        });
    });
    group.bench_function("moses tokens", |b| {
        b.iter(|| {
            for text in &texts {
                black_box(moses::tokenize(text));
            }
        });
    });
    for name in ["tiny-flaubert", "tiny-camembert"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("models")
            .join(name);
        let tokenizer = from_pretrained(&folder, &TokenizerOptions::default()).unwrap();
        group.bench_function(format!("{name}, one core"), |b| {
            b.iter(|| {
                for text in &texts {
                    black_box(tokenizer.encode(text, Some(512)).unwrap());
                }
            });
        });
        group.bench_function(format!("{name}, all cores"), |b| {
            b.iter(|| black_box(tokenizer.encode_batch(&texts, Some(512)).unwrap()));
        });
        group.bench_function(format!("{name}, with offsets"), |b| {
            b.iter(|| {
                for text in &texts {
                    black_box(tokenizer.encode_aligned(text, Some(512)).unwrap());
                }
            });
        });
    }
    group.finish();
}

fn time_given_texts(path: &str) {
    /// Texts handed over at once, as a writer of files would.
    const BATCH: usize = 4096;
    let file = std::fs::read_to_string(path).unwrap();
    let texts: Vec<String> = file
        .split('\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let rounds = std::env::var("FLUE_ROUNDS").map_or(3, |rounds| rounds.parse().unwrap());
    for folder in std::env::var("FLUE_TOKENIZERS").unwrap().split(':') {
        let tokenizer = from_pretrained(Path::new(folder), &TokenizerOptions::default()).unwrap();
        let mut best = f64::INFINITY;
        let mut tokens = 0;
        for _ in 0..rounds {
            let start = Instant::now();
            tokens = texts
                .chunks(BATCH)
                .flat_map(|batch| tokenizer.encode_batch(batch, Some(512)).unwrap())
                .map(|encoding| encoding.ids.len())
                .sum();
            best = best.min(start.elapsed().as_secs_f64());
        }
        let result = serde_json::json!({
            "folder": folder, "texts": texts.len(), "tokens": tokens, "seconds": best,
        });
        println!("{result}");
    }
}
