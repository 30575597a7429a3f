//! The order of rows, and packed batches.
