//! Fuzzing the reader `review`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flue_study_fuzz::fuzz("review", bytes));
