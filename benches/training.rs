//! Where the time of a training step goes, kernel by kernel; `benches/training_peers.py` calls it.
//!
//! `FLUE_CHECKPOINT` names the folder of a model, `FLUE_DATA` one of `flue-cls-prepare`,
//! `FLUE_STEPS` the steps of batch 8 over the first rows of `train`, after one that is not counted.
//! Every kernel of `nn` opens a `tracing` span; here their seconds are added up by name. Prints one
//! line of JSON: the seconds of all steps, and those of each kernel.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use candle_core::Device;
use flue_study::batching::PackedBatch;
use flue_study::dataset::{DatasetDict, Split};
use flue_study::error::{Error, Result};
use flue_study::models::checkpoint::load_classifier;
use flue_study::models::{Config, Gradients, Input, SequenceClassifier};
use flue_study::nn::DropoutSeed;
use flue_study::training::{AdamW, TrainingArguments};
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

const BATCH: usize = 8;

fn main() -> Result<()> {
    let Ok(checkpoint) = std::env::var("FLUE_CHECKPOINT") else {
        return Ok(());
    };
    let steps: usize = setting("FLUE_STEPS")?
        .parse()
        .map_err(Error::compute("FLUE_STEPS"))?;
    let kernels = Kernels::default();
    tracing::subscriber::set_global_default(Registry::default().with(kernels.clone()))
        .map_err(Error::compute("the subscriber"))?;
    let split = DatasetDict::open(setting("FLUE_DATA")?)?.split("train")?;
    let config = Config::read(Path::new(&checkpoint))?;
    flue_study::cli::keep_freed_memory();
    let (model, _) = load_classifier(Path::new(&checkpoint), config, &Device::Cpu, 42)?;
    let total = flue_study::device::on_worker(|| train(&*model, &split, steps, &kernels))?;
    let kernels = kernels.take();
    let line = serde_json::json!({ "seconds": total, "kernels": kernels });
    writeln!(std::io::stdout(), "{line}").map_err(Error::io("stdout", "write"))
}

fn setting(name: &str) -> Result<String> {
    std::env::var(name).map_err(|e| Error::Usage(format!("{name}: {e}")))
}

/// The seconds of `steps` updates.
fn train(
    model: &dyn SequenceClassifier,
    split: &Split,
    steps: usize,
    kernels: &Kernels,
) -> Result<f64> {
    let arguments = TrainingArguments::default();
    let mut optimizer = AdamW::new(model.parameters())?;
    let mut gradients = Gradients::new(model.parameters().len());
    let mut start = Instant::now();
    for step in 0..=steps {
        if step == 1 {
            kernels.take();
            start = Instant::now();
        }
        let first = step.saturating_sub(1) * BATCH;
        let rows: Vec<usize> = (first..first + BATCH).collect();
        let batch = PackedBatch::gather(split, &rows)?;
        let types = batch.token_type_ids.as_deref();
        let input = Input {
            ids: &batch.ids,
            columns: &batch.columns,
            token_type_ids: types.filter(|_| model.config().model_type == "flaubert"),
            bounds: &batch.bounds,
        };
        let seed = Some(DropoutSeed {
            seed: arguments.seed,
            step: step as u64,
        });
        gradients.reset();
        model.accumulate_gradients(&input, &batch.labels, 1.0, seed, &mut gradients)?;
        let rate = arguments.learning_rate;
        optimizer.step(model.parameters(), &gradients, rate, &arguments)?;
    }
    Ok(start.elapsed().as_secs_f64())
}

/// The seconds that were spent in the spans of each name. No kernel calls another.
#[derive(Clone, Default)]
struct Kernels(Arc<Mutex<BTreeMap<&'static str, f64>>>);

impl Kernels {
    fn take(&self) -> BTreeMap<&'static str, f64> {
        self.0
            .lock()
            .map(|mut k| std::mem::take(&mut *k))
            .unwrap_or_default()
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Kernels {
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Instant::now());
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else {
            return;
        };
        let begun = span.extensions().get::<Instant>().copied();
        if let (Some(begun), Ok(mut seconds)) = (begun, self.0.lock()) {
            *seconds.entry(span.name()).or_default() += begun.elapsed().as_secs_f64();
        }
    }
}
