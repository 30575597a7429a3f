//! Which rows each update of a run sees.

use super::TrainingArguments;
use crate::batching::{DataOrder, epoch_order, length_grouped_order};
use crate::dataset::Split;
use crate::error::Result;

/// The rows of a run in the order in which its updates take them.
pub(super) struct RowOrder<'a> {
    rows: &'a [usize],
    arguments: &'a TrainingArguments,
    /// Tokens of each row, when rows of similar lengths are to be neighbours.
    lengths: Vec<usize>,
    /// The epoch that `order` is of.
    epoch: Option<usize>,
    order: Vec<usize>,
}

impl<'a> RowOrder<'a> {
    /// Of `rows` of `split`.
    ///
    /// # Errors
    /// What reading a row gives, where lengths are wanted.
    pub(super) fn new(
        split: &Split,
        rows: &'a [usize],
        arguments: &'a TrainingArguments,
    ) -> Result<Self> {
        let length = |&row: &usize| {
            let mask = split.example(row)?.attention_mask;
            Ok(mask.iter().filter(|m| **m != 0).count())
        };
        Ok(Self {
            rows,
            arguments,
            lengths: if arguments.group_by_length {
                rows.iter().map(length).collect::<Result<_>>()?
            } else {
                Vec::new()
            },
            epoch: None,
            order: Vec::new(),
        })
    }

    /// The rows of update `step`, counted from 0 over the whole run.
    pub(super) fn of_update(&mut self, step: u64) -> &[usize] {
        let a = self.arguments;
        let per_epoch = a.updates_per_epoch(self.rows.len());
        let epoch = (step / per_epoch) as usize;
        if self.epoch != Some(epoch) {
            self.order = self.of_epoch(epoch);
            self.epoch = Some(epoch);
        }
        let from = (step % per_epoch) as usize * a.rows_per_update();
        &self.order[from..self.rows.len().min(from + a.rows_per_update())]
    }

    fn of_epoch(&self, epoch: usize) -> Vec<usize> {
        let a = self.arguments;
        if a.group_by_length {
            let lengths = &self.lengths;
            return length_grouped_order(self.rows, lengths, a.rows_per_update(), a.seed, epoch);
        }
        let kind = if a.shuffle {
            DataOrder::Shuffled
        } else {
            DataOrder::Sequential
        };
        epoch_order(self.rows, kind, a.seed, epoch)
    }
}
