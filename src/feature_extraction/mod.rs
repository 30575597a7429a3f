//! An encoder over a split; each sentence's layers go to a sink.
