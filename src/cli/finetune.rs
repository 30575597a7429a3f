//! The command line of `flue-cls-finetune`.
