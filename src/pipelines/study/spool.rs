//! What is found of each sentence, on disk until all sentences are seen: fixed-size rows of
//! numbers, appended as they come.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::open_file;

/// A file of rows of `width` numbers, each row begun by the number of its sentence.
pub(super) struct Spool {
    path: PathBuf,
    file: BufWriter<File>,
    width: usize,
    rows: u64,
}

impl Spool {
    /// Open or make the file; of an older run the first `rows` rows stay.
    pub(crate) fn open(path: &Path, width: usize, rows: u64) -> Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(path);
        let file = file.map_err(Error::io(path, "write"))?;
        let length = rows * 8 * width as u64;
        let found = file.metadata().map_err(Error::io(path, "read"))?.len();
        if found < length {
            let expected = format!("{length} bytes: remove the folder and run again");
            return Err(Error::malformed(path, "end of the file", found, expected));
        }
        let mut file = file;
        file.set_len(length)
            .and_then(|()| file.seek(SeekFrom::End(0)))
            .map_err(Error::io(path, "write"))?;
        Ok(Self {
            path: path.to_path_buf(),
            file: BufWriter::new(file),
            width,
            rows,
        })
    }

    /// Append a row.
    pub(crate) fn push(&mut self, row: &[f64]) -> Result<()> {
        debug_assert_eq!(row.len(), self.width);
        for value in row {
            self.file
                .write_all(&value.to_le_bytes())
                .map_err(Error::io(&self.path, "write"))?;
        }
        self.rows += 1;
        Ok(())
    }

    /// Put everything on the disk; the number of rows.
    pub(crate) fn sync(&mut self) -> Result<u64> {
        self.file
            .flush()
            .and_then(|()| self.file.get_ref().sync_all())
            .map_err(Error::io(&self.path, "write"))?;
        Ok(self.rows)
    }
}

/// Reads several spools as one, by the numbers of the sentences.
pub(super) struct SpoolReader {
    files: Vec<(PathBuf, BufReader<File>)>,
    /// The next row of each file.
    next: Vec<Option<Vec<f64>>>,
    width: usize,
}

impl SpoolReader {
    /// Each file's rows have rising numbers.
    pub(crate) fn open(paths: &[PathBuf], width: usize) -> Result<Self> {
        let open = |path: &PathBuf| {
            let file = open_file(path)?;
            Ok((path.clone(), BufReader::new(file)))
        };
        let mut reader = Self {
            files: paths.iter().map(open).collect::<Result<_>>()?,
            next: Vec::new(),
            width,
        };
        for i in 0..paths.len() {
            let row = reader.read(i)?;
            reader.next.push(row);
        }
        Ok(reader)
    }

    fn read(&mut self, i: usize) -> Result<Option<Vec<f64>>> {
        let (path, file) = &mut self.files[i];
        let mut bytes = Vec::with_capacity(8 * self.width);
        file.take(8 * self.width as u64)
            .read_to_end(&mut bytes)
            .map_err(Error::io(&*path, "read"))?;
        if !bytes.is_empty() && bytes.len() < 8 * self.width {
            let expected = "whole rows: remove the folder and run again";
            return Err(Error::malformed(
                path,
                "end of the file",
                "part of a row",
                expected,
            ));
        }
        let (numbers, _) = bytes.as_chunks::<8>();
        let row: Vec<f64> = numbers.iter().map(|b| f64::from_le_bytes(*b)).collect();
        Ok((!row.is_empty()).then_some(row))
    }

    /// The row of the lowest sentence that was not read yet.
    pub(crate) fn next_row(&mut self) -> Result<Option<Vec<f64>>> {
        let rows = self.next.iter().enumerate();
        let waiting = rows.filter_map(|(i, row)| Some((i, row.as_ref()?[0])));
        let lowest = waiting.min_by(|(_, a), (_, b)| a.total_cmp(b));
        let Some((i, _)) = lowest else {
            return Ok(None);
        };
        let following = self.read(i)?;
        Ok(std::mem::replace(&mut self.next[i], following))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_several_files_come_in_the_order_of_sentences_and_late_ones_are_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = |i: usize| folder.path().join(i.to_string());
        for shard in 0..3 {
            let mut spool = Spool::open(&path(shard), 2, 0).unwrap();
            for sentence in (shard..10).step_by(3) {
                spool
                    .push(&[sentence as f64, 0.5 * sentence as f64])
                    .unwrap();
            }
            spool.sync().unwrap();
        }
        let read = |paths: &[PathBuf]| {
            let mut reader = SpoolReader::open(paths, 2).unwrap();
            std::iter::from_fn(move || reader.next_row().unwrap()).collect::<Vec<_>>()
        };
        let all = [path(2), path(0), path(1)];
        let want: Vec<Vec<f64>> = (0..10).map(|s| vec![s as f64, 0.5 * s as f64]).collect();
        assert_eq!(read(&all), want);
        let mut spool = Spool::open(&path(0), 2, 1).unwrap();
        spool.push(&[3.0, 7.0]).unwrap();
        assert_eq!(spool.sync().unwrap(), 2);
        drop(spool);
        assert_eq!(read(&all[1..2]), [[0.0, 0.0], [3.0, 7.0]]);
        assert!(Spool::open(&path(0), 2, 3).is_err());
    }
}
