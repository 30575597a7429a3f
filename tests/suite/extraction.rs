//! `data-cls` at any size: shards, merging, killed runs, storage types, what stands beside the
//! states of tokens.

use std::fs;
use std::path::Path;

use arrow::array::AsArray;
use candle_core::{DType, Device, Tensor};
use flue_study::artifact::npy::read_arrays;
use flue_study::dataset::DatasetDict;
use half::f16;

use super::common::{Workspace, assert_close};

fn prepared(model: &str) -> Workspace {
    let w = Workspace::new();
    w.run(&format!(
        "flue-cls-prepare -c tiny-{model} --data sample -q --no-pad d.datasets"
    ));
    w
}

fn line(model: &str, rest: &str) -> String {
    format!("data-cls -q --data d.datasets --checkpoint tiny-{model} {rest}")
}

fn same_bytes(w: &Workspace, a: &str, b: &str) {
    let read = |name: &str| fs::read(w.path(name)).unwrap();
    assert!(read(a) == read(b), "{a} and {b} differ");
}

#[test]
fn merged_shards_are_byte_equal_to_one_run() {
    let w = prepared("flaubert");
    for (rest, ending) in [
        ("--limit 330", "npy"),
        (
            "--limit 150 --layers 0,-1 --tokens all --dtype f16",
            "parquet",
        ),
        (
            "--limit 150 --layers 3 --tokens all --dtype bf16",
            "safetensors",
        ),
        ("--limit 150 --layers 0-2 --tokens mean", "arrow"),
    ] {
        let line = line("flaubert", rest);
        w.run(&format!("{line} --out one.{ending}"));
        let out = format!("{line} --out many.{ending}");
        w.run(&format!("{out} --shard 2/4"));
        w.fails(
            &format!("{out} --merge"),
            1,
            &["3 of 4 shards", "0/4, 1/4, 3/4"],
        );
        w.fails(
            &format!("{out} --shard 0/3"),
            1,
            &["begun with 4 shards, not 3"],
        );
        w.fails(
            &format!("{out} --shard 1/4 -b 3"),
            1,
            &["another `batch_size`"],
        );
        for shard in [0, 1, 3] {
            // As a task of a job array gets its number.
            let status = w
                .command(&out)
                .env("SLURM_ARRAY_TASK_ID", format!("{}", 5 + shard))
                .env("SLURM_ARRAY_TASK_MIN", "5")
                .env("SLURM_ARRAY_TASK_COUNT", "4")
                .output()
                .unwrap()
                .status;
            assert!(status.success());
        }
        w.run(&format!("{out} --merge"));
        same_bytes(&w, &format!("one.{ending}"), &format!("many.{ending}"));
        assert!(!w.path(&format!("one.{ending}.shards")).exists());
    }
}

#[test]
fn a_killed_run_goes_on_and_ends_byte_equal() {
    let w = prepared("camembert");
    let line = line("camembert", "--limit 1500 --layers 5,12 --out OUT");
    w.killed_and_run_again(&line, "whole.npy", "killed.npy", 12);
    same_bytes(&w, "whole.npy", "killed.npy");
    assert!(!w.path("killed.npy.shards").exists());
}

#[test]
fn a_damaged_chunk_is_refused_and_other_settings_need_a_word() {
    let w = prepared("camembert");
    let line = line("camembert", "--limit 70 --out x.npy");
    for shard in ["0/2", "1/2"] {
        w.run(&format!("{line} --shard {shard}"));
    }
    let chunk = w.path("x.npy.shards/00001-of-00002/test-000001.states");
    let bytes = fs::read(&chunk).unwrap();
    for damaged in [&bytes[..bytes.len() - 1], &[&bytes[..], b"x"].concat()] {
        fs::write(&chunk, damaged).unwrap();
        let words = &["test-000001.states", "remove the folder"];
        w.fails(&format!("{line} --merge"), 1, words);
        assert!(!w.path("x.npy").exists());
    }
    w.fails(&line, 1, &["begun with 2 shards, not 1"]);
    w.run(&format!("{line} --overwrite"));
}

fn tensor(w: &Workspace, file: &str, name: &str) -> Tensor {
    let mut tensors = candle_core::safetensors::load(w.path(file), &Device::Cpu).unwrap();
    tensors.remove(name).unwrap_or_else(|| panic!("no {name}"))
}

fn values(t: &Tensor) -> Vec<f32> {
    let t = t.to_dtype(DType::F32).unwrap();
    t.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn storage_types_round_what_was_computed() {
    let w = prepared("camembert");
    let line = line("camembert", "--limit 5 --layers 12");
    w.run(&format!("{line} --out a.safetensors"));
    w.run(&format!("{line} --out b.safetensors --dtype bf16"));
    w.run(&format!("{line} --out h.npy --dtype f16"));
    w.fails(
        &format!("{line} --out b.npy --dtype bf16"),
        2,
        &["bf16", "f16"],
    );
    let exact = tensor(&w, "a.safetensors", "test.layer_12");
    let bf16 = tensor(&w, "b.safetensors", "test.layer_12");
    assert_eq!(bf16.dtype(), DType::BF16);
    assert_eq!(values(&bf16), values(&exact.to_dtype(DType::BF16).unwrap()));
    let half = read_arrays(&w.path("h.npy")).unwrap().remove(1);
    let want: Vec<f32> = values(&exact)
        .into_iter()
        .map(|x| f16::from_f32(x).to_f32())
        .collect();
    assert_eq!(
        half.into_matrix().unwrap().into_raw_vec_and_offset().0,
        want
    );
}

/// A number beyond 65,504 would be infinite in half precision.
#[test]
fn states_that_half_precision_cannot_hold_are_refused() {
    let w = prepared("camembert");
    fs::create_dir(w.path("loud")).unwrap();
    let tiny = concat!(env!("CARGO_MANIFEST_DIR"), "/models/tiny-camembert");
    for entry in fs::read_dir(tiny).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, w.path("loud").join(path.file_name().unwrap())).unwrap();
    }
    // The last layer's norm gives 70,000 in one dimension of every state.
    let path = w.path("loud/model.safetensors");
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let layer = "roberta.encoder.layer.11.output.LayerNorm";
    let (weight, bias) = (format!("{layer}.weight"), format!("{layer}.bias"));
    let hidden = tensors[&bias].elem_count();
    let mut loud = vec![0f32; hidden];
    loud[2] = 70_000.0;
    let zeros = Tensor::zeros(hidden, DType::F32, &Device::Cpu).unwrap();
    tensors.insert(weight, zeros);
    tensors.insert(bias, Tensor::new(loud, &Device::Cpu).unwrap());
    candle_core::safetensors::save(&tensors, &path).unwrap();
    let line = "data-cls -q --data d.datasets --checkpoint loud --limit 3 --layers 11,12";
    for tokens in ["cls", "all", "mean"] {
        let line = format!("{line} --tokens {tokens}");
        for ending in ["parquet", "safetensors"] {
            let words = &["loud: layer 12, row 0 of train", "70000", "65504", "as f32"];
            w.fails(&format!("{line} --out h.{ending} --dtype f16"), 1, words);
            assert!(!w.path(&format!("h.{ending}")).exists());
        }
        w.run(&format!("{line} --out {tokens}.safetensors --dtype bf16"));
        w.run(&format!("{line} --out {tokens}.parquet"));
    }
    w.run(&format!("{line} --out f.npy"));
    let train = read_arrays(&w.path("f.npy")).unwrap().remove(1);
    assert_eq!(train.into_matrix().unwrap()[[0, 2]], 70_000.0);
    w.fails(&format!("{line} --out h.npy --dtype f16"), 1, &["65504"]);
}

#[test]
fn tokens_have_their_ids_and_places_and_their_mean_is_the_mean() {
    for model in ["camembert", "flaubert"] {
        let w = prepared(model);
        let line = line(model, "--limit 6 --layers 0,12");
        w.run(&format!("{line} --tokens all --out all.safetensors"));
        w.run(&format!("{line} --tokens mean --out mean.safetensors"));
        let get = |name: &str| tensor(&w, "all.safetensors", &format!("test.{name}"));
        let bounds: Vec<i64> = get("bounds").to_vec1().unwrap();
        let spans: Vec<Vec<i64>> = get("spans").to_vec2().unwrap();
        let ids: Vec<i64> = get("token_ids").to_vec1().unwrap();
        let split = DatasetDict::open(w.path("d.datasets"))
            .unwrap()
            .split("test")
            .unwrap();
        for layer in [0, 12] {
            let states = get(&format!("layer_{layer}"));
            let means = tensor(&w, "mean.safetensors", &format!("test.layer_{layer}"));
            for row in 0..6 {
                let (from, to) = (bounds[row] as usize, bounds[row + 1] as usize);
                let own = states.narrow(0, from, to - from).unwrap();
                let mean = own.to_dtype(DType::F64).unwrap().mean(0).unwrap();
                assert_close(
                    &values(&means.get(row).unwrap()),
                    &values(&mean),
                    1e-6,
                    1e-6,
                );
            }
        }
        for row in 0..6 {
            let (from, to) = (bounds[row] as usize, bounds[row + 1] as usize);
            let example = split.example(row).unwrap();
            let stored: Vec<i64> = example.tokens().iter().map(|&i| i.into()).collect();
            assert_eq!(ids[from..to], stored);
            let text: Vec<char> = example.text.chars().collect();
            // Outside the spans there is only white space.
            let mut covered = vec![false; text.len()];
            for span in &spans[from..to] {
                covered[span[0] as usize..span[1] as usize].fill(true);
            }
            for (c, covered) in text.iter().zip(covered) {
                assert!(covered || c.is_whitespace(), "{model} row {row}: {c:?}");
            }
        }
    }
}

/// The files that FLUE CLS is read from are by category; a row's is that of the file where its text
/// stands.
#[test]
fn the_category_of_a_row_is_that_of_its_file() {
    let w = prepared("camembert");
    let line = line("camembert", "--limit 250 --layers 0");
    w.run(&format!("{line} --out c.safetensors"));
    let numbers: Vec<i64> = tensor(&w, "c.safetensors", "test.category")
        .to_vec1()
        .unwrap();
    w.run(&format!("{line} --out c.arrow"));
    let file = fs::File::open(w.path("c.arrow")).unwrap();
    let names: Vec<String> = arrow::ipc::reader::FileReader::try_new(file, None)
        .unwrap()
        .flat_map(|batch| {
            let batch = batch.unwrap();
            let column = batch.column_by_name("category").unwrap();
            let names: Vec<_> = column
                .as_string::<i32>()
                .iter()
                .map(Option::unwrap)
                .collect();
            names.into_iter().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(names.len(), 500);
    let split = DatasetDict::open(w.path("d.datasets"))
        .unwrap()
        .split("test")
        .unwrap();
    // Spaces and marks are cleaned.
    let letters = |text: &str| {
        text.chars()
            .filter(|c| c.is_alphabetic())
            .collect::<String>()
    };
    let reviews = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/cls-acl10-unprocessed/fr");
    for (category, rows) in [("books", 0..240), ("dvd", 240..250)] {
        let source = fs::read_to_string(reviews.join(category).join("test.review")).unwrap();
        let source = letters(&source);
        for row in rows {
            let text = split.example(row).unwrap().text;
            let begin = letters(&text[..text.find(['&', '<']).unwrap_or(text.len())]);
            assert!(begin.len() > 20 && source.contains(&begin), "row {row}");
            assert_eq!(names[250 + row], category, "row {row}");
            assert_eq!(numbers[row], i64::from(category == "dvd"), "row {row}");
        }
    }
}
