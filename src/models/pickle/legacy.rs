//! The layout before torch 1.6: five pickles (a magic number, the version of the protocol, the
//! machine, the tensors, the keys of the storages), then each storage after its number of elements.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::machine::Machine;
use super::value::{Storage, Value, Values};
use super::{Layout, REMEDY};
use crate::error::{Error, Result};

/// What the file starts with, and the only version of its protocol.
const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
const PROTOCOL: i128 = 1001;

/// The file and where its storages start.
pub(super) struct Legacy {
    reader: BufReader<File>,
    length: u64,
    /// By key: the place of the first number, and how many there are.
    places: HashMap<String, (u64, u64)>,
}

impl Legacy {
    /// Run the pickles of a file of `length` bytes and find its storages.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the file is damaged, cut short, big-endian, or holds no pickle of
    /// tensors.
    pub(super) fn open(
        path: &Path,
        mut reader: BufReader<File>,
        length: u64,
    ) -> Result<(Layout, Value, Values)> {
        let bad = |place: &str, found: &str| Error::malformed(path, place, found, REMEDY);
        let mut run = |part| Machine::run(path, part, &mut reader);
        if run("the first pickle")?.0 != Value::Int(MAGIC) {
            return Err(bad("the first pickle", "no magic number of torch"));
        }
        if run("the second pickle")?.0 != Value::Int(PROTOCOL) {
            return Err(bad("the second pickle", "another version of the layout"));
        }
        // What the machine was like: its numbers are little-endian everywhere that torch is
        // released for.
        run("the third pickle")?;
        let (top, values) = run("the fourth pickle")?;
        let (keys, of_keys) = run("the fifth pickle")?;
        let keys = match keys {
            Value::List(at) => of_keys.lists.get(at),
            _ => None,
        };
        let keys = keys.ok_or_else(|| bad("the fifth pickle", "no list of storages"))?;
        let keys: Option<Vec<&str>> = keys.iter().map(|&key| of_keys.text(key)).collect();
        let keys = keys.ok_or_else(|| bad("the fifth pickle", "a storage without a name"))?;
        let sizes: HashMap<&str, usize> = values
            .storages
            .iter()
            .map(|storage| (storage.key.as_str(), storage.number.size()))
            .collect();
        let mut places = HashMap::new();
        for key in keys {
            let place = format!("storage {key:?}");
            let size = sizes
                .get(key)
                .ok_or_else(|| bad(&place, "no tensor that uses it"))?;
            let mut count = [0; 8];
            let start = reader
                .read_exact(&mut count)
                .and_then(|()| reader.stream_position())
                .map_err(|e| bad(&place, &e.to_string()))?;
            let count = u64::from_le_bytes(count);
            let bytes = count.checked_mul(*size as u64);
            let end = bytes.and_then(|bytes| start.checked_add(bytes));
            let end = end.filter(|end| *end <= length);
            let end = end.ok_or_else(|| {
                bad(
                    &place,
                    &format!("{count} numbers from byte {start} in a file of {length} bytes"),
                )
            })?;
            reader
                .seek(SeekFrom::Start(end))
                .map_err(Error::io(path, "read"))?;
            places.insert(key.to_owned(), (start, count));
        }
        let layout = Layout::Legacy(Self {
            reader,
            length,
            places,
        });
        Ok((layout, top, values))
    }

    /// The bytes of a storage.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub(super) fn bytes(&mut self, path: &Path, storage: &Storage) -> Result<Vec<u8>> {
        let bad = |found: String| {
            Error::malformed(path, format!("storage {:?}", storage.key), found, REMEDY)
        };
        let Some(&(start, count)) = self.places.get(&storage.key) else {
            return Err(bad("nothing in the file".into()));
        };
        if count != storage.elements as u64 {
            return Err(bad(format!("{count} numbers, not {}", storage.elements)));
        }
        let size = count.saturating_mul(storage.number.size() as u64);
        if size > self.length {
            return Err(bad(format!("{size} bytes in a file of {}", self.length)));
        }
        let mut bytes = vec![0; size as usize];
        self.reader
            .seek(SeekFrom::Start(start))
            .and_then(|_| self.reader.read_exact(&mut bytes))
            .map_err(|e| bad(e.to_string()))?;
        Ok(bytes)
    }
}
