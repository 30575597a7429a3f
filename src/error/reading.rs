//! Reading files that somebody else wrote: plain ones only, whole ones never beyond a bound, with errors that name the place.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::Path;

use super::{Error, Result};

/// Largest text that is read whole where nothing larger makes sense: the index of a sharded checkpoint, the list of a
/// dataset's files. As parsed JSON it may take forty times as much.
const MOST_TEXT: u64 = 1 << 23;

/// Open a plain file. A device or a pipe has no end or none that can be read twice, and may keep the reader waiting for ever.
///
/// # Errors
/// [`Error::Io`]; [`Error::Malformed`] when it is something else than a file.
pub fn open_file(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    // So that opening a pipe does not wait for its writer; a file is read as ever.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.open(path).map_err(Error::io(path, "read"))?;
    let kind = file
        .metadata()
        .map_err(Error::io(path, "read"))?
        .file_type();
    let found = match () {
        () if kind.is_file() => return Ok(file),
        () if kind.is_dir() => "a folder",
        () => "a device or a pipe",
    };
    let expected = "a plain file: copy it to one first";
    Err(Error::malformed(path, "", found, expected))
}

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
    let file = open_file(path)?;
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

    #[cfg(unix)]
    #[test]
    fn a_pipe_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        if made.is_ok_and(|status| status.success()) {
            let message = open_file(&pipe).unwrap_err().to_string();
            assert!(message.contains("a device or a pipe"), "{message}");
        }
    }

    #[test]
    fn a_file_without_end_or_of_other_bytes_is_refused() {
        let error = |path: &Path| read_text(path).unwrap_err().to_string();
        assert!(error(Path::new("/dev/zero")).contains("a device or a pipe"));
        let folder = tempfile::tempdir().unwrap();
        assert!(error(folder.path()).contains("a folder"));
        let large = folder.path().join("large");
        File::create(&large).unwrap().set_len(1 << 40).unwrap();
        assert!(error(&large).contains("more than 8388608 bytes"));
        let path = folder.path().join("a.json");
        std::fs::write(&path, b"ab\xff").unwrap();
        assert!(error(&path).contains("byte 2: found invalid UTF-8"));
        std::fs::write(&path, "\u{e9}").unwrap();
        assert_eq!(read_text(&path).unwrap(), "\u{e9}");
        assert!(read_bytes(&path, 1).is_err());
        assert_eq!(read_bytes(&path, 2).unwrap().len(), 2);
    }
}
