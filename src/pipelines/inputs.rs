//! What a program reads: the files, for its manifest and for the parts that it goes on with, under
//! names that do not depend on where a machine keeps its caches; and the classes of splits, side by
//! side by name (what a label is, [`crate::corpus::Classes`] says).

use std::path::{Path, PathBuf};

use crate::artifact::Inputs;
use crate::corpus::{Classes, LabelMap};
use crate::dataset::{DatasetDict, Split};
use crate::error::Result;
use crate::files::{manifest_beside, presence};
use crate::hub::origin;
use crate::models::checkpoint;
use crate::tokenization::TOKENIZER_FILES;

/// What is read of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// Configuration and weights.
    Model,
    /// The tokenizer's files, and the configuration where there is one.
    Tokenizer,
    /// All of them.
    Both,
}

/// Add the files of the checkpoint that the user called `name`, which lie in `folder`.
///
/// # Errors
/// Those of [`checkpoint::files`]; [`crate::error::Error::Io`] when the folder cannot be looked at.
pub(super) fn add_checkpoint(
    inputs: &mut Inputs,
    name: &str,
    folder: &Path,
    reads: Reads,
) -> Result<()> {
    let mut files = Vec::new();
    if reads != Reads::Tokenizer {
        files.extend(checkpoint::files(folder)?);
    }
    if reads != Reads::Model {
        // The configuration says which tokenizer it is.
        for file in TOKENIZER_FILES.iter().chain(&["config.json"]) {
            let path = folder.join(file);
            if presence::is_file(&path)? && !files.contains(&path) {
                files.push(path);
            }
        }
    }
    for path in files {
        // A checkpoint that the program holds in itself lies in a cache, too.
        let file = path.file_name().unwrap_or_default();
        let given = Path::new(name).join(file).display().to_string();
        let name = name_of(inputs, &path).unwrap_or(given);
        inputs.add(name, path);
    }
    Ok(())
}

/// Add the files of some splits of a dataset.
///
/// # Errors
/// Those of [`DatasetDict::open`] and [`DatasetDict::files`].
pub(super) fn add_splits<S: AsRef<str>>(
    inputs: &mut Inputs,
    data: &Path,
    splits: &[S],
) -> Result<()> {
    add_data(inputs, DatasetDict::open(data)?.files(splits)?);
    Ok(())
}

/// Add files of a dataset or a corpus.
pub(super) fn add_data(inputs: &mut Inputs, files: Vec<PathBuf>) {
    for path in files {
        let name = name_of(inputs, &path).unwrap_or_else(|| path.display().to_string());
        match path.extension().is_some_and(|e| e == "json") {
            true => inputs.add(name, path),
            false => inputs.add_data(name, path),
        }
    }
}

/// Add a file of arrays, and the manifest beside it, which says which layers they are.
///
/// # Errors
/// [`crate::error::Error::Io`] when the system does not tell whether there is a manifest.
pub(super) fn add_arrays(inputs: &mut Inputs, path: &Path) -> Result<()> {
    inputs.add(path.display().to_string(), path.into());
    let beside = manifest_beside(path);
    if presence::is_file(&beside)? {
        inputs.add(beside.display().to_string(), beside);
    }
    Ok(())
}

/// The name of a file in one of the hub's caches.
fn name_of(inputs: &mut Inputs, path: &Path) -> Option<String> {
    let origin = origin(path)?;
    if let Some((repository, commit)) = origin.commit {
        inputs.add_commit(repository, commit);
    }
    Some(origin.name)
}

/// Classes of data that has numbers alone: it speaks of two.
const NUMBERS: usize = 2;

/// The classes of a split.
///
/// # Errors
/// When two of them have one meaning.
pub(super) fn classes_of(split: &Split, map: &LabelMap) -> Result<Classes> {
    let source = split.folder().display();
    match split.label_names() {
        Some(names) => Classes::declared(source, names, map),
        None => Classes::numbers(source, NUMBERS, map),
    }
}

/// Splits of one dataset with their classes counted as the first one counts its own, and these
/// classes.
///
/// # Errors
/// Those of [`Classes::places_in`].
pub(super) fn side_by_side<const N: usize>(
    splits: [Split; N],
    map: &LabelMap,
) -> Result<([Split; N], Classes)> {
    let first = classes_of(&splits[0], map)?;
    let mut aligned = splits.clone();
    for (split, aligned) in splits.iter().zip(&mut aligned) {
        let places = classes_of(split, map)?.places_in(&first)?;
        *aligned = split.relabelled(&first.given_names(), &places);
    }
    Ok((aligned, first))
}
