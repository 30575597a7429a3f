//! `data-cls`: the original's four files, and the same states in every format.

use std::collections::HashMap;
use std::fs::{self, File};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float32Type, Int32Type, Int64Type};
use candle_core::{Device, Tensor};
use flue_study::artifact::npy::read_arrays;

use super::common::{Workspace, assert_close, fixtures};

fn prepared() -> Workspace {
    let w = Workspace::new();
    for model in ["camembert", "flaubert"] {
        w.run(&format!(
            "flue-cls-prepare -c tiny-{model} --data sample -q {model}-tokens.datasets"
        ));
    }
    w
}

fn layers(w: &Workspace, file: &str) -> Vec<Vec<f32>> {
    let arrays = read_arrays(&w.path(file)).unwrap();
    assert_eq!(arrays.len(), 6);
    arrays
        .into_iter()
        .filter_map(|a| a.into_matrix())
        .map(|m| m.into_raw_vec_and_offset().0)
        .collect()
}

#[test]
fn the_four_default_runs_under_other_names() {
    let w = prepared();
    w.run(
        "data-cls -q --limit 6 --layers 5,12 --flaubert-raw tiny-flaubert --flaubert-ft tiny-flaubert \
         --camembert-raw tiny-camembert --camembert-ft tiny-camembert",
    );
    for (model, kind) in [
        ("flaubert", "raw"),
        ("flaubert", "ft"),
        ("camembert", "raw"),
        ("camembert", "ft"),
    ] {
        let arrays = read_arrays(&w.path(&format!("numpy_save/{model}_{kind}.npy"))).unwrap();
        let shapes: Vec<_> = arrays.iter().map(|a| a.shape.clone()).collect();
        assert_eq!(shapes[..4], [[6, 48], [6, 48], [6, 48], [6, 48]]);
        assert_eq!(shapes[4..], [[6], [6]]);
    }
    w.fails(
        "data-cls -q --flaubert-raw tiny-flaubert",
        1,
        &["flaubert_raw.npy", "--overwrite"],
    );
}

#[test]
fn states_do_not_depend_on_the_batch() {
    let w = prepared();
    for batch in [1, 3, 32] {
        w.run(&format!(
            "data-cls -q -b {batch} --limit 10 --layers 0,12 --data flaubert-tokens.datasets --checkpoint tiny-flaubert --out {batch}.npy"
        ));
    }
    for batch in [1, 3] {
        for (a, b) in layers(&w, &format!("{batch}.npy"))
            .iter()
            .zip(layers(&w, "32.npy"))
        {
            assert_close(a, &b, 1e-5, 0.0);
        }
    }
}

/// What made the file stands in the metadata of its schema.
fn describes(schema: &arrow::datatypes::Schema) {
    let made_by = schema
        .metadata()
        .get("flue_study")
        .expect("no flue_study in the metadata");
    assert!(
        made_by.contains("tiny-camembert") && made_by.contains("layers"),
        "{made_by}"
    );
}

fn parquet(w: &Workspace, file: &str) -> Vec<RecordBatch> {
    let file = File::open(w.path(file)).unwrap();
    let builder =
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    describes(builder.schema());
    builder.build().unwrap().map(|b| b.unwrap()).collect()
}

fn arrow(w: &Workspace, file: &str) -> Vec<RecordBatch> {
    let reader =
        arrow::ipc::reader::FileReader::try_new(File::open(w.path(file)).unwrap(), None).unwrap();
    describes(&reader.schema());
    reader.map(|b| b.unwrap()).collect()
}

/// The states of a layer in a split, in the order of the rows.
fn column(batches: &[RecordBatch], split: &str, layer: usize) -> Vec<f32> {
    let mut values = Vec::new();
    for batch in batches {
        let splits = batch.column_by_name("split").unwrap().as_string::<i32>();
        let states = batch
            .column_by_name(&format!("layer_{layer}"))
            .unwrap()
            .as_fixed_size_list();
        for row in (0..batch.num_rows()).filter(|&r| splits.value(r) == split) {
            values.extend_from_slice(states.value(row).as_primitive::<Float32Type>().values());
        }
    }
    values
}

#[test]
fn every_format_holds_the_same_states() {
    let w = prepared();
    let line = "data-cls -q --limit 7 --layers 3,12 --data camembert-tokens.datasets --checkpoint tiny-camembert --out x";
    for ending in ["npy", "parquet", "arrow", "safetensors"] {
        w.run(&format!("{line}.{ending}"));
    }
    let want = layers(&w, "x.npy");
    for batches in [parquet(&w, "x.parquet"), arrow(&w, "x.arrow")] {
        for (i, (split, layer)) in [("train", 3), ("train", 12), ("test", 3), ("test", 12)]
            .into_iter()
            .enumerate()
        {
            assert_eq!(column(&batches, split, layer), want[i], "{split} {layer}");
        }
        let idx = batches[0]
            .column_by_name("idx")
            .unwrap()
            .as_primitive::<Int32Type>();
        assert_eq!(idx.value(0), 1);
        assert_eq!(
            batches[0]
                .column_by_name("label")
                .unwrap()
                .as_primitive::<Int64Type>()
                .null_count(),
            0
        );
    }
    let tensors = candle_core::safetensors::load(w.path("x.safetensors"), &Device::Cpu).unwrap();
    let flat = |name: &str| {
        tensors[name]
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap()
    };
    assert_eq!(flat("train.layer_3"), want[0]);
    assert_eq!(flat("test.layer_12"), want[3]);
    let rows = tensors["test.row"].to_vec1::<i64>().unwrap();
    let counted: Vec<i64> = (0..rows.len() as i64).collect();
    assert_eq!(
        (rows, tensors["test.row"].dims()),
        (counted, tensors["test.label"].dims())
    );
}

#[test]
fn all_tokens_come_unpadded_with_their_ids() {
    let w = prepared();
    let line = "data-cls -q --tokens all --limit 4 --layers 12 --data camembert-tokens.datasets --checkpoint tiny-camembert --out t";
    w.run(&format!("{line}.parquet"));
    w.run(&format!("{line}.safetensors"));
    w.fails(&format!("{line}.npy"), 2, &["--tokens all", ".parquet"]);
    let tensors: HashMap<String, Tensor> =
        candle_core::safetensors::load(w.path("t.safetensors"), &Device::Cpu).unwrap();
    let bounds = tensors["test.bounds"].to_vec1::<i64>().unwrap();
    assert_eq!(bounds.len(), 5);
    let records = bounds[4] as usize;
    assert_eq!(tensors["test.layer_12"].dims(), [records, 48]);
    assert_eq!(tensors["test.token_ids"].to_vec1::<i64>().unwrap()[0], 5);
    let batches = parquet(&w, "t.parquet");
    let want = tensors["test.layer_12"]
        .flatten_all()
        .unwrap()
        .to_vec1::<f32>()
        .unwrap();
    assert_eq!(column(&batches, "test", 12), want);
    // The first token of each row is what `--tokens cls` gives, up to the order of sums in products
    // of other shapes.
    w.run(
        &line
            .replace("--tokens all", "--tokens cls")
            .replace("--out t", "--out c.npy"),
    );
    let cls = layers_of_two(&w);
    for (row, from) in bounds[..4].iter().enumerate() {
        let from = *from as usize * 48;
        assert_close(
            &want[from..from + 48],
            &cls[row * 48..(row + 1) * 48],
            1e-6,
            1e-6,
        );
    }
}

/// The test split's only layer in `c.npy`.
fn layers_of_two(w: &Workspace) -> Vec<f32> {
    let mut arrays = read_arrays(&w.path("c.npy")).unwrap();
    arrays
        .remove(1)
        .into_matrix()
        .unwrap()
        .into_raw_vec_and_offset()
        .0
}

#[test]
fn wrong_requests_are_refused_before_anything_is_computed() {
    let w = prepared();
    let one = |rest: &str| format!("data-cls -q --data camembert-tokens.datasets {rest}");
    w.fails(
        &one("--checkpoint tiny-camembert --out x.csv"),
        2,
        &["x.csv", ".npy"],
    );
    w.fails(
        &one("--checkpoint tiny-camembert --layers 13 --out x.npy"),
        2,
        &["layer 13", "0 (embeddings) to 12"],
    );
    w.fails(
        &one("--checkpoint tiny-camembert --out x.npy -b 0"),
        2,
        &["--batch", "at least 1"],
    );
    w.fails(
        &one("--checkpoint tiny-flaubert --out x.npy"),
        1,
        &["camembert-tokens.datasets", "another tokenizer"],
    );
    w.fails(
        &one("--checkpoint nothing-here --out x.npy"),
        1,
        &["nothing-here"],
    );
    w.fails(
        "data-cls -q --data absent --checkpoint tiny-camembert --out x.npy",
        1,
        &["absent"],
    );
    w.fails("data-cls --checkpoint tiny-camembert", 2, &["--data"]);
    w.fails(
        &one("--checkpoint tiny-camembert --out x.npy --limit 0"),
        2,
        &["--limit", "at least 1"],
    );
    fs::create_dir(w.path("folder.npy")).unwrap();
    w.fails(
        &one("--checkpoint tiny-camembert --out folder.npy --overwrite"),
        1,
        &["folder.npy is a folder"],
    );
    let left: Vec<_> = fs::read_dir(w.path("."))
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert!(
        left.iter().all(|n| !n.to_string_lossy().contains('x')),
        "{left:?}"
    );
}

/// A checkpoint whose configuration tells of a layer that its weights lack.
fn with_a_layer_too_many(w: &Workspace) {
    let from = fixtures().join("../../models/tiny-camembert");
    fs::create_dir(w.path("more")).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        fs::copy(entry.path(), w.path("more").join(entry.file_name())).unwrap();
    }
    let path = w.path("more/config.json");
    let config = fs::read_to_string(&path).unwrap();
    let config = config.replace("\"num_hidden_layers\": 12", "\"num_hidden_layers\": 13");
    fs::write(&path, config).unwrap();
}

#[test]
fn a_run_that_failed_before_it_computed_anything_is_not_in_the_way_of_the_next() {
    let w = prepared();
    with_a_layer_too_many(&w);
    for line in [
        "data-cls -q --limit 4 --data camembert-tokens.datasets --out x.npy",
        "study layers -q --cosine-sentences 4 --trace-sentences 4 --erank-sentences 4 \
         --data camembert-tokens.datasets --out x.study",
    ] {
        let before = fs::read_dir(w.path(".")).unwrap().count();
        w.fails(&format!("{line} --checkpoint ./more"), 1, &["layer.12"]);
        assert_eq!(fs::read_dir(w.path(".")).unwrap().count(), before, "{line}");
        w.run(&format!("{line} --checkpoint tiny-camembert"));
    }
}
