//! `--overwrite` replaces an output, and never what the run reads.

use std::fs;

use crate::common::Workspace;

#[test]
fn an_output_that_holds_an_input_is_refused() {
    let w = Workspace::new();
    let few = "--cosine-sentences 2 --trace-sentences 2 --erank-sentences 2";
    for (line, input, output) in [
        ("study export --results r --out r", "r", "r"),
        ("study export --results top/r --out top", "top/r", "top"),
        ("study cls --npy n/npy --out n", "n/npy", "n"),
        ("study cone --npy npy --out npy", "npy", "npy"),
        (
            "flue-cls-prepare -c tiny-camembert --data d/sub d",
            "d/sub",
            "d",
        ),
        (
            "flue-cls-prepare -c d/model --data sample d",
            "d/model",
            "d",
        ),
        (
            "flue-cls-prepare --export-tokenizer -c d/model ./d",
            "d/model",
            "d",
        ),
        ("flue-cls-finetune -d data -c k/m -s k", "k/m", "k"),
        (
            "flue-cls-finetune -d k/data -c tiny-camembert -s x/../k",
            "k/data",
            "k",
        ),
        (
            "flue-cls-finetune -d k/seed-2/data -c tiny-camembert -s k --seeds 1,2",
            "k/seed-2/data",
            "k/seed-2",
        ),
        (
            &format!("study layers --data w/data --checkpoint tiny-camembert --out w {few}"),
            "w/data",
            "w",
        ),
        (
            &format!("study raw --flaubert-data r/camembert_raw/d --out r {few}"),
            "r/camembert_raw/d",
            "r/camembert_raw",
        ),
        (
            "study compare --data data --checkpoint tiny-camembert --other w/m --out w",
            "w/m",
            "w",
        ),
        (
            "study convergence --data w/d --checkpoint m --out w",
            "w/d",
            "w",
        ),
        (
            "study pipeline --data out/results/cls/d --out out",
            "out/results/cls/d",
            "results/cls",
        ),
    ] {
        for folder in [input, "x"] {
            fs::create_dir_all(w.path(folder)).unwrap();
        }
        fs::write(w.path(input).join("mine"), "mine").unwrap();
        w.fails(
            &format!("{line} -q --overwrite"),
            2,
            &[input, output, "choose another output"],
        );
        assert!(w.path(input).join("mine").exists(), "{line}");
        w.clear(&[]);
    }
}

#[test]
fn what_is_read_may_be_replaced_itself() {
    let w = Workspace::new();
    w.run("flue-cls-prepare -q -c tiny-camembert --data sample data");
    w.run("flue-cls-prepare -q -c tiny-camembert --data data --no-pad data --overwrite");
    let line = "flue-cls-finetune -q -a 8 -b 8 -d data -s model --overwrite -c";
    w.run(&format!("{line} tiny-camembert"));
    let weights = fs::read(w.path("model/model.safetensors")).unwrap();
    w.run(&format!("{line} ./model"));
    assert!(weights != fs::read(w.path("model/model.safetensors")).unwrap());
    let line = "study cone -q --npy npy --out npy/cone --overwrite";
    w.run("data-cls -q --limit 4 --data data --checkpoint ./model --out npy/camembert_ft.npy");
    w.run(line);
    w.run(line);
}
