//! Fuzzing the reader `arrow`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flue_study_fuzz::fuzz("arrow", bytes));
