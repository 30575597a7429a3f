//! The steps of the pipeline, each one program or study with the settings of the whole.

use std::path::PathBuf;

use super::{Config, Record};
use crate::artifact::Part;
use crate::error::Result;
use crate::pipelines::study::{
    Count, Execution, arrays, cls, compare, cone, convergence, export, layers,
};
use crate::pipelines::{extract, finetune, prepare, report};

/// Sentences whose tokens are sampled to compare a model before and after fine-tuning.
const COMPARED: Count = Count::First(200);

/// Before or after fine-tuning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Raw,
    FineTuned,
}

impl Stage {
    /// In their order.
    pub const BOTH: [Self; 2] = [Self::Raw, Self::FineTuned];
}

/// One of the two models, with the names of its outputs.
pub(super) struct Model<'a> {
    pub name: &'static str,
    title: &'static str,
    checkpoint: &'a str,
    data: PathBuf,
    tuned: PathBuf,
}

impl<'a> Model<'a> {
    /// FlauBERT and CamemBERT.
    pub fn both(config: &'a Config) -> [Self; 2] {
        let epochs = config.arguments.num_train_epochs;
        let model = |name, title, base: &str, checkpoint| Self {
            name,
            title,
            checkpoint,
            data: config.out.join(format!("{name}-tokens.datasets")),
            tuned: config.out.join(format!("{base}_{epochs}")),
        };
        [
            model(
                "flaubert",
                "FlauBERT",
                "flaubert_base_cased",
                &config.flaubert,
            ),
            model(
                "camembert",
                "CamemBERT",
                "camembert_base",
                &config.camembert,
            ),
        ]
    }

    /// The stem of its file of `[CLS]` states, and its name in tables.
    pub fn arrays(&self, stage: Stage) -> String {
        let stage = match stage {
            Stage::Raw => "raw",
            Stage::FineTuned => "ft",
        };
        format!("{}_{stage}", self.name)
    }

    fn checkpoint(&self, stage: Stage) -> String {
        match stage {
            Stage::Raw => self.checkpoint.into(),
            Stage::FineTuned => self.tuned.to_string_lossy().into_owned(),
        }
    }
}

/// A run with the steps done so far.
pub(super) struct Run<'a> {
    pub config: &'a Config,
    pub record: Record,
}

impl Run<'_> {
    /// How a step runs its model.
    fn execution(&self, overwrite: bool) -> Execution {
        Execution {
            overwrite,
            ..self.config.execution.clone()
        }
    }

    /// The folder of the files that the notebooks read.
    fn numpy_save(&self) -> PathBuf {
        self.config.out.join("numpy_save")
    }

    /// The folder of the same files with all layers.
    fn all_layers(&self) -> PathBuf {
        self.config.out.join("numpy_all_layers")
    }

    fn results(&self) -> PathBuf {
        self.config.out.join("results")
    }

    pub fn prepare(&mut self, model: &Model<'_>) -> Result<()> {
        let name = format!("prepare {}", model.name);
        let config = prepare::Config {
            checkpoint: model.checkpoint.into(),
            source: self.config.data.clone(),
            hub: self.config.execution.hub.clone(),
            ..prepare::Config::new(&model.data)
        };
        self.record.step(name, &model.data, |overwrite| {
            prepare::run(&prepare::Config {
                overwrite,
                ..config
            })
        })
    }

    pub fn finetune(&mut self, model: &Model<'_>) -> Result<()> {
        let c = self.config;
        let name = format!("fine-tune {}", model.name);
        self.record.step(name, &model.tuned, |overwrite| {
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
                device: c.execution.device.clone(),
                hub: c.execution.hub.clone(),
            })
        })
    }

    /// The `[CLS]` states of all layers.
    pub fn extract(&mut self, model: &Model<'_>, stage: Stage) -> Result<()> {
        let arrays = model.arrays(stage);
        let out = self.all_layers().join(format!("{arrays}.npy"));
        let run = extract::Run {
            data: model.data.clone(),
            checkpoint: model.checkpoint(stage),
            out: out.clone(),
        };
        let execution = self.config.execution.clone();
        let layers = "all".parse()?;
        let name = format!("data-cls {arrays}, all layers");
        self.record.step(name, &out, |overwrite| {
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
                hub: execution.hub,
            })
        })
    }

    /// The layers that the notebooks read, out of all.
    pub fn select(&mut self, model: &Model<'_>, stage: Stage) -> Result<()> {
        let arrays = model.arrays(stage);
        let file = format!("{arrays}.npy");
        let (from, to) = (self.all_layers().join(&file), self.numpy_save().join(&file));
        let layers = &self.config.layers;
        self.record
            .step(format!("data-cls {arrays}"), &to, |overwrite| {
                arrays::select(&from, &to, layers, overwrite)
            })
    }

    /// The name of the step [`layers`](Self::layers).
    pub fn layers_step(&self, model: &Model<'_>, stage: Stage) -> String {
        format!("layers {}", self.layers_folder(model, stage))
    }

    /// `flaubert_raw`, `camembert_ft_1`, ...
    fn layers_folder(&self, model: &Model<'_>, stage: Stage) -> String {
        let epochs = self.config.arguments.num_train_epochs;
        match stage {
            Stage::Raw => format!("{}_raw", model.name),
            Stage::FineTuned => format!("{}_ft_{epochs}", model.name),
        }
    }

    pub fn layers(&mut self, model: &Model<'_>, stage: Stage) -> Result<()> {
        let out = self.results().join(self.layers_folder(model, stage));
        let words = match stage {
            Stage::Raw => "raw",
            Stage::FineTuned => "fine-tuned",
        };
        let mut config = layers::Config {
            data: model.data.clone(),
            checkpoint: model.checkpoint(stage),
            out: out.clone(),
            title: format!("{} {words}", model.title),
            amounts: self.config.amounts,
            part: Part::Whole,
            execution: self.execution(false),
        };
        let name = self.layers_step(model, stage);
        self.record.step(name, &out, |overwrite| {
            config.execution.overwrite = overwrite;
            layers::run(&config)
        })
    }

    pub fn compare(&mut self, model: &Model<'_>) -> Result<()> {
        let name = format!("compare_{}", model.name);
        let out = self.results().join(&name);
        let mut config = compare::Config {
            data: model.data.clone(),
            checkpoint: model.checkpoint(Stage::Raw),
            other: model.checkpoint(Stage::FineTuned),
            out: out.clone(),
            title: format!("{} raw and fine-tuned", model.title),
            sentences: COMPARED,
            seed: self.config.amounts.seed,
            execution: self.execution(false),
        };
        self.record.step(name, &out, |overwrite| {
            config.execution.overwrite = overwrite;
            compare::run(&config)
        })
    }

    pub fn convergence(&mut self, model: &Model<'_>) -> Result<()> {
        let name = format!("convergence_{}", model.name);
        let out = self.results().join(&name);
        let mut config = convergence::Config {
            data: model.data.clone(),
            checkpoint: model.checkpoint(Stage::FineTuned),
            out: out.clone(),
            title: format!("{} fine-tuned", model.title),
            sentences: Count::All,
            use_token_type_ids: self.config.arguments.use_token_type_ids,
            execution: self.execution(false),
        };
        self.record.step(name, &out, |overwrite| {
            config.execution.overwrite = overwrite;
            convergence::run(&config)
        })
    }

    /// Probes on every layer.
    pub fn cls(&mut self) -> Result<()> {
        let out = self.results().join("cls");
        let config = cls::Config {
            npy: self.all_layers(),
            out: out.clone(),
            layers: None,
            epochs: None,
            logistic: true,
            seed: self.config.amounts.seed,
            overwrite: false,
        };
        self.record.step("cls".into(), &out, |overwrite| {
            cls::run(&cls::Config {
                overwrite,
                ..config
            })
        })
    }

    pub fn cone(&mut self) -> Result<()> {
        let out = self.results().join("cone");
        let npy = self.all_layers();
        self.record.step("cone".into(), &out, |overwrite| {
            cone::run(&cone::Config {
                npy,
                out: out.clone(),
                layers: None,
                overwrite,
            })
        })
    }

    /// Always made anew, as the report.
    pub fn export(&self) -> Result<()> {
        tracing::info!("export");
        export::run(&export::Config {
            results: self.results(),
            out: self.config.out.join("tables"),
            overwrite: true,
        })?;
        Ok(())
    }

    /// The report is always made anew: it is quick, and reads all there is.
    pub fn report(&self) -> Result<PathBuf> {
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
}
