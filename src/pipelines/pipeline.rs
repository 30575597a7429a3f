//! `study pipeline`: everything, for both models: prepare, fine-tune, data-cls, all studies, the report.
//!
//! Each step leaves one output that appears whole or not at all, so a step whose output is there is done: a run that was
//! stopped goes on where it was. The settings are kept beside the outputs; other settings are refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::study::{Count, cls, compare, cone, convergence, export, layers, models};
use super::{extract, finetune, prepare, report};
use crate::artifact::{AtomicFile, OutputLock};
use crate::error::{Error, Result};
use crate::hub::HubOptions;
use crate::training::TrainingArguments;

/// Where the settings of the outputs are kept.
const SETTINGS: &str = "pipeline.json";
/// Where the summaries of the steps are kept, so that a resumed run can still name the figures.
const SUMMARIES: &str = "pipeline_summaries.json";

/// What to run, and on what.
#[derive(Debug, Clone)]
pub struct Config {
    /// The reviews: a path or the word `sample`; none for FLUE CLS.
    pub data: Option<String>,
    /// FlauBERT: a folder or a name.
    pub flaubert: String,
    /// CamemBERT: a folder or a name.
    pub camembert: String,
    /// Rows to fine-tune on; `None` for all.
    pub num_train: Option<usize>,
    /// Rows to evaluate on; `None` for all.
    pub num_test: Option<usize>,
    /// Trainer's settings.
    pub arguments: TrainingArguments,
    /// Layers whose `[CLS]` states are kept.
    pub layers: Vec<usize>,
    /// Rows computed together in extraction.
    pub batch_size: usize,
    /// Sentences of the cosines, of the traces and of the effective rank.
    pub sentences: [Count; 3],
    /// The folder of all outputs.
    pub out: PathBuf,
    /// Run every step again.
    pub overwrite: bool,
    /// Device by name.
    pub device: Option<String>,
    /// Where names are looked up.
    pub hub: HubOptions,
}

/// The main figures of one model before or after fine-tuning.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// `flaubert_raw`, `flaubert_ft`, `camembert_raw` or `camembert_ft`.
    pub model: String,
    /// Accuracy of the fine-tuned classifier on `test`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval_accuracy: Option<f64>,
    /// Median cosine of two tokens of a sentence, at the last layer.
    pub cosine_median: f64,
    /// Median trace of a sentence's covariance, at the last layer.
    pub trace_median: f64,
    /// Effective rank of all tokens, at the last layer.
    pub erank: f64,
    /// Accuracy of the linear probe on the last layer that was kept.
    pub probe_accuracy: f64,
}

/// What came out.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The page to open.
    pub report: PathBuf,
    /// The main figures of the four models.
    pub figures: Vec<Figures>,
    /// Seconds of this run.
    pub seconds: f64,
}

/// One of the two models, with the names of its outputs.
struct Model<'a> {
    name: &'static str,
    title: &'static str,
    checkpoint: &'a str,
    data: PathBuf,
    tuned: PathBuf,
}

/// Run every step whose output is not there yet.
///
/// # Errors
/// [`Error::Mismatch`] when `out` holds the outputs of other settings; [`Error::OutputBusy`] when another run is at work
/// there; those of every step. What is complete stays.
pub fn run(config: &Config) -> Result<Summary> {
    let start = Instant::now();
    fs::create_dir_all(&config.out).map_err(Error::io(&config.out, "create the folder"))?;
    let _lock = OutputLock::acquire(&config.out)?;
    let mut run = Run::open(config)?;
    let epochs = config.arguments.num_train_epochs;
    let model = |name: &'static str, title, checkpoint| Model {
        name,
        title,
        checkpoint,
        data: config.out.join(format!("{name}-tokens.datasets")),
        tuned: config.out.join(format!(
            "{name}_base{}_{epochs}",
            if name == "flaubert" { "_cased" } else { "" }
        )),
    };
    let both = [
        model("flaubert", "FlauBERT", config.flaubert.as_str()),
        model("camembert", "CamemBERT", config.camembert.as_str()),
    ];
    for model in &both {
        run.prepare(model)?;
        run.finetune(model)?;
        run.extract(model)?;
    }
    for (suffix, tuned) in [("raw".to_owned(), false), (format!("ft_{epochs}"), true)] {
        for model in &both {
            run.layers(model, &suffix, tuned)?;
        }
    }
    for model in &both {
        run.compare(model)?;
        run.convergence(model)?;
    }
    run.cls_and_cone()?;
    run.export()?;
    let report = run.report()?;
    Ok(Summary {
        report,
        figures: run.figures(&both)?,
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// A run with the summaries of the steps so far.
struct Run<'a> {
    config: &'a Config,
    summaries: Summaries,
}

#[derive(Default, Serialize, Deserialize)]
struct Summaries(serde_json::Map<String, Value>);

fn write_json(path: &Path, value: &Value) -> Result<()> {
    let mut file = AtomicFile::create(path, true)?;
    serde_json::to_writer_pretty(&mut file, value).map_err(|e| Error::Io {
        path: path.into(),
        action: "write",
        source: e.into(),
    })?;
    file.commit()
}

fn read_json(path: &Path) -> Result<Option<Value>> {
    if !path.is_file() {
        return Ok(None);
    }
    let text = fs::read_to_string(path).map_err(Error::io(path, "read"))?;
    let remedy = "the settings of an earlier run: remove the folder or choose another --out";
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|e| Error::malformed(path, format!("line {}", e.line()), e, remedy))
}

impl<'a> Run<'a> {
    fn open(config: &'a Config) -> Result<Self> {
        config.arguments.validate()?;
        let path = config.out.join(SETTINGS);
        let settings = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "data": config.data,
            "flaubert": config.flaubert,
            "camembert": config.camembert,
            "num_train": config.num_train,
            "num_test": config.num_test,
            "arguments": config.arguments,
            "layers": config.layers,
            "sentences": config.sentences,
        });
        let mut summaries = Summaries::default();
        match read_json(&path)? {
            Some(earlier) if earlier != settings && !config.overwrite => {
                return Err(Error::Mismatch(format!(
                    "{} holds the outputs of a run with other settings: pass --overwrite to run every step again, or choose another --out",
                    config.out.display()
                )));
            }
            Some(_) if !config.overwrite => {
                tracing::info!("going on in {}", config.out.display());
                if let Some(Value::Object(kept)) = read_json(&config.out.join(SUMMARIES))? {
                    summaries = Summaries(kept);
                }
            }
            _ => write_json(&path, &settings)?,
        }
        Ok(Self { config, summaries })
    }

    /// Run `work` unless its `output` is there and its summary is kept.
    fn step<S: Serialize>(
        &mut self,
        name: String,
        output: &Path,
        work: impl FnOnce(bool) -> Result<S>,
    ) -> Result<()> {
        if output.exists() && self.summaries.0.contains_key(&name) {
            tracing::info!("{name}: done already");
            return Ok(());
        }
        tracing::info!("{name}");
        // An output without its summary was cut off between the two: it is made again.
        let summary = work(self.config.overwrite || output.exists())?;
        self.summaries.0.insert(name, json!(summary));
        write_json(&self.config.out.join(SUMMARIES), &json!(self.summaries))
    }

    fn prepare(&mut self, model: &Model<'_>) -> Result<()> {
        let c = self.config;
        self.step(
            format!("prepare {}", model.name),
            &model.data,
            |overwrite| {
                prepare::run(&prepare::Config {
                    checkpoint: model.checkpoint.into(),
                    source: c.data.clone(),
                    hub: c.hub.clone(),
                    overwrite,
                    ..prepare::Config::new(&model.data)
                })
            },
        )
    }

    fn finetune(&mut self, model: &Model<'_>) -> Result<()> {
        let c = self.config;
        self.step(
            format!("fine-tune {}", model.name),
            &model.tuned,
            |overwrite| {
                finetune::run(&finetune::Config {
                    datasets: Some(model.data.clone()),
                    source: c.data.clone(),
                    num_train: c.num_train,
                    num_test: c.num_test,
                    checkpoint: model.checkpoint.into(),
                    save: Some(model.tuned.clone()),
                    arguments: c.arguments.clone(),
                    dropout: None,
                    // A checkpoint is there only when training was cut off.
                    resume: true,
                    overwrite,
                    device: c.device.clone(),
                    hub: c.hub.clone(),
                })
            },
        )
    }

    fn extract(&mut self, model: &Model<'_>) -> Result<()> {
        let c = self.config;
        let tuned = model.tuned.to_string_lossy().into_owned();
        for (kind, checkpoint) in [("raw", model.checkpoint.to_owned()), ("ft", tuned)] {
            let out = c
                .out
                .join("numpy_save")
                .join(format!("{}_{kind}.npy", model.name));
            self.step(
                format!("data-cls {}_{kind}", model.name),
                &out,
                |overwrite| {
                    let run = extract::Run {
                        data: model.data.clone(),
                        checkpoint,
                        out: out.clone(),
                    };
                    extract::run(&extract::Config {
                        runs: vec![run],
                        layers: c.layers.as_slice().into(),
                        batch_size: c.batch_size,
                        limit: None,
                        tokens: extract::Tokens::Cls,
                        dtype: extract::StorageType::F32,
                        part: extract::Part::Whole,
                        force: false,
                        overwrite,
                        device: c.device.clone(),
                        hub: c.hub.clone(),
                    })
                },
            )?;
        }
        Ok(())
    }

    fn results(&self) -> PathBuf {
        self.config.out.join("results")
    }

    fn layers(&mut self, model: &Model<'_>, suffix: &str, tuned: bool) -> Result<()> {
        let (c, results) = (self.config, self.results());
        let folder = format!("{}_{suffix}", model.name);
        let (words, checkpoint) = if tuned {
            ("fine-tuned", model.tuned.to_string_lossy().into_owned())
        } else {
            ("raw", model.checkpoint.into())
        };
        self.step(
            format!("layers {folder}"),
            &results.join(&folder),
            |overwrite| {
                let [cosine_sentences, trace_sentences, erank_sentences] = c.sentences;
                let studied = models::Model {
                    name: model.name.into(),
                    title: format!("{} {words}", model.title),
                    data: model.data.clone(),
                    checkpoint,
                };
                let config = models::Config {
                    models: Vec::new(),
                    out: results.clone(),
                    suffix: suffix.into(),
                    cosine_sentences,
                    trace_sentences,
                    erank_sentences,
                    measure_sentences: None,
                    measures: true,
                    seed: c.arguments.seed,
                    batch_size: c.batch_size,
                    device: c.device.clone(),
                    hub: c.hub.clone(),
                    overwrite,
                };
                layers::run(&config.of(&studied))
            },
        )
    }

    fn compare(&mut self, model: &Model<'_>) -> Result<()> {
        let c = self.config;
        let name = format!("compare_{}", model.name);
        let out = self.results().join(&name);
        self.step(name, &out.clone(), |overwrite| {
            compare::run(&compare::Config {
                data: model.data.clone(),
                checkpoint: model.checkpoint.into(),
                other: model.tuned.to_string_lossy().into_owned(),
                out,
                title: format!("{} raw and fine-tuned", model.title),
                sentences: Count::First(200),
                seed: c.arguments.seed,
                batch_size: c.batch_size,
                device: c.device.clone(),
                hub: c.hub.clone(),
                overwrite,
            })
        })
    }

    fn convergence(&mut self, model: &Model<'_>) -> Result<()> {
        let c = self.config;
        let name = format!("convergence_{}", model.name);
        let out = self.results().join(&name);
        self.step(name, &out.clone(), |overwrite| {
            convergence::run(&convergence::Config {
                data: model.data.clone(),
                checkpoint: model.tuned.to_string_lossy().into_owned(),
                out,
                title: format!("{} fine-tuned", model.title),
                sentences: Count::All,
                use_token_type_ids: c.arguments.use_token_type_ids,
                batch_size: c.batch_size,
                device: c.device.clone(),
                hub: c.hub.clone(),
                overwrite,
            })
        })
    }

    fn cls_and_cone(&mut self) -> Result<()> {
        let (npy, results, seed) = (
            self.config.out.join("numpy_save"),
            self.results(),
            self.config.arguments.seed,
        );
        self.step("cls".into(), &results.join("cls"), |overwrite| {
            let out = results.join("cls");
            cls::run(&cls::Config {
                npy: npy.clone(),
                out,
                layers: None,
                epochs: None,
                logistic: true,
                seed,
                overwrite,
            })
        })?;
        self.step("cone".into(), &results.join("cone"), |overwrite| {
            cone::run(&cone::Config {
                npy: npy.clone(),
                out: results.join("cone"),
                layers: None,
                overwrite,
            })
        })
    }

    /// Always made anew, as the report.
    fn export(&self) -> Result<()> {
        tracing::info!("export");
        export::run(&export::Config {
            results: self.results(),
            out: self.config.out.join("tables"),
            overwrite: true,
        })?;
        Ok(())
    }

    /// The report is always made anew: it is quick, and reads all there is.
    fn report(&mut self) -> Result<PathBuf> {
        let out = self.config.out.join("report.html");
        tracing::info!("report");
        report::run(&report::Config {
            results: self.results(),
            out: out.clone(),
            language: report::Language::En,
            overwrite: true,
        })?;
        Ok(out)
    }

    fn figures(&self, both: &[Model<'_>]) -> Result<Vec<Figures>> {
        let epochs = self.config.arguments.num_train_epochs;
        let mut figures = Vec::new();
        for model in both {
            for kind in ["raw", "ft"] {
                let name = format!("{}_{kind}", model.name);
                let suffix = if kind == "raw" {
                    kind.to_owned()
                } else {
                    format!("ft_{epochs}")
                };
                let layers = &self
                    .summaries
                    .0
                    .get(&format!("layers {}_{suffix}", model.name));
                let last = layers
                    .and_then(|l| l["layers"].as_array()?.last().cloned())
                    .unwrap_or_default();
                let mut probes = self
                    .summaries
                    .0
                    .get("cls")
                    .and_then(|c| c["probes"].as_array())
                    .into_iter()
                    .flatten();
                let probe = probes.rfind(|p| p["model"] == name.as_str());
                let tuned = self
                    .summaries
                    .0
                    .get(&format!("fine-tune {}", model.name))
                    .filter(|_| kind == "ft");
                let number = |v: &Value| v.as_f64().unwrap_or(f64::NAN);
                figures.push(Figures {
                    eval_accuracy: tuned.and_then(|t| t["eval_accuracy"].as_f64()),
                    cosine_median: number(&last["cosine_median"]),
                    trace_median: number(&last["trace_median"]),
                    erank: number(&last["erank"]),
                    probe_accuracy: probe.map_or(f64::NAN, |p| number(&p["accuracy"])),
                    model: name,
                });
            }
        }
        Ok(figures)
    }
}
