//! Fuzzing the reader `sentencepiece`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flue_study_fuzz::fuzz("sentencepiece", bytes));
