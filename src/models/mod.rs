//! Encoders, classification heads and checkpoints.
