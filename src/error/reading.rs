//! Reading whole files that somebody else wrote: never more than a bound, with errors that name the place.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{Error, Result};

/// Largest text that is read whole where nothing larger makes sense: the index of a sharded checkpoint, the list of a
/// dataset's files. As parsed JSON it may take forty times as much.
const MOST_TEXT: u64 = 1 << 23;

/// The text of a file of at most 8 MiB, such as a `config.json`.
///
/// # Errors
/// [`Error::Io`]; [`Error::Malformed`] when it is larger, or not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    utf8(path, read_bytes(path, MOST_TEXT)?)
}

/// The bytes of a file of at most `most` bytes.
///
/// # Errors
/// [`Error::Io`]; [`Error::Malformed`] when it is larger.
pub fn read_bytes(path: &Path, most: u64) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(Error::io(path, "read"))?;
    let mut bytes = Vec::new();
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(Error::io(path, "read"))?;
    if bytes.len() as u64 > most {
        let (found, expected) = (
            format!("more than {most} bytes"),
            format!("{most} bytes at most"),
        );
        return Err(Error::malformed(path, "", found, expected));
    }
    Ok(bytes)
}

/// The bytes of `path` as text.
///
/// # Errors
/// [`Error::Malformed`] that names the first byte which is not UTF-8.
pub fn utf8(path: &Path, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|e| {
        let place = format!("byte {}", e.utf8_error().valid_up_to());
        Error::malformed(path, place, "invalid UTF-8", "UTF-8 text")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_end_or_of_other_bytes_is_refused() {
        let error = |path: &Path| read_text(path).unwrap_err().to_string();
        assert!(error(Path::new("/dev/zero")).contains("more than 8388608 bytes"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        std::fs::write(&path, b"ab\xff").unwrap();
        assert!(error(&path).contains("byte 2: found invalid UTF-8"));
        std::fs::write(&path, "\u{e9}").unwrap();
        assert_eq!(read_text(&path).unwrap(), "\u{e9}");
        assert!(read_bytes(&path, 1).is_err());
        assert_eq!(read_bytes(&path, 2).unwrap().len(), 2);
    }
}
