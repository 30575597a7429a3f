//! What the programs leave on disk: written beside its final name and renamed when complete, with a manifest that
//! says what made it.

mod atomic;
pub mod features;
mod inputs;
mod leftovers;
mod lock;
mod manifest;
pub mod npy;
mod occupied;
mod parquet_file;
mod parquet_pages;
mod permissions;
mod shard;
mod shards;
mod space;
mod thrift;

pub use atomic::{AtomicDir, AtomicFile};
pub use inputs::{Digests, Fingerprints, Inputs, MOST_DIGESTED, difference};
pub use leftovers::manifest_beside;
pub use lock::OutputLock;
pub use manifest::{Manifest, record_command, sha256_file};
pub use occupied::{Kind, check};
pub use parquet_file::ParquetFile;
pub use parquet_pages::rows_at_a_time;
pub use shard::{CHUNK_ROWS, Part, Shard};
pub use shards::ShardSet;
pub use space::require_space;
