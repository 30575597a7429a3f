//! Groups of sentences, their correlations, tables and pictures.

use std::path::Path;

use super::super::table::{Cell, Kind, TableWriter};
use super::Correlation;
use super::classify::{Classified, TARGETS};
use crate::dataset::Categories;
use crate::error::Result;
use crate::metrics::{quantile, spearman, spearman_interval};
use crate::plotting::{self, Axis, Labels, LineChart, LineSeries};

/// The groups of sentences: all, each category, each quarter of the lengths.
fn groups<'a>(
    sentences: &'a [Classified],
    categories: Option<&Categories>,
) -> Vec<(String, Vec<&'a Classified>)> {
    let mut groups = vec![("all".to_string(), sentences.iter().collect::<Vec<_>>())];
    if let Some(categories) = categories {
        for (place, category) in categories.names().iter().enumerate() {
            let rows = (0..sentences.len()).filter(|&row| categories.place(row) == Some(place));
            let name = match category.as_str() {
                // Names of other groups.
                "all" => "category all".into(),
                name if name.ends_with("tokens") => format!("category {name:?}"),
                name => name.to_string(),
            };
            groups.push((name, rows.map(|row| &sentences[row]).collect()));
        }
    }
    let mut lengths: Vec<f64> = sentences.iter().map(|s| s.tokens as f64).collect();
    lengths.sort_unstable_by(f64::total_cmp);
    let ends = [0.0, 0.25, 0.5, 0.75, 1.0].map(|q| quantile(&lengths, q));
    for (k, pair) in ends.windows(2).enumerate() {
        let inside = |s: &&Classified| {
            let tokens = s.tokens as f64;
            (tokens > pair[0] || k == 0) && tokens <= pair[1]
        };
        let own: Vec<&Classified> = sentences.iter().filter(inside).collect();
        let shortest = own.iter().map(|s| s.tokens).min().unwrap_or_default();
        let longest = own.iter().map(|s| s.tokens).max().unwrap_or_default();
        groups.push((format!("{shortest} to {longest} tokens"), own));
    }
    groups.retain(|g| !g.1.is_empty());
    groups
}

/// The correlations of every group, target and layer.
pub(super) fn correlate(
    sentences: &[Classified],
    categories: Option<&Categories>,
) -> Result<Vec<Correlation>> {
    let layers = sentences.first().map_or(0, |s| s.cosines.len());
    let mut found = Vec::new();
    for (group, own) in groups(sentences, categories) {
        for target in TARGETS {
            for layer in 0..layers {
                // a sentence of one token has no cosine
                let known = own.iter().filter(|s| s.cosines[layer].is_finite());
                let (x, y): (Vec<f64>, Vec<f64>) =
                    known.map(|s| (s.cosines[layer], s.target(target))).unzip();
                let r = spearman(&x, &y)?;
                found.push(Correlation {
                    target,
                    group: group.clone(),
                    layer,
                    rows: x.len(),
                    spearman: r,
                    interval: spearman_interval(r, x.len()),
                });
            }
        }
    }
    Ok(found)
}

/// Write `convergence`, `sentences` and `cosines`.
pub(super) fn write_tables(
    folder: &Path,
    sentences: &[Classified],
    categories: Option<&Categories>,
    correlations: &[Correlation],
) -> Result<()> {
    use Kind::{Float, Integer, Text};
    let columns = [
        ("target", Text),
        ("group", Text),
        ("layer", Integer),
        ("rows", Integer),
        ("spearman", Float),
        ("low", Float),
        ("high", Float),
    ];
    let mut table = TableWriter::create(folder, "convergence", &columns)?;
    for c in correlations {
        table.row(&[
            c.target.into(),
            Cell::Text(&c.group),
            c.layer.into(),
            c.rows.into(),
            c.spearman.into(),
            c.interval.low.into(),
            c.interval.high.into(),
        ])?;
    }
    table.finish()?;
    let columns = [
        ("sentence", Integer),
        ("category", Text),
        ("tokens", Integer),
        ("label", Integer),
        ("predicted", Integer),
        ("confidence", Float),
        ("loss", Float),
    ];
    let mut table = TableWriter::create(folder, "sentences", &columns)?;
    let columns = [("sentence", Integer), ("layer", Integer), ("cosine", Float)];
    let mut cosines = TableWriter::create(folder, "cosines", &columns)?;
    for (i, s) in sentences.iter().enumerate() {
        table.row(&[
            i.into(),
            Cell::Text(categories.and_then(|c| c.name(i)).unwrap_or("")),
            s.tokens.into(),
            s.label.into(),
            s.predicted.into(),
            s.confidence.into(),
            s.loss.into(),
        ])?;
        for (layer, &cosine) in s.cosines.iter().enumerate() {
            cosines.row(&[i.into(), layer.into(), cosine.into()])?;
        }
    }
    table.finish()?;
    cosines.finish()
}

/// Draw the correlations over all sentences, by length and by category.
pub(super) fn draw(folder: &Path, title: &str, correlations: &[Correlation]) -> Result<()> {
    let line = |name: &str, target: &str, group: &str| {
        let own = || {
            correlations
                .iter()
                .filter(|c| c.target == target && c.group == group)
        };
        LineSeries {
            name: name.into(),
            points: own().map(|c| (c.layer as f64, c.spearman)).collect(),
            dashed: false,
            band: own().map(|c| (c.interval.low, c.interval.high)).collect(),
        }
    };
    let chart = |what: &str, series: Vec<LineSeries>| {
        LineChart {
        labels: Labels {
            title: format!("{}: {what}", title),
            subtitle: "Spearman's correlation over sentences of the mean cosine of their tokens; bands: 95 % intervals".into(),
            x: "layer".into(),
            y: "correlation".into(),
        },
        series,
        axis: Axis::Linear,
    }
    };
    let all = TARGETS.map(|t| line(t, t, "all")).to_vec();
    let what = "convergence against correctness, confidence and loss";
    plotting::save(&chart(what, all), folder, "convergence")?;
    let mut names: Vec<&str> = Vec::new();
    for c in correlations {
        if !names.contains(&c.group.as_str()) {
            names.push(&c.group);
        }
    }
    let (lengths, categories): (Vec<&str>, Vec<&str>) = names
        .into_iter()
        .filter(|g| *g != "all")
        .partition(|g| g.ends_with("tokens"));
    for (stem, what, groups) in [
        (
            "convergence_lengths",
            "convergence against confidence, by length",
            lengths,
        ),
        (
            "convergence_categories",
            "convergence against confidence, by category",
            categories,
        ),
    ] {
        if groups.len() > 1 {
            let lines = groups.iter().map(|g| line(g, "confidence", g)).collect();
            plotting::save(&chart(what, lines), folder, stem)?;
        }
    }
    Ok(())
}
