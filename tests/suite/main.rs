//! One binary for all integration tests: each module drives one program or one promise of the
//! README.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod bad_input;
mod candle_peer;
mod check;
mod common;
mod data_cls;
mod extraction;
mod faults;
mod finetune;
mod help;
mod hub;
mod hub_download;
mod hub_network;
mod hub_python;
mod hub_server;
mod hub_whole;
mod labels;
mod layering;
mod made_from;
mod memory;
mod models;
mod other_heads;
mod prepare;
mod python;
mod real_study;
mod steps;
mod streams;
mod study;
mod tokenization;
mod unsafe_code;
