//! Fuzzing the reader `pickle`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flue_study_fuzz::fuzz("pickle", bytes));
