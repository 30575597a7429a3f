//! A pipeline that was stopped, or that finds what others made in its folder.

use std::fs;

use flue_study::files::OutputLock;
use serde_json::Value;

use crate::common::Workspace;

/// A small corpus in `rows`.
fn corpus() -> Workspace {
    let w = Workspace::new();
    fs::create_dir(w.path("rows")).unwrap();
    let row = |i: usize| format!("\"avis {i} : {}\",{}\n", ["nul", "bon"][i % 2], i % 2);
    let rows: String = (0..24).map(row).collect();
    for split in ["train", "test"] {
        let file = w.path(&format!("rows/{split}.csv"));
        fs::write(file, format!("text,label\n{rows}")).unwrap();
    }
    w
}

const LINE: &str = "study pipeline --data rows --flaubert tiny-flaubert --camembert tiny-camembert -b 8 --cosine-sentences 4 \
                    --trace-sentences 4 --erank-sentences 4";

/// The rows that the models in `folder` were fine-tuned on.
fn trained_on(w: &Workspace, folder: &str) -> Vec<Value> {
    let of = |model: &str| {
        let path = w.path(&format!("{folder}/{model}_1/manifest.json"));
        let manifest: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        manifest["config"]["num_train"].clone()
    };
    ["flaubert_base_cased", "camembert_base"].map(of).into()
}

#[test]
fn other_settings_stopped_in_the_first_step_do_not_take_the_old_results_for_theirs() {
    let w = corpus();
    w.run(&format!("{LINE} -q -a 16 --out out"));
    assert_eq!(trained_on(&w, "out"), [16, 16]);
    let other = format!("{LINE} -a 8 --out out");
    let settings = ["other settings", "--overwrite"];
    w.fails(&format!("{other} -q"), 1, &settings);
    let lock = OutputLock::acquire(&w.path("out/flaubert-tokens.datasets")).unwrap();
    let first = ["flaubert-tokens.datasets is being written"];
    w.fails(&format!("{other} -q --overwrite"), 1, &first);
    drop(lock);
    assert_eq!(trained_on(&w, "out"), [16, 16]);
    let output = w.command(&other).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    assert!(!log.contains("done already"), "{log}");
    assert_eq!(trained_on(&w, "out"), [8, 8]);
    let log = w.command(&other).output().unwrap().stderr;
    assert!(String::from_utf8_lossy(&log).contains("convergence_camembert: done already"));
}

#[test]
fn only_what_a_pipeline_began_is_replaced() {
    let w = corpus();
    for foreign in ["flaubert_base_cased_1/model.safetensors", "tables/mine"] {
        let path = w.path(foreign);
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(&path, "mine").unwrap();
        let folder = foreign.split('/').next().unwrap();
        let words = [folder, "no pipeline in this folder made it"];
        w.fails(&format!("{LINE} -q -a 8 --out ."), 1, &words);
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        assert!(!w.path("flaubert-tokens.datasets").exists());
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
    // Another run is making what the second step would make: it is that one's.
    let lock = OutputLock::acquire(&w.path("flaubert_base_cased_1")).unwrap();
    w.fails(&format!("{LINE} -q -a 8 --out ."), 1, &["is being written"]);
    drop(lock);
    fs::create_dir(w.path("flaubert_base_cased_1")).unwrap();
    w.fails(&format!("{LINE} -q -a 8 --out ."), 1, &["no pipeline"]);
    fs::remove_dir(w.path("flaubert_base_cased_1")).unwrap();
    // Stopped in fine-tuning, it replaces what it finds there, but not what stands in the place of
    // a later step.
    let broken = w.path("flaubert_base_cased_1.checkpoints/checkpoint-1");
    fs::create_dir_all(&broken).unwrap();
    w.fails(&format!("{LINE} -q -a 8 --out ."), 1, &["identity.json"]);
    fs::remove_dir(&broken).unwrap();
    fs::create_dir(w.path("flaubert_base_cased_1")).unwrap();
    fs::write(w.path("report.html"), "mine").unwrap();
    w.fails(&format!("{LINE} -q -a 8 --out ."), 1, &["report.html"]);
    fs::remove_file(w.path("report.html")).unwrap();
    w.run(&format!("{LINE} -q -a 8 --out ."));
    assert_eq!(trained_on(&w, "."), [8, 8]);
    w.run(&format!("{LINE} -q -a 8 --out . --overwrite"));
}

#[test]
fn one_folder_is_one_run_s_by_whatever_name() {
    let w = corpus();
    fs::create_dir(w.path("pp")).unwrap();
    let lock = OutputLock::acquire(&w.path("pp")).unwrap();
    for (out, here) in [(".", "pp"), ("../pp", "pp"), ("pp", ""), ("rows/../pp", "")] {
        let mut command = w.command(&format!("{LINE} -q --out {out}"));
        let output = command.current_dir(w.path(here)).output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(log.contains("is being written by"), "{out}: {log}");
    }
    drop(lock);
    assert_eq!(fs::read_dir(w.path("pp")).unwrap().count(), 0);
}
