//! The first screen: what was studied, and the main figures.

use super::figures::stage_title;
use super::page::Page;
use super::results::{Results, Run};
use crate::error::Result;
use crate::pipelines::original::{LAST_LAYER, MODELS, Original, Published};

/// The main figures of one run, at its last layer.
struct Figures {
    median_cosine: f64,
    median_trace: f64,
    erank: f64,
    probe: f64,
    /// The accuracy of the fine-tuned classifier.
    classifier: f64,
}

/// Write the first screen.
pub(super) fn write(page: &mut Page, found: &Results) -> Result<()> {
    let words = page.words();
    if !found.runs.is_empty() {
        let names: Vec<String> = found.runs.iter().map(|run| describe(page, run)).collect();
        page.list(words.studied, &names);
    }
    page.note(if found.comparable {
        words.comparable
    } else {
        words.not_comparable
    });
    page.section("figures", words.figures);
    page.paragraph(words.figures_text);
    let mut cards = Vec::new();
    for (model, runs) in found.models() {
        let figures: Vec<Figures> = runs
            .iter()
            .map(|run| figures(found, model, run))
            .collect::<Result<_>>()?;
        cards.push((
            title(page, model, &runs),
            lines(page, found, (model, &runs), &figures),
        ));
    }
    page.cards(&cards);
    if !found.comparable {
        reference(page);
    }
    Ok(())
}

/// A model, what was read, and how much of it.
fn describe(page: &Page, run: &Run) -> String {
    let words = page.words();
    let name = match run.model {
        Some(model) => format!("{} {}", model.title, stage_title(&run.stage, words)),
        None => run.folder.clone(),
    };
    let checkpoint = run.setting("/checkpoint").and_then(|v| v.as_str());
    let sentences = run
        .setting("/found/sentences/trace")
        .and_then(|v| v.as_u64());
    match (checkpoint, sentences) {
        (Some(checkpoint), Some(n)) => format!("{name} ({checkpoint}, {n} {})", words.sentences),
        _ => name,
    }
}

fn title(page: &Page, model: &Original, runs: &[&Run]) -> String {
    let stages: Vec<String> = runs
        .iter()
        .map(|r| stage_title(&r.stage, page.words()))
        .collect();
    format!(
        "{}{}{}",
        model.title,
        page.words().charts.colon,
        stages.join(" → ")
    )
}

fn figures(found: &Results, model: &Original, run: &Run) -> Result<Figures> {
    let last = |values: &[[f64; 5]]| values.last().map_or(f64::NAN, |five| five[2]);
    let mut probe = f64::NAN;
    if let Some(table) = &found.treillis {
        let [raw, fine_tuned] = model.variants();
        let variant = if run.stage == "raw" { raw } else { fine_tuned };
        let (models, accuracy) = (table.words("model")?, table.numbers("accuracy")?);
        let own = (0..models.len()).rev();
        let mut own = own.filter(|&i| models[i] == variant.name);
        probe = own.next().map_or(f64::NAN, |i| accuracy[i]);
    }
    Ok(Figures {
        median_cosine: last(&run.series.cosine),
        median_trace: last(&run.series.trace),
        erank: run.series.erank.last().copied().unwrap_or(f64::NAN),
        probe,
        classifier: run.classifier_accuracy()?,
    })
}

/// Name, "before → after", and the published pair where it may be compared.
fn lines(
    page: &Page,
    found: &Results,
    (model, runs): (&Original, &[&Run]),
    figures: &[Figures],
) -> Vec<[String; 3]> {
    let (words, language) = (page.words(), page.language());
    let printed: Vec<_> = runs.iter().map(|r| model.published(&r.stage)).collect();
    let shown = found.comparable && printed.iter().any(Option::is_some);
    let line = |name: &str,
                of: &dyn Fn(&Figures) -> f64,
                theirs: &dyn Fn(&Published) -> f64,
                write: &dyn Fn(f64) -> String| {
        let ours: Vec<String> = figures.iter().map(|f| write(of(f))).collect();
        let remark = if shown {
            let pair = printed
                .iter()
                .map(|p| write(p.map_or(f64::NAN, theirs)))
                .collect::<Vec<_>>();
            format!(
                "{}{}{}",
                words.published,
                words.charts.colon,
                pair.join(" → ")
            )
        } else {
            String::new()
        };
        [name.to_string(), ours.join(" → "), remark]
    };
    let mut lines = vec![
        line(
            words.median_cosine,
            &|f| f.median_cosine,
            &|p| p.median_cosine,
            &|v| language.number(v, 2),
        ),
        line(
            words.median_trace,
            &|f| f.median_trace,
            &|p| p.trace,
            &|v| language.number(v, if v.abs() < 100.0 { 2 } else { 0 }),
        ),
        line(words.effective_rank, &|f| f.erank, &|p| p.erank, &|v| {
            language.number(v, if v < 100.0 { 1 } else { 0 })
        }),
        line(
            words.probe_accuracy,
            &|f| f.probe,
            &|p| p.accuracy[4],
            &|v| language.percent(v),
        ),
    ];
    if figures.iter().any(|f| f.classifier.is_finite()) {
        let ours = figures.iter().map(|f| language.percent(f.classifier));
        let ours: Vec<String> = ours.collect();
        lines.push([words.classifier.into(), ours.join(" → "), String::new()]);
    }
    lines
}

/// The published figures, where they cannot stand beside ours.
fn reference(page: &mut Page) {
    let (words, language) = (page.words(), page.language());
    let row = |model: &Original, stage: &str, p: &Published| {
        vec![
            format!("{} {}", model.title, stage_title(stage, words)),
            language.number(p.median_cosine, 2),
            language.number(p.trace, if p.trace < 10.0 { 1 } else { 0 }),
            language.number(p.erank, 0),
            language.percent(p.accuracy[4]),
        ]
    };
    let rows: Vec<Vec<String>> = MODELS
        .into_iter()
        .flat_map(|model| {
            let [raw, fine_tuned] = model.variants().map(|v| &v.published);
            [row(model, "raw", raw), row(model, "ft", fine_tuned)]
        })
        .collect();
    page.heading(&format!(
        "TALN 2022, {} ({} {LAST_LAYER})",
        words.published, words.layer
    ));
    page.table(
        &[
            words.model,
            words.median_cosine,
            words.median_trace,
            words.effective_rank,
            words.probe_accuracy,
        ],
        &rows,
    );
}
