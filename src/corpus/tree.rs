//! The tree of Webis CLS-10, `cls-acl10-unprocessed/fr/{books,dvd,music}/{train,test}.review`: as a
//! folder, at whichever level it is named; as the archive `cls-acl10-unprocessed.tar.gz`; and as
//! the sample of `data/`, invented reviews that are compiled in.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::{Error, Result};
use crate::hub::flue::{self, ROOT, review_file};
pub(super) use crate::hub::flue::{CATEGORIES, SPLITS};

/// The folder that holds `books`, `dvd` and `music`, when `path` is one of the levels of the tree:
/// the folder around its root, the root, or the root's `fr`.
pub(super) fn locate(path: &Path) -> Option<PathBuf> {
    let levels = [
        path.join(ROOT).join("fr"),
        path.join("fr"),
        path.to_path_buf(),
    ];
    levels.into_iter().find(|fr| {
        CATEGORIES
            .iter()
            .any(|c| SPLITS.iter().any(|s| review_file(fr, c, s).is_file()))
    })
}

/// The file of a category and a split in the folder `fr`.
///
/// # Errors
/// [`Error::NotFound`] when it is not there.
pub(super) fn file(fr: &Path, category: &str, split: &str) -> Result<PathBuf> {
    let path = review_file(fr, category, split);
    if path.is_file() {
        return Ok(path);
    }
    Err(Error::NotFound {
        what: path.display().to_string(),
        remedy: "the tree of Webis CLS-10 has fr/{books,dvd,music}/{train,test}.review; unpack it \
                 again"
            .into(),
    })
}

/// Whether `path` has the name of a tar archive, compressed or not.
pub(super) fn is_archive(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    [".tar.gz", ".tgz", ".tar"]
        .iter()
        .any(|e| name.ends_with(e))
}

/// Take the French labelled files of the archive to a temporary folder, which lasts as long as the
/// value returned.
///
/// # Errors
/// Those of [`flue::unpack`].
pub(super) fn extract(path: &Path) -> Result<TempDir> {
    let folder = tempfile::tempdir().map_err(Error::io(
        std::env::temp_dir(),
        "create a temporary folder in",
    ))?;
    flue::unpack(path, folder.path())?;
    Ok(folder)
}

macro_rules! reviews {
    ($($category:literal $split:literal)+) => {
        &[$((
            $category,
            $split,
            include_bytes!(concat!(
                env!("OUT_DIR"),
                "/",
                $category,
                "-",
                $split,
                ".review.gz"
            )) as &[u8],
        )),+]
    };
}

/// The files of the sample: category, split and packed content (`data/build.rs`).
const SAMPLE: &[(&str, &str, &[u8])] = reviews!(
    "books" "train"
    "dvd" "train"
    "music" "train"
    "books" "test"
    "dvd" "test"
    "music" "test"
);

/// The files of a split of the sample: name, packed content and category.
pub(super) fn sample(split: &str) -> impl Iterator<Item = (PathBuf, &'static [u8], &'static str)> {
    let of_split = SAMPLE.iter().filter(move |(_, of, _)| *of == split);
    of_split.map(|(category, split, bytes)| {
        let path = review_file(Path::new("sample/fr"), category, split);
        (path, *bytes, *category)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_leads_to_the_same_folder() {
        let folder = tempfile::tempdir().unwrap();
        let fr = folder.path().join(ROOT).join("fr");
        std::fs::create_dir_all(fr.join("dvd")).unwrap();
        assert_eq!(locate(folder.path()), None);
        std::fs::write(review_file(&fr, "dvd", "test"), "x").unwrap();
        for level in [folder.path(), &folder.path().join(ROOT), &fr] {
            assert_eq!(locate(level).as_deref(), Some(fr.as_path()));
        }
    }
}
