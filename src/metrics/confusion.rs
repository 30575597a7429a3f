//! Counts of true against predicted classes, and the figures made from them.

use crate::error::{Error, Result};

/// How often each true class was predicted as each class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfusionMatrix {
    classes: usize,
    /// Row: true class; column: predicted class.
    counts: Vec<u64>,
}

impl ConfusionMatrix {
    /// No prediction yet, of `classes` classes.
    pub(crate) fn new(classes: usize) -> Self {
        Self {
            classes,
            counts: vec![0; classes * classes],
        }
    }

    /// The counts of paired lists.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the lists differ in length or a class is not below `classes`.
    pub(crate) fn of(classes: usize, truth: &[usize], predicted: &[usize]) -> Result<Self> {
        if truth.len() != predicted.len() {
            return Err(Error::Mismatch(format!(
                "{} predictions for {} labels",
                predicted.len(),
                truth.len()
            )));
        }
        let mut matrix = Self::new(classes);
        for (&t, &p) in truth.iter().zip(predicted) {
            matrix.add(t, p)?;
        }
        Ok(matrix)
    }

    /// Count one prediction.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when a class is not below the number of classes.
    pub(crate) fn add(&mut self, truth: usize, predicted: usize) -> Result<()> {
        if truth >= self.classes || predicted >= self.classes {
            return Err(Error::Mismatch(format!(
                "class {} of {} classes",
                truth.max(predicted),
                self.classes
            )));
        }
        self.counts[truth * self.classes + predicted] += 1;
        Ok(())
    }

    /// How often the true class `truth` was predicted as `predicted`.
    ///
    /// # Panics
    /// When one is not below the number of classes.
    pub(crate) fn count(&self, truth: usize, predicted: usize) -> u64 {
        let n = self.classes;
        assert!(
            truth < n && predicted < n,
            "class {} of {n}",
            truth.max(predicted)
        );
        self.counts[truth * n + predicted]
    }

    /// How many predictions were counted.
    pub(crate) fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many were right.
    pub(crate) fn correct(&self) -> u64 {
        (0..self.classes).map(|c| self.count(c, c)).sum()
    }

    /// The share of right predictions; NaN when there is none.
    pub(crate) fn accuracy(&self) -> f64 {
        self.correct() as f64 / self.total() as f64
    }

    /// `2 tp / (2 tp + fp + fn)` of one class: the harmonic mean of precision and recall. 0 when
    /// nothing was right, NaN when the class was neither true nor predicted.
    ///
    /// # Panics
    /// When it is not below the number of classes.
    pub(crate) fn f1(&self, class: usize) -> f64 {
        let right = self.count(class, class);
        let truth: u64 = (0..self.classes).map(|p| self.count(class, p)).sum();
        let predicted: u64 = (0..self.classes).map(|t| self.count(t, class)).sum();
        2.0 * right as f64 / (truth + predicted) as f64
    }

    /// The mean F1 of the classes that were true or predicted at least once, as scikit-learn's
    /// `f1_score(average="macro")`. NaN when there is no prediction.
    pub(crate) fn macro_f1(&self) -> f64 {
        let scores: Vec<f64> = (0..self.classes)
            .map(|c| self.f1(c))
            .filter(|f| !f.is_nan())
            .collect();
        scores.iter().sum::<f64>() / scores.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `sklearn.metrics` 1.9 on the same lists: accuracy_score 0.625, f1_score macro
    /// 0.6238095238095238.
    #[test]
    fn as_scikit_learn() {
        let truth = [0, 0, 0, 0, 1, 1, 2, 2];
        let predicted = [0, 0, 1, 2, 1, 1, 2, 0];
        let m = ConfusionMatrix::of(4, &truth, &predicted).unwrap();
        assert_eq!((m.total(), m.correct()), (8, 5));
        assert_eq!(m.count(0, 2), 1);
        assert_eq!(m.accuracy(), 0.625);
        assert!((m.macro_f1() - 0.623_809_523_809_523_8).abs() < 1e-15);
        assert!(m.f1(3).is_nan());
    }

    #[test]
    fn wrong_input_is_refused() {
        assert!(ConfusionMatrix::of(2, &[0], &[]).is_err());
        assert!(ConfusionMatrix::of(2, &[0], &[2]).is_err());
    }

    #[test]
    fn no_prediction_and_one_class() {
        for classes in [0, 1, 2] {
            let none = ConfusionMatrix::new(classes);
            assert_eq!((none.total(), none.correct()), (0, 0));
            assert!(none.accuracy().is_nan() && none.macro_f1().is_nan());
        }
        let one = ConfusionMatrix::of(2, &[1, 1], &[1, 1]).unwrap();
        assert_eq!((one.accuracy(), one.macro_f1()), (1.0, 1.0));
        assert!(one.f1(0).is_nan());
        let wrong = ConfusionMatrix::of(2, &[1], &[0]).unwrap();
        assert_eq!((wrong.f1(0), wrong.f1(1)), (0.0, 0.0));
    }

    #[test]
    #[should_panic = "class 2 of 2"]
    fn a_class_that_does_not_exist_is_a_mistake() {
        ConfusionMatrix::new(2).count(0, 2);
    }
}
