//! Compresses the reviews of the sample, which the programs carry: a fifth of their size.

use std::fs::{self, File};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

fn main() -> std::io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/cls-acl10-unprocessed/fr");
    let out = std::env::var_os("OUT_DIR").expect("cargo sets it");
    println!("cargo:rerun-if-changed={}", root.display());
    println!("cargo:rerun-if-changed=data/build.rs");
    for category in ["books", "dvd", "music"] {
        for split in ["train", "test"] {
            let mut reviews = File::open(root.join(category).join(format!("{split}.review")))?;
            let target = Path::new(&out).join(format!("{category}-{split}.review.gz"));
            let mut packed = GzEncoder::new(fs::File::create(target)?, Compression::best());
            std::io::copy(&mut reviews, &mut packed)?;
            packed.finish()?;
        }
    }
    Ok(())
}
