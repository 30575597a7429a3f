//! Files that writers make are measured; those that announce more than any machine has are refused.

use std::fs::File;
use std::path::PathBuf;

use arrow::array::{
    Array, ArrayRef, DictionaryArray, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Int32Type};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
use tempfile::TempDir;

use super::*;

const VERSIONS: [WriterVersion; 2] = [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0];

/// A file of one column `x`.
struct Written {
    _folder: TempDir,
    path: PathBuf,
}

impl Written {
    fn new(column: ArrayRef, properties: WriterPropertiesBuilder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.parquet");
        let batch = RecordBatch::try_from_iter_with_nullable([("x", column, true)]).unwrap();
        let file = File::create(&path).unwrap();
        let mut writer =
            ArrowWriter::try_new(file, batch.schema(), Some(properties.build())).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        Self {
            _folder: folder,
            path,
        }
    }

    /// Put other bytes in the place of some that stand there once.
    fn patch(&self, old: &[u8], new: &[u8]) {
        let mut bytes = std::fs::read(&self.path).unwrap();
        let places: Vec<usize> = (0..bytes.len() - old.len())
            .filter(|&at| bytes[at..].starts_with(old))
            .collect();
        assert_eq!((places.len(), old.len()), (1, new.len()));
        bytes[places[0]..][..new.len()].copy_from_slice(new);
        std::fs::write(&self.path, bytes).unwrap();
    }

    fn rows(&self) -> std::result::Result<usize, String> {
        let file = ParquetFile::open(&self.path).unwrap();
        let builder = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap();
        let rows = rows_at_a_time(
            &self.path,
            &file,
            builder.metadata(),
            &ProjectionMask::all(),
        );
        rows.map_err(|e| e.to_string())
    }

    fn refusal(&self) -> String {
        let message = self.rows().unwrap_err();
        let place = "x.parquet, column `";
        assert!(
            message.contains(place) && message.contains("` of row group 0: found "),
            "{message}"
        );
        message
    }
}

fn plain(version: WriterVersion) -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_writer_version(version)
        .set_dictionary_enabled(false)
}

fn zstd() -> WriterPropertiesBuilder {
    WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()))
}

/// Lists of so many equal numbers.
fn lists(lengths: &[usize]) -> ArrayRef {
    let numbers = Int32Array::from(vec![7; lengths.iter().sum()]);
    let item = Arc::new(Field::new("item", DataType::Int32, true));
    let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
    Arc::new(ListArray::new(item, offsets, Arc::new(numbers), None))
}

/// Texts that differ, and a null.
fn texts() -> StringArray {
    let text = |i: i32| (i != 7).then(|| format!("critique n° {}", i * i));
    (0..300).map(text).collect()
}

#[test]
fn ordinary_files_are_read_a_thousand_rows_at_a_time() {
    for version in VERSIONS {
        assert_eq!(
            Written::new(Arc::new(texts()), plain(version)).rows(),
            Ok(1000)
        );
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..5000));
        assert_eq!(Written::new(numbers, plain(version)).rows(), Ok(1000));
        let rows: Vec<usize> = (0..3000).map(|i| i % 600).collect();
        assert_eq!(Written::new(lists(&rows), plain(version)).rows(), Ok(1000));
    }
}

/// A text of 3 MB in a dictionary stands for every row of a file of a few kilobytes.
#[test]
fn of_long_texts_fewer_rows_are_read() {
    let long = "x".repeat(3 << 20);
    let keys = Int32Array::from(vec![0; 5000]);
    let column = DictionaryArray::<Int32Type>::new(keys, Arc::new(StringArray::from(vec![long])));
    let file = Written::new(Arc::new(column), zstd());
    assert!(std::fs::metadata(&file.path).unwrap().len() < 1 << 14);
    let rows = file.rows().unwrap();
    assert!((80..=85).contains(&rows), "{rows}");
    let larger = StringArray::from(vec!["x".repeat(LARGEST_PAGE as usize)]);
    let message = Written::new(Arc::new(larger), zstd()).refusal();
    assert!(message.contains("a page of 67108868 bytes"), "{message}");
}

#[test]
fn of_long_lists_fewer_rows_are_read_and_endless_ones_are_refused() {
    for version in VERSIONS {
        let properties = || zstd().set_writer_version(version);
        let file = Written::new(lists(&[3, 0, 50_000, 1, 1]), properties());
        assert_eq!(file.rows(), Ok(MOST_BYTES / (NUMBER * 50_000)));
        assert!(
            Written::new(lists(&[LONGEST_LIST]), properties())
                .rows()
                .is_ok()
        );
        let file = Written::new(lists(&[2, LONGEST_LIST + 1]), properties());
        assert!(std::fs::metadata(&file.path).unwrap().len() < 1 << 14);
        assert!(file.refusal().contains("a list of more than 65536 values"));
    }
    let nested = Arc::new(
        lists(&[2, 3])
            .as_any()
            .downcast_ref::<ListArray>()
            .unwrap()
            .clone(),
    );
    let item = Arc::new(Field::new("item", nested.data_type().clone(), true));
    let nested = ListArray::new(item, OffsetBuffer::from_lengths([2]), nested, None);
    let message = Written::new(Arc::new(nested), plain(VERSIONS[0])).refusal();
    assert!(message.contains("lists of other than numbers"), "{message}");
}

#[test]
fn a_dictionary_has_room_for_its_entries() {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10_000));
    let file = Written::new(numbers, WriterProperties::builder());
    assert_eq!(file.rows(), Ok(1000));
    // The header of a dictionary (field 7) that begins with 10,000 entries becomes one of a
    // million.
    file.patch(
        &[0x4C, 0x15, 0xA0, 0x9C, 0x01],
        &[0x4C, 0x15, 0xFE, 0xFF, 0x7F],
    );
    assert!(file.refusal().contains("a dictionary of more entries"));
}

/// The encodings in which lengths stand in front of the texts.
#[test]
fn there_are_no_more_lengths_than_texts() {
    for encoding in [
        Encoding::DELTA_LENGTH_BYTE_ARRAY,
        Encoding::DELTA_BYTE_ARRAY,
    ] {
        for version in VERSIONS {
            let file = Written::new(Arc::new(texts()), plain(version).set_encoding(encoding));
            assert_eq!(file.rows(), Ok(1000), "{encoding}");
            let whole = std::fs::read(&file.path).unwrap();
            // Blocks of 128 in 4 parts, 299 values; the second list of lengths has the same
            // beginning.
            let head = [0x80, 0x01, 0x04, 0xAB, 0x02];
            let places = (0..whole.len()).filter(|&at| whole[at..].starts_with(&head));
            let places: Vec<usize> = places.collect();
            assert_eq!(
                places.len(),
                1 + usize::from(encoding == Encoding::DELTA_BYTE_ARRAY)
            );
            for at in places {
                let mut bytes = whole.clone();
                bytes[at + 3..at + 5].copy_from_slice(&[0xFF, 0x7F]);
                std::fs::write(&file.path, bytes).unwrap();
                let message = file.refusal();
                assert!(message.contains("16383 lengths of 300 texts"), "{message}");
            }
        }
    }
}

#[test]
fn values_of_a_fixed_number_of_bytes_are_refused() {
    let bytes = arrow::array::FixedSizeBinaryArray::try_from_iter([[1u8; 16]].into_iter()).unwrap();
    let message = Written::new(Arc::new(bytes), plain(VERSIONS[0])).refusal();
    assert!(message.contains("FIXED_LEN_BYTE_ARRAY"), "{message}");
}
