//! The tables of the further measures.

use std::path::Path;

use rayon::prelude::*;

use super::super::table::{Cell, Kind, TableWriter};
use super::{Layer, Measure};
use crate::analysis::cka::Representation;
use crate::analysis::jackknife::Estimate;
use crate::error::Result;

/// Dimensions in the table of the leading ones.
pub(super) const LISTED: usize = 5;

/// Every measure of every layer, with its interval where it has one.
pub(super) fn write_measures(
    folder: &Path,
    numbers: &[usize],
    rows: &[Vec<Measure>],
) -> Result<()> {
    let columns = [
        ("layer", Kind::Integer),
        ("measure", Kind::Text),
        ("value", Kind::Float),
        ("low", Kind::Float),
        ("high", Kind::Float),
    ];
    let mut table = TableWriter::create(folder, "measures", &columns)?;
    for (&number, measures) in numbers.iter().zip(rows) {
        for Measure(name, value, interval) in measures {
            let ends = interval.map_or([f64::NAN; 2], |i| [i.low, i.high]);
            table.row(&[
                number.into(),
                Cell::Text(name),
                (*value).into(),
                ends[0].into(),
                ends[1].into(),
            ])?;
        }
    }
    table.finish()
}

/// The dimensions that add most to the similarity of tokens.
pub(super) fn write_leading(folder: &Path, numbers: &[usize], layers: &[Layer]) -> Result<()> {
    let columns = [
        ("layer", Kind::Integer),
        ("rank", Kind::Integer),
        ("dimension", Kind::Integer),
        ("share", Kind::Float),
    ];
    let mut table = TableWriter::create(folder, "leading", &columns)?;
    for (&number, layer) in numbers.iter().zip(layers) {
        let leading = layer.geometry.directions().leading(LISTED);
        for (rank, (dimension, share)) in leading.into_iter().enumerate() {
            table.row(&[
                number.into(),
                (rank + 1).into(),
                dimension.into(),
                share.into(),
            ])?;
        }
    }
    table.finish()
}

/// The likeness of all pairs of layers, over the tokens of a sample.
pub(super) fn write_cka(folder: &Path, numbers: &[usize], layers: &[Representation]) -> Result<()> {
    let columns = [
        ("layer_a", Kind::Integer),
        ("layer_b", Kind::Integer),
        ("cka", Kind::Float),
        ("low", Kind::Float),
        ("high", Kind::Float),
    ];
    let mut table = TableWriter::create(folder, "cka", &columns)?;
    let pairs: Vec<(usize, usize)> = (0..numbers.len())
        .flat_map(|a| (a..numbers.len()).map(move |b| (a, b)))
        .collect();
    let values: Vec<Estimate> = pairs
        .par_iter()
        .map(|&(a, b)| layers[a].cka(&layers[b]))
        .collect::<Result<_>>()?;
    for ((a, b), Estimate { value, interval }) in pairs.into_iter().zip(values) {
        table.row(&[
            numbers[a].into(),
            numbers[b].into(),
            value.into(),
            interval.low.into(),
            interval.high.into(),
        ])?;
    }
    table.finish()
}
