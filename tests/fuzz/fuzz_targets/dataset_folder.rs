//! Fuzzing the reader `dataset_folder`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flue_study_fuzz::fuzz("dataset_folder", bytes));
