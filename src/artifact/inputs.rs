//! What a run was made from: the files that it reads, and what tells each from another of its name.
//!
//! Parts of a run that wait on disk, and runs that go on later, hold on to this, so that what was
//! made from old files is never taken for what new ones would give. A file is told by its content:
//!
//! - **SHA-256** for a checkpoint (configuration, weights, vocabulary), for arrays and tables, and
//!   for whatever decides which rows there are. A run reads all of these from end to end, and
//!   hashing takes a fraction of what it does with them.
//! - **SHA-256** for the data of a dataset or a corpus too, up to [`MOST_DIGESTED`] bytes together.
//! - **Size and time of modification** of each data file beyond that. A run may look at a few rows
//!   of a crawl, and each of its shards at some; to hash all of it, once for every shard, would
//!   cost more than the run.
//!
//! A digest is the same wherever the file lies, so shards made on machines that each have a copy
//! fit together, whatever the time of the copy. Size and time are the same on all machines that
//! share a file system, where data of that size lies. A copy fits as well when it keeps the time
//! (`cp -p`, `rsync -t`); one that does not is refused: that its content is the same cannot be
//! known without reading it. Times count in whole seconds, because archives and some file systems
//! keep no more.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};
use crate::files::sha256_file;

/// The most bytes of data that are hashed: a second or two.
pub(crate) const MOST_DIGESTED: u64 = 1 << 30;

/// What tells every file from another, by the file's name: its SHA-256 in hexadecimal, or its size
/// and time.
pub(crate) type Fingerprints = BTreeMap<String, String>;

/// The files that a run reads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inputs {
    /// By their names.
    files: BTreeMap<String, Input>,
    commits: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
struct Input {
    path: PathBuf,
    is_data: bool,
}

impl Inputs {
    /// A file that every run reads whole, by a name that is the same on every machine. A name
    /// counts once.
    pub(crate) fn add(&mut self, name: String, path: PathBuf) {
        self.push(name, path, false);
    }

    /// A file of a dataset or a corpus, of which a run may read a part.
    pub(crate) fn add_data(&mut self, name: String, path: PathBuf) {
        self.push(name, path, true);
    }

    /// Add all of `other`; a file that is there already is there once.
    pub(crate) fn append(&mut self, other: Inputs) {
        self.files.extend(other.files);
        self.commits.extend(other.commits);
    }

    fn push(&mut self, name: String, path: PathBuf, is_data: bool) {
        self.files.insert(name, Input { path, is_data });
    }

    /// The commit of a repository that files come from. It is noted and not compared: the next
    /// commit may have the same files.
    pub(crate) fn add_commit(&mut self, repository: String, commit: String) {
        self.commits.insert(repository, commit);
    }

    /// The commits of repositories, by these.
    pub(crate) fn commits(&self) -> &BTreeMap<String, String> {
        &self.commits
    }

    /// What tells the files from others, as they are now.
    ///
    /// # Errors
    /// [`Error::Io`] when one cannot be read.
    pub(crate) fn fingerprints(&self) -> Result<Fingerprints> {
        self.fingerprints_with(&mut Digests::default())
    }

    /// [`fingerprints`](Self::fingerprints) of several runs over the same files: what is in
    /// `digests` is not read again.
    ///
    /// # Errors
    /// [`Error::Io`] when a file cannot be read.
    pub(crate) fn fingerprints_with(&self, digests: &mut Digests) -> Result<Fingerprints> {
        self.within(MOST_DIGESTED, digests)
    }

    /// Digests of at most so many bytes of data.
    fn within(&self, most: u64, digests: &mut Digests) -> Result<Fingerprints> {
        let mut data = 0u64;
        for file in self.files.values().filter(|file| file.is_data) {
            data = data.saturating_add(look_at(&file.path)?.len());
        }
        let mut found = Fingerprints::new();
        for (name, file) in &self.files {
            let fingerprint = match file.is_data && data > most {
                true => size_and_time(&file.path)?,
                false => digests.of(&file.path)?,
            };
            found.insert(name.clone(), fingerprint);
        }
        Ok(found)
    }
}

/// Digests of files that do not change meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Digests(BTreeMap<PathBuf, String>);

impl Digests {
    fn of(&mut self, path: &Path) -> Result<String> {
        if let Some(digest) = self.0.get(path) {
            return Ok(digest.clone());
        }
        let digest = sha256_file(path)?;
        self.0.insert(path.into(), digest.clone());
        Ok(digest)
    }
}

fn look_at(path: &Path) -> Result<fs::Metadata> {
    fs::metadata(path).map_err(Error::io(path, "look at"))
}

/// `1234 bytes, modified Fri, 27 Nov 2026 17:55:03 GMT`.
fn size_and_time(path: &Path) -> Result<String> {
    let found = look_at(path)?;
    let modified = found.modified().map_err(Error::io(path, "look at"))?;
    Ok(format!(
        "{} bytes, modified {}",
        found.len(),
        date(modified)
    ))
}

/// A time in words, in whole seconds; as seconds from 1970 where it lies outside of what a date has
/// four digits for.
fn date(time: SystemTime) -> String {
    const YEAR_10000: u64 = 253_402_300_800;
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) if after.as_secs() < YEAR_10000 => httpdate::fmt_http_date(time),
        Ok(after) => format!("{} s after 1970", after.as_secs()),
        Err(e) => format!("{} s before 1970", e.duration().as_secs()),
    }
}

/// The first file that tells two runs apart, after "begun with" or "made from": of the files that
/// were read `then`, and those that are `now`.
pub(crate) fn difference(then: &Fingerprints, now: &Fingerprints) -> Option<String> {
    let is_digest = |fingerprint: &str| fingerprint.len() == 64;
    let changed = then.iter().find(|(name, old)| now.get(*name) != Some(old));
    if let Some((name, old)) = changed {
        return Some(match now.get(name) {
            None => format!("more files ({name} is not read any more)"),
            Some(new) if is_digest(old) && is_digest(new) => {
                format!("another content of {name}")
            }
            Some(new) => {
                let time =
                    "where it is the same file, give it its time back: cp -p and rsync -t keep it";
                format!("{name} of {old}, not of {new} ({time})")
            }
        });
    }
    let more = now.keys().find(|name| !then.contains_key(*name));
    more.map(|name| format!("fewer files ({name} was not read)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn touch(path: &Path, time: SystemTime) {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(time).unwrap();
    }

    /// A checkpoint's file and two of a dataset.
    fn inputs(folder: &Path) -> Inputs {
        let mut inputs = Inputs::default();
        inputs.add("weights".into(), folder.join("weights"));
        for name in ["one", "two"] {
            inputs.add_data(name.into(), folder.join(name));
        }
        inputs
    }

    #[test]
    fn small_data_is_told_by_its_content_large_data_by_size_and_time() {
        let d = tempfile::tempdir().unwrap();
        let time = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let write = |name: &str, content: &str, time: SystemTime| {
            fs::write(d.path().join(name), content).unwrap();
            touch(&d.path().join(name), time);
        };
        let write_all = || ["weights", "one", "two"].map(|name| write(name, "aaaa", time));
        let now = |most: u64| {
            let inputs = inputs(d.path());
            inputs.within(most, &mut Digests::default()).unwrap()
        };
        write_all();
        // SHA-256 of "aaaa"
        let digest = "61be55a8e2f6b4e172338bddf184d6dbee29c98853e0a0485ecee7f27b9af0b4";
        let words = "4 bytes, modified Tue, 14 Nov 2023 22:13:20 GMT";
        for (most, data) in [(8, digest), (7, words)] {
            let found = now(most);
            assert_eq!(found["weights"], digest);
            assert_eq!([&found["one"][..], &found["two"]], [data, data]);
        }
        let whole = Duration::from_secs(1);
        let part = Duration::from_millis(1);
        // (most, file, content, time, whether it counts as another file)
        let cases = [
            (8, "weights", "aaab", time, true),
            (8, "two", "aaab", time, true),
            (8, "two", "aaaa", time + whole, false),
            (7, "weights", "aaab", time, true),
            (7, "weights", "aaaa", time + whole, false),
            (7, "two", "aaab", time + whole, true),
            (7, "two", "aaaa", time + whole, true),
            (7, "two", "aaaa", time + part, false),
            (7, "two", "aaaaa", time, true),
        ];
        for (most, name, content, new, differs) in cases {
            write_all();
            let then = now(most);
            write(name, content, new);
            let told = difference(&then, &now(most));
            assert_eq!(told.is_some(), differs, "{most} {name} {content}: {told:?}");
            assert!(told.is_none_or(|told| told.contains(name)));
        }
    }

    #[test]
    fn the_sum_of_all_data_decides() {
        let d = tempfile::tempdir().unwrap();
        for (name, size) in [("weights", 1), ("one", 1), ("two", MOST_DIGESTED)] {
            // A file with a hole takes no place on the disk.
            let file = fs::File::create(d.path().join(name)).unwrap();
            file.set_len(size).unwrap();
        }
        let found = inputs(d.path()).fingerprints().unwrap();
        assert_eq!(found["weights"].len(), 64);
        assert!(found["one"].starts_with("1 bytes, modified "));
        let words = format!("{MOST_DIGESTED} bytes, modified ");
        assert!(found["two"].starts_with(&words));
    }

    #[test]
    fn files_that_come_or_go_make_a_difference() {
        let files = |names: &[&str]| {
            let named = names.iter().map(|n| (n.to_string(), "0".repeat(64)));
            named.collect::<Fingerprints>()
        };
        let (one, both) = (files(&["a"]), files(&["a", "b"]));
        assert_eq!(difference(&one, &one), None);
        assert_eq!(
            difference(&one, &both).unwrap(),
            "fewer files (b was not read)"
        );
        assert_eq!(
            difference(&both, &one).unwrap(),
            "more files (b is not read any more)"
        );
        let gone = inputs(Path::new("nowhere")).fingerprints().unwrap_err();
        assert!(gone.to_string().contains("nowhere"), "{gone}");
    }

    #[test]
    fn any_time_that_a_file_can_have_is_written() {
        let day = Duration::from_secs(86400);
        assert_eq!(date(UNIX_EPOCH), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(date(UNIX_EPOCH - day), "86400 s before 1970");
        let far = UNIX_EPOCH + Duration::from_secs(1 << 40);
        assert_eq!(date(far), format!("{} s after 1970", 1u64 << 40));
    }
}
