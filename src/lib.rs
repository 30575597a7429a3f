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
//! `study`. The modules are listed from the ground up; each imports only from those above it in
//! this list, and siblings never see each other.
//!
//! # One review, from the command line to the report
//!
//! 1. `cli::prepare` turns the command line into a `pipelines::prepare::Config`; its `run` asks
//!    `hub` for the folder of the checkpoint and opens its `tokenization::Tokenizer`.
//! 2. `corpus` reads the review from a CLS tree, a table or a `DatasetDict`, with its label by
//!    name.
//! 3. The tokenizer makes ids of it, and `dataset::writer` a row of an Arrow stream, which
//!    `files::AtomicDir` renames into place with all the others and their `artifact::Manifest`.
//! 4. `study layers` opens that folder again (`dataset::DatasetDict`); `batching::PackedBatch` lays
//!    the row end to end with others, without padding.
//! 5. `feature_extraction::Extractor` runs `models::Encoder::hidden_states` over the batch and
//!    hands the states of each sentence to a sink, layer by layer.
//! 6. That sink is `pipelines::study::statistics`, which feeds the accumulators of `analysis`:
//!    cosines, traces, the effective rank.
//! 7. `pipelines::study` writes them as CSV and Parquet and draws them with `plotting`;
//!    `pipelines::report` reads the tables of all runs and writes one page.
//!
//! # One tensor, through a training step
//!
//! 1. `training::Trainer` takes the rows of an update, packs each micro-batch and calls
//!    `SequenceClassifier::accumulate_gradients`, which `models::network` implements.
//! 2. `models::architecture` says which row of which table each token takes; `models::embeddings`
//!    sums them and norms the sum: hidden state 0, (T, H).
//! 3. Each `models::block` gives its output and a closure, its way back, which owns what the
//!    backward pass needs. Every operation is a kernel of `nn`, which picks `cpu` or `plain`.
//! 4. The last block and the head see the first token of each sequence alone; `nn::cross_entropy`
//!    gives the loss and the gradient of the logits.
//! 5. The closures run in reverse. Each adds the gradients of its parameters to their
//!    `nn::GradientSlot` and passes the gradient of its input on.
//! 6. `training::AdamW` takes the norm of all gradients, clips, and updates every parameter and its
//!    moments in place, by one kernel each.
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
