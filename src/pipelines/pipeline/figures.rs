//! The main figures of a run, from the summaries of its steps.

use serde::Serialize;
use serde_json::Value;

use super::places::{Model, Stage};
use super::steps::Run;

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
    /// Accuracy of the original's probe on the last layer.
    pub probe_accuracy: f64,
}

/// The figures of every model and stage of a run that is complete.
pub(super) fn of(run: &Run<'_>, models: &[Model<'_>]) -> Vec<Figures> {
    let stages = models
        .iter()
        .flat_map(|m| Stage::BOTH.map(|stage| (m, stage)));
    stages
        .map(|(model, stage)| figures(run, model, stage))
        .collect()
}

fn figures(run: &Run<'_>, model: &Model<'_>, stage: Stage) -> Figures {
    let name = model.arrays(stage);
    let last = |list: &Value, own: &dyn Fn(&Value) -> bool| {
        let found = list.as_array().and_then(|l| l.iter().rfind(|v| own(v)));
        found.cloned().unwrap_or_default()
    };
    let layers = run.record.summary(&run.layers_step(model, stage));
    let layer = last(&layers["layers"], &|_| true);
    let probes = &run.record.summary("cls")["probes"];
    let probe = last(probes, &|p| p["model"] == name.as_str());
    let tuned = run.record.summary(&format!("fine-tune {}", model.name));
    let number = |v: &Value| v.as_f64().unwrap_or(f64::NAN);
    Figures {
        eval_accuracy: match stage {
            Stage::Raw => None,
            Stage::FineTuned => tuned["eval_accuracy"].as_f64(),
        },
        cosine_median: number(&layer["cosine_median"]),
        trace_median: number(&layer["trace_median"]),
        erank: number(&layer["erank"]),
        probe_accuracy: number(&probe["accuracy"]),
        model: name,
    }
}
