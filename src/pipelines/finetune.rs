//! The `flue-cls-finetune` program.
