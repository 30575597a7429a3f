//! The sections of the page, from top to bottom.

use std::path::Path;

use super::figures::{self, family_title, stage_title};
use super::page::Page;
use super::results::{Results, Run, Table};
use crate::error::Result;

/// Where the tables lie, as the page links to them.
struct Links {
    /// From the page's folder to the folder of results.
    base: String,
}

impl Links {
    fn new(results: &Path, page: Option<&Path>) -> Self {
        let page = page.filter(|p| !p.as_os_str().is_empty());
        let base = match page.and_then(|p| results.strip_prefix(p).ok()) {
            Some(inside) if inside.as_os_str().is_empty() => String::new(),
            Some(inside) => format!("{}/", inside.display()),
            None if page.is_none() && results.is_relative() => format!("{}/", results.display()),
            None => match std::path::absolute(results) {
                Ok(path) => format!("file://{}/", path.display()),
                Err(_) => format!("{}/", results.display()),
            },
        };
        Self { base }
    }

    fn to(&self, file: &str) -> (String, String) {
        (format!("{}{file}", self.base), file.to_string())
    }

    fn to_table(&self, table: &Table, results: &Path) -> (String, String) {
        let file = table.path.strip_prefix(results).unwrap_or(&table.path);
        self.to(&file.display().to_string())
    }
}

/// The whole page, ready to be finished; `page` is the folder it will stand in.
pub(super) fn build(found: &Results, results: &Path, page: Option<&Path>) -> Result<Page> {
    let links = Links::new(results, page);
    let mut page = Page::new("How FlauBERT and CamemBERT represent a review, layer by layer");
    page.section("figures", "Main figures");
    page.paragraph(
        "For every model, the last layer: the median cosine of two tokens of a sentence, the median trace of the covariance \
         of a sentence's tokens, and the effective rank of all tokens.",
    );
    main_figures(&mut page, found);
    for (family, runs) in found.families() {
        let title = family_title(family);
        page.section(family, &format!("{title}, layer by layer"));
        let charts = figures::side_by_side(title, &runs);
        let link = |stem: &str| -> Vec<_> {
            let file = |r: &&Run| links.to(&format!("{}/{stem}.csv", r.folder));
            runs.iter().map(file).collect()
        };
        page.picture(&charts.cosine, &link("cosine"));
        page.picture(&charts.trace, &link("trace"));
        page.picture(&charts.erank, &link("erank"));
    }
    for run in found.runs.iter().filter(|r| r.family.is_none()) {
        page.section(&run.folder, &run.folder);
        let charts = figures::side_by_side(&run.folder, &[run]);
        for (stem, chart) in [("cosine", &charts.cosine), ("trace", &charts.trace)] {
            page.picture(chart, &[links.to(&format!("{}/{stem}.csv", run.folder))]);
        }
        page.picture(
            &charts.erank,
            &[links.to(&format!("{}/erank.csv", run.folder))],
        );
    }
    if let Some(table) = &found.treillis {
        page.section("probes", "Linear probes");
        page.picture(
            &figures::treillis(table)?,
            &[links.to_table(table, results)],
        );
    }
    if let Some(table) = &found.curves {
        for chart in figures::curves(table)? {
            page.picture(&chart, &[links.to_table(table, results)]);
        }
    }
    if let Some(table) = &found.cone {
        page.section("cone", "One cone per class?");
        for chart in figures::cones(table)? {
            page.picture(&chart, &[links.to_table(table, results)]);
        }
    }
    page.section("provenance", "What made these figures");
    for run in &found.runs {
        if let Some(manifest) = &run.manifest {
            let text = serde_json::to_string_pretty(manifest).unwrap_or_default();
            page.details(&format!("{}: {}", run.folder, manifest.program), &text);
        }
    }
    Ok(page)
}

fn main_figures(page: &mut Page, found: &Results) {
    let rows: Vec<Vec<String>> = found
        .runs
        .iter()
        .filter_map(|run| {
            let layer = run.layers.last()?;
            let name = match run.family {
                Some(family) => format!("{} {}", family_title(family), stage_title(&run.stage)),
                None => run.folder.clone(),
            };
            Some(vec![
                name,
                layer.to_string(),
                format!("{:.3}", run.series.cosine.last()?[2]),
                format!("{:.4}", run.series.trace.last()?[2]),
                format!("{:.1}", run.series.erank.last()?),
            ])
        })
        .collect();
    if !rows.is_empty() {
        page.table(
            &[
                "model",
                "layer",
                "median cosine",
                "median trace",
                "effective rank",
            ],
            &rows,
        );
    }
}
