//! `flue-cls-finetune --resume`, one run and several seeds.

use std::fs;

use super::{Exchanged, copy, cut, json, refused_for_each, reviews, shard};
use crate::common::{Workspace, wait_for};

fn prepared() -> Workspace {
    let w = reviews();
    copy(&w, "models/tiny-camembert", "start");
    cut(&w, "start");
    w.run("flue-cls-prepare -q -c start --data rows --no-pad data");
    w
}

/// Run `line` until it has kept a checkpoint, and kill it.
fn kill_after_a_checkpoint(w: &Workspace, line: &str, checkpoints: &str) {
    let mut child = w.command(line).spawn().unwrap();
    let kept = || {
        let entries = fs::read_dir(w.path(checkpoints)).into_iter().flatten();
        let names = entries.flatten().map(|e| e.file_name());
        names
            .into_iter()
            .any(|n| n.to_string_lossy().starts_with("checkpoint-"))
    };
    wait_for("checkpoint", || {
        assert!(child.try_wait().unwrap().is_none(), "it was too quick");
        kept()
    });
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn training_goes_on_from_the_same_weights_and_rows_only() {
    let w = prepared();
    let line = "flue-cls-finetune -q -a 12 -b 12 -n 200 --save-steps 2 -c start -s out";
    let shards = [0, 1].map(|i| format!("start/{}", shard(i)));
    let of_checkpoint = [
        "start/config.json",
        "start/model.safetensors.index.json",
        &shards[0],
        &shards[1],
        "start/tokenizer.json",
        "start/tokenizer_config.json",
    ];
    for given in ["-d data", ""] {
        let line = match given {
            // The rows are made of the reviews anew each time.
            "" => line.replace("-c start", "-c start --data rows"),
            given => format!("{line} {given}"),
        };
        kill_after_a_checkpoint(&w, &line, "out.checkpoints");
        let resume = format!("{line} --resume");
        for file in of_checkpoint {
            let exchanged = Exchanged::new(&w.path(file));
            let words = [
                "checkpoint-",
                &format!("another -c (its {file})"),
                "--overwrite",
            ];
            w.fails(&resume, 1, &words);
            exchanged.restore();
        }
        let data = match given {
            "" => "rows/train.csv",
            // A token, where the texts are not what is trained on.
            _ => "data/train/data-00000-of-00001.arrow",
        };
        let exchanged = exchange_a_token(&w, data);
        w.fails(&resume, 1, &["checkpoint-", "-d (the rows of train)"]);
        exchanged.restore();
        // A file more than there was.
        fs::write(w.path("start/added_tokens.json"), "{}").unwrap();
        w.fails(&resume, 1, &["another -c (its start/added_tokens.json)"]);
        fs::remove_file(w.path("start/added_tokens.json")).unwrap();
        fs::remove_dir_all(w.path("out.checkpoints")).unwrap();
    }
}

/// Exchange what the first review of `train` says.
fn exchange_a_token(w: &Workspace, file: &str) -> Exchanged {
    let path = w.path(file);
    if file.ends_with(".csv") {
        return Exchanged::new(&path);
    }
    let old = fs::read(&path).unwrap();
    let split = flue_study::dataset::DatasetDict::open(w.path("data")).unwrap();
    let split = split.split("train").unwrap();
    let ids = split.example(0).unwrap().input_ids;
    let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    let at = old.windows(bytes.len()).position(|b| b == bytes).unwrap();
    let mut new = old.clone();
    // The token after the first, which marks the beginning.
    new[at + 4] ^= 1;
    super::keeping_time(&path, || fs::write(&path, &new).unwrap());
    Exchanged { path, old }
}

#[test]
fn seeds_that_are_complete_are_of_the_same_files() {
    let w = prepared();
    let line = "flue-cls-finetune -q -a 8 -b 8 -c start --seeds 1,2 -s out";
    let shards = [0, 1].map(|i| format!("start/{}", shard(i)));
    let model = [
        "start/config.json",
        "start/model.safetensors.index.json",
        &shards[1],
        "start/tokenizer.json",
    ];
    let cases = [
        ("--data rows", vec!["rows/train.csv", "rows/test.csv"]),
        (
            "-d data",
            vec![
                "data/train/data-00000-of-00001.arrow",
                "data/test/data-00000-of-00001.arrow",
                "data/test/dataset_info.json",
            ],
        ),
    ];
    for (source, of_data) in cases {
        let line = format!("{line} {source}");
        w.run(&line);
        fs::remove_dir_all(w.path("out/seed-2")).unwrap();
        let files: Vec<_> = model.iter().chain(&of_data).map(|f| (*f, *f)).collect();
        refused_for_each(
            &w,
            &format!("{line} --resume"),
            "out/seed-1 was made from",
            &files,
        );
        let manifest = json(&w.path("out/seed-2/manifest.json"));
        for (name, _) in &files {
            assert_eq!(
                manifest["inputs"][name].as_str().unwrap().len(),
                64,
                "{name}"
            );
        }
        let temporary = |name: &String| name.contains(".prepared");
        assert!(
            !manifest["inputs"]
                .as_object()
                .unwrap()
                .keys()
                .any(temporary)
        );
        fs::remove_dir_all(w.path("out")).unwrap();
    }
}
