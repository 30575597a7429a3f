//! The `DatasetDict` folder of Hugging Face's `datasets`: reading by row, writing as a stream.
//!
//! A folder holds `dataset_dict.json` and one folder per split with `data-*.arrow` (Arrow IPC
//! streams), `dataset_info.json` and `state.json`. The types and names are those of
//! `DatasetDict.save_to_disk`:
//! <https://huggingface.co/docs/datasets/package_reference/main_classes#datasets.DatasetDict.save_to_disk>.
//! A folder with `data-*.parquet` in place of these files is read too.

mod columns;
mod convert;
mod dict;
mod ipc;
mod rows;
mod split;
mod writer;

pub use columns::Columns;
pub(crate) use convert::read_table;
pub use dict::DatasetDict;
pub use rows::{Padding, Row, Rows};
pub use split::{Categories, Example, Split};
pub use writer::{DEFAULT_SHARD_BYTES, DatasetDictWriter, Format, SplitWriter, WriteOptions};

#[cfg(test)]
mod tests;
