//! A Parquet file that nobody vouches for: what is asked of it beyond its end is an error at once.
//!
//! The parquet crate reads plain files, too, but there it takes memory by the numbers in the file
//! before it reads, and goes on skipping at the end of a file for as many fields as a damaged
//! header announces.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};

use super::thrift;
use crate::error::{Error, Result};
use crate::files::open_file;

/// A file as the readers of the parquet crate want it.
#[derive(Clone)]
pub(crate) struct ParquetFile {
    file: Arc<File>,
    length: u64,
}

impl ParquetFile {
    /// Open `path`.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Malformed`] for a footer that announces more than it holds.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = open_file(path)?;
        let length = file.metadata().map_err(Error::io(path, "read"))?.len();
        let file = Arc::new(file);
        let file = Self { file, length };
        file.check_footer().map_err(|found| {
            let remedy = "a sound Parquet file: make it again";
            Error::malformed(path, "the footer", found, remedy)
        })?;
        Ok(file)
    }

    /// Look over the metadata at the end of the file, in front of their length and the mark; a file
    /// without them is left for the parquet crate to refuse.
    fn check_footer(&self) -> std::result::Result<(), String> {
        const END: u64 = 8;
        let Some(end) = self.length.checked_sub(END) else {
            return Ok(());
        };
        let tail = self.bytes(end, END as usize)?;
        let Some((length, b"PAR1")) = tail.split_first_chunk() else {
            return Ok(());
        };
        let length = u32::from_le_bytes(*length);
        match end.checked_sub(length.into()) {
            Some(start) => Ok(thrift::check(&self.bytes(start, length as usize)?)?),
            None => Ok(()),
        }
    }

    /// Some bytes of the file, or why they cannot be had.
    pub(super) fn bytes(&self, start: u64, length: usize) -> std::result::Result<Bytes, String> {
        let bytes = self.get_bytes(start, length);
        bytes.map_err(|e| e.to_string())
    }

    fn check(&self, start: u64, length: u64) -> ParquetResult<()> {
        match start.checked_add(length) {
            Some(end) if end <= self.length => Ok(()),
            _ => Err(ParquetError::EOF(format!(
                "{length} bytes at {start} of a file of {}",
                self.length
            ))),
        }
    }
}

impl Length for ParquetFile {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for ParquetFile {
    type T = Strict;

    fn get_read(&self, start: u64) -> ParquetResult<Strict> {
        self.check(start, 0)?;
        Ok(Strict(self.file.get_read(start)?))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        self.check(start, length as u64)?;
        self.file.get_bytes(start, length)
    }
}

/// A reader that fails at the end of the file instead of giving nothing.
pub(crate) struct Strict(BufReader<File>);

impl Read for Strict {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(buffer)? {
            0 if !buffer.is_empty() => Err(ErrorKind::UnexpectedEof.into()),
            n => Ok(n),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_or_allocated_beyond_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, "abc").unwrap();
        let file = ParquetFile::open(&path).unwrap();
        assert_eq!(&file.get_bytes(1, 2).unwrap()[..], b"bc");
        assert!(file.get_bytes(1, 3).is_err());
        assert!(file.get_bytes(u64::MAX, usize::MAX).is_err());
        assert!(file.get_read(4).is_err());
        let mut reader = file.get_read(2).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(reader.read(&mut buffer).unwrap(), 1);
        assert!(reader.read(&mut buffer).is_err());
    }
}
