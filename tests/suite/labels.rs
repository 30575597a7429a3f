//! What a label is, wherever two sources meet: for each pair of sources and each way in which their
//! lists of classes can differ, whether the figures stay the same, a warning says how they were
//! read, or the run is refused.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, ListArray, RecordBatch, StringArray};
use arrow::datatypes::{Field, Int8Type, Int32Type, Schema};
use arrow::ipc::writer::StreamWriter;
use candle_core::{Device, Tensor};
use flue_study::artifact::npy::read_arrays;
use flue_study::dataset::DatasetDict;
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};

use crate::common::Workspace;

/// A list of classes: the names of the negative and of the positive one, which of them is class 0,
/// and what else there is.
struct List {
    name: &'static str,
    /// None for numbers without names.
    names: Option<&'static [&'static str]>,
    /// The numbers of negative and of positive.
    places: [i64; 2],
    outcome: Outcome,
}

/// What becomes of a run in which one side has FLUE's list and the other one this.
enum Outcome {
    /// The figures of a run in which both sides have FLUE's list.
    Equal,
    /// The same, with a warning that the classes were taken by number.
    Warning,
    /// No output; the option, where there is one, with which the figures are those again.
    Refused(Option<&'static str>),
}

const LISTS: [List; 9] = [
    List {
        name: "the same",
        names: Some(&["negative", "positive"]),
        places: [0, 1],
        outcome: Outcome::Equal,
    },
    List {
        name: "exchanged",
        names: Some(&["positive", "negative"]),
        places: [1, 0],
        outcome: Outcome::Equal,
    },
    List {
        name: "other words",
        names: Some(&["Négatif", "POS"]),
        places: [0, 1],
        outcome: Outcome::Equal,
    },
    List {
        name: "other words, exchanged",
        names: Some(&["1", "0"]),
        places: [1, 0],
        outcome: Outcome::Equal,
    },
    List {
        name: "unknown words, exchanged",
        names: Some(&["bon", "mauvais"]),
        places: [1, 0],
        outcome: Outcome::Refused(Some("--label-map bon=positive,mauvais=negative")),
    },
    List {
        name: "one known word",
        names: Some(&["mauvais", "positive"]),
        places: [0, 1],
        outcome: Outcome::Refused(Some("--label-map mauvais=negative")),
    },
    List {
        name: "names of transformers",
        names: Some(&["LABEL_0", "LABEL_1"]),
        places: [0, 1],
        outcome: Outcome::Warning,
    },
    List {
        name: "no names",
        names: None,
        places: [0, 1],
        outcome: Outcome::Equal,
    },
    List {
        name: "three classes",
        names: Some(&["negative", "neutral", "positive"]),
        places: [0, 2],
        outcome: Outcome::Refused(None),
    },
];

/// Run `line` with the other side's list and hold it to its outcome; `figures` reads what the run
/// named `out` left.
fn hold<T: PartialEq + std::fmt::Debug>(
    w: &Workspace,
    list: &List,
    line: &str,
    want: &T,
    figures: impl Fn(&str) -> T,
) {
    let mut line = line.to_string();
    if let Outcome::Refused(option) = &list.outcome {
        let mut words = vec!["the classes of", "negative, positive"];
        words.extend(option.map(|_| "--label-map"));
        w.fails(&line, 1, &words);
        match option {
            Some(option) => line += &format!(" {option}"),
            None => return,
        }
    }
    let output = w.command(&line).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {line}\n{log}", list.name);
    let warns = log.contains("have no names: they are taken by number");
    assert_eq!(
        warns,
        matches!(list.outcome, Outcome::Warning),
        "{}: {line}\n{log}",
        list.name
    );
    assert_eq!(
        &figures(&String::from_utf8_lossy(&output.stdout)),
        want,
        "{}: {line}",
        list.name
    );
}

/// Reviews with token ids, as a prepared folder has them: text, whether it is positive, ids.
type Reviews = Vec<(String, bool, Vec<i32>)>;

/// The first `rows` of each split of the sample, which holds both classes.
fn sample(w: &Workspace, rows: usize) -> HashMap<&'static str, Reviews> {
    w.run("flue-cls-prepare -c tiny-camembert --data sample --no-pad -q sample.datasets");
    let dict = DatasetDict::open(w.path("sample.datasets")).unwrap();
    let split = |name: &'static str| {
        let split = dict.split(name).unwrap();
        let reviews = (0..rows).map(|row| {
            let e = split.example(row).unwrap();
            (e.text.to_string(), e.label == 1, e.input_ids.to_vec())
        });
        (name, reviews.collect())
    };
    ["train", "test"].map(split).into()
}

/// The columns of reviews, tokens too if they are asked for, with the metadata that `datasets`
/// leaves for a list of classes.
fn batch(reviews: &Reviews, list: &List, tokens: bool) -> RecordBatch {
    let label = match list.names {
        Some(names) => json!({"names": names, "_type": "ClassLabel"}),
        None => json!({"dtype": "int64", "_type": "Value"}),
    };
    let info = json!({"info": {"features": {"text": {"dtype": "string", "_type": "Value"}, "label": label}}});
    let texts = reviews.iter().map(|r| Some(r.0.as_str()));
    let labels = reviews.iter().map(|r| list.places[usize::from(r.1)]);
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("text", Arc::new(texts.collect::<StringArray>())),
        ("label", Arc::new(Int64Array::from_iter_values(labels))),
    ];
    let some = |ids: &Vec<i32>| Some(ids.iter().map(|&id| Some(id)).collect::<Vec<_>>());
    let ones = |ids: &Vec<i32>| Some(vec![Some(1i8); ids.len()]);
    if tokens {
        let ids =
            ListArray::from_iter_primitive::<Int32Type, _, _>(reviews.iter().map(|r| some(&r.2)));
        let mask =
            ListArray::from_iter_primitive::<Int8Type, _, _>(reviews.iter().map(|r| ones(&r.2)));
        columns.push(("input_ids", Arc::new(ids)));
        columns.push(("attention_mask", Arc::new(mask)));
    }
    let fields = columns
        .iter()
        .map(|(name, c)| Field::new(*name, c.data_type().clone(), true));
    let metadata = [("huggingface".to_string(), info.to_string())];
    let schema = Schema::new_with_metadata(fields.collect::<Vec<_>>(), metadata);
    RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|c| c.1).collect()).unwrap()
}

/// A split of a `DatasetDict` as `save_to_disk` leaves it.
fn write_split(folder: &Path, name: &str, batch: &RecordBatch) {
    let split = folder.join(name);
    fs::create_dir_all(&split).unwrap();
    let file = File::create(split.join("data-00000-of-00001.arrow")).unwrap();
    let mut writer = StreamWriter::try_new(file, &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    let state = json!({"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_split": name});
    fs::write(split.join("state.json"), state.to_string()).unwrap();
}

/// A `DatasetDict` whose splits have these lists.
fn write_dict(
    w: &Workspace,
    out: &str,
    reviews: &HashMap<&str, Reviews>,
    train: &List,
    test: &List,
) {
    let folder = w.path(out);
    for (name, list) in [("train", train), ("test", test)] {
        write_split(&folder, name, &batch(&reviews[name], list, true));
    }
    let splits = json!({"splits": ["train", "test"]});
    fs::write(folder.join("dataset_dict.json"), splits.to_string()).unwrap();
}

/// The labels of both splits of a prepared folder.
fn labels(w: &Workspace, folder: &str) -> Vec<i64> {
    let dict = DatasetDict::open(w.path(folder)).unwrap();
    let split = |name: &str| dict.split(name).unwrap();
    let of = |name: &str| {
        split(name)
            .iter()
            .map(|e| e.unwrap().label)
            .collect::<Vec<_>>()
    };
    [of("train"), of("test")].concat()
}

fn numbers(text: &str, keys: &[&str]) -> Vec<i64> {
    let json: Value = serde_json::from_str(text).unwrap();
    // Sums in another order differ in the last digits.
    let number = |key: &&str| (json[*key].as_f64().unwrap() * 1e5).round() as i64;
    keys.iter().map(number).collect()
}

#[test]
fn prepare_reads_the_names_of_every_source() {
    let w = Workspace::new();
    let reviews = sample(&w, 6);
    let want: Vec<i64> = ["train", "test"]
        .iter()
        .flat_map(|s| reviews[s].iter().map(|r| i64::from(r.1)))
        .collect();
    assert!(want.contains(&0) && want.contains(&1));
    for (i, list) in LISTS.iter().enumerate() {
        let (tables, dict) = (format!("tables{i}"), format!("dict{i}"));
        fs::create_dir(w.path(&tables)).unwrap();
        for (split, reviews) in &reviews {
            let batch = batch(reviews, list, false);
            let file = File::create(w.path(&tables).join(format!("{split}.parquet"))).unwrap();
            let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
        }
        write_dict(&w, &dict, &reviews, list, list);
        for source in [tables, dict] {
            let line =
                format!("flue-cls-prepare -c tiny-camembert --data {source} --overwrite out");
            hold(&w, list, &line, &want, |_| labels(&w, "out"));
        }
        // Words in CSV, JSON lines and a Parquet column of strings.
        let Some(names) = list.names else { continue };
        let word = |positive: bool| names[list.places[usize::from(positive)] as usize];
        let folder = format!("words{i}");
        fs::create_dir(w.path(&folder)).unwrap();
        let mut csv = "text,label\n".to_string();
        for (text, positive, _) in &reviews["train"] {
            csv += &format!("\"{}\",{}\n", text.replace('"', "\"\""), word(*positive));
        }
        fs::write(w.path(&folder).join("train.csv"), csv).unwrap();
        let mut lines = String::new();
        for (text, positive, _) in &reviews["test"] {
            lines += &format!("{}\n", json!({"text": text, "label": word(*positive)}));
        }
        fs::write(w.path(&folder).join("test.jsonl"), lines).unwrap();
        let line = format!("flue-cls-prepare -c tiny-camembert --data {folder} --overwrite out");
        match (&list.outcome, list.name) {
            // A table lists no classes: each row has a word, and LABEL_0 is none.
            (Outcome::Warning, _) => {
                w.fails(&line, 1, &["row 1", "LABEL_", "--label-map"]);
            }
            (_, "three classes") | (Outcome::Equal, _) => {
                w.run(&line);
                assert_eq!(labels(&w, "out"), want, "{}", list.name);
            }
            (Outcome::Refused(option), _) => {
                w.fails(&line, 1, &["row ", "--label-map"]);
                w.run(&format!("{line} {}", option.unwrap()));
                assert_eq!(labels(&w, "out"), want, "{}", list.name);
            }
        }
    }
}

#[test]
fn splits_are_put_side_by_side() {
    let w = Workspace::new();
    let reviews = sample(&w, 12);
    const KEYS: [&str; 2] = ["eval_loss", "eval_accuracy"];
    const TUNE: &str =
        "flue-cls-finetune -a 12 -b 12 --dropout 0 -c tiny-camembert --overwrite -s tuned";
    const STATES: &str =
        "data-cls --checkpoint tiny-camembert --layers 12 --overwrite --out states.npy";
    let stored = |_: &str| -> Vec<i64> {
        let arrays = read_arrays(&w.path("states.npy")).unwrap();
        let labels = arrays.into_iter().filter_map(|a| a.into_integers());
        labels.flat_map(|l| l.to_vec()).collect()
    };
    write_dict(&w, "data", &reviews, &LISTS[0], &LISTS[0]);
    let tuned = numbers(&w.run(&format!("{TUNE} -d data -q")), &KEYS);
    w.run(&format!("{STATES} --data data -q"));
    let labels = stored("");
    assert!(labels.contains(&0) && labels.contains(&1));
    for (i, list) in LISTS.iter().enumerate() {
        let data = format!("data{i}");
        write_dict(&w, &data, &reviews, &LISTS[0], list);
        let line = format!("{TUNE} -d {data}");
        hold(&w, list, &line, &tuned, |out| numbers(out, &KEYS));
        hold(
            &w,
            list,
            &format!("{STATES} --data {data}"),
            &labels,
            stored,
        );
    }
    // A split with numbers alone beside names in another order can be read in two ways.
    write_dict(&w, "unclear", &reviews, &LISTS[1], &LISTS[7]);
    w.fails(
        &format!("{TUNE} -d unclear"),
        1,
        &[
            "positive, negative",
            "0, 1",
            "--label-map 0=positive,1=negative or --label-map 0=negative,1=positive",
        ],
    );
}

/// A copy of the classifier in `from` whose classes have this list: the rows of its last layer
/// change places with their names.
fn write_classifier(w: &Workspace, from: &str, out: &str, list: &List) {
    fs::create_dir_all(w.path(out)).unwrap();
    for entry in fs::read_dir(w.path(from)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, w.path(out).join(path.file_name().unwrap())).unwrap();
    }
    let path = w.path(out).join("config.json");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let config = config.as_object_mut().unwrap();
    match list.names {
        Some(names) => {
            let by_id = names
                .iter()
                .enumerate()
                .map(|(i, n)| (i.to_string(), json!(n)));
            config["id2label"] = by_id.collect::<serde_json::Map<_, _>>().into();
            let by_name = names
                .iter()
                .enumerate()
                .map(|(i, n)| (n.to_string(), json!(i)));
            config["label2id"] = by_name.collect::<serde_json::Map<_, _>>().into();
        }
        None => {
            config.remove("id2label");
            config.remove("label2id");
        }
    }
    fs::write(&path, json!(config).to_string()).unwrap();
    let path = w.path(out).join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    for name in ["classifier.out_proj.weight", "classifier.out_proj.bias"] {
        let rows = tensors[name].clone();
        let count = list.names.map_or(2, <[_]>::len);
        let of_class = |class: i64| u32::from(list.places[1] == class);
        let index: Vec<u32> = (0..count as i64).map(of_class).collect();
        let index = Tensor::new(index, &Device::Cpu).unwrap();
        tensors.insert(name.into(), rows.index_select(&index, 0).unwrap());
    }
    candle_core::safetensors::save(&tensors, &path).unwrap();
}

#[test]
fn data_and_classifier_are_put_side_by_side() {
    let w = Workspace::new();
    let reviews = sample(&w, 24);
    write_dict(&w, "data", &reviews, &LISTS[0], &LISTS[0]);
    w.run("flue-cls-finetune -a 24 -b 24 --learning-rate 5e-4 -c tiny-camembert -d data -q -s classifier");
    let figures = |out: &str| -> Vec<i64> {
        let summary: Value = serde_json::from_str(out).unwrap();
        let spearman = |c: &Value| {
            let number = c["spearman"].as_f64();
            number.map_or(i64::MAX, |number| (number * 1e4).round() as i64)
        };
        let last = summary["last_layer"].as_array().unwrap().iter();
        let accuracy = numbers(out, &["accuracy"]);
        accuracy.into_iter().chain(last.map(spearman)).collect()
    };
    const LINE: &str = "study convergence --overwrite --out convergence";
    const TUNE: &str = "flue-cls-finetune -a 16 -b 24 --dropout 0 --overwrite -s again";
    const KEYS: [&str; 2] = ["eval_loss", "eval_accuracy"];
    let want = figures(&w.run(&format!("{LINE} --data data --checkpoint classifier -q")));
    assert!((15_000..100_000).contains(&want[0]), "{want:?}");
    let tuned = numbers(&w.run(&format!("{TUNE} -d data -c classifier -q")), &KEYS);
    for (i, list) in LISTS.iter().enumerate() {
        let (data, classifier) = (format!("data{i}"), format!("classifier{i}"));
        write_dict(&w, &data, &reviews, list, list);
        write_classifier(&w, "classifier", &classifier, list);
        for (data, classifier) in [(data.as_str(), "classifier"), ("data", &classifier)] {
            // A classifier without names goes by number, as one with LABEL_0, LABEL_1 does.
            let outcome = match (&list.outcome, list.names) {
                (Outcome::Equal, None) if data == "data" => Outcome::Warning,
                (Outcome::Equal, _) => Outcome::Equal,
                (Outcome::Warning, _) => Outcome::Warning,
                (Outcome::Refused(option), _) => Outcome::Refused(*option),
            };
            let list = List { outcome, ..*list };
            let line = format!("{LINE} --data {data} --checkpoint {classifier}");
            hold(&w, &list, &line, &want, figures);
            let line = format!("{TUNE} -d {data} -c {classifier}");
            hold(&w, &list, &line, &tuned, |out| numbers(out, &KEYS));
        }
    }
}

#[test]
fn stored_states_keep_their_classes() {
    let w = Workspace::new();
    let reviews = sample(&w, 12);
    let cones = |out: &str| -> Vec<i64> {
        let summary: Value = serde_json::from_str(out).unwrap();
        numbers(&summary["cones"][0].to_string(), &["negative", "positive"])
    };
    let mut want = Vec::new();
    for (i, list) in LISTS.iter().enumerate() {
        let (data, npy) = (format!("data{i}"), format!("npy{i}"));
        write_dict(&w, &data, &reviews, list, list);
        fs::create_dir(w.path(&npy)).unwrap();
        w.run(&format!(
            "data-cls -q --data {data} --checkpoint tiny-camembert --layers 12 --out {npy}/camembert_raw.npy"
        ));
        let line = format!("study cone --npy {npy} --overwrite --out cone");
        if i == 0 {
            want = cones(&w.run(&format!("{line} -q")));
            assert_ne!(want[0], want[1]);
        }
        hold(&w, list, &line, &want, cones);
    }
    // Files of which one has other classes than the first are not compared.
    fs::create_dir(w.path("two")).unwrap();
    for (from, to) in [("npy0", "camembert_raw"), ("npy4", "flaubert_raw")] {
        for ending in ["npy", "manifest.json"] {
            let from = fs::read_dir(w.path(from))
                .unwrap()
                .map(|e| e.unwrap().path());
            let from = from
                .into_iter()
                .find(|p| p.to_string_lossy().ends_with(ending))
                .unwrap();
            let name = from
                .file_name()
                .unwrap()
                .to_string_lossy()
                .replace("camembert_raw", to);
            fs::copy(&from, w.path("two").join(name)).unwrap();
        }
    }
    let line = "study cls --npy two --no-logistic --epochs 1";
    w.fails(
        line,
        1,
        &["bon, mauvais", "negative, positive", "--label-map"],
    );
    w.run(&format!(
        "{line} -q --label-map bon=positive,mauvais=negative"
    ));
}
