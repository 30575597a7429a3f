//! Fuzzing the reader `shard_index`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flue_study_fuzz::fuzz("shard_index", bytes));
