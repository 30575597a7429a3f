//! Heads for other tasks: their encoder is used, they themselves never are.
//!
//! Names and shapes are those that `save_pretrained` of transformers 4.57.1 and 5.24 leaves for
//! each class.

use serde_json::{Value, json};

use super::*;
use crate::models::checkpoint::LoadReport;
use crate::models::task::Task;

/// Names and shapes.
type Tensors = [(&'static str, &'static [usize])];

/// A copy of a fixture without its own head, with these tensors and this entry of `architectures`.
fn with(name: &str, class: Value, tensors: &[(&str, &[usize])]) -> tempfile::TempDir {
    let d = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(fixture(name).join("config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["architectures"] = json!([class]);
    std::fs::write(d.path().join("config.json"), config.to_string()).unwrap();
    let of_fixture = fixture(name).join("model.safetensors");
    let mut all = candle_core::safetensors::load(of_fixture, &Device::Cpu).unwrap();
    all.retain(|k, _| !k.starts_with("classifier") && !k.starts_with("sequence_summary"));
    for (name, shape) in tensors {
        let ones = Tensor::ones(*shape, DType::F32, &Device::Cpu).unwrap();
        all.insert((*name).to_owned(), ones);
    }
    candle_core::safetensors::save(&all, d.path().join("model.safetensors")).unwrap();
    d
}

fn classifier(folder: &Path) -> Result<LoadReport> {
    let config = Config::read(folder)?;
    load_classifier(folder, config, &Device::Cpu, 1).map(|(_, report)| report)
}

const TOKENS: [(&str, &[usize]); 2] = [("classifier.weight", &[7, 16]), ("classifier.bias", &[7])];
const ANSWERS: [(&str, &[usize]); 2] = [("qa_outputs.weight", &[2, 16]), ("qa_outputs.bias", &[2])];
/// As many rows as our head for two classes has, under the same name.
const CHOICE: [(&str, &[usize]); 4] = [
    ("sequence_summary.summary.weight", &[2, 16]),
    ("sequence_summary.summary.bias", &[2]),
    ("logits_proj.weight", &[1, 2]),
    ("logits_proj.bias", &[1]),
];
const SEARCH: [(&str, &[usize]); 3] = [
    ("qa_outputs.start_logits.dense.weight", &[1, 16]),
    ("qa_outputs.end_logits.LayerNorm.weight", &[16]),
    ("qa_outputs.answer_class.dense_1.weight", &[1, 16]),
];
const ROBERTA_CHOICE: [(&str, &[usize]); 4] = [
    ("classifier.weight", &[1, 16]),
    ("classifier.bias", &[1]),
    ("roberta.pooler.dense.weight", &[16, 16]),
    ("roberta.pooler.dense.bias", &[16]),
];

#[test]
fn the_encoder_is_used_and_the_head_starts_anew() {
    let cases: [(&str, &str, &Tensors, &str); 8] = [
        (
            "camembert",
            "CamembertForTokenClassification",
            &TOKENS,
            "token classification",
        ),
        // A configuration that was copied from elsewhere.
        (
            "camembert",
            "CamembertForMaskedLM",
            &TOKENS,
            "token classification",
        ),
        (
            "camembert",
            "CamembertForSequenceClassification",
            &TOKENS,
            "token classification",
        ),
        (
            "camembert",
            "CamembertForQuestionAnswering",
            &ANSWERS,
            "question answering",
        ),
        (
            "camembert",
            "CamembertForMultipleChoice",
            &ROBERTA_CHOICE,
            "multiple choice",
        ),
        (
            "flaubert",
            "FlaubertForTokenClassification",
            &TOKENS,
            "token classification",
        ),
        (
            "flaubert",
            "FlaubertForQuestionAnswering",
            &SEARCH,
            "question answering",
        ),
        (
            "flaubert",
            "FlaubertForMultipleChoice",
            &CHOICE,
            "multiple choice",
        ),
    ];
    for (name, class, tensors, task) in cases {
        let plain = with(name, json!(class), &[]);
        let other = with(name, json!(class), tensors);
        let batch = Batch::read(&expected(name));
        let states = |folder: &Path| {
            let encoder = load_encoder(folder, &Device::Cpu).unwrap();
            let mut all = Vec::new();
            let (input, queries) = (batch.input(false), nn::Queries::All);
            let mut keep = |_, x: &Tensor| {
                all.push(x.flatten_all()?.to_vec1::<f32>()?);
                Ok(())
            };
            encoder
                .hidden_states(&input, 2, queries, &mut keep)
                .unwrap();
            all
        };
        assert_eq!(states(plain.path()), states(other.path()), "{class}");
        let report = classifier(other.path()).unwrap();
        let head = report.other_head.as_ref().unwrap();
        assert_eq!(head.task.to_string(), task, "{class}");
        let heads = tensors.iter().filter(|(t, _)| !t.contains("pooler"));
        assert_eq!(head.tensors.len(), heads.count(), "{class}: {head}");
        assert!(
            tensors
                .iter()
                .all(|(t, _)| report.unused.iter().any(|u| u == t)),
            "{report:?}"
        );
        let anew = if name == "flaubert" { 2 } else { 4 };
        assert_eq!(report.initialised.len(), anew, "{class}");
        // What it starts with is what it starts with where there was no head at all.
        let logits = |folder: &Path| {
            let config = Config::read(folder).unwrap();
            let (model, _) = load_classifier(folder, config, &Device::Cpu, 1).unwrap();
            let logits = model.logits(&batch.input(false)).unwrap();
            logits.to_vec2::<f32>().unwrap()
        };
        assert_eq!(logits(plain.path()), logits(other.path()), "{class}");
    }
}

fn expected(name: &str) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(
        fixture(name).join("expected-4.57.1.safetensors"),
        &Device::Cpu,
    )
    .unwrap()
}

#[test]
fn a_head_is_known_by_its_tensors_where_the_configuration_is_silent() {
    let no_class = with("flaubert", Value::Null, &CHOICE);
    let report = classifier(no_class.path()).unwrap();
    assert_eq!(report.other_head.unwrap().task, Task::MultipleChoice);
    let sequences = with("flaubert", Value::Null, &CHOICE[..2]);
    let report = classifier(sequences.path()).unwrap();
    assert!(report.other_head.is_none() && report.initialised.is_empty());
}

#[test]
fn tensors_and_configuration_that_contradict_each_other_are_refused() {
    let roberta: [(&str, &[usize]); 4] = [
        ("classifier.dense.weight", &[16, 16]),
        ("classifier.dense.bias", &[16]),
        ("classifier.out_proj.weight", &[2, 16]),
        ("classifier.out_proj.bias", &[2]),
    ];
    for (name, class, tensors, words) in [
        (
            "camembert",
            "CamembertForTokenClassification",
            &roberta[..],
            "sequence classification",
        ),
        (
            "flaubert",
            "FlaubertForMultipleChoice",
            &CHOICE[..2],
            "sequence classification",
        ),
        (
            "flaubert",
            "FlaubertForSequenceClassification",
            &CHOICE[..],
            "multiple choice",
        ),
    ] {
        let d = with(name, json!(class), tensors);
        let message = classifier(d.path()).unwrap_err().to_string();
        for word in ["config.json", "architectures", class, words] {
            assert!(message.contains(word), "{message}");
        }
        // Whatever the head is, the encoder is the same.
        load_encoder(d.path(), &Device::Cpu).unwrap();
    }
    let d = with("camembert", json!("CamembertForMaskedLM"), &roberta);
    assert!(classifier(d.path()).unwrap().initialised.is_empty());
}

#[test]
fn what_belongs_to_no_head_is_still_refused() {
    for (name, tensor) in [
        ("camembert", "crf.transitions"),
        ("camembert", "roberta.encoder.layer.7.output.dense.weight"),
        ("flaubert", "classifiers.weight"),
    ] {
        let d = with(name, Value::Null, &[(tensor, &[2, 2])]);
        let message = load_encoder(d.path(), &Device::Cpu)
            .err()
            .unwrap()
            .to_string();
        assert!(message.contains(tensor), "{message}");
    }
}

/// `AutoModel` saves an encoder without the prefix, beside which a head keeps its name.
#[test]
fn a_bare_encoder_with_another_head_is_read_too() {
    let d = with("camembert", Value::Null, &TOKENS);
    let path = d.path().join("model.safetensors");
    let all = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let bare: HashMap<String, Tensor> = all
        .into_iter()
        .map(|(k, t)| (k.trim_start_matches("roberta.").to_owned(), t))
        .collect();
    candle_core::safetensors::save(&bare, &path).unwrap();
    let report = classifier(d.path()).unwrap();
    assert_eq!(
        report.other_head.unwrap().tensors,
        ["classifier.bias", "classifier.weight"]
    );
}
