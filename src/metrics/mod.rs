//! Accuracy, F1, confusion matrix, intervals.
