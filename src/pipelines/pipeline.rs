//! `study pipeline`: everything, for both models.
