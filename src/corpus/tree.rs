//! The tree of Webis CLS-10, at whichever level it is named.

use std::path::{Path, PathBuf};

/// The categories in the order in which FLUE reads them.
pub(super) const CATEGORIES: [&str; 3] = ["books", "dvd", "music"];
/// The splits that FLUE keeps; the tree also has `unlabeled.review`.
pub(super) const SPLITS: [&str; 2] = ["train", "test"];
/// The name of the tree's root.
const ROOT: &str = "cls-acl10-unprocessed";

/// The folder that holds `books`, `dvd` and `music`, when `path` is one of the levels of the tree: the folder around
/// its root, the root, or the root's `fr`.
pub(super) fn locate(path: &Path) -> Option<PathBuf> {
    let levels = [
        path.join(ROOT).join("fr"),
        path.join("fr"),
        path.to_path_buf(),
    ];
    levels.into_iter().find(|fr| {
        CATEGORIES
            .iter()
            .any(|c| SPLITS.iter().any(|s| file(fr, c, s).is_file()))
    })
}

/// The file of a category and a split in `fr`.
pub(super) fn file(fr: &Path, category: &str, split: &str) -> PathBuf {
    fr.join(category).join(format!("{split}.review"))
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
        std::fs::write(file(&fr, "dvd", "test"), "x").unwrap();
        for level in [folder.path(), &folder.path().join(ROOT), &fr] {
            assert_eq!(locate(level).as_deref(), Some(fr.as_path()));
        }
    }
}
