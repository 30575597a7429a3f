//! What cannot be read is not absent: no output is complete without it.

use std::fs;
use std::path::Path;

use crate::common::Workspace;

const FEW: &str = "--cosine-sentences 2 --trace-sentences 2 --erank-sentences 2 --no-measures";

/// A copy of a shipped checkpoint.
fn checkpoint(w: &Workspace, name: &str) {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shipped = shipped.join("models/tiny-camembert");
    fs::create_dir(w.path(name)).unwrap();
    for entry in fs::read_dir(shipped).unwrap().flatten() {
        fs::copy(entry.path(), w.path(name).join(entry.file_name())).unwrap();
    }
}

fn prepared() -> Workspace {
    let w = Workspace::new();
    w.run("flue-cls-prepare -q -c tiny-camembert --data sample data");
    w
}

/// Cut a file in half; what it held.
fn cut(path: &Path) -> Vec<u8> {
    let whole = fs::read(path).unwrap();
    fs::write(path, &whole[..whole.len() / 2]).unwrap();
    whole
}

#[test]
fn a_study_whose_manifest_cannot_be_read_is_not_left_out() {
    let w = prepared();
    for run in ["x", "y"] {
        w.run(&format!(
            "study layers -q --data data --checkpoint tiny-camembert --out results/{run} {FEW}"
        ));
    }
    let export = "study export -q --results results --out tables --overwrite";
    w.run(export);
    let tables = fs::read(w.path("tables/layers_cosine.parquet")).unwrap();
    let manifest = w.path("results/y/manifest.json");
    let whole = cut(&manifest);
    for line in [export, "study report -q --results results --out page.html"] {
        w.fails(line, 1, &["results/y/manifest.json"]);
    }
    fs::remove_file(&manifest).unwrap();
    fs::create_dir(&manifest).unwrap();
    w.fails(export, 1, &["results/y/manifest.json", "a folder"]);
    assert!(tables == fs::read(w.path("tables/layers_cosine.parquet")).unwrap());
    fs::remove_dir(&manifest).unwrap();
    // A folder of somebody else's is no study.
    w.run(export);
    assert!(tables != fs::read(w.path("tables/layers_cosine.parquet")).unwrap());
    fs::write(&manifest, whole).unwrap();
}

#[test]
fn the_report_has_all_that_is_beside_what_was_studied_or_fails() {
    let w = prepared();
    w.run("flue-cls-finetune -q -a 8 -b 8 -d data -c tiny-camembert -s model");
    w.run(&format!(
        "study layers -q --data data --checkpoint ./model --out results/camembert_ft_1 {FEW}"
    ));
    let report = "study report -q --results results --out page.html --overwrite";
    for file in [
        "model/all_results.json",
        "model/manifest.json",
        "data/manifest.json",
    ] {
        let whole = cut(&w.path(file));
        w.fails(report, 1, &[file, "line"]);
        fs::write(w.path(file), whole).unwrap();
    }
    // Another program's file of this name says nothing.
    fs::write(w.path("data/manifest.json"), "[1, 2]").unwrap();
    fs::remove_file(w.path("model/all_results.json")).unwrap();
    w.run(report);
}

#[test]
fn the_layers_of_a_file_are_not_guessed_when_its_manifest_cannot_be_read() {
    let w = prepared();
    w.run(
        "data-cls -q --limit 4 --layers 1,2,3,4,5 --data data --checkpoint tiny-camembert --out npy/camembert_raw.npy",
    );
    let manifest = w.path("npy/camembert_raw.npy.manifest.json");
    let whole = cut(&manifest);
    let line = "study cone -q --npy npy --out cone";
    w.fails(line, 1, &["camembert_raw.npy.manifest.json"]);
    fs::write(manifest, whole).unwrap();
    w.run(line);
}

#[test]
fn tokens_have_their_places_unless_there_is_no_tokenizer() {
    let w = prepared();
    checkpoint(&w, "model");
    let line = "data-cls --limit 2 --layers 12 --tokens all --data data --checkpoint ./model --out out.parquet --overwrite";
    w.run(line);
    let places = fs::read(w.path("out.parquet")).unwrap();
    let whole = cut(&w.path("model/tokenizer.json"));
    w.fails(line, 1, &["model/tokenizer.json"]);
    fs::remove_file(w.path("model/tokenizer.json")).unwrap();
    #[cfg(unix)]
    {
        // A link to itself cannot be followed by anyone.
        std::os::unix::fs::symlink("tokenizer.json", w.path("model/tokenizer.json")).unwrap();
        w.fails(line, 1, &["model/tokenizer.json", "cannot look at"]);
        fs::remove_file(w.path("model/tokenizer.json")).unwrap();
    }
    assert!(places == fs::read(w.path("out.parquet")).unwrap());
    let output = w.command(line).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && log.contains("no text spans"),
        "{log}"
    );
    assert!(places != fs::read(w.path("out.parquet")).unwrap());
    fs::write(w.path("model/tokenizer.json"), whole).unwrap();
}

#[cfg(unix)]
#[test]
fn a_tokenizer_is_copied_and_noted_whole_or_not_at_all() {
    let w = prepared();
    checkpoint(&w, "model");
    std::os::unix::fs::symlink("added_tokens.json", w.path("model/added_tokens.json")).unwrap();
    let words = ["model/added_tokens.json: cannot "];
    for (line, out) in [
        (
            "flue-cls-finetune -q -a 8 -b 8 -d data -c ./model -s out",
            "out",
        ),
        ("flue-cls-prepare -q -c ./model --data sample set", "set"),
    ] {
        w.fails(line, 1, &words);
        assert!(!w.path(out).exists());
    }
}
