//! `.npy` arrays, several in one file as the original stores them.
