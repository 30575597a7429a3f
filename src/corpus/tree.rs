//! The tree of Webis CLS-10, at whichever level it is named.

use std::path::{Path, PathBuf};

use crate::hub::flue::ROOT;
pub(super) use crate::hub::flue::{CATEGORIES, SPLITS, review_file as file};

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
