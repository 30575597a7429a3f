//! The classes of splits, side by side by name: what a label is, [`crate::corpus::Classes`] says.

use crate::corpus::{Classes, LabelMap};
use crate::dataset::Split;
use crate::error::Result;

/// Classes of data that has numbers alone: it speaks of two.
const NUMBERS: usize = 2;

/// The classes of a split.
///
/// # Errors
/// When two of them have one meaning.
pub(super) fn classes_of(split: &Split, map: &LabelMap) -> Result<Classes> {
    let source = split.folder().display();
    match split.label_names() {
        Some(names) => Classes::declared(source, names, map),
        None => Classes::numbers(source, NUMBERS, map),
    }
}

/// Splits of one dataset with their classes counted as the first one counts its own, and these classes.
///
/// # Errors
/// Those of [`Classes::places_in`].
pub(super) fn side_by_side<const N: usize>(
    splits: [Split; N],
    map: &LabelMap,
) -> Result<([Split; N], Classes)> {
    let first = classes_of(&splits[0], map)?;
    let mut aligned = splits.clone();
    for (split, aligned) in splits.iter().zip(&mut aligned) {
        let places = classes_of(split, map)?.places_in(&first)?;
        *aligned = split.relabelled(&first.given_names(), &places);
    }
    Ok((aligned, first))
}
