//! The hidden embeddings of FlauBERT and CamemBERT before and after fine-tuning on FLUE CLS.
//!
//! Four programs stand on this library: `flue-cls-prepare`, `flue-cls-finetune`, `data-cls` and `study`. The modules
//! are listed from the ground up; each imports only from those above it in this list, siblings never see each other.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::print_stdout,
        clippy::print_stderr
    )
)]

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
