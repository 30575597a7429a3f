//! Reading a small text file that somebody else wrote.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

/// Largest text file that is read whole: the index of a sharded checkpoint, the list of a dataset's files.
const MOST_BYTES: u64 = 1 << 25;

/// The text of a file of at most 32 MiB, such as a `config.json`.
///
/// # Errors
/// [`Error::Io`]; [`Error::Malformed`] when it is larger, or not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    let file = File::open(path).map_err(Error::io(path, "read"))?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(Error::io(path, "read"))?;
    if bytes.len() as u64 > MOST_BYTES {
        let found = format!("more than {MOST_BYTES} bytes");
        return Err(Error::malformed(path, "", found, "a short text file"));
    }
    String::from_utf8(bytes).map_err(|e| {
        let place = format!("byte {}", e.utf8_error().valid_up_to());
        Error::malformed(path, place, "invalid UTF-8", "a text file")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_end_or_of_other_bytes_is_refused() {
        let error = |path: &Path| read_text(path).unwrap_err().to_string();
        assert!(error(Path::new("/dev/zero")).contains("more than"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        std::fs::write(&path, b"ab\xff").unwrap();
        assert!(error(&path).contains("byte 2: found invalid UTF-8"));
        std::fs::write(&path, "\u{e9}").unwrap();
        assert_eq!(read_text(&path).unwrap(), "\u{e9}");
    }
}
