//! The layout since torch 1.6: `NAME/data.pkl`, `NAME/data/KEY` for each storage, none of them
//! compressed.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use zip::ZipArchive;
use zip::result::ZipError;

use super::machine::Machine;
use super::value::{Storage, Value, Values};
use super::{Layout, REMEDY};
use crate::error::{Error, Result};

/// An archive and the name of the folder in it.
pub(super) struct Zip {
    archive: ZipArchive<BufReader<File>>,
    folder: String,
}

impl Zip {
    /// Run the pickle of an archive.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the archive is damaged, compressed, or holds no pickle of tensors.
    pub(super) fn open(path: &Path, reader: BufReader<File>) -> Result<(Layout, Value, Values)> {
        let bad = |place: &str, found: String| Error::malformed(path, place, found, REMEDY);
        let mut archive = ZipArchive::new(reader).map_err(|e| bad("", e.to_string()))?;
        const PICKLE: &str = "data.pkl";
        let folder = archive
            .file_names()
            .filter_map(|name| name.ok()?.strip_suffix(PICKLE).map(str::to_owned))
            .find(|folder| folder.find('/') == folder.len().checked_sub(1));
        let folder = folder.ok_or_else(|| bad("", "no data.pkl".into()))?;
        match archive.by_name(&format!("{folder}byteorder")) {
            Ok(mut order) => {
                let mut text = String::new();
                let read = order.by_ref().take(16).read_to_string(&mut text);
                read.map_err(|e| bad("byteorder", e.to_string()))?;
                if text != "little" {
                    return Err(bad("byteorder", format!("{text:?}")));
                }
            }
            // Torch before 2.1 wrote none, and always little-endian numbers.
            Err(ZipError::FileNotFound) => {}
            Err(e) => return Err(bad("byteorder", e.to_string())),
        }
        let pickle = archive.by_name(&format!("{folder}{PICKLE}"));
        let pickle = pickle.map_err(|e| bad(PICKLE, e.to_string()))?;
        let (top, values) = Machine::run(path, PICKLE, BufReader::new(pickle))?;
        Ok((Layout::Zip(Self { archive, folder }), top, values))
    }

    /// The bytes of a storage; its member must be of that size.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub(super) fn bytes(&mut self, path: &Path, storage: &Storage) -> Result<Vec<u8>> {
        let name = format!("{}data/{}", self.folder, storage.key);
        let bad = |found: String| Error::malformed(path, &name, found, REMEDY);
        let mut member = self.archive.by_name(&name).map_err(|e| match e {
            ZipError::FileNotFound => bad("no such member".into()),
            other => bad(other.to_string()),
        })?;
        let size = storage.elements.checked_mul(storage.number.size());
        if size.map(|size| size as u64) != Some(member.size())
            || member.size() != member.compressed_size()
        {
            return Err(bad(format!(
                "{} bytes for {} numbers",
                member.size(),
                storage.elements
            )));
        }
        let mut bytes = Vec::new();
        member
            .read_to_end(&mut bytes)
            .map_err(|e| bad(e.to_string()))?;
        Ok(bytes)
    }
}
