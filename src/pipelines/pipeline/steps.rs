//! The steps of the pipeline, each one program or study with the settings of the whole.

use std::path::PathBuf;

use super::places::{self, Model, Stage};
use super::{Config, Record};
use crate::artifact::{Inputs, Part};
use crate::error::Result;
use crate::hub::Hub;
use crate::pipelines::study::{
    self, Count, Execution, arrays, cls, compare, cone, convergence, export, layers,
};
use crate::pipelines::{extract, finetune, prepare, report};

/// Sentences whose tokens are sampled to compare a model before and after fine-tuning.
const COMPARED: Count = Count::First(200);

/// What the pipeline starts from: the corpus, and the checkpoints with their tokenizers.
///
/// # Errors
/// Those of finding the files.
pub(super) fn sources(config: &Config) -> Result<Inputs> {
    let mut all = Inputs::default();
    for model in Model::both(config) {
        let folder = folder(config, model.base)?;
        all.append(finetune::inputs_of(model.base, &folder, None)?);
        all.append(prepare::inputs_of(&preparation(config, &model))?);
    }
    Ok(all)
}

/// How the corpus is prepared for a model.
fn preparation(config: &Config, model: &Model<'_>) -> prepare::Config {
    prepare::Config {
        checkpoint: model.base.into(),
        source: config.data.clone(),
        reading: config.reading.clone(),
        hub: config.execution.hub.clone(),
        ..prepare::Config::new(&model.data)
    }
}

/// Where a checkpoint lies.
fn folder(config: &Config, checkpoint: &str) -> Result<PathBuf> {
    Hub::new(config.execution.hub.clone()).checkpoint(checkpoint)
}

/// A run with the steps done so far.
pub(super) struct Run<'a> {
    pub(crate) config: &'a Config,
    pub(crate) record: Record,
}

impl Run<'_> {
    /// How a step runs its model.
    fn execution(&self, overwrite: bool) -> Execution {
        Execution {
            overwrite,
            ..self.config.execution.clone()
        }
    }

    /// What a study of these checkpoints on a model's data reads.
    fn reads(&self, checkpoints: &[&str], model: &Model<'_>) -> Result<Inputs> {
        let folders = checkpoints
            .iter()
            .map(|name| folder(self.config, name))
            .collect::<Result<Vec<_>>>()?;
        let folders = folders.iter().map(PathBuf::as_path);
        let models: Vec<_> = checkpoints.iter().copied().zip(folders).collect();
        study::inputs(&models, &model.data)
    }

    /// The `[CLS]` states of all layers, of both models raw and fine-tuned.
    fn all_arrays(&self) -> Result<Inputs> {
        let both = Model::both(self.config);
        let files = both
            .iter()
            .flat_map(|model| Stage::BOTH.map(|stage| model.all_layers(stage)));
        arrays::inputs(files.collect::<Vec<_>>().iter())
    }

    pub(crate) fn prepare(&mut self, model: &Model<'_>) -> Result<()> {
        let name = format!("prepare {}", model.original.name);
        let config = preparation(self.config, model);
        let reads = prepare::inputs_of(&config)?;
        self.record.step(name, &model.data, &reads, |overwrite| {
            let summary = prepare::run(&prepare::Config {
                overwrite,
                ..config
            })?;
            summary.require_train_and_test(self.config.data.as_deref())?;
            Ok(summary)
        })
    }

    pub(crate) fn finetune(&mut self, model: &Model<'_>) -> Result<()> {
        let c = self.config;
        let name = format!("fine-tune {}", model.original.name);
        let folder = folder(c, model.base)?;
        let reads = finetune::inputs_of(model.base, &folder, Some(&model.data))?;
        self.record.step(name, &model.tuned, &reads, |overwrite| {
            finetune::run(&finetune::Config {
                datasets: Some(model.data.clone()),
                source: c.data.clone(),
                reading: c.reading.clone(),
                num_train: c.num_train,
                num_test: c.num_test,
                checkpoint: model.base.into(),
                save: Some(model.tuned.clone()),
                arguments: c.arguments.clone(),
                dropout: None,
                // A checkpoint is there only when training was cut off; --overwrite does not go on
                // with it.
                resume: !c.execution.overwrite,
                overwrite,
                device: c.execution.device.clone(),
                hub: c.execution.hub.clone(),
            })
        })
    }

    /// The `[CLS]` states of all layers.
    pub(crate) fn extract(&mut self, model: &Model<'_>, stage: Stage) -> Result<()> {
        let arrays = model.arrays(stage);
        let out = model.all_layers(stage);
        let run = extract::Run {
            data: model.data.clone(),
            checkpoint: model.checkpoint(stage),
            out: out.clone(),
        };
        let execution = self.config.execution.clone();
        let layers = "all".parse()?;
        let label_map = self.config.reading.label_map.clone();
        let name = format!("data-cls {arrays}, all layers");
        let folder = folder(self.config, &run.checkpoint)?;
        let reads = extract::inputs(&run, &folder, extract::Tokens::Cls)?;
        self.record.step(name, &out, &reads, |overwrite| {
            extract::run(&extract::Config {
                runs: vec![run],
                layers,
                batch_size: execution.batch_size,
                limit: None,
                tokens: extract::Tokens::Cls,
                dtype: extract::StorageType::F32,
                part: extract::Part::Whole,
                force: false,
                overwrite,
                device: execution.device,
                label_map,
                hub: execution.hub,
            })
        })
    }

    /// The layers that the notebooks read, out of all.
    pub(crate) fn select(&mut self, model: &Model<'_>, stage: Stage) -> Result<()> {
        let arrays = model.arrays(stage);
        let (from, to) = (model.all_layers(stage), model.selected(stage));
        let layers = &self.config.layers;
        let name = format!("data-cls {arrays}");
        let reads = arrays::inputs([&from].into_iter())?;
        self.record.step(name, &to, &reads, |overwrite| {
            arrays::select(&from, &to, layers, overwrite)
        })
    }

    /// The name of the step [`layers`](Self::layers).
    pub(crate) fn layers_step(&self, model: &Model<'_>, stage: Stage) -> String {
        format!("layers {}", model.layers_name(stage))
    }

    pub(crate) fn layers(&mut self, model: &Model<'_>, stage: Stage) -> Result<()> {
        let out = model.layers(stage);
        let mut config = layers::Config {
            data: model.data.clone(),
            checkpoint: model.checkpoint(stage),
            out: out.clone(),
            title: model.variant(stage).title.into(),
            amounts: self.config.amounts,
            part: Part::Whole,
            execution: self.execution(false),
        };
        let name = self.layers_step(model, stage);
        let reads = self.reads(&[&config.checkpoint], model)?;
        self.record.step(name, &out, &reads, |overwrite| {
            config.execution.overwrite = overwrite;
            layers::run(&config)
        })
    }

    pub(crate) fn compare(&mut self, model: &Model<'_>) -> Result<()> {
        let name = model.compare_name();
        let out = places::results(self.config).join(&name);
        let mut config = compare::Config {
            data: model.data.clone(),
            checkpoint: model.checkpoint(Stage::Raw),
            other: model.checkpoint(Stage::FineTuned),
            out: out.clone(),
            title: format!("{} raw and fine-tuned", model.original.title),
            sentences: COMPARED,
            seed: self.config.amounts.seed,
            execution: self.execution(false),
        };
        let reads = self.reads(&[&config.checkpoint, &config.other], model)?;
        self.record.step(name, &out, &reads, |overwrite| {
            config.execution.overwrite = overwrite;
            compare::run(&config)
        })
    }

    pub(crate) fn convergence(&mut self, model: &Model<'_>) -> Result<()> {
        let name = model.convergence_name();
        let out = places::results(self.config).join(&name);
        let mut config = convergence::Config {
            data: model.data.clone(),
            checkpoint: model.checkpoint(Stage::FineTuned),
            out: out.clone(),
            title: model.original.fine_tuned.title.into(),
            sentences: Count::All,
            use_token_type_ids: self.config.arguments.use_token_type_ids,
            label_map: self.config.reading.label_map.clone(),
            execution: self.execution(false),
        };
        let reads = self.reads(&[&config.checkpoint], model)?;
        self.record.step(name, &out, &reads, |overwrite| {
            config.execution.overwrite = overwrite;
            convergence::run(&config)
        })
    }

    /// Probes on every layer.
    pub(crate) fn cls(&mut self) -> Result<()> {
        let out = places::cls(self.config);
        let config = cls::Config {
            npy: places::all_layers(self.config),
            out: out.clone(),
            layers: None,
            label_map: self.config.reading.label_map.clone(),
            epochs: None,
            logistic: true,
            seed: self.config.amounts.seed,
            overwrite: false,
        };
        let reads = self.all_arrays()?;
        self.record.step("cls".into(), &out, &reads, |overwrite| {
            cls::run(&cls::Config {
                overwrite,
                ..config
            })
        })
    }

    pub(crate) fn cone(&mut self) -> Result<()> {
        let out = places::cone(self.config);
        let npy = places::all_layers(self.config);
        let label_map = self.config.reading.label_map.clone();
        let reads = self.all_arrays()?;
        self.record.step("cone".into(), &out, &reads, |overwrite| {
            cone::run(&cone::Config {
                npy,
                out: out.clone(),
                layers: None,
                label_map,
                overwrite,
            })
        })
    }

    /// Always made anew, as the report.
    pub(crate) fn export(&mut self) -> Result<()> {
        let results = places::results(self.config);
        let out = places::tables(self.config);
        tracing::info!("export");
        self.record.make(&out.clone(), |overwrite| {
            export::run(&export::Config {
                results,
                out,
                overwrite,
            })
        })?;
        Ok(())
    }

    /// The report is always made anew: it is quick, and reads all there is.
    pub(crate) fn report(&mut self) -> Result<PathBuf> {
        let results = places::results(self.config);
        let out = places::report(self.config);
        tracing::info!("report");
        self.record.make(&out, |overwrite| {
            report::run(&report::Config {
                results,
                out: out.clone(),
                language: report::Language::En,
                overwrite,
            })
        })?;
        Ok(out)
    }
}
