//! The studies of hidden states.
