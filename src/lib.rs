//! The hidden embeddings of FlauBERT and CamemBERT before and after fine-tuning on FLUE CLS.
//!
//! To read the hidden states of texts, three names are enough:
//!
//! ```
//! use flue_study::{Result, TextEncoder};
//!
//! # fn main() -> Result<()> {
//! let encoder = TextEncoder::from_pretrained("models/tiny-camembert")?; // a folder, or a name at the hub
//! let texts = ["Un très bon livre, je le relirai.", "Quel ennui !"];
//! for (text, encoded) in texts.iter().zip(encoder.encode(&texts)?) {
//!     let states = encoded.hidden_states(encoded.num_layers()); // an ndarray view, tokens by hidden size
//!     assert_eq!(states.nrows(), encoded.tokens.len());
//!     let place = &encoded.offsets[1]; // of the first token behind <s>
//!     println!("{:?} is {:?}", encoded.tokens[1], &text[place.bytes.clone()]);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Four programs stand on this library: `flue-cls-prepare`, `flue-cls-finetune`, `data-cls` and
//! `study`. The modules are listed from the ground up; each imports only from those above it in this
//! list, and siblings never see each other.
// The documentation of modules is also the map of those who change them.
#![allow(rustdoc::private_intra_doc_links)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::print_stdout,
        clippy::print_stderr
    )
)]

pub use error::{Error, Result};
pub use feature_extraction::{EncodedText, TextEncoder};

pub mod error;

pub mod device;
pub mod files;
pub mod linalg;
pub mod progress;
pub mod rng;

pub mod artifact;
pub mod hub;
pub mod metrics;
pub mod nn;
pub mod tokenization;

pub mod analysis;
pub mod corpus;
pub mod dataset;
pub mod models;
pub mod plotting;

pub mod batching;

pub mod feature_extraction;
pub mod training;

pub mod pipelines;

pub mod cli;
