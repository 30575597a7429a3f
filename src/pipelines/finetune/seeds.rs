//! The same fine-tuning with several seeds, and how much its figures vary.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::output::{MANIFEST, RESULTS, settings};
use super::{Config, Origins, Prepared, inputs, run_on};
use crate::artifact::{Manifest, difference};
use crate::error::{Error, Result};
use crate::files::{AtomicDir, AtomicFile, presence, read_json};
use crate::pipelines::outputs;
use crate::training::Identity;

/// The figures of [`RESULTS`] that are compared.
const FIGURES: [&str; 4] = ["eval_loss", "eval_accuracy", "eval_f1", "train_loss"];

/// One figure over all runs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Spread {
    /// The mean.
    pub(crate) mean: f64,
    /// The sample standard deviation, with n − 1; null for a single run.
    pub(crate) std: Option<f64>,
    /// The figure of each run, in the order of the seeds.
    pub(crate) values: Vec<f64>,
}

impl Spread {
    fn of(values: Vec<f64>) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
        Self {
            mean,
            std: (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt()),
            values,
        }
    }
}

/// What several runs gave.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SeedsSummary {
    /// The seeds.
    pub(crate) seeds: Vec<u64>,
    /// Loss, accuracy and macro-F1 of the evaluation, and the training loss, under their names in
    /// `all_results.json`.
    #[serde(flatten)]
    pub(crate) figures: BTreeMap<&'static str, Spread>,
}

/// Fine-tune once with each seed into `SAVEDIR/seed-N`, and leave `SAVEDIR/summary.json`.
///
/// With `resume` the runs that are complete are kept, and one that was interrupted goes on.
///
/// # Errors
/// [`Error::Usage`] for a seed given twice, [`Error::OutputBusy`] when another run writes into the
/// folder, [`Error::Mismatch`] for a complete run with other settings, and those of [`super::run`].
pub(crate) fn run_seeds(config: &Config, seeds: &[u64]) -> Result<SeedsSummary> {
    config.validate()?;
    if let Some((_, twice)) = (1..).zip(seeds).find(|(i, s)| seeds[*i..].contains(s)) {
        return Err(Error::setting("seeds", twice, "it is given twice"));
    }
    let save = config.save_folder();
    for seed in seeds {
        config.keep_inputs(&save.join(format!("seed-{seed}")))?;
    }
    let refuse_existing = || match presence::is_taken(&save)? {
        true if !config.overwrite && !config.resume => Err(Error::OutputExists(save.clone())),
        _ => Ok(()),
    };
    refuse_existing()?;
    // The summary is of all runs in the folder: they are one run's.
    let _lock = outputs::lock(&save)?;
    refuse_existing()?;
    sweep(&save)?;
    let (checkpoint, prepared) = inputs(config, &save)?;
    fs::create_dir_all(&save).map_err(Error::io(&save, "create"))?;
    let mut results = Vec::new();
    for (number, &seed) in (1..).zip(seeds) {
        let mut config = config.clone();
        config.arguments.seed = seed;
        let folder = save.join(format!("seed-{seed}"));
        if !(config.resume && is_complete(&config, &folder, &checkpoint, &prepared)?) {
            tracing::info!("seed {seed}, run {number} of {}", seeds.len());
            let dir = AtomicDir::create(&folder, config.overwrite)?;
            run_on(&config, &checkpoint, &prepared, dir)?;
        }
        results.push(read_results(&folder)?);
    }
    let mut figures = BTreeMap::new();
    for key in FIGURES {
        let values = results.iter().zip(seeds).map(|(r, seed)| {
            let path = || save.join(format!("seed-{seed}")).join(RESULTS);
            figure(r, key).ok_or_else(|| {
                Error::malformed(path(), format!("key {key:?}"), &r[key], "a number")
            })
        });
        figures.insert(key, Spread::of(values.collect::<Result<_>>()?));
    }
    let summary = SeedsSummary {
        seeds: seeds.to_vec(),
        figures,
    };
    write(&save.join("summary.json"), &summary)?;
    Ok(summary)
}

/// A figure of a run: NaN is written as null.
fn figure(results: &Value, key: &str) -> Option<f64> {
    match results.get(key)? {
        Value::Null => Some(f64::NAN),
        value => value.as_f64(),
    }
}

/// Remove what killed runs left of seeds that this run may not come to.
fn sweep(save: &Path) -> Result<()> {
    let seed = |name: &String| {
        let (seed, _) = name.strip_prefix(".seed-")?.split_once('.')?;
        seed.parse::<u64>().ok()
    };
    let seeds: BTreeSet<u64> = presence::names(save)?.iter().filter_map(seed).collect();
    for seed in seeds {
        match outputs::sweep(&save.join(format!("seed-{seed}"))) {
            // A single run is at work there.
            Err(Error::OutputBusy { .. }) => {}
            swept => swept?,
        }
    }
    Ok(())
}

/// The identity of a complete run, from the settings in its manifest.
fn identity(settings: &Value, path: &Path) -> Result<Identity> {
    let arguments = serde_json::from_value(settings["arguments"].clone()).map_err(|e| {
        Error::malformed(
            path,
            "arguments",
            e,
            "the settings of a run of this toolkit",
        )
    })?;
    let others = [
        ("-c", "checkpoint"),
        ("-d", "datasets"),
        ("--label-map", "label_map"),
        ("--no-quotes", "no_quotes"),
        ("-a", "num_train"),
        ("-b", "num_test"),
        ("--dropout", "dropout"),
    ];
    let others = others.map(|(option, key)| (option, settings[key].clone()));
    Ok(Identity::new(&arguments, others))
}

/// Whether `folder` holds the complete run of `config` on these files.
fn is_complete(
    config: &Config,
    folder: &Path,
    checkpoint: &Path,
    prepared: &Prepared,
) -> Result<bool> {
    if !presence::is_taken(folder)? {
        return Ok(false);
    }
    let path = folder.join(MANIFEST);
    let made_by = Manifest::read(&path)?;
    identity(&settings(config), &path)?.check(&identity(&made_by.config, &path)?, folder)?;
    let now = Origins::of(config, checkpoint, prepared)?.manifest;
    if let Some(difference) = difference(&made_by.inputs, &now.inputs) {
        return Err(Error::Mismatch(format!(
            "{} was made from {difference}: restore what was read, or start anew with --overwrite in place of --resume",
            folder.display()
        )));
    }
    tracing::info!("{} is complete", folder.display());
    Ok(true)
}

fn read_results(folder: &Path) -> Result<Value> {
    read_json(&folder.join(RESULTS), "a file of this toolkit")
}

fn write(path: &Path, summary: &SeedsSummary) -> Result<()> {
    let mut file = AtomicFile::create(path, true)?;
    file.write_json(summary)?;
    file.write_all(b"\n").map_err(Error::io(path, "write"))?;
    file.commit()
}

#[cfg(test)]
mod tests {
    use super::{Spread, figure};
    use serde_json::json;

    #[test]
    fn a_figure_that_is_not_there_is_not_nan() {
        let results = json!({"eval_loss": null, "eval_f1": 0.5, "train_loss": "x"});
        assert!(figure(&results, "eval_loss").unwrap().is_nan());
        assert_eq!(figure(&results, "eval_f1"), Some(0.5));
        assert_eq!(figure(&results, "eval_accuracy"), None);
        assert_eq!(figure(&results, "train_loss"), None);
    }

    #[test]
    fn the_deviation_is_that_of_a_sample() {
        // statistics.stdev([2, 4, 9]) = 3.605551275463989
        let spread = Spread::of(vec![2.0, 4.0, 9.0]);
        assert_eq!(spread.mean, 5.0);
        assert!((spread.std.unwrap() - 3.605_551_275_463_989).abs() < 1e-12);
        assert_eq!(Spread::of(vec![2.0]).std, None);
    }
}
