use super::*;
use crate::files::names::host;
use crate::files::presence::names;

#[test]
fn a_file_appears_only_on_commit_and_is_not_replaced_unasked() {
    let d = tempfile::tempdir().unwrap();
    let path = d.path().join("a/b.txt");
    let mut f = AtomicFile::create(&path, false).unwrap();
    f.write_all(b"one").unwrap();
    assert!(!path.exists());
    f.commit().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"one");
    assert!(matches!(
        AtomicFile::create(&path, false),
        Err(Error::OutputExists(_))
    ));
    let mut f = AtomicFile::create(&path, true).unwrap();
    f.write_all(b"two").unwrap();
    drop(f);
    assert_eq!(fs::read(&path).unwrap(), b"one");
    assert_eq!(names(path.parent().unwrap()).unwrap(), ["b.txt"]);
}

#[test]
fn a_folder_appears_only_on_commit_and_replaces_the_old_one_whole() {
    let d = tempfile::tempdir().unwrap();
    let path = d.path().join("out");
    for (text, stale) in [("one", false), ("two", true)] {
        let dir = AtomicDir::create(&path, true).unwrap();
        fs::write(dir.path().join(text), text).unwrap();
        fs::write(dir.path().join("manifest.json"), "{}").unwrap();
        assert_eq!(path.exists(), stale);
        dir.commit().unwrap();
    }
    assert_eq!(names(&path).unwrap(), ["manifest.json", "two"]);
    drop(AtomicDir::create(&path, true).unwrap());
    assert_eq!(names(d.path()).unwrap(), ["out"]);
}

#[test]
fn without_an_exchange_the_old_folder_is_replaced_as_well() {
    let d = tempfile::tempdir().unwrap();
    let path = d.path().join("out");
    fs::create_dir(&path).unwrap();
    let temporary = tempfile::tempdir_in(d.path()).unwrap();
    fs::write(temporary.path().join("new"), "").unwrap();
    move_aside_and_rename(temporary, &path).unwrap();
    assert_eq!(names(&path).unwrap(), ["new"]);
    assert_eq!(names(d.path()).unwrap(), ["out"]);
}

#[cfg(unix)]
#[test]
fn a_folder_takes_the_place_of_a_file_or_a_link_and_not_of_what_the_link_leads_to() {
    let d = tempfile::tempdir().unwrap();
    let (file, link, kept) = (
        d.path().join("f"),
        d.path().join("l"),
        d.path().join("kept"),
    );
    fs::write(&file, "x").unwrap();
    fs::create_dir(&kept).unwrap();
    fs::write(kept.join("mine"), "x").unwrap();
    std::os::unix::fs::symlink(&kept, &link).unwrap();
    for path in [&file, &link] {
        let dir = AtomicDir::create(path, true).unwrap();
        fs::write(dir.path().join("new"), "").unwrap();
        dir.commit().unwrap();
        assert_eq!(names(path).unwrap(), ["new"]);
    }
    assert_eq!(names(&kept).unwrap(), ["mine"]);
    assert_eq!(names(d.path()).unwrap(), ["f", "kept", "l"]);
    assert!(AtomicFile::create("/dev/null", true).is_err());
}

#[test]
fn two_writers_of_one_output_are_one_too_many() {
    let d = tempfile::tempdir().unwrap();
    let path = d.path().join("out");
    let first = AtomicDir::create(&path, false).unwrap();
    assert!(matches!(
        AtomicDir::create(&path, true),
        Err(Error::OutputBusy { .. })
    ));
    let other = AtomicDir::create(d.path().join("out2"), false).unwrap();
    for _ in 0..2 {
        // Small files that all tasks of a job may write at the same time.
        let mut file = AtomicFile::replace(d.path().join("manifest.json")).unwrap();
        let again = AtomicFile::replace(d.path().join("manifest.json")).unwrap();
        file.write_all(b"{}").unwrap();
        file.commit().unwrap();
        drop(again);
    }
    first.commit().unwrap();
    other.commit().unwrap();
    assert_eq!(names(d.path()).unwrap(), ["manifest.json", "out", "out2"]);
}

#[test]
fn what_a_killed_run_left_goes_with_the_next_and_nothing_else_does() {
    let d = tempfile::tempdir().unwrap();
    let path = d.path().join("out");
    let left = format!("{}aB3xyz{UNDER_WAY}", prefix(&path).unwrap());
    fs::create_dir(d.path().join(&left)).unwrap();
    fs::write(d.path().join(&left).join("half"), "x").unwrap();
    // Of another output, of another machine, and a user's own.
    let others = [
        format!(
            "{}aB3xyz{UNDER_WAY}",
            prefix(&d.path().join("out.b")).unwrap()
        ),
        format!(".out.{}-b.aB3xyz{UNDER_WAY}", host()),
        ".out.tmp".into(),
    ];
    for other in &others {
        fs::write(d.path().join(other), "x").unwrap();
    }
    AtomicDir::create(&path, false).unwrap().commit().unwrap();
    let mut want = others.to_vec();
    want.push("out".into());
    want.sort();
    assert_eq!(names(d.path()).unwrap(), want);
}

#[test]
fn an_output_that_a_killed_run_had_moved_aside_comes_back() {
    let d = tempfile::tempdir().unwrap();
    let path = d.path().join("out");
    let aside = d
        .path()
        .join(format!("{}aB3xyz{ASIDE}", prefix(&path).unwrap()));
    fs::create_dir_all(aside.join("old")).unwrap();
    fs::write(aside.join("old/mine"), "x").unwrap();
    assert!(matches!(
        AtomicDir::create(&path, false),
        Err(Error::OutputExists(_))
    ));
    assert_eq!(names(&path).unwrap(), ["mine"]);
    assert_eq!(names(d.path()).unwrap(), ["out"]);
}

#[test]
fn a_folder_removed_under_the_run_is_named() {
    let d = tempfile::tempdir().unwrap();
    let folder = d.path().join("results");
    let dir = AtomicDir::create(folder.join("out"), false).unwrap();
    let file = AtomicFile::create(folder.join("out.npy"), false).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    for e in [dir.commit().unwrap_err(), file.commit().unwrap_err()] {
        assert!(e.to_string().contains("was removed while"), "{e}");
    }
}

#[test]
fn what_appears_meanwhile_stays_and_the_result_is_kept_beside_it() {
    let d = tempfile::tempdir().unwrap();
    let (folder, file) = (d.path().join("out"), d.path().join("out.npy"));
    let dir = AtomicDir::create(&folder, false).unwrap();
    fs::write(dir.path().join("made"), "x").unwrap();
    let mut made = AtomicFile::create(&file, false).unwrap();
    made.write_all(b"made").unwrap();
    fs::create_dir(&folder).unwrap();
    fs::write(&file, "precious").unwrap();
    let kept = |error: Error| {
        let message = error.to_string();
        assert!(message.contains("has appeared"), "{message}");
        let path = message.split("what was made is in ").nth(1).unwrap();
        PathBuf::from(path.split(": give it").next().unwrap())
    };
    assert_eq!(names(&kept(dir.commit().unwrap_err())).unwrap(), ["made"]);
    assert_eq!(fs::read(kept(made.commit().unwrap_err())).unwrap(), b"made");
    assert_eq!(fs::read(&file).unwrap(), b"precious");
    assert_eq!(names(&folder).unwrap(), [""; 0]);
    // What is kept is no left-over: the next run does not remove it.
    drop(AtomicDir::create(&folder, true).unwrap());
    drop(AtomicFile::create(&file, true).unwrap());
    assert_eq!(names(d.path()).unwrap().len(), 4);
}

#[test]
fn a_manifest_never_speaks_of_another_file() {
    let d = tempfile::tempdir().unwrap();
    let path = d.path().join("a.npy");
    for name in ["a.npy", "a.npy.manifest.json", "b.npy.manifest.json"] {
        fs::write(d.path().join(name), "old").unwrap();
    }
    let file = AtomicFile::create(&path, true).unwrap();
    assert_eq!(names(d.path()).unwrap().len(), 5);
    file.commit().unwrap();
    assert_eq!(names(d.path()).unwrap(), ["a.npy", "b.npy.manifest.json"]);
}

#[test]
fn an_old_output_comes_back_on_every_machine_and_is_never_lost() {
    let d = tempfile::tempdir().unwrap();
    let path = d.path().join("out");
    let aside = d.path().join(".out.another-machine.aB3xyz.old");
    fs::create_dir_all(aside.join("old")).unwrap();
    fs::write(aside.join("old/mine"), "x").unwrap();
    // Refused, as it exists again.
    assert!(AtomicDir::create(&path, false).is_err());
    assert_eq!(names(&path).unwrap(), ["mine"]);
    assert_eq!(names(d.path()).unwrap(), ["out"]);
    assert_ne!(host(), "another-machine");
}

#[cfg(unix)]
#[test]
fn outputs_have_the_permissions_of_new_files() {
    use std::os::unix::fs::PermissionsExt;
    let d = tempfile::tempdir().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let (file, folder) = (d.path().join("file"), d.path().join("folder"));
    fs::write(&file, "").unwrap();
    fs::create_dir(&folder).unwrap();
    let (usual, usual_folder) = (mode(&file), mode(&folder));
    let path = d.path().join("out");
    let dir = AtomicDir::create(&path, false).unwrap();
    let inner = dir.path().join("inner");
    fs::create_dir(&inner).unwrap();
    for place in [dir.path(), &inner] {
        let made = place.join("private");
        fs::write(&made, "").unwrap();
        fs::set_permissions(&made, fs::Permissions::from_mode(0o600)).unwrap();
    }
    fs::set_permissions(&inner, fs::Permissions::from_mode(0o2700)).unwrap();
    dir.commit().unwrap();
    assert_eq!(mode(&path), usual_folder);
    assert_eq!(mode(&path.join("inner")), usual_folder | 0o2000);
    for made in ["private", "inner/private"] {
        assert_eq!(mode(&path.join(made)), usual);
    }
}
