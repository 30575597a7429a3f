use super::*;
use crate::files::{AtomicDir, Kind, check};

#[test]
fn a_shard_takes_every_nth_row() {
    let shards: Vec<Shard> = (0..3).map(|i| format!("{i}/3").parse().unwrap()).collect();
    for rows in 0..10u64 {
        for shard in &shards {
            let all = 64 * rows as usize + 3;
            for (chunk, range) in shard.chunks(all) {
                assert_eq!((chunk % 3, range.start), (shard.index, 64 * chunk));
                assert_eq!(range.end, all.min(range.start + 64));
            }
            let taken = (0..rows).filter(|&r| shard.takes(r)).count() as u64;
            assert_eq!(shard.rows_of(rows), taken, "{shard} of {rows}");
        }
    }
    for bad in ["3/3", "1", "x/2", "0/0", "-1/2", ""] {
        assert_eq!(bad.parse::<Shard>().unwrap_err().exit_status(), 2, "{bad}");
    }
}

#[test]
fn a_run_that_computed_nothing_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.npy");
    let manifest = |n: u32| Manifest::new("p", json!({"layer": n}));
    let begin = |n| ShardSet::begin_whole(&out, &manifest(n), false);
    let set = begin(1).unwrap();
    fs::create_dir(set.path(0).with_extension("partial")).unwrap();
    assert!(set.is_bare());
    let set = begin(2).unwrap();
    set.remove_if_bare();
    assert!(!set.folder().exists());
    let partial = begin(2).unwrap().path(0).with_extension("partial");
    fs::create_dir(&partial).unwrap();
    fs::write(partial.join("train-000000.states"), "").unwrap();
    set.remove_if_bare();
    assert!(begin(1).is_err() && begin(2).is_ok());
    set.remove().unwrap();
    // That another task has computed nothing yet does not mean that its work may be taken away.
    ShardSet::begin(&out, 3, &manifest(1)).unwrap();
    assert!(begin(2).is_err());
}

#[test]
fn shards_of_different_runs_do_not_mix_and_missing_ones_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.datasets");
    let manifest = |n: u32| Manifest::new("p", json!({"max_length": n}));
    assert!(ShardSet::open(&out).is_err());
    let set = ShardSet::begin(&out, 3, &manifest(512)).unwrap();
    assert!(set.path(1).ends_with("out.datasets.shards/00001-of-00003"));
    fs::create_dir(set.path(1)).unwrap();
    let (set, manifest_read) = ShardSet::open(&out).unwrap();
    assert_eq!((set.count(), set.missing()), (3, vec![0, 2]));
    assert_eq!(manifest_read.config["settings"]["max_length"], 512);
    let e = set.require_all().unwrap_err().to_string();
    assert!(e.contains("2 of 3 shards") && e.contains("0/3, 2/3"), "{e}");
    let e = ShardSet::begin(&out, 4, &manifest(512))
        .unwrap_err()
        .to_string();
    assert!(e.contains("begun with 3 shards, not 4"), "{e}");
    let e = ShardSet::begin(&out, 3, &manifest(64))
        .unwrap_err()
        .to_string();
    assert!(e.contains("begun with another `max_length`"), "{e}");
    let mut other = manifest(512);
    other.inputs.insert("weights".into(), "abc".into());
    let e = ShardSet::begin(&out, 3, &other).unwrap_err().to_string();
    assert!(e.contains("weights was not read"), "{e}");
    let mut older = Manifest::read(&set.folder().join("manifest.json")).unwrap();
    older.version = "0.0.1".into();
    older.write(&set.folder().join("manifest.json")).unwrap();
    let e = ShardSet::begin(&out, 3, &manifest(512)).unwrap_err();
    assert!(e.to_string().contains("version 0.0.1"), "{e}");
    assert!(ShardSet::open(&out).is_err());
}

#[test]
fn a_folder_of_somebody_elses_is_not_taken_for_shards() {
    let d = tempfile::tempdir().unwrap();
    let out = d.path().join("out.npy");
    let foreign = d.path().join("out.npy.shards");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("thesis"), "x").unwrap();
    let manifest = Manifest::new("p", json!({}));
    for overwrite in [false, true] {
        let error = ShardSet::begin_whole(&out, &manifest, overwrite).unwrap_err();
        assert!(error.to_string().contains("thesis"), "{error}");
    }
    assert!(foreign.join("thesis").is_file());
}

#[test]
fn of_runs_with_other_settings_that_come_together_one_begins() {
    for _ in 0..20 {
        let d = tempfile::tempdir().unwrap();
        let out = d.path().join("out.npy");
        let begun: Vec<bool> = std::thread::scope(|s| {
            let runs: Vec<_> = (0..4)
                .map(|n| {
                    let out = &out;
                    let manifest = Manifest::new("p", json!({"layer": n}));
                    s.spawn(move || ShardSet::begin(out, 2, &manifest).is_ok())
                })
                .collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        assert_eq!(begun.iter().filter(|ok| **ok).count(), 1, "{begun:?}");
    }
}

#[test]
fn shards_under_way_are_not_removed() {
    let d = tempfile::tempdir().unwrap();
    let out = d.path().join("out.npy");
    let manifest = |n: u32| Manifest::new("p", json!({"layer": n}));
    let set = ShardSet::begin(&out, 2, &manifest(1)).unwrap();
    let lock = OutputLock::acquire(&set.path(1)).unwrap();
    let whole = || ShardSet::begin_whole(&out, &manifest(2), true);
    assert!(matches!(whole(), Err(Error::OutputBusy { .. })));
    drop(lock);
    let left = fs::read_dir(d.path()).unwrap().count();
    whole().unwrap();
    assert_eq!(fs::read_dir(d.path()).unwrap().count(), left);
}

#[test]
fn no_manifest_makes_anybody_count_to_a_million() {
    let d = tempfile::tempdir().unwrap();
    let out = d.path().join("out");
    let set = ShardSet::begin(&out, 40, &Manifest::new("p", json!({}))).unwrap();
    let message = set.require_all().unwrap_err().to_string();
    assert!(message.contains("9/40, and 30 more"), "{message}");
    let path = set.folder().join("manifest.json");
    for count in [json!(1u64 << 62), json!(65_537), json!(0), json!("2")] {
        let mut manifest = Manifest::read(&path).unwrap();
        manifest.config["shards"] = count;
        manifest.write(&path).unwrap();
        let message = ShardSet::open(&out).unwrap_err().to_string();
        assert!(message.contains("1 to 65536 shards"), "{message}");
    }
    assert!("0/65537".parse::<Shard>().is_err() && "0/65536".parse::<Shard>().is_ok());
}

#[test]
fn what_was_left_of_the_parts_goes_when_a_complete_output_is_refused() {
    let d = tempfile::tempdir().unwrap();
    let out = d.path().join("out.npy");
    fs::write(&out, "whole").unwrap();
    // As a kill leaves it while the parts are removed.
    fs::create_dir(shards_of(&out)).unwrap();
    let left = AtomicDir::create(shards_of(&out), true).unwrap();
    fs::create_dir(left.path().join("old")).unwrap();
    std::mem::forget(left);
    fs::remove_dir(shards_of(&out)).unwrap();
    fs::remove_file(d.path().join(".out.npy.shards.lock")).unwrap();
    fs::write(d.path().join(".out.npy.shards.lock"), "process 1").unwrap();
    let refused = check(&out, false, Kind::File);
    assert!(matches!(refused, Err(Error::OutputExists(_))));
    let names: Vec<_> = fs::read_dir(d.path()).unwrap().flatten().collect();
    assert_eq!(names.len(), 1, "{names:?}");
    // A set whose folder is gone has nothing that could be removed, which is no failure of the run.
    ShardSet::at(&out, 1).remove_done();
}
