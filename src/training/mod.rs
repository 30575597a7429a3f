//! Fine-tuning: trainer, optimizer, scheduler, state, evaluation.
