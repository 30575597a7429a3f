//! Labelled reviews from any source, as a stream.
