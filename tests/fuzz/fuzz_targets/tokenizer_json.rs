//! Fuzzing the reader `tokenizer_json`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flue_study_fuzz::fuzz("tokenizer_json", bytes));
