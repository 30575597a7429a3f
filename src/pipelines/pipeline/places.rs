//! The two models of a run, and where every step leaves its output.

use std::path::PathBuf;

use super::Config;
use crate::pipelines::original::{MODELS, Original, Variant};

/// Before or after fine-tuning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Raw,
    FineTuned,
}

impl Stage {
    /// In their order.
    pub(crate) const BOTH: [Self; 2] = [Self::Raw, Self::FineTuned];
}

/// One of the two models, with the names of its outputs.
pub(super) struct Model<'a> {
    /// What the original study calls it.
    pub(crate) original: &'static Original,
    /// What it is before fine-tuning.
    pub(crate) base: &'a str,
    /// Its dataset.
    pub(crate) data: PathBuf,
    /// Its folder after fine-tuning.
    pub(crate) tuned: PathBuf,
    config: &'a Config,
}

impl<'a> Model<'a> {
    /// FlauBERT and CamemBERT.
    pub(crate) fn both(config: &'a Config) -> [Self; 2] {
        let epochs = config.arguments.num_train_epochs;
        std::array::from_fn(|i| {
            let original = MODELS[i];
            Self {
                original,
                base: &config.checkpoints[i],
                data: config.out.join(original.data),
                tuned: config.out.join(original.tuned_folder(epochs)),
                config,
            }
        })
    }

    /// The names of a stage.
    pub(crate) fn variant(&self, stage: Stage) -> &'static Variant {
        match stage {
            Stage::Raw => &self.original.raw,
            Stage::FineTuned => &self.original.fine_tuned,
        }
    }

    /// The stem of its file of `[CLS]` states, and its name in tables.
    pub(crate) fn arrays(&self, stage: Stage) -> &'static str {
        self.variant(stage).name
    }

    /// Its weights.
    pub(crate) fn checkpoint(&self, stage: Stage) -> String {
        match stage {
            Stage::Raw => self.base.into(),
            Stage::FineTuned => self.tuned.to_string_lossy().into_owned(),
        }
    }

    /// Its `[CLS]` states of all layers.
    pub(crate) fn all_layers(&self, stage: Stage) -> PathBuf {
        all_layers(self.config).join(format!("{}.npy", self.arrays(stage)))
    }

    /// The same of the layers that the notebooks read.
    pub(crate) fn selected(&self, stage: Stage) -> PathBuf {
        let folder = self.config.out.join("numpy_save");
        folder.join(format!("{}.npy", self.arrays(stage)))
    }

    /// `flaubert_raw`, `camembert_ft_1`, ...: the name of its statistics by layer.
    pub(crate) fn layers_name(&self, stage: Stage) -> String {
        let epochs = self.config.arguments.num_train_epochs;
        match stage {
            Stage::Raw => self.arrays(stage).into(),
            Stage::FineTuned => format!("{}_{epochs}", self.arrays(stage)),
        }
    }

    /// The folder of its statistics by layer.
    pub(crate) fn layers(&self, stage: Stage) -> PathBuf {
        results(self.config).join(self.layers_name(stage))
    }

    /// The name of the comparison of its stages.
    pub(crate) fn compare_name(&self) -> String {
        format!("compare_{}", self.original.name)
    }

    /// The name of what its fine-tuned classifier was asked.
    pub(crate) fn convergence_name(&self) -> String {
        format!("convergence_{}", self.original.name)
    }

    fn outputs(&self) -> Vec<PathBuf> {
        let mut all = vec![self.data.clone(), self.tuned.clone()];
        for stage in Stage::BOTH {
            all.extend([
                self.all_layers(stage),
                self.selected(stage),
                self.layers(stage),
            ]);
        }
        let studies = [self.compare_name(), self.convergence_name()];
        all.extend(studies.map(|name| results(self.config).join(name)));
        all
    }
}

/// The folder of the files of [`Model::all_layers`].
pub(super) fn all_layers(config: &Config) -> PathBuf {
    config.out.join("numpy_all_layers")
}

/// The folder of all studies.
pub(super) fn results(config: &Config) -> PathBuf {
    config.out.join("results")
}

/// The probes.
pub(super) fn cls(config: &Config) -> PathBuf {
    results(config).join("cls")
}

/// The cones.
pub(super) fn cone(config: &Config) -> PathBuf {
    results(config).join("cone")
}

/// The tables of all studies.
pub(super) fn tables(config: &Config) -> PathBuf {
    config.out.join("tables")
}

/// The page.
pub(super) fn report(config: &Config) -> PathBuf {
    config.out.join("report.html")
}

/// The output of every step.
pub(super) fn outputs(config: &Config) -> Vec<PathBuf> {
    let both = Model::both(config);
    let mut all: Vec<PathBuf> = both.iter().flat_map(Model::outputs).collect();
    all.extend([cls, cone, tables, report].map(|place| place(config)));
    all
}
