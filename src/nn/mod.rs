//! Layers over packed sequences, each with a forward and a backward pass.
