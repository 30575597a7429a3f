//! The sections of the page, from top to bottom.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::figures::{self, Dashed};
use super::overview;
use super::page::{Links, Page};
use super::results::{Results, Run, Table, source_manifest};
use super::words::Language;
use crate::artifact::Manifest;
use crate::error::{Error, Result};
use crate::plotting::Chart;

/// The whole page, ready to be finished.
pub(super) fn build(
    found: &Results,
    manifest: &Manifest,
    links: Links,
    language: Language,
) -> Result<Page> {
    let mut page = Page::new(language, links);
    overview::write(&mut page, found)?;
    for (model, runs) in found.models() {
        let names = (model.name, model.title);
        layers(&mut page, names, &runs, found.comparable)?;
    }
    for run in found.runs.iter().filter(|r| r.model.is_none()) {
        layers(&mut page, (&run.folder, &run.folder), &[run], false)?;
    }
    comparisons(&mut page, found)?;
    convergence(&mut page, found)?;
    probes(&mut page, found)?;
    cone(&mut page, found)?;
    provenance(&mut page, found, manifest)?;
    Ok(page)
}

/// The statistics by layer of one model, raw beside fine-tuned, and the further measures.
fn layers(
    page: &mut Page,
    (id, title): (&str, &str),
    runs: &[&Run],
    comparable: bool,
) -> Result<()> {
    let words = page.words();
    page.section(id, &words.by_layer.replace("{}", title));
    page.paragraph(words.by_layer_text);
    let charts = figures::side_by_side(title, runs, comparable, words);
    let pictures: [(&str, &dyn Chart); 3] = [
        ("cosine", &charts.cosine),
        ("trace", &charts.trace),
        ("erank", &charts.erank),
    ];
    for (stem, chart) in pictures {
        let tables: Vec<PathBuf> = runs
            .iter()
            .map(|r| r.folder_path.join(format!("{stem}.csv")))
            .collect();
        page.picture(
            chart,
            &tables.iter().map(PathBuf::as_path).collect::<Vec<_>>(),
        );
    }
    let tables: Vec<&Path> = runs
        .iter()
        .filter_map(|r| r.measures.as_ref().map(|t| t.path.as_path()))
        .collect();
    if tables.is_empty() {
        return Ok(());
    }
    page.section(
        &format!("{id}-measures"),
        &words.further.replace("{}", title),
    );
    page.paragraph(words.further_text);
    for measure in words.measures {
        page.picture(&figures::measure(title, runs, measure, words)?, &tables);
    }
    for run in runs {
        if let Some(table) = &run.cka {
            let name = format!("{title} {}", figures::stage_title(&run.stage, words));
            page.picture_of(&figures::cka(&name, table, words)?, table);
        }
    }
    Ok(())
}

/// What fine-tuning changes, layer by layer.
fn comparisons(page: &mut Page, found: &Results) -> Result<()> {
    if found.comparisons.is_empty() {
        return Ok(());
    }
    let words = page.words();
    page.section("comparison", words.comparison);
    page.paragraph(words.comparison_text);
    let tables: Vec<&Path> = found
        .comparisons
        .iter()
        .map(|c| c.table.path.as_path())
        .collect();
    page.picture(&figures::comparison(&found.comparisons, words)?, &tables);
    Ok(())
}

fn convergence(page: &mut Page, found: &Results) -> Result<()> {
    if found.convergence.is_empty() {
        return Ok(());
    }
    let (words, language) = (page.words(), page.language());
    page.section("convergence", words.convergence);
    page.paragraph(words.convergence_text);
    for study in &found.convergence {
        page.picture_of(&figures::convergence(study, words)?, &study.table);
        let rows = last_layer(&study.table, |word, digits| match word.parse() {
            Ok(value) => language.number(value, digits),
            Err(_) => words.group_name(word),
        })?;
        let columns: Vec<&str> = [words.group, words.sentences]
            .into_iter()
            .chain(words.targets)
            .collect();
        page.table(&columns, &rows);
    }
    Ok(())
}

/// Of every group: its size and the correlations at the last layer, with their intervals.
fn last_layer(table: &Table, number: impl Fn(&str, usize) -> String) -> Result<Vec<Vec<String>>> {
    let columns = [
        "target", "group", "layer", "rows", "spearman", "low", "high",
    ];
    let [target, group, layer, rows, value, low, high] = table.words_of(columns)?;
    let last = layer.last().copied().unwrap_or_default();
    let mut lines = Vec::new();
    for name in figures::different(&group) {
        let own = |t: &str| {
            (0..group.len()).find(|&i| group[i] == name && target[i] == t && layer[i] == last)
        };
        let mut line = vec![
            number(name, 0),
            own("loss").map_or_else(String::new, |i| rows[i].to_string()),
        ];
        for t in ["correct", "confidence", "loss"] {
            line.push(own(t).map_or_else(String::new, |i| {
                let [value, low, high] = [value[i], low[i], high[i]].map(|v| number(v, 2));
                format!("{value} [{low} ; {high}]")
            }));
        }
        lines.push(line);
    }
    Ok(lines)
}

fn probes(page: &mut Page, found: &Results) -> Result<()> {
    let Some(treillis) = &found.treillis else {
        return Ok(());
    };
    let (words, language) = (page.words(), page.language());
    page.section("probes", words.probes);
    page.paragraph(words.probes_text);
    let labels = (words.treillis_title, words.treillis_subtitle);
    page.picture_of(&figures::treillis(treillis, labels, words)?, treillis);
    if let Some(table) = &found.probes {
        let (subtitle, dashed) = match found.comparable {
            true => (words.against_published, Dashed::Published),
            false => (words.wilson, Dashed::Nothing),
        };
        let labels = (words.treillis_title, subtitle);
        page.picture_of(&figures::accuracies(table, labels, dashed, words)?, table);
    }
    if let Some(table) = &found.logistic {
        let labels = (words.logistic_title, words.logistic_subtitle);
        page.picture_of(&figures::treillis(table, labels, words)?, table);
        let labels = (words.logistic_title, words.against_control);
        let dashed = Dashed::Column("control_accuracy");
        page.picture_of(&figures::accuracies(table, labels, dashed, words)?, table);
        page.folded_table(
            words.probe_table,
            &[
                words.model,
                words.layer,
                words.original_probe,
                words.logistic,
                words.control,
                words.selectivity,
            ],
            &probe_rows(treillis, table, page)?,
        );
        page.tables(&[table]);
    }
    if let Some(table) = &found.classes {
        page.paragraph(words.classes);
        let [models, layers] = table.words_of(["model", "layer"])?;
        let values = table.numbers_of([
            "within_negative",
            "within_positive",
            "between",
            "silhouette",
        ])?;
        let rows: Vec<Vec<String>> = (0..models.len())
            .map(|i| {
                let name = figures::model_title(models[i], words);
                let mut row = vec![name, layers[i].to_string()];
                row.extend(values.iter().map(|v| language.number(v[i], 3)));
                row
            })
            .collect();
        page.folded_table(
            words.class_table,
            &[
                words.model,
                words.layer,
                words.within_negative,
                words.within_positive,
                words.between,
                words.silhouette,
            ],
            &rows,
        );
        page.tables(&[table]);
    }
    if let Some(table) = &found.curves {
        for chart in figures::curves(table, words)? {
            page.picture_of(&chart, table);
        }
    }
    Ok(())
}

/// Of every model and layer: the accuracies of the three probes, and the selectivity.
fn probe_rows(treillis: &Table, logistic: &Table, page: &Page) -> Result<Vec<Vec<String>>> {
    let language = page.language();
    let original = treillis.numbers("accuracy")?;
    let [models, layers] = treillis.words_of(["model", "layer"])?;
    let names = models.into_iter().zip(layers);
    let original: HashMap<(&str, &str), f64> = names.zip(original).collect();
    let [models, layers] = logistic.words_of(["model", "layer"])?;
    let found = logistic.numbers_of(["accuracy", "control_accuracy", "selectivity"])?;
    let row = |i: usize| {
        let (model, layer) = (models[i], layers[i]);
        let own = original.get(&(model, layer)).copied();
        let mut row = vec![figures::model_title(model, page.words()), layer.to_string()];
        row.push(language.percent(own.unwrap_or(f64::NAN)));
        row.extend(found.iter().map(|values| language.percent(values[i])));
        row
    };
    Ok((0..models.len()).map(row).collect())
}

fn cone(page: &mut Page, found: &Results) -> Result<()> {
    let Some(table) = &found.cone else {
        return Ok(());
    };
    let words = page.words();
    page.section("cone", words.cone);
    page.paragraph(words.cone_text);
    for chart in figures::cones(table, words)? {
        page.picture_of(&chart, table);
    }
    Ok(())
}

/// Write the last section; `own` is the manifest of the page itself.
fn provenance(page: &mut Page, found: &Results, own: &Manifest) -> Result<()> {
    let words = page.words();
    page.section("provenance", words.provenance);
    page.paragraph(words.provenance_text);
    let mut made = Vec::new();
    for (name, manifest) in &found.manifests {
        sources(&mut made, manifest)?;
        made.push((name.clone(), manifest.clone()));
    }
    // prepare, fine-tune, extract, study: the order in which they were run
    let rank = |program: &str| match program {
        "flue-cls-prepare" => 0,
        "flue-cls-finetune" => 1,
        "data-cls" => 2,
        _ => 3,
    };
    made.sort_by_key(|(_, m)| rank(&m.program));
    let mut commands: Vec<String> = Vec::new();
    for (name, manifest) in &made {
        let command = match &manifest.command[..] {
            [] => words.command_unknown.replace("{}", name),
            command => shell_words(command),
        };
        // All steps of a pipeline have one.
        if !commands.contains(&command) {
            commands.push(command);
        }
    }
    if !commands.is_empty() {
        page.heading(words.commands);
        page.preformatted(&commands.join("\n"));
    }
    let named = made.iter().map(|(name, m)| (format!("{name}: "), m));
    for (name, manifest) in named.chain([(String::new(), own)]) {
        let json = serde_json::to_string_pretty(manifest).map_err(Error::compute("manifest"))?;
        let title = format!("{name}{} {}", manifest.program, manifest.version);
        page.details(&title, &json);
    }
    Ok(())
}

/// The manifests of what a study read, where this toolkit made it: datasets, fine-tuned
/// checkpoints, arrays.
fn sources(made: &mut Vec<(String, Manifest)>, manifest: &Manifest) -> Result<()> {
    let folders = ["data", "datasets", "checkpoint", "other"]
        .iter()
        .filter_map(|key| manifest.config.get(key)?.as_str())
        .map(|folder| (folder, format!("{folder}/manifest.json")));
    let arrays = manifest.inputs.keys().filter(|path| path.ends_with(".npy"));
    let arrays = arrays.map(|path| (&path[..], format!("{path}.manifest.json")));
    for (name, path) in folders.chain(arrays) {
        if made.iter().any(|(known, _)| known == name) {
            continue;
        }
        if let Some(source) = source_manifest(Path::new(&path))? {
            sources(made, &source)?;
            made.push((name.to_string(), source));
        }
    }
    Ok(())
}

/// Words as a shell takes them.
fn shell_words(words: &[String]) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    let quoted = words.iter().map(|word| match word.chars().all(plain) {
        true if !word.is_empty() => word.clone(),
        _ => format!("'{}'", word.replace('\'', "'\\''")),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::shell_words;

    #[test]
    fn a_shell_takes_the_words_as_they_were() {
        let words = ["study", "--data", "l'avis à lui.csv", "", "a/b=1,2"].map(String::from);
        assert_eq!(
            shell_words(&words),
            r"study --data 'l'\''avis à lui.csv' '' a/b=1,2"
        );
    }
}
