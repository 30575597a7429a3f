//! `study pipeline`: what makes a step count as done.

use std::fs;

use super::{Exchanged, copy, cut, reviews, shard};

const LINE: &str = "study pipeline --data rows --flaubert flaubert --camembert camembert -a 8 -b 8 --cosine-sentences 4 \
                    --trace-sentences 4 --erank-sentences 4 --out out";

#[test]
fn steps_are_done_for_the_files_that_they_read() {
    let w = reviews();
    for model in ["camembert", "flaubert"] {
        copy(&w, &format!("models/tiny-{model}"), model);
    }
    cut(&w, "camembert");
    w.run(&format!("{LINE} -q"));
    let log = || {
        let output = w.command(LINE).output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{log}");
        log
    };
    let steps = 2 * (2 + 4 + 2 + 2) + 2;
    assert_eq!(log().matches("done already").count(), steps);

    // Another corpus, another checkpoint.
    let shards = [0, 1].map(|i| format!("camembert/{}", shard(i)));
    for source in [
        "rows/train.csv",
        "rows/test.csv",
        "flaubert/model.safetensors",
        "flaubert/vocab.json",
        "flaubert/merges.txt",
        "camembert/model.safetensors.index.json",
        &shards[0],
        &shards[1],
        "camembert/config.json",
        "camembert/tokenizer.json",
    ] {
        let exchanged = Exchanged::new(&w.path(source));
        let words = [
            &format!("a run on another content of {source}"),
            "--overwrite",
        ];
        w.fails(&format!("{LINE} -q"), 1, &words);
        exchanged.restore();
    }
    assert_eq!(log().matches("done already").count(), steps);

    // What an earlier step left: the steps that read it are run again, and no others.
    let cases = [
        (
            "flaubert_base_cased_1/model.safetensors",
            &["data-cls flaubert_ft, all layers", "layers flaubert_ft_1"][..],
            &[
                "fine-tune flaubert",
                "layers flaubert_raw",
                "layers camembert_ft_1",
            ][..],
        ),
        (
            "numpy_all_layers/camembert_raw.npy",
            &["data-cls camembert_raw", "cls", "cone"],
            &[
                "data-cls camembert_raw, all layers",
                "data-cls camembert_ft",
            ],
        ),
        (
            "flaubert-tokens.datasets/test/data-00000-of-00001.arrow",
            &[
                "fine-tune flaubert",
                "layers flaubert_raw",
                "convergence_flaubert",
            ],
            &[
                "prepare flaubert",
                "fine-tune camembert",
                "layers camembert_raw",
            ],
        ),
    ];
    for (file, again, done) in cases {
        let path = w.path("out").join(file);
        if file.ends_with(".npy") {
            // The last label would be read as another class.
            let mut bytes = fs::read(&path).unwrap();
            bytes[2000] ^= 1;
            super::keeping_time(&path, || fs::write(&path, &bytes).unwrap());
        } else {
            Exchanged::new(&path);
        }
        let log = log();
        for step in again {
            let words = format!("{step}: made from another content of {file}; it is made again");
            assert!(log.contains(&words), "{step}\n{log}");
        }
        for step in done {
            assert!(
                log.contains(&format!("{step}: done already")),
                "{step}\n{log}"
            );
        }
        assert!(
            !w.command(LINE)
                .output()
                .unwrap()
                .stderr
                .windows(10)
                .any(|w| w == b"made again")
        );
    }
}
