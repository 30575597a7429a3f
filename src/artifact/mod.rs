//! What the programs leave on disk, as far as it tells its own story: a manifest that says what
//! made an output, the files that were read for it, its shards while it is under way, and the
//! formats that several modules write.

pub(crate) mod features;
mod inputs;
mod manifest;
pub mod npy;
mod parquet_file;
mod parquet_pages;
mod shards;
mod thrift;

pub(crate) use inputs::{Digests, Fingerprints, Inputs, difference};
pub(crate) use manifest::{Manifest, record_command};
pub(crate) use parquet_file::ParquetFile;
pub(crate) use parquet_pages::rows_at_a_time;
pub(crate) use shards::{CHUNK_ROWS, Part, Shard, ShardSet};
