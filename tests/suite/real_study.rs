//! The commands of the README's section "The real study", word by word, against a hub with tiny
//! weights under the true names.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use flue_study::dataset::DatasetDict;
use parquet::arrow::ArrowWriter;

use crate::common::Workspace;
use crate::hub_server::HubServer;

/// The first block of commands in the section, without its comments.
fn commands() -> Vec<String> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(readme).unwrap();
    let (_, section) = text.split_once("## The real study").unwrap();
    let (_, block) = section.split_once("```sh\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let lines = block.lines().map(|l| l.split('#').next().unwrap().trim());
    lines.filter(|l| !l.is_empty()).map(str::to_owned).collect()
}

/// A split as the hub converts it: as many rows as the real one, a few words each.
fn parquet(rows: usize) -> Vec<u8> {
    let last = |i: usize| ["nul", "mauvais", "superbe", "excellent"][2 * (i % 2) + i / 2 % 2];
    let text =
        StringArray::from_iter_values((0..rows).map(|i| format!("Livre {} {}", i % 13, last(i))));
    let columns: [(&str, ArrayRef); 3] = [
        (
            "idx",
            Arc::new(Int32Array::from_iter_values(0..rows as i32)),
        ),
        ("text", Arc::new(text)),
        (
            "label",
            Arc::new(Int64Array::from_iter_values(
                (0..rows as i64).map(|i| i % 2),
            )),
        ),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn put_model(server: &HubServer, repository: &str, tiny: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("models")
        .join(tiny);
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        server.put(repository, &[(&name, &fs::read(entry.path()).unwrap())]);
    }
}

/// The hub as the study finds it; `train` rows of the training split.
fn hub(train: usize) -> HubServer {
    let server = HubServer::start();
    put_model(
        &server,
        "models/flaubert/flaubert_base_cased",
        "tiny-flaubert",
    );
    put_model(&server, "models/almanach/camembert-base", "tiny-camembert");
    server.rename("models/camembert-base", "models/almanach/camembert-base");
    server.put(
        "datasets/GETALP/flue",
        &[
            ("CLS/test/0000.parquet", &parquet(5999)),
            ("CLS/train/0000.parquet", &parquet(train)),
        ],
    );
    server
}

fn run(w: &Workspace, server: &HubServer, line: &str) -> String {
    let mut command = w.command(line);
    command
        .env("HF_HUB_OFFLINE", "0")
        .env("HF_ENDPOINT", &server.url)
        .env("NO_PROXY", "*");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{line}\n{text}");
    String::from_utf8(output.stdout).unwrap() + &text
}

#[test]
fn the_commands_of_the_readme_run_as_they_stand() {
    let server = hub(5997);
    let w = Workspace::new();
    let commands = commands();
    assert!(commands.len() >= 12, "{commands:?}");
    for line in &commands {
        let said = run(&w, &server, line);
        assert!(!said.contains("differences"), "{line}: {said}");
    }
    for name in ["flaubert", "camembert"] {
        let data = DatasetDict::open(w.path(&format!("{name}-tokens.datasets"))).unwrap();
        let rows = ["train", "test"].map(|s| data.split(s).unwrap().len());
        assert_eq!(rows, [5997, 5999]);
        for file in [
            format!("numpy_save/{name}_raw.npy"),
            format!("numpy_save/{name}_ft.npy"),
            format!("results/{name}_raw/cosine.csv"),
            format!("results/{name}_ft_1/erank.png"),
        ] {
            assert!(w.path(&file).is_file(), "{file}");
        }
    }
    assert!(w.path("camembert_base_1/model.safetensors").is_file());
    assert!(w.path("results/report.html").is_file());
    assert!(w.path("results/compare_camembert/comparison.csv").is_file());
    // The names of two repositories, each file once.
    let mut files = server.requests("GET /store/");
    let all = files.len();
    files.sort();
    files.dedup();
    assert_eq!(all, files.len(), "{files:?}");
}

#[test]
fn rows_that_are_missing_are_told() {
    let server = hub(300);
    let w = Workspace::new();
    let said = run(
        &w,
        &server,
        "flue-cls-prepare --no-pad -c camembert-base out.datasets",
    );
    let words = "train has 300 rows, that of FLUE CLS 5997";
    assert_eq!(said.matches(words).count(), 2, "{said}");
    let manifest = fs::read_to_string(w.path("out.datasets/manifest.json")).unwrap();
    assert!(manifest.contains(words), "{manifest}");
    for shard in ["0/2", "1/2"] {
        run(
            &w,
            &server,
            &format!("flue-cls-prepare -q -c camembert-base parts --shard {shard}"),
        );
    }
    let said = run(&w, &server, "flue-cls-prepare -q --merge parts");
    assert_eq!(said.matches(words).count(), 1, "{said}");
}
