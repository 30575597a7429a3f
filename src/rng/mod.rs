//! Named random streams from one seed, and NumPy's `default_rng(seed).permutation`.
