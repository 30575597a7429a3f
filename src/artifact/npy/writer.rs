//! Writing arrays whose shapes are known beforehand, in any order of rows.

use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::{DType, Element, Header};
use crate::error::{Error, Result};

/// Writes several arrays, one after another in the file, whose shapes are all known at the start:
/// rows may then come in any order, of several arrays by turns, as a pass over sentences gives
/// them.
///
/// ```
/// use flue_study::files::AtomicFile;
/// use flue_study::artifact::npy::{DType, Header, NpyWriter, read_arrays};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("two.npy");
/// let file = AtomicFile::create(&path, false)?;
/// let headers = [Header::new(DType::F32, [2, 3]), Header::new(DType::I64, [2])];
/// let mut writer = NpyWriter::new(&path, file, &headers)?;
/// for row in 0..2 {
///     writer.write(0, row * 3, &[1f32, 2.0, 3.0])?;
///     writer.write(1, row, &[7i64])?;
/// }
/// writer.finish()?.commit()?;
/// assert_eq!(read_arrays(&path)?.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct NpyWriter<W: Write + Seek> {
    path: PathBuf,
    file: W,
    position: u64,
    arrays: Vec<Placed>,
    buffer: Vec<u8>,
}

/// An array and where its numbers begin.
struct Placed {
    header: Header,
    start: u64,
    len: usize,
    written: usize,
}

impl<W: Write + Seek> NpyWriter<W> {
    /// Write the headers of all arrays to `file`, which stands at its beginning; `path` names it in
    /// errors.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Mismatch`] for a shape too large to address.
    pub fn new(path: &Path, file: W, headers: &[Header]) -> Result<Self> {
        let mut writer = Self {
            path: path.to_path_buf(),
            file,
            position: 0,
            arrays: Vec::with_capacity(headers.len()),
            buffer: Vec::new(),
        };
        let mut end = 0u64;
        for header in headers {
            let bytes = header.to_bytes();
            writer.write_at(end, &bytes)?;
            let start = end + bytes.len() as u64;
            let len = header.elements();
            let size = len.and_then(|n| n.checked_mul(header.dtype.size()));
            let (Some(len), Some(size)) = (len, size) else {
                let what = format!("an array of shape {:?} is too large", header.shape);
                return Err(writer.mismatch(&what));
            };
            end = start + size as u64;
            writer.arrays.push(Placed {
                header: header.clone(),
                start,
                len,
                written: 0,
            });
        }
        Ok(writer)
    }

    /// Write `values` into array `array`, from its element `first` on (counted in C order).
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Mismatch`] when the array has another type or ends before `first +
    /// values.len()`.
    pub fn write<T: Element>(&mut self, array: usize, first: usize, values: &[T]) -> Result<()> {
        let mut bytes = std::mem::take(&mut self.buffer);
        bytes.clear();
        for &value in values {
            value.put(&mut bytes);
        }
        let outcome = self.place(array, first, Some(T::DTYPE), &bytes);
        self.buffer = bytes;
        outcome
    }

    /// As [`write`](Self::write), for numbers that are little-endian bytes of the array's type
    /// already.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Mismatch`] when the array ends before them.
    pub(crate) fn write_bytes(&mut self, array: usize, first: usize, bytes: &[u8]) -> Result<()> {
        self.place(array, first, None, bytes)
    }

    /// Put bytes at their place in an array, which must be of type `dtype` where one is given.
    fn place(
        &mut self,
        array: usize,
        first: usize,
        dtype: Option<DType>,
        bytes: &[u8],
    ) -> Result<()> {
        let Some(placed) = self.arrays.get_mut(array) else {
            let count = self.arrays.len();
            return Err(self.mismatch(&format!("array {array} of {count} does not exist")));
        };
        let Header {
            dtype: stored,
            shape,
        } = &placed.header;
        let dtype = dtype.unwrap_or(*stored);
        let values = bytes.len() / dtype.size();
        let end = first.checked_add(values);
        if dtype != *stored || end.is_none_or(|end| end > placed.len) {
            let what = format!(
                "{values} values of type {} from element {first} on do not fit array {array} of type {} and shape {shape:?}",
                dtype.descr(),
                stored.descr(),
            );
            return Err(self.mismatch(&what));
        }
        placed.written += values;
        let offset = placed.start + (first * dtype.size()) as u64;
        self.write_at(offset, bytes)
    }

    /// The file, with every array complete.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when fewer or more values were written than an array holds;
    /// [`Error::Io`].
    pub fn finish(mut self) -> Result<W> {
        for (i, a) in self.arrays.iter().enumerate() {
            if a.written != a.len {
                let what = format!(
                    "array {i} of shape {:?} received {} values of {}",
                    a.header.shape, a.written, a.len
                );
                return Err(self.mismatch(&what));
            }
        }
        self.file.flush().map_err(Error::io(&self.path, "write"))?;
        Ok(self.file)
    }

    fn mismatch(&self, what: &str) -> Error {
        Error::Mismatch(format!("{}: {what}", self.path.display()))
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        if self.position != offset {
            self.file
                .seek(SeekFrom::Start(offset))
                .map_err(Error::io(&self.path, "write"))?;
        }
        self.file
            .write_all(bytes)
            .map_err(Error::io(&self.path, "write"))?;
        self.position = offset + bytes.len() as u64;
        Ok(())
    }
}
