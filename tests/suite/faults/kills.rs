//! Each program killed at fifty of its steps, from the first to the last: its output is absent, the
//! old one or complete, and the next run finishes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::common::Workspace;
use crate::steps::{SIGKILL, remove, spread};

const KILLS: usize = 50;

/// Every file of an output with its bytes; those that hold times of day or speeds by their names
/// only.
fn content(path: &Path) -> BTreeMap<String, Vec<u8>> {
    const VARIES: [&str; 4] = [
        "manifest.json",
        "all_results.json",
        "trainer_state.json",
        "pipeline.json",
    ];
    let mut found = BTreeMap::new();
    let mut folders = vec![path.to_path_buf()];
    while let Some(at) = folders.pop() {
        if at.is_dir() {
            folders.extend(fs::read_dir(&at).unwrap().map(|e| e.unwrap().path()));
        } else if at.is_file() {
            let name = at
                .strip_prefix(path)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            let varies = VARIES.iter().any(|v| name.ends_with(v));
            let bytes = if varies {
                Vec::new()
            } else {
                fs::read(&at).unwrap()
            };
            found.insert(name, bytes);
        }
    }
    found
}

/// All names in a folder but those of the cache, hidden ones too.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The signal of a round: mostly SIGKILL, which nobody can catch; SIGINT and SIGTERM in between.
fn signal(round: usize) -> i32 {
    [SIGKILL, 2, SIGKILL, 15, SIGKILL][round % 5]
}

/// Run `line` until the signal of this round comes before so many steps. Whether the run ended by
/// it: with the exit status that is promised, if it lived to see it.
fn stopped(w: &Workspace, line: &str, step: usize, round: usize) -> bool {
    let signal = signal(round);
    let status = w.kill_at(line, step, signal);
    let code = status.code();
    let fine = match signal {
        SIGKILL => [None, Some(0)].contains(&code),
        _ => [Some(128 + signal), Some(0)].contains(&code),
    };
    assert!(
        fine,
        "signal {signal} before step {step} of {line}: {status}"
    );
    code != Some(0)
}

/// Run `line` with the output `out` killed again and again, in turn with nothing there and with an
/// old output to replace.
fn killed(w: &Workspace, line: &str, whole: &str, out: &str) {
    let steps = w.watch(&line.replace("OUT", whole)).steps;
    let complete = content(&w.path(whole));
    let old = BTreeMap::from([(String::new(), b"mine".to_vec())]);
    let before = names(&w.path("."));
    let (mut kills, mut round) = (0, 0);
    while kills < KILLS {
        assert!(round < 10 * KILLS, "only {kills} kills in {round} rounds");
        // Both kinds of rounds come to every part.
        let step = spread(round / 2, KILLS / 2, steps);
        let replaced = round % 2 == 1;
        remove(&w.path(out));
        let mut line = line.replace("OUT", out);
        if replaced {
            fs::write(w.path(out), "mine").unwrap();
            line += " --overwrite";
        }
        kills += usize::from(stopped(w, &line, step, round));
        let found = content(&w.path(out));
        let fine = found == complete
            || if replaced {
                found == old
            } else {
                found.is_empty()
            };
        let files = found.keys().collect::<Vec<_>>();
        assert!(fine, "round {round}, step {step}: {files:?}");
        round += 1;
    }
    remove(&w.path(out));
    w.run(&line.replace("OUT", out));
    assert!(content(&w.path(out)) == complete, "the bytes differ");
    // What the killed runs left has gone with the last one.
    let mut after = names(&w.path("."));
    let own = |name: &String| {
        name.strip_prefix(out)
            .is_some_and(|rest| rest.is_empty() || rest == ".manifest.json")
    };
    after.retain(|name| !own(name));
    assert_eq!(after, before);
}

fn prepared() -> Workspace {
    let w = Workspace::new();
    w.run("flue-cls-prepare -q -c tiny-camembert --data sample data");
    w
}

#[test]
fn prepare_killed_fifty_times() {
    let line = "flue-cls-prepare -q -c tiny-flaubert --data sample OUT";
    killed(&Workspace::new(), line, "whole", "out");
}

#[test]
fn finetune_killed_fifty_times() {
    let line =
        "flue-cls-finetune -q -a 80 -b 8 --save-steps 2 --resume -d data -c tiny-camembert -s OUT";
    killed(&prepared(), line, "whole", "out");
}

#[test]
fn finetune_that_prepares_first_leaves_no_data_behind() {
    let w = Workspace::new();
    let line = "flue-cls-finetune -q -a 16 -b 8 --resume --data sample -c tiny-camembert -s out";
    let steps = w.watch(line).steps;
    remove(&w.path("out"));
    for round in 0..10 {
        let status = w.kill_at(line, spread(round, 10, steps), SIGKILL);
        assert!(status.success() || status.code().is_none(), "{status}");
        remove(&w.path("out"));
    }
    w.run(line);
    assert_eq!(names(&w.path(".")), ["cache", "out"]);
}

#[test]
fn data_cls_killed_fifty_times() {
    let line = "data-cls -q --limit 60 --data data --checkpoint tiny-camembert --out OUT";
    killed(&prepared(), line, "whole.npy", "out.npy");
}

/// The moment between the name of a file and its manifest, and the one before its parts are
/// removed.
#[test]
fn data_cls_killed_at_its_last_steps_is_finished_by_the_next_run() {
    let w = prepared();
    let line = "data-cls -q --limit 60 --data data --checkpoint tiny-camembert --layers 0,1,2 --out out.npy";
    w.run(&format!("{line} --shard 0/1"));
    w.run(&format!("{line} --merge"));
    let whole = content(&w.path("out.npy"));
    let manifest = w.path("out.npy.manifest.json");
    // But for the command, which was another.
    let told = |manifest: &Path| {
        let mut said: serde_json::Value =
            serde_json::from_slice(&fs::read(manifest).unwrap()).unwrap();
        said.as_object_mut().unwrap().remove("command").unwrap();
        said
    };
    let said = told(&manifest);
    fs::remove_file(&manifest).unwrap();
    // Without its manifest nobody could tell which layers it holds.
    fs::rename(w.path("out.npy"), w.path("camembert_raw.npy")).unwrap();
    fs::rename(w.path("out.npy.shards"), w.path("camembert_raw.npy.shards")).unwrap();
    let words = ["camembert_raw.npy", "run the same data-cls again"];
    w.fails("study cone -q --npy . --out cone", 1, &words);
    fs::rename(w.path("camembert_raw.npy"), w.path("out.npy")).unwrap();
    fs::rename(w.path("camembert_raw.npy.shards"), w.path("out.npy.shards")).unwrap();
    let other = line.replace("0,1,2", "0,1");
    w.fails(&other, 1, &["another `layers`"]);
    w.run(line);
    assert_eq!(told(&manifest), said);
    assert!(content(&w.path("out.npy")) == whole);
    assert!(!w.path("out.npy.shards").exists());
    w.run(&format!("{line} --overwrite --shard 0/1"));
    w.fails(line, 1, &["exists already"]);
    assert_eq!(
        names(&w.path(".")),
        ["cache", "data", "out.npy", "out.npy.manifest.json"]
    );
}

#[test]
fn study_killed_fifty_times() {
    let line = "study layers -q --data data --checkpoint tiny-camembert --title t --out OUT \
                --cosine-sentences 20 --trace-sentences 20 --erank-sentences 10";
    killed(&prepared(), line, "whole", "out");
}

#[test]
fn what_a_killed_study_left_is_no_study() {
    let w = prepared();
    let line = "study layers -q --data data --checkpoint tiny-camembert --out results/x \
                --cosine-sentences 2 --trace-sentences 2 --erank-sentences 2 --no-measures";
    w.run(line);
    let exported = w.run("study export -q --results results --out tables");
    let left = w.path("results/.x.machine.aB3xyz.tmp");
    fs::create_dir(&left).unwrap();
    for entry in fs::read_dir(w.path("results/x")).unwrap().flatten() {
        fs::copy(entry.path(), left.join(entry.file_name())).unwrap();
    }
    let again = w.run("study export -q --results results --out tables --overwrite");
    assert_eq!(again, exported);
    w.run("study report -q --results results");
    let page = fs::read_to_string(w.path("results/report.html")).unwrap();
    assert!(!page.contains("aB3xyz"));
}

/// The pipeline resumes: killed fifty times on its way it ends where one that was never killed
/// ends.
#[test]
fn the_pipeline_killed_fifty_times_goes_on() {
    let w = Workspace::new();
    fs::create_dir(w.path("rows")).unwrap();
    for split in ["train", "test"] {
        let row = |i: usize| {
            let words = "un film que je conseille ".repeat(i % 7);
            let last = ["nul", "bon"][i % 2];
            format!("\"n° {i} : {words}{last}\",{}\n", i % 2)
        };
        let rows: String = (0..60).map(row).collect();
        fs::write(
            w.path(&format!("rows/{split}.csv")),
            format!("text,label\n{rows}"),
        )
        .unwrap();
    }
    let line = "study pipeline -q --data rows --flaubert tiny-flaubert --camembert tiny-camembert -a 24 -b 16 \
                --cosine-sentences 5 --trace-sentences 5 --erank-sentences 5 --save-steps 1 --out";
    let steps = w.watch(&format!("{line} whole")).steps;
    let out = format!("{line} out");
    let (mut kills, mut round) = (0, 0);
    while kills < KILLS {
        assert!(round < 10 * KILLS, "only {kills} kills in {round} rounds");
        // Each run goes on where the last one stopped: fifty kills lead through all steps a few
        // times.
        let ended = stopped(&w, &out, spread(round, KILLS, steps / 4), round);
        kills += usize::from(ended);
        if !ended {
            remove(&w.path("out"));
        }
        round += 1;
    }
    w.run(&format!("{line} out"));
    let (mut got, mut want) = (content(&w.path("out")), content(&w.path("whole")));
    // The page names folders and versions of each run.
    for both in [&mut got, &mut want] {
        assert!(both.remove("report.html").is_some());
    }
    let differ = |(name, bytes): &(&String, &Vec<u8>)| want.get(*name) != Some(bytes);
    let differing: Vec<_> = got.iter().filter(differ).map(|(name, _)| name).collect();
    assert!(differing.is_empty(), "{differing:?}");
    assert_eq!(got.len(), want.len());
    assert_eq!(names(&w.path(".")), ["cache", "out", "rows", "whole"]);
}
