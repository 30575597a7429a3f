//! Reading a small text file of the cache or of the environment, which may be anything.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Largest file that is read whole: the index of a sharded checkpoint.
const MOST_BYTES: u64 = 1 << 25;

/// The text of a file of at most 32 MiB.
///
/// # Errors
/// Those of the system; [`io::ErrorKind::InvalidData`] when it is longer, or not UTF-8.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?
        .take(MOST_BYTES + 1)
        .read_to_string(&mut text)?;
    if read as u64 > MOST_BYTES {
        let problem = format!("it has more than {MOST_BYTES} bytes, and should be a short text");
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_end_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "hf_x\n").unwrap();
        assert_eq!(read_text(&path).unwrap(), "hf_x\n");
        let error = read_text(Path::new("/dev/zero")).unwrap_err();
        assert!(error.to_string().contains("33554432"), "{error}");
    }
}
