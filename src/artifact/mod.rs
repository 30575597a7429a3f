//! What the programs leave on disk: written beside its final name and renamed when complete, with a manifest that
//! says what made it.

mod atomic;
mod manifest;
pub mod npy;
mod shards;
mod space;

pub use atomic::{AtomicDir, AtomicFile};
pub use manifest::{Manifest, sha256_file};
pub use shards::{CHUNK_ROWS, Part, Shard, ShardSet};
pub use space::require_space;
