//! The original study (Fosse, Nguyen, Sébillot and Gravier, TALN 2022): its two models with the
//! names it gave their files, how it trained its probes, and the figures it published.
//!
//! Nothing else in the pipelines and the command lines knows these models by name.

use serde_json::Value;

use crate::analysis::probe::ProbeOptions;
use crate::artifact::Manifest;

/// A model of the original study.
#[derive(Debug, PartialEq)]
pub(crate) struct Original {
    /// What files and tables call it.
    pub(crate) name: &'static str,
    /// What people call it.
    pub(crate) title: &'static str,
    /// The names that its repository has on the hub; the first is the one that the study used.
    repositories: &'static [&'static str],
    /// The `model_type` of its configuration.
    pub(crate) model_type: &'static str,
    /// The folder of its tokenized reviews.
    pub(crate) data: &'static str,
    /// The name of its folder after fine-tuning, before the number of epochs.
    pub(crate) tuned: &'static str,
    /// The tiny model that takes its place in a demonstration.
    pub(crate) sample: &'static str,
    /// Epochs of its probes below the last layer, and at it.
    probe_epochs: [usize; 2],
    /// Before fine-tuning.
    pub(crate) raw: Variant,
    /// After fine-tuning.
    pub(crate) fine_tuned: Variant,
}

/// A model before or after fine-tuning.
#[derive(Debug, PartialEq)]
pub(crate) struct Variant {
    /// The stem of its file of `[CLS]` states, and its name in tables.
    pub(crate) name: &'static str,
    /// What pictures call it.
    pub(crate) title: &'static str,
    /// Adam's step size of its probe at the last layer.
    probe_rate: f64,
    /// What was published of it; after fine-tuning, of one epoch on 5,000 reviews.
    pub(crate) published: Published,
}

/// The published figures of a model.
#[derive(Debug, PartialEq)]
pub(crate) struct Published {
    /// Median cosine of two tokens of a sentence, at the last layer.
    pub(crate) median_cosine: f64,
    /// Median trace of a sentence's covariance, at the last layer.
    pub(crate) trace: f64,
    /// Effective rank, at the last layer.
    pub(crate) erank: f64,
    /// The accuracies of the probes at [`LAYERS`].
    pub(crate) accuracy: [f64; 5],
}

/// FlauBERT, base and cased.
pub(crate) static FLAUBERT: Original = Original {
    name: "flaubert",
    title: "FlauBERT",
    repositories: &["flaubert/flaubert_base_cased"],
    model_type: "flaubert",
    data: "flaubert-tokens.datasets",
    tuned: "flaubert_base_cased",
    sample: "tiny-flaubert",
    probe_epochs: [30, 30],
    raw: Variant {
        name: "flaubert_raw",
        title: "FlauBERT raw",
        probe_rate: 1e-3,
        published: Published {
            median_cosine: 0.20,
            trace: 1807.0,
            erank: 523.0,
            accuracy: [0.690, 0.711, 0.722, 0.726, 0.730],
        },
    },
    fine_tuned: Variant {
        name: "flaubert_ft",
        title: "FlauBERT fine-tuned",
        probe_rate: 1e-4,
        published: Published {
            median_cosine: 0.75,
            trace: 142.0,
            erank: 343.0,
            accuracy: [0.772, 0.854, 0.918, 0.930, 0.929],
        },
    },
};

/// CamemBERT, base.
pub(crate) static CAMEMBERT: Original = Original {
    name: "camembert",
    title: "CamemBERT",
    repositories: &["camembert-base", "almanach/camembert-base"],
    model_type: "camembert",
    data: "camembert-tokens.datasets",
    tuned: "camembert_base",
    sample: "tiny-camembert",
    probe_epochs: [200, 60],
    raw: Variant {
        name: "camembert_raw",
        title: "CamemBERT raw",
        probe_rate: 1e-3,
        published: Published {
            median_cosine: 0.37,
            trace: 16.0,
            erank: 434.0,
            accuracy: [0.730, 0.813, 0.897, 0.844, 0.896],
        },
    },
    fine_tuned: Variant {
        name: "camembert_ft",
        title: "CamemBERT fine-tuned",
        probe_rate: 1e-3,
        published: Published {
            median_cosine: 0.91,
            trace: 1.3,
            erank: 208.0,
            accuracy: [0.778, 0.866, 0.934, 0.946, 0.945],
        },
    },
};

/// Both, in the study's order.
pub(crate) static MODELS: [&Original; 2] = [&FLAUBERT, &CAMEMBERT];

/// The layers whose `[CLS]` states the study stored and probed.
pub(crate) const LAYERS: [usize; 5] = [5, 7, 9, 11, 12];

/// The layer of the published figures: the last one.
pub(crate) const LAST_LAYER: usize = 12;

/// Hidden size and number of layers of both models.
const SHAPE: [u64; 2] = [768, 12];

/// Rows of FLUE CLS.
pub(crate) const FLUE_ROWS: [(&str, u64); 2] = [("train", 5997), ("test", 5999)];

/// How the models were fine-tuned: rows and epochs.
const TRAINING: [u64; 2] = [5000, 1];

/// The model whose name begins what a folder, a file or a table calls its own, as `camembert_ft_1`,
/// with the rest.
pub(crate) fn named(name: &str) -> Option<(&'static Original, &str)> {
    let stage = |model: &Original| name.strip_prefix(model.name)?.strip_prefix('_');
    MODELS.into_iter().find_map(|m| Some((m, stage(m)?)))
}

/// The model whose title begins a title.
pub(crate) fn titled(title: &str) -> Option<&'static Original> {
    MODELS
        .into_iter()
        .find(|model| title.starts_with(model.title))
}

impl Original {
    /// The name of its checkpoint.
    pub(crate) const fn checkpoint(&self) -> &'static str {
        self.repositories[0]
    }

    /// Its folder after so many epochs of fine-tuning.
    pub(crate) fn tuned_folder(&self, epochs: usize) -> String {
        format!("{}_{epochs}", self.tuned)
    }

    /// Before and after fine-tuning.
    pub(crate) const fn variants(&self) -> [&Variant; 2] {
        [&self.raw, &self.fine_tuned]
    }

    /// What was published of a stage as files and folders call it: `raw`, `ft`, or `ft_1` for the
    /// one epoch that was published.
    pub(crate) fn published(&self, stage: &str) -> Option<&Published> {
        match stage {
            "raw" => Some(&self.raw.published),
            "ft" | "ft_1" => Some(&self.fine_tuned.published),
            _ => None,
        }
    }

    /// The study's options for the probe of one of this model's variants at a layer.
    pub(crate) fn probe(&self, variant: &Variant, layer: usize, seed: u64) -> ProbeOptions {
        let defaults = ProbeOptions::default();
        let last = layer == LAST_LAYER;
        ProbeOptions {
            epochs: self.probe_epochs[usize::from(last)],
            learning_rate: match last {
                true => variant.probe_rate,
                false => defaults.learning_rate,
            },
            seed,
            ..defaults
        }
    }

    /// Whether the model that the manifest of a study tells of has the size and the type of this
    /// one.
    pub(crate) fn has_shape_of(&self, study: &Manifest) -> bool {
        let found = |key: &str| study.config.pointer(&format!("/found/{key}"));
        let shape = ["hidden_size", "num_layers"].map(|key| found(key).and_then(Value::as_u64));
        shape == SHAPE.map(Some) && found("model_type") == Some(&self.model_type.into())
    }

    /// Whether the checkpoint that a program read came from this model's repository. A folder can
    /// be called anything; only what lies in the hub's cache has such a name in a manifest.
    pub(crate) fn is_source_of(&self, manifest: &Manifest) -> bool {
        self.repositories.iter().any(|repository| {
            let config = format!("hf://{repository}/config.json");
            manifest.inputs.contains_key(&config)
        })
    }

    /// Whether a manifest of fine-tuning tells of this model, trained as the study did it.
    pub(crate) fn was_tuned_by(&self, tuning: &Manifest) -> bool {
        let number = |pointer: &str| tuning.config.pointer(pointer).and_then(Value::as_u64);
        let training = ["/num_train", "/arguments/num_train_epochs"].map(number);
        training == TRAINING.map(Some) && self.is_source_of(tuning)
    }
}

/// Whether the dataset that a manifest tells of is FLUE CLS, whole.
pub(crate) fn is_flue(data: &Manifest) -> bool {
    let rows = |split: &str| data.results.pointer(&format!("/splits/{split}/rows"));
    data.config.get("data").is_some_and(Value::is_null)
        && FLUE_ROWS
            .iter()
            .all(|(split, n)| rows(split) == Some(&(*n).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_are_trained_as_in_the_notebooks() {
        let of = |model: &Original, variant: &Variant, layer: usize| {
            let options = model.probe(variant, layer, 7);
            (options.epochs, options.learning_rate, options.seed)
        };
        assert_eq!(of(&FLAUBERT, &FLAUBERT.raw, 12), (30, 1e-3, 7));
        assert_eq!(of(&FLAUBERT, &FLAUBERT.fine_tuned, 12), (30, 1e-4, 7));
        assert_eq!(of(&FLAUBERT, &FLAUBERT.fine_tuned, 11), (30, 1e-3, 7));
        assert_eq!(of(&CAMEMBERT, &CAMEMBERT.raw, 11), (200, 1e-3, 7));
        assert_eq!(of(&CAMEMBERT, &CAMEMBERT.fine_tuned, 12), (60, 1e-3, 7));
    }

    #[test]
    fn names_lead_to_models() {
        let found = |name| named(name).map(|(model, stage)| (model.title, stage));
        assert_eq!(found("camembert_ft_1"), Some(("CamemBERT", "ft_1")));
        assert_eq!(found("flaubert_raw"), Some(("FlauBERT", "raw")));
        assert_eq!(found("flauberts_raw"), None);
        assert_eq!(found("camembert"), None);
    }
}
