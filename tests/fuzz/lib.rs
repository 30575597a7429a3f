//! What every fuzz target does.

pub mod readers;

/// Give the reader called `name` some bytes: an error is as good an answer as a value.
pub fn fuzz(name: &str, bytes: &[u8]) {
    flue_study::cli::hide_contained_panics();
    for (_, reader) in readers::READERS.iter().filter(|(known, _)| *known == name) {
        let _ = reader(bytes);
    }
}
