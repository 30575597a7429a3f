//! An Arrow IPC stream: an index of its record batches, each decoded on demand without a copy.
//!
//! The bytes are our own: a file of moderate size is read into memory, a larger one is copied to a
//! nameless file, which is mapped. A file that is mapped itself would end the program (SIGBUS) when
//! somebody else shortens it.
//!
//! The format is <https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format>:
//! messages of a marker, the length of the metadata, the metadata (a flatbuffer) and a body; the
//! last one has the length 0.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::{Buffer, MutableBuffer};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::reader::FileDecoder;
use arrow::ipc::{Block, Message, MessageHeader, MetadataVersion, root_as_message};
use memmap2::Mmap;

use crate::error::{Error, Result, contain, interrupt};
use crate::files::{open_file, require_space};

/// In front of every message since Arrow 0.15; before that, the length came first.
const CONTINUATION: u32 = u32::MAX;
/// Arrow refuses more anyway; guards the sums below.
const MAX_ROWS_PER_BATCH: i64 = i32::MAX as i64;
/// Files up to this many bytes are read into memory: FLUE CLS, padded, takes 60 MB.
const LARGEST_IN_MEMORY: u64 = 1 << 28;
/// Bytes copied between two looks at signals.
const COPIED_AT_ONCE: u64 = 1 << 26;

/// Where a record batch lies in its file, and the rows it holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchAt {
    /// Byte offset of the message.
    start: usize,
    /// Bytes of marker, length and metadata.
    head: usize,
    /// Bytes of the body.
    body: usize,
    /// Number of the message in the file, the schema being 0.
    message: usize,
    /// Rows in the batch.
    pub(crate) rows: usize,
    /// Rows of the file before it.
    pub(crate) first_row: usize,
}

/// One file.
pub(super) struct StreamFile {
    path: PathBuf,
    /// Where the bytes lie when they are mapped.
    map: Option<Arc<Mmap>>,
    /// The bytes of the file.
    data: Buffer,
    version: MetadataVersion,
    /// The schema, with its metadata.
    pub(crate) schema: SchemaRef,
    /// The record batches in order.
    pub(crate) batches: Vec<BatchAt>,
}

/// A message as it stands in the file.
struct Frame<'a> {
    message: Message<'a>,
    head: usize,
    body: usize,
}

impl StreamFile {
    /// Take the bytes of `path` and read the heads of all its messages.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read or copied, [`Error::Malformed`] when it is cut short or
    /// is no Arrow stream.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Self::open_within(path, LARGEST_IN_MEMORY)
    }

    /// As [`open`](Self::open); files of more than `limit` bytes are copied and mapped.
    pub(super) fn open_within(path: &Path, limit: u64) -> Result<Self> {
        let mut file = open_file(path)?;
        let length = file.metadata().map_err(Error::io(path, "read"))?.len();
        if length > limit {
            require_space(path, length, "")?;
            return Self::map_own(path, own_copy(path, file)?);
        }
        let mut data = MutableBuffer::from_len_zeroed(length as usize);
        file.read_exact(data.as_slice_mut())
            .map_err(Error::io(path, "read"))?;
        Self::index(path, None, data.into())
    }

    /// Map a nameless temporary file of ours; `path` serves for messages.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn map_own(path: &Path, file: File) -> Result<Self> {
        let length = file.metadata().map_err(Error::io(path, "read"))?.len();
        if length == 0 {
            return Self::index(path, None, Buffer::default());
        }
        // SAFETY: the file has no name and its only handle is ours, so nobody writes to it or
        // shortens it while the map lasts, which is read only.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io(path, "map"))?;
        let map = Arc::new(map);
        let pointer = std::ptr::NonNull::from(&map[..]).cast();
        // SAFETY: the memory is that of the map, which the buffer keeps alive, and is only read.
        let data = unsafe { Buffer::from_custom_allocation(pointer, map.len(), map.clone()) };
        Self::index(path, Some(map), data)
    }

    fn index(path: &Path, map: Option<Arc<Mmap>>, data: Buffer) -> Result<Self> {
        if data.is_empty() {
            let remedy = "an Arrow stream: the file was cut short, make it again";
            return Err(Error::malformed(path, "byte 0", "an empty file", remedy));
        }
        let bytes = data.as_slice();
        let Some(first) = frame(path, bytes, 0, 0)? else {
            return Err(not_arrow(path, 0, "the end of a stream"));
        };
        let schema = first
            .message
            .header_as_schema()
            .ok_or_else(|| not_arrow(path, 0, "no schema"))?;
        let schema = try_fb_to_schema(schema)
            .map_err(|e| Error::malformed(path, "the schema", e, "a schema of Arrow"))?;
        let version = first.message.version();
        let mut at = first.head + first.body;
        let (mut batches, mut rows, mut number) = (Vec::new(), 0, 1);
        while let Some(next) = frame(path, bytes, at, number)? {
            match next.message.header_type() {
                MessageHeader::RecordBatch => {
                    let batch = check_batch(path, &next, &schema, number)?;
                    batches.push(BatchAt {
                        start: at,
                        head: next.head,
                        body: next.body,
                        message: number,
                        rows: batch,
                        first_row: rows,
                    });
                    rows += batch;
                }
                // Only columns that are not read here can have one: `Columns` knows no dictionary
                // type.
                MessageHeader::DictionaryBatch => {}
                other => return Err(not_arrow(path, number, format!("{other:?}"))),
            }
            at += next.head + next.body;
            number += 1;
        }
        Ok(Self {
            path: path.into(),
            map,
            data,
            version,
            schema: Arc::new(schema),
            batches,
        })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// All rows of the file.
    pub(crate) fn rows(&self) -> usize {
        self.batches.last().map_or(0, |b| b.first_row + b.rows)
    }

    /// Decode the named columns of a batch; the arrays point into the bytes of the file.
    ///
    /// # Errors
    /// [`Error::Malformed`] when offsets, lengths or UTF-8 in it are wrong.
    pub(crate) fn read(&self, batch: &BatchAt, columns: &[usize]) -> Result<RecordBatch> {
        let bad = |found: String| {
            let place = self.place(batch);
            let remedy = "a record batch as its schema says: the file is damaged, make it again";
            Error::malformed(&self.path, place, found, remedy)
        };
        let block = Block::new(batch.start as i64, batch.head as i32, batch.body as i64);
        let message = self
            .data
            .slice_with_length(batch.start, batch.head + batch.body);
        let decoder =
            FileDecoder::new(self.schema.clone(), self.version).with_projection(columns.to_vec());
        contain(|| decoder.read_record_batch(&block, &message))
            .and_then(|batch| batch.map_err(|e| e.to_string()))
            .map_err(bad)?
            .ok_or_else(|| bad("no record batch".into()))
    }

    /// Let the system take back the mapped memory that holds a batch; it is read again when it is
    /// needed.
    pub(crate) fn release(&self, batch: &BatchAt) {
        #[cfg(unix)]
        {
            use memmap2::UncheckedAdvice::DontNeed;
            let Some(map) = &self.map else { return };
            let length = batch.head + batch.body;
            // SAFETY: the map is of a file of ours and read only, so its pages come back with the
            // same content. A refusal changes nothing.
            let _ = unsafe { map.unchecked_advise_range(DontNeed, batch.start, length) };
        }
        #[cfg(not(unix))]
        let _ = batch;
    }

    /// Words for a batch in a message: its number and its rows.
    pub(crate) fn place(&self, batch: &BatchAt) -> String {
        let (first, message) = (batch.first_row, batch.message);
        match batch.rows {
            0 => format!("message {message} (no rows)"),
            n => format!("message {message} (rows {first} to {})", first + n - 1),
        }
    }
}

/// A copy of `file` that has no name, in its own folder, which has room for such files, else among
/// the temporary ones.
fn own_copy(path: &Path, file: File) -> Result<File> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut copy = tempfile::tempfile_in(folder)
        .or_else(|_| tempfile::tempfile())
        .map_err(Error::io(std::env::temp_dir(), "create a file in"))?;
    loop {
        interrupt::check()?;
        let copied = std::io::copy(&mut (&file).take(COPIED_AT_ONCE), &mut copy);
        if copied.map_err(Error::io(path, "copy"))? == 0 {
            return Ok(copy);
        }
    }
}

fn not_arrow(path: &Path, message: usize, found: impl std::fmt::Display) -> Error {
    Error::malformed(
        path,
        format!("message {message}"),
        found,
        "an Arrow IPC stream, as `save_to_disk` writes",
    )
}

/// The message at byte `at`, or none at the mark that ends the stream. Everything it names lies
/// inside `bytes`.
fn frame<'a>(path: &Path, bytes: &'a [u8], at: usize, number: usize) -> Result<Option<Frame<'a>>> {
    let cut = |wanted: usize| {
        Error::malformed(
            path,
            format!("message {number} at byte {at}"),
            format!("the end of the file at byte {}", bytes.len()),
            format!("{wanted} bytes: the file was cut short, make it again"),
        )
    };
    let word = |at: usize| -> Option<u32> {
        let four = bytes.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
    };
    let first = word(at).ok_or_else(|| cut(4))?;
    let (length, prefix) = match first {
        CONTINUATION => (word(at + 4).ok_or_else(|| cut(8))?, 8),
        length => (length, 4),
    };
    if length == 0 {
        return Ok(None);
    }
    if length > i32::MAX as u32 {
        return Err(not_arrow(
            path,
            number,
            format!("a length of {length} bytes"),
        ));
    }
    let head = prefix + length as usize;
    let metadata = bytes.get(at + prefix..at + head).ok_or_else(|| cut(head))?;
    let message = root_as_message(metadata).map_err(|e| not_arrow(path, number, e))?;
    let body = usize::try_from(message.bodyLength())
        .map_err(|_| not_arrow(path, number, "a negative length"))?;
    let end = (at + head).checked_add(body);
    match end {
        Some(end) if end <= bytes.len() => Ok(Some(Frame {
            message,
            head,
            body,
        })),
        _ => Err(cut(head.saturating_add(body))),
    }
}

/// The number of rows of a record batch, once every buffer it names is known to lie in its body and
/// every buffer of offsets holds whole ones: Arrow takes both for granted.
fn check_batch(path: &Path, frame: &Frame<'_>, schema: &Schema, number: usize) -> Result<usize> {
    let bad = |found: String| {
        let remedy = "buffers as the schema says: the file is damaged, make it again";
        Error::malformed(path, format!("message {number}"), found, remedy)
    };
    let batch = frame
        .message
        .header_as_record_batch()
        .ok_or_else(|| bad("no record batch".into()))?;
    let (rows, body) = (batch.length(), frame.body as i64);
    // Every row of the columns that are read takes a byte and more.
    if !(0..=MAX_ROWS_PER_BATCH.min(body)).contains(&rows) {
        return Err(bad(format!("{rows} rows in {body} bytes")));
    }
    for buffer in batch.buffers().into_iter().flatten() {
        let (offset, length) = (buffer.offset(), buffer.length());
        let end = offset.checked_add(length);
        if offset < 0 || length < 0 || end.is_none_or(|end| end > body) {
            let found = format!("{length} bytes at {offset} of a body of {body} bytes");
            return Err(bad(found));
        }
    }
    for node in batch.nodes().into_iter().flatten() {
        let (length, nulls) = (node.length(), node.null_count());
        let bits = body.saturating_mul(8);
        if !(0..=bits).contains(&length) || !(0..=length).contains(&nulls) {
            return Err(bad(format!("an array of {length} values, {nulls} null")));
        }
    }
    let mut nodes = batch.nodes().into_iter().flatten();
    for field in schema.fields() {
        let length = nodes.next().map(|node| node.length());
        if length != Some(rows) {
            let name = field.name();
            return Err(bad(format!("column `{name}`: other than {rows} values")));
        }
        let inner = arrays_of(field.data_type()) - 1;
        nodes.by_ref().take(inner).for_each(drop);
    }
    let mut lengths = batch.buffers().into_iter().flatten().map(|b| b.length());
    for field in schema.fields() {
        check_offsets(field.data_type(), &mut lengths)
            .map_err(|found| bad(format!("column `{}`: {found}", field.name())))?;
    }
    Ok(rows as usize)
}

/// How many arrays a column consists of: itself and those inside it.
fn arrays_of(data_type: &DataType) -> usize {
    use DataType::*;
    1 + match data_type {
        List(item) | LargeList(item) | Map(item, _) | FixedSizeList(item, _) => {
            arrays_of(item.data_type())
        }
        Struct(fields) => fields
            .iter()
            .map(|field| arrays_of(field.data_type()))
            .sum(),
        _ => 0,
    }
}

/// Walk over the lengths of the buffers of one column and check those of offsets.
fn check_offsets(
    data_type: &DataType,
    mut lengths: &mut dyn Iterator<Item = i64>,
) -> std::result::Result<(), String> {
    use DataType::*;
    let mut take = |buffers: usize| {
        let last = (&mut lengths).take(buffers).last();
        last.ok_or_else(|| "too few buffers".to_string())
    };
    let mut offsets = |width: i64| match take(2)? {
        length if length % width == 0 => Ok(()),
        length => Err(format!("offsets of {length} bytes")),
    };
    match data_type {
        Null => Ok(()),
        Utf8 | Binary => {
            offsets(4)?;
            take(1).map(drop)
        }
        LargeUtf8 | LargeBinary => {
            offsets(8)?;
            take(1).map(drop)
        }
        List(item) | Map(item, _) => {
            offsets(4)?;
            check_offsets(item.data_type(), lengths)
        }
        LargeList(item) => {
            offsets(8)?;
            check_offsets(item.data_type(), lengths)
        }
        FixedSizeList(item, _) => {
            take(1)?;
            check_offsets(item.data_type(), lengths)
        }
        Struct(fields) => {
            take(1)?;
            let mut fields = fields.iter();
            fields.try_for_each(|field| check_offsets(field.data_type(), lengths))
        }
        Boolean | FixedSizeBinary(_) | Dictionary(_, _) => take(2).map(drop),
        other if other.is_primitive() => take(2).map(drop),
        other => Err(format!("type {other}, which `datasets` does not write")),
    }
}
