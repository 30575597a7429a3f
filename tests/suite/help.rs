//! `--help` of every program is a golden file, so that an option never changes by accident.
//!
//! `FLUE_UPDATE_HELP=1 cargo test --release help` writes them anew.

use std::fs;

use crate::common::{Workspace, fixtures};

const COMMANDS: &[&str] = &[
    "flue-cls-prepare",
    "flue-cls-finetune",
    "data-cls",
    "study",
    "study layers",
    "study raw",
    "study fine-tuning",
    "study cls",
    "study cone",
    "study compare",
    "study convergence",
    "study report",
    "study export",
    "study pipeline",
    "study check",
];

#[test]
fn help_is_as_written() {
    let folder = fixtures().join("help");
    for command in COMMANDS {
        let help = Workspace::new().run(&format!("{command} --help"));
        let path = folder.join(format!("{}.txt", command.replace(' ', "-")));
        if std::env::var_os("FLUE_UPDATE_HELP").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &help).unwrap();
        }
        let want = fs::read_to_string(&path).unwrap();
        assert_eq!(help, want, "{command} --help is not {}", path.display());
    }
}

#[test]
fn wrong_usage_ends_with_2_and_says_what() {
    let w = Workspace::new();
    w.fails("data-cls --no-such-option", 2, &["--no-such-option"]);
    w.fails("flue-cls-finetune -a many", 2, &["many", "all"]);
    w.fails("study layers --data x", 2, &["--checkpoint"]);
    w.fails("flue-cls-finetune --device tpu -c x", 1, &["x"]);
    w.fails("flue-cls-finetune -n 0", 2, &["--num-epochs 0"]);
    w.fails("flue-cls-finetune --dropout 1.5", 2, &["--dropout"]);
    w.fails("study --threads 0 cls", 2, &["--threads 0"]);
    w.fails(
        "study --threads 100000 cls",
        2,
        &["--threads 100000", "at most"],
    );
    for (line, option) in [
        ("flue-cls-finetune -a -5", "--num-train"),
        ("flue-cls-finetune -b 0", "--num-test"),
        (
            "flue-cls-finetune --learning-rate -1",
            "--learning-rate -1: ",
        ),
        ("flue-cls-finetune --dropout -0.1", "--dropout"),
        ("data-cls -b -3", "--batch"),
        ("study layers --cosine-sentences -1", "--cosine-sentences"),
        ("study cls --epochs 0", "--epochs"),
        ("study compare -b 0", "--batch"),
    ] {
        w.fails(line, 2, &[option]);
    }
}
