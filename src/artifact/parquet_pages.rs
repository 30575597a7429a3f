//! How many rows of a Parquet file fit in memory at a time, however small the file is.
//!
//! The parquet crate (60.1) takes memory by what pages announce: the entries of a dictionary, the
//! decompressed bytes, the values of one row, the lengths in front of its texts. It has no limits
//! to set, and its page reader tells no sizes before it decompresses a page. A kilobyte may
//! announce more than any machine has, and one long text in a dictionary may stand for all rows. So
//! every page is looked at before the crate decodes the first.
//!
//! The format is <https://parquet.apache.org/docs/file-format/data-pages/>.

use std::path::Path;
use std::sync::Arc;

use parquet::arrow::ProjectionMask;
use parquet::basic::{Encoding, Type};
use parquet::column::page::{Page, PageReader};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::ColumnDescriptor;

use super::parquet_file::ParquetFile;
use super::thrift::{self, Bytes, CUT, PageHeader};
use crate::error::{Error, Result, contain};

/// Most rows that are decoded at a time, and the bytes that they may take.
const MOST_ROWS: usize = 1000;
const MOST_BYTES: usize = 1 << 28;
/// Most bytes of a page; writers close one after 1 MB, unless a single value is longer.
const LARGEST_PAGE: u32 = 1 << 26;
/// Most values in a list.
const LONGEST_LIST: usize = 1 << 16;
/// What a number of a list takes with the levels that say where it stands.
const NUMBER: usize = 12;
/// Bytes of a header that are read at once; more only where they do not suffice.
const HEADER: u64 = 1 << 12;
const LARGEST_HEADER: u64 = 1 << 22;

/// How many rows of the columns of `mask` to decode at a time.
///
/// # Errors
/// [`Error::Malformed`] with the column that asks for too much, or a page that is damaged.
pub(crate) fn rows_at_a_time(
    path: &Path,
    file: &ParquetFile,
    metadata: &ParquetMetaData,
    mask: &ProjectionMask,
) -> Result<usize> {
    let schema = metadata.file_metadata().schema_descr();
    let mut rows = MOST_ROWS;
    for (leaf, column) in schema.columns().iter().enumerate() {
        if !mask.leaf_included(leaf) {
            continue;
        }
        let mut survey = Survey::new(file, column);
        for (number, group) in metadata.row_groups().iter().enumerate() {
            let chunk = group.columns().get(leaf);
            let chunk = chunk.ok_or_else(|| "no such column".to_string());
            let looked_at = chunk.and_then(|chunk| contain(|| survey.chunk(chunk))?);
            looked_at.map_err(|found| {
                let place = format!("column `{}` of row group {number}", column.path());
                let expected = "pages as writers make them: write the file again";
                Error::malformed(path, place, found, expected)
            })?;
        }
        rows = rows.min(MOST_BYTES / survey.bytes_of_a_row()).max(1);
    }
    Ok(rows)
}

/// What is known of one column.
struct Survey<'a> {
    file: &'a ParquetFile,
    column: &'a ColumnDescriptor,
    /// Bytes of its largest page.
    page: usize,
    /// Values of its longest list, and of the one that the last page has left open.
    longest: usize,
    open: usize,
}

type Found<T> = std::result::Result<T, String>;

impl<'a> Survey<'a> {
    fn new(file: &'a ParquetFile, column: &'a ColumnDescriptor) -> Self {
        Self {
            file,
            column,
            page: 1,
            longest: 1,
            open: 0,
        }
    }

    /// What a row may take: a text can be as long as a page, a list as the longest that was met.
    fn bytes_of_a_row(&self) -> usize {
        match self.column.physical_type() {
            Type::BYTE_ARRAY => self.page,
            _ => self.longest * NUMBER,
        }
    }

    /// Look at the pages of one row group.
    fn chunk(&mut self, chunk: &ColumnChunkMetaData) -> Found<()> {
        let (kind, lists) = (self.column.physical_type(), self.column.max_rep_level());
        let is_text = kind == Type::BYTE_ARRAY;
        if matches!(kind, Type::FIXED_LEN_BYTE_ARRAY | Type::INT96) {
            return Err(format!("values of type {kind}"));
        }
        if lists > 1 || (lists == 1 && is_text) {
            return Err("lists of other than numbers".into());
        }
        let has_lengths = self.headers(chunk)?;
        if lists == 1 || (is_text && has_lengths) {
            let pages = SerializedPageReader::new(Arc::new(self.file.clone()), chunk, 0, None);
            let mut pages = pages.map_err(|e| e.to_string())?;
            while let Some(page) = pages.get_next_page().map_err(|e| e.to_string())? {
                self.look_into(&page)?;
            }
        }
        Ok(())
    }

    /// Go through the headers of the pages; whether lengths of texts are among their values.
    fn headers(&mut self, chunk: &ColumnChunkMetaData) -> Found<bool> {
        let (mut at, mut left) = chunk.byte_range();
        let mut has_lengths = false;
        while left > 0 {
            let header = self.header(at, left)?;
            let whole = header.length as u64 + u64::from(header.stored);
            if whole > left {
                return Err("a page that is longer than its column".into());
            }
            if header.size > LARGEST_PAGE {
                return Err(format!("a page of {} bytes", header.size));
            }
            // An entry of a dictionary takes four bytes at least.
            if header.dictionary.is_some_and(|n| n > header.size / 4) {
                return Err("a dictionary of more entries than its page has room for".into());
            }
            has_lengths |= matches!(header.encoding, Some(6 | 7));
            self.page = self.page.max(header.size as usize);
            at += whole;
            left -= whole;
        }
        Ok(has_lengths)
    }

    /// The header at a place, with at most `left` bytes.
    fn header(&self, at: u64, left: u64) -> Found<PageHeader> {
        let read = |length: u64| {
            let bytes = self.file.bytes(at, length.min(left) as usize)?;
            thrift::page_header(&bytes).map_err(str::to_string)
        };
        match read(HEADER) {
            Err(e) if e == CUT && left > HEADER => read(LARGEST_HEADER),
            header => header,
        }
    }

    fn look_into(&mut self, page: &Page) -> Found<()> {
        let (of_lists, values) = match page {
            Page::DictionaryPage { .. } => return Ok(()),
            Page::DataPage {
                buf,
                rep_level_encoding,
                def_level_encoding,
                ..
            } => {
                let mut rest = Bytes(buf);
                let mut levels = |most: i16, encoding: &Encoding| match (most, encoding) {
                    (0, _) => Ok(&[][..]),
                    (_, Encoding::RLE) => {
                        let length = rest.take(4)?.iter().rev();
                        let length = length.fold(0, |all, byte| all << 8 | u64::from(*byte));
                        rest.take(length)
                    }
                    _ => Err("levels in the encoding BIT_PACKED, which is out of use"),
                };
                let of_lists = levels(self.column.max_rep_level(), rep_level_encoding)?;
                levels(self.column.max_def_level(), def_level_encoding)?;
                (of_lists, rest.0)
            }
            Page::DataPageV2 {
                buf,
                rep_levels_byte_len,
                def_levels_byte_len,
                ..
            } => {
                let mut rest = Bytes(buf);
                let of_lists = rest.take((*rep_levels_byte_len).into())?;
                rest.take((*def_levels_byte_len).into())?;
                (of_lists, rest.0)
            }
        };
        let count = page.num_values();
        if self.column.max_rep_level() > 0 {
            return self.lists(of_lists, count as usize);
        }
        match page.encoding() {
            Encoding::DELTA_LENGTH_BYTE_ARRAY => lengths(&mut Bytes(values), count.into())?,
            Encoding::DELTA_BYTE_ARRAY => {
                let mut prefixes_and_suffixes = Bytes(values);
                lengths(&mut prefixes_and_suffixes, count.into())?;
                lengths(&mut prefixes_and_suffixes, count.into())?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Measure the lists of a page of `values` values by their levels: 0 where one starts, 1 where
    /// it goes on, in runs of equal ones and groups of eight bits.
    fn lists(&mut self, levels: &[u8], values: usize) -> Found<()> {
        let (mut levels, mut left) = (Bytes(levels), values);
        while left > 0 && !levels.0.is_empty() {
            let head = levels.varint()?;
            let count = head >> 1;
            if head & 1 == 0 {
                let goes_on = levels.take(1)?[0] != 0;
                let run = count.min(left as u64) as usize;
                self.run(goes_on, run)?;
                left -= run;
                continue;
            }
            // The last group may be cut off.
            let bits = levels.take(count.min(levels.0.len() as u64))?;
            for byte in bits {
                for bit in (0..8).take(left) {
                    self.run(byte >> bit & 1 != 0, 1)?;
                }
                left -= left.min(8);
            }
        }
        Ok(())
    }

    /// So many values that start a list each, or go on with the open one.
    fn run(&mut self, goes_on: bool, values: usize) -> Found<()> {
        self.open = match (goes_on, values) {
            (_, 0) => return Ok(()),
            (true, n) => self.open.saturating_add(n),
            (false, _) => 1,
        };
        self.longest = self.longest.max(self.open);
        match self.longest {
            n if n > LONGEST_LIST => Err(format!("a list of more than {LONGEST_LIST} values")),
            _ => Ok(()),
        }
    }
}

/// Pass over lengths in the encoding DELTA_BINARY_PACKED, of which there may be as many as values.
fn lengths(bytes: &mut Bytes<'_>, values: u64) -> Found<()> {
    let (block, parts, count) = (bytes.varint()?, bytes.varint()?, bytes.varint()?);
    bytes.varint()?;
    if count > values {
        return Err(format!("{count} lengths of {values} texts"));
    }
    let of_a_part = block.checked_div(parts).ok_or("lengths in no parts")?;
    let mut left = count.saturating_sub(1);
    while left > 0 {
        bytes.varint()?;
        for width in bytes.take(parts)? {
            // Of the last block only the parts that hold something are stored.
            if left > 0 {
                let bits = of_a_part.checked_mul(u64::from(*width)).ok_or(CUT)?;
                bytes.take(bits / 8)?;
                left = left.saturating_sub(of_a_part);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
