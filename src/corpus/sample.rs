//! The sample corpus of `data/`, compiled in: invented reviews in the tree of Webis CLS-10.

macro_rules! reviews {
    ($category:literal, $split:literal) => {
        include_bytes!(concat!(
            "../../data/cls-acl10-unprocessed/fr/",
            $category,
            "/",
            $split,
            ".review"
        ))
    };
}

/// The bytes of a file of the sample.
pub(super) fn file(category: &str, split: &str) -> Option<&'static [u8]> {
    Some(match (category, split) {
        ("books", "train") => reviews!("books", "train"),
        ("books", "test") => reviews!("books", "test"),
        ("dvd", "train") => reviews!("dvd", "train"),
        ("dvd", "test") => reviews!("dvd", "test"),
        ("music", "train") => reviews!("music", "train"),
        ("music", "test") => reviews!("music", "test"),
        _ => return None,
    })
}
