//! The order of rows, and packed batches: the tokens of several rows laid end to end, without their
//! padding.

use crate::dataset::Split;
use crate::error::{Error, Result};
use crate::rng::{Stream, numpy_permutation};

/// The order in which training takes its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DataOrder {
    /// Another random order in each epoch.
    Shuffled,
    /// As they come.
    Sequential,
}

/// The first `n` rows (`None`: all) of NumPy's `default_rng(seed).permutation(len)`, which is the
/// order of `datasets.Dataset.shuffle(seed)`.
///
/// # Errors
/// [`Error::Mismatch`] when the split has fewer rows.
pub(crate) fn subset(split: &Split, n: Option<usize>, seed: u64) -> Result<Vec<usize>> {
    let n = n.unwrap_or(split.len());
    if n > split.len() {
        return Err(Error::Mismatch(format!(
            "{n} rows of {:?} were asked for, but {} has {}: ask for fewer, or for `all`",
            split.name(),
            split.folder().display(),
            split.len()
        )));
    }
    let mut rows = numpy_permutation(seed, split.len());
    rows.truncate(n);
    Ok(rows)
}

/// The order of `rows` in epoch `epoch`.
pub(crate) fn epoch_order(rows: &[usize], order: DataOrder, seed: u64, epoch: usize) -> Vec<usize> {
    match order {
        DataOrder::Sequential => rows.to_vec(),
        DataOrder::Shuffled => {
            let permutation =
                Stream::new(seed, &format!("data order of epoch {epoch}")).permutation(rows.len());
            permutation.into_iter().map(|i| rows[i]).collect()
        }
    }
}

/// The order of `rows` in epoch `epoch` such that neighbours have similar lengths; `lengths` are
/// their tokens, in the order of `rows`. A random order is cut into parts of `batch_size` times 50
/// rows (fewer where that leaves less than four parts), each sorted from long to short; the longest
/// row of all comes first, so that memory that does not suffice is noticed at once.
///
/// Reference: transformers' `LengthGroupedSampler` and `get_length_grouped_indices` in
/// `trainer_pt_utils.py`.
pub(crate) fn length_grouped_order(
    rows: &[usize],
    lengths: &[usize],
    batch_size: usize,
    seed: u64,
    epoch: usize,
) -> Vec<usize> {
    let places: Vec<usize> = (0..rows.len()).collect();
    let mut order = epoch_order(&places, DataOrder::Shuffled, seed, epoch);
    let batches = (rows.len() / (batch_size * 4)).clamp(1, 50);
    let part = batches * batch_size;
    for places in order.chunks_mut(part) {
        places.sort_by_key(|&place| std::cmp::Reverse(lengths[place]));
    }
    let heads = (0..order.len()).step_by(part);
    // The first of several that are equally long.
    if let Some(longest) = heads.rev().max_by_key(|&head| lengths[order[head]]) {
        order.swap(0, longest);
    }
    order.into_iter().map(|place| rows[place]).collect()
}

/// The tokens of B rows end to end, T in all. Only tokens whose mask is 1 are here.
#[derive(Debug, Clone, Default)]
pub struct PackedBatch {
    /// Numbers of the rows in their split (B).
    pub(crate) rows: Vec<usize>,
    /// Token ids (T).
    pub ids: Vec<u32>,
    /// Column of each token in its stored row (T).
    pub columns: Vec<u32>,
    /// Token types (T), when the split has them.
    pub token_type_ids: Option<Vec<u32>>,
    /// First token of each row, then T (B + 1).
    pub bounds: Vec<usize>,
    /// Labels (B).
    pub labels: Vec<u32>,
}

impl PackedBatch {
    /// Pack the given rows of `split`, in their order.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a row without tokens, a negative id or a label below 0, and what
    /// reading the row gives.
    pub fn gather(split: &Split, rows: &[usize]) -> Result<Self> {
        let mut batch = Self {
            rows: rows.to_vec(),
            bounds: vec![0],
            token_type_ids: split.has_token_type_ids().then(Vec::new),
            ..Self::default()
        };
        for &row in rows {
            batch.push(split, row)?;
        }
        Ok(batch)
    }

    /// Require that every token id is below `vocabulary`, the size of the model's, and no row of
    /// `split` longer than the `longest` that it has positions for.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the first row that is wrong.
    pub(crate) fn check_fits(
        &self,
        split: &Split,
        vocabulary: usize,
        longest: usize,
    ) -> Result<()> {
        let remedy =
            "was the data prepared with another tokenizer? Prepare it with this checkpoint";
        for (row, ends) in self.rows.iter().zip(self.bounds.windows(2)) {
            let ids = &self.ids[ends[0]..ends[1]];
            let wrong = match ids.iter().find(|&&id| id as usize >= vocabulary) {
                Some(id) => (
                    format!("token id {id}"),
                    format!("ids below {vocabulary}, the model's vocabulary: {remedy}"),
                ),
                None if ids.len() > longest => (
                    format!("{} tokens", ids.len()),
                    format!(
                        "the model's {longest} at most: prepare the data with --max-length {longest}"
                    ),
                ),
                None => continue,
            };
            return Err(Error::malformed(
                split.folder(),
                format!("row {row}"),
                wrong.0,
                wrong.1,
            ));
        }
        Ok(())
    }

    fn push(&mut self, split: &Split, row: usize) -> Result<()> {
        let bad = |found: String, expected: &str| {
            Error::malformed(
                split.folder(),
                format!("row {row}"),
                found,
                expected.to_owned(),
            )
        };
        let example = split.example(row)?;
        let non_negative = |what: &str, x: i64| {
            u32::try_from(x)
                .map_err(|_| bad(format!("{what} {x}"), "a number that is not negative"))
        };
        for (column, (&id, _)) in example
            .input_ids
            .iter()
            .zip(example.attention_mask)
            .enumerate()
            .filter(|(_, (_, mask))| **mask != 0)
        {
            self.ids.push(non_negative("token id", id.into())?);
            self.columns.push(column as u32);
            if let Some(types) = &mut self.token_type_ids {
                let stored = example.token_type_ids;
                let stored = stored.expect("the split says that it has token types");
                types.push(non_negative("token type", stored[column].into())?);
            }
        }
        if self.bounds.last() == Some(&self.ids.len()) {
            return Err(bad(
                "no token".into(),
                "at least the special tokens: prepare the data again",
            ));
        }
        self.bounds.push(self.ids.len());
        self.labels.push(non_negative("label", example.label)?);
        Ok(())
    }

    /// T.
    pub(crate) fn num_tokens(&self) -> usize {
        self.ids.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::DatasetDict;

    #[test]
    fn what_does_not_fit_the_model_is_named_with_its_row() {
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/study/beyond");
        let data = DatasetDict::open(format!("{fixtures}/camembert.datasets")).unwrap();
        let split = data.split("test").unwrap();
        let batch = PackedBatch::gather(&split, &[5, 3, 4]).unwrap();
        let length = |row: usize| batch.bounds[row + 1] - batch.bounds[row];
        let largest = |row: usize| {
            let ids = &batch.ids[batch.bounds[row]..batch.bounds[row + 1]];
            ids.iter().copied().max().unwrap() as usize
        };
        let (ids, tokens) = ((0..3).map(largest).max(), (0..3).map(length).max());
        let (ids, tokens) = (ids.unwrap(), tokens.unwrap());
        batch.check_fits(&split, ids + 1, tokens).unwrap();
        let refused = |vocabulary, longest| {
            let e = batch.check_fits(&split, vocabulary, longest).unwrap_err();
            e.to_string()
        };
        let row = |at: Option<usize>| format!("test, row {}", batch.rows[at.unwrap()]);
        let message = refused(ids, tokens);
        let first = (0..3).position(|i| largest(i) == ids);
        assert!(message.contains(&row(first)), "{message}");
        assert!(
            message.contains(&format!("found token id {ids}, ")),
            "{message}"
        );
        let message = refused(ids + 1, tokens - 1);
        let first = (0..3).position(|i| length(i) == tokens);
        assert!(message.contains(&row(first)), "{message}");
        assert!(
            message.contains(&format!("--max-length {}", tokens - 1)),
            "{message}"
        );
    }

    #[test]
    fn rows_of_similar_lengths_are_neighbours_and_the_longest_is_first() {
        let rows: Vec<usize> = (100..137).collect();
        let lengths: Vec<usize> = (0..37).map(|i| 10 + i * 29 % 37 / 2).collect();
        let length = |row: &usize| lengths[row - 100];
        let random = epoch_order(&rows, DataOrder::Shuffled, 7, 1);
        let got = length_grouped_order(&rows, &lengths, 3, 7, 1);
        // 37 / (3 · 4) = 3 batches to a part
        let mut want: Vec<Vec<usize>> = random.chunks(9).map(<[usize]>::to_vec).collect();
        for part in &mut want {
            part.sort_by_key(|row| std::cmp::Reverse(length(row)));
        }
        let longest = lengths.iter().max().unwrap();
        let at = want.iter().position(|p| length(&p[0]) == *longest).unwrap();
        assert!(at > 0, "this seed shows no exchange");
        let (first, long) = (want[0][0], want[at][0]);
        (want[0][0], want[at][0]) = (long, first);
        assert_eq!(got, want.concat());
        assert_ne!(got, length_grouped_order(&rows, &lengths, 3, 7, 2));
    }

    #[test]
    fn few_rows_are_one_sorted_part() {
        let got = length_grouped_order(&[5, 6, 7, 8], &[2, 9, 4, 3], 8, 1, 0);
        assert_eq!(got, [6, 7, 8, 5]);
        assert!(length_grouped_order(&[], &[], 8, 1, 0).is_empty());
    }
}
