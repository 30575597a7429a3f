//! Mergeable accumulators fed one sentence and layer at a time.
