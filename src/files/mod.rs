//! Files and folders, for every module that touches a disk: read within bounds, listed in order,
//! hashed, locked, and written so that they appear whole or not at all.

mod atomic;
mod content;
mod lock;
mod names;
mod occupied;
pub(crate) mod presence;

pub use atomic::{AtomicDir, AtomicFile};
pub(crate) use content::{
    Digest, open_file, parse_json, read_bytes, read_json, read_text, sha256_file, utf8, write_json,
};
pub use lock::OutputLock;
pub(crate) use lock::wait_for_lock;
pub(crate) use names::{beside, folder_of, make_folder_of, manifest_beside, name_of, shards_of};
pub(crate) use occupied::{Kind, check, clear, remove_at_once, remove_leftovers};
pub(crate) use presence::{entries, names, require_space, visible};
