//! Fuzzing the reader `parquet`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flue_study_fuzz::fuzz("parquet", bytes));
