//! What a file holds: bytes, text, JSON or a digest of it. Files that somebody else wrote are plain
//! ones and read within a bound, and an error names the place.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result, interrupt};

/// Largest text that is read whole where nothing larger makes sense: the index of a sharded
/// checkpoint, the list of a dataset's files. As parsed JSON it may take forty times as much.
const MOST_TEXT: u64 = 1 << 23;

/// Open a plain file. A device or a pipe has no end or none that can be read twice, and may keep
/// the reader waiting for ever.
///
/// # Errors
/// [`Error::Io`]; [`Error::Malformed`] when it is something else than a file.
pub(crate) fn open_file(path: &Path) -> Result<File> {
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
pub(crate) fn read_text(path: &Path) -> Result<String> {
    utf8(path, read_bytes(path, MOST_TEXT)?)
}

/// The bytes of a file of at most `most` bytes.
///
/// # Errors
/// [`Error::Io`]; [`Error::Malformed`] when it is larger.
pub(crate) fn read_bytes(path: &Path, most: u64) -> Result<Vec<u8>> {
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
pub(crate) fn utf8(path: &Path, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|e| {
        let place = format!("byte {}", e.utf8_error().valid_up_to());
        Error::malformed(path, place, "invalid UTF-8", "UTF-8 text")
    })
}

/// What a JSON file of at most 8 MiB holds; `expected` says what that should be.
///
/// # Errors
/// [`Error::Io`]; [`Error::Malformed`] with the line when it is something else.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path, expected: &str) -> Result<T> {
    parse_json(path, &read_text(path)?, expected)
}

/// [`read_json`] of a text that was read already.
///
/// # Errors
/// [`Error::Malformed`] with the line when it is something else.
pub(crate) fn parse_json<T: DeserializeOwned>(
    path: &Path,
    text: &str,
    expected: &str,
) -> Result<T> {
    serde_json::from_str(text)
        .map_err(|e| Error::malformed(path, format!("line {}", e.line()), e, expected))
}

/// Write JSON on indented lines, the last one ended as well, in a folder that nobody reads yet.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(Error::compute(path.display()))?;
    fs::write(path, text + "\n").map_err(Error::io(path, "write"))
}

/// SHA-256 of a file, in hexadecimal, read as a stream.
///
/// # Errors
/// [`Error::Io`] when it cannot be read; [`Error::Interrupted`].
pub(crate) fn sha256_file(path: &Path) -> Result<String> {
    let mut file = open_file(path)?;
    let mut digest = Digest::default();
    let mut buffer = vec![0u8; 1 << 20];
    loop {
        interrupt::check()?;
        match file.read(&mut buffer).map_err(Error::io(path, "read"))? {
            0 => return Ok(digest.hexadecimal()),
            n => digest.update(&buffer[..n]),
        }
    }
}

/// The SHA-256 of bytes that come one after another.
#[derive(Debug, Clone, Default)]
pub(crate) struct Digest(Sha256);

impl Digest {
    /// Go on with `bytes`.
    pub(crate) fn update(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.update(bytes);
    }

    /// The digest in 64 hexadecimal digits.
    pub(crate) fn hexadecimal(self) -> String {
        let digest = self.0.finalize();
        digest.iter().map(|b| format!("{b:02x}")).collect()
    }
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
        fs::write(&path, b"ab\xff").unwrap();
        assert!(error(&path).contains("byte 2: found invalid UTF-8"));
        fs::write(&path, "\u{e9}").unwrap();
        assert_eq!(read_text(&path).unwrap(), "\u{e9}");
        assert!(read_bytes(&path, 1).is_err());
        assert_eq!(read_bytes(&path, 2).unwrap().len(), 2);
    }

    #[test]
    fn json_goes_out_and_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_json(&path, &[1, 2]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "[\n  1,\n  2\n]\n");
        assert_eq!(read_json::<[u8; 2]>(&path, "two").unwrap(), [1, 2]);
        fs::write(&path, "[1,\n2,").unwrap();
        let message = read_json::<[u8; 2]>(&path, "two").unwrap_err().to_string();
        assert!(message.contains("a.json, line 2: found "), "{message}");
        assert!(message.ends_with("expected two"), "{message}");
    }

    #[test]
    fn the_digest_is_that_of_sha256sum() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "abc").unwrap();
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_file(&path).unwrap(), digest);
    }
}
