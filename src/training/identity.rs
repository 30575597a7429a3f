//! What makes the result of a run, so that only the same run goes on from a checkpoint.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{EvalStrategy, TrainingArguments};
use crate::error::{Error, Result};

/// Settings that leave the result as it is: another value may be given to a run that goes on.
const HARMLESS: [&str; 3] = ["logging_steps", "save_steps", "gradient_checkpointing"];

/// Every setting that changes the result of a run, by its option.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Identity(Vec<(String, Value)>);

impl Identity {
    /// Of `others`, the settings that training itself does not know, and then of `arguments`.
    pub(crate) fn new<'a>(
        arguments: &TrainingArguments,
        others: impl IntoIterator<Item = (&'a str, Value)>,
    ) -> Self {
        let mut arguments = arguments.clone();
        if arguments.eval_strategy == EvalStrategy::Steps {
            arguments.eval_steps.get_or_insert(arguments.logging_steps);
        }
        let mut settings: Vec<(String, Value)> = others
            .into_iter()
            .map(|(option, value)| (option.to_owned(), value))
            .collect();
        if let Value::Object(fields) = json!(arguments) {
            let changing = fields
                .into_iter()
                .filter(|(field, _)| !HARMLESS.contains(&field.as_str()));
            settings.extend(changing.map(|(field, value)| (option(&field), value)));
        }
        Self(settings)
    }

    /// Refuse to go on from `folder`, made by the run `made_by`, when a setting differs, or only
    /// one of the two has it.
    ///
    /// # Errors
    /// [`Error::Mismatch`] that names the option and, where they are words or numbers, both values.
    pub(crate) fn check(&self, made_by: &Self, folder: &Path) -> Result<()> {
        let absent = Value::Null;
        let of = |run: &'_ Self, option: &str| {
            let found = run.0.iter().find(|(o, _)| o == option);
            found.map_or(&absent, |(_, value)| value).clone()
        };
        for (option, _) in self.0.iter().chain(&made_by.0) {
            let (value, other) = (of(self, option), of(made_by, option));
            if value == other {
                continue;
            }
            // A digest says nothing to people.
            let told = |v: &Value| v.is_number() || v.as_str().is_some_and(|s| s.len() < 64);
            let difference = if told(&value) && told(&other) {
                format!("{option} {other}, not {value}")
            } else {
                format!("another {option}")
            };
            return Err(Error::Mismatch(format!(
                "{} was made with {difference}: give the same options, or start anew with --overwrite in place of --resume",
                folder.display()
            )));
        }
        Ok(())
    }
}

/// The option that sets a field of [`TrainingArguments`].
fn option(field: &str) -> String {
    match field {
        "num_train_epochs" => "--num-epochs".into(),
        "shuffle" => "--data-order".into(),
        "use_token_type_ids" => "--no-token-type-ids".into(),
        _ => format!("--{}", field.replace('_', "-")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(change: impl Fn(&mut TrainingArguments), rows: usize) -> Identity {
        let mut arguments = TrainingArguments::default();
        change(&mut arguments);
        Identity::new(&arguments, [("-a", json!(rows))])
    }

    #[test]
    fn a_difference_is_named_by_its_option() {
        let wanted = identity(|_| (), 500);
        let folder = Path::new("out.checkpoints/checkpoint-3");
        let refusal = |made_by: Identity| {
            let error = wanted.check(&made_by, folder);
            error.err().map(|e| e.to_string()).unwrap_or_default()
        };
        let cases: [(Identity, &str); 6] = [
            (identity(|_| (), 40), "with -a 40, not 500:"),
            (
                identity(|a| a.learning_rate = 1e-3, 500),
                "with --learning-rate 0.001, not 0.00005:",
            ),
            (
                identity(|a| a.num_train_epochs = 2, 500),
                "--num-epochs 2, not 1:",
            ),
            (
                identity(|a| a.shuffle = false, 500),
                "another --data-order:",
            ),
            (identity(|a| a.freeze = Some(3), 500), "another --freeze:"),
            (
                identity(|a| a.eval_strategy = EvalStrategy::Epoch, 500),
                "--eval-strategy \"epoch\", not \"no\":",
            ),
        ];
        for (made_by, words) in cases {
            let text = refusal(made_by);
            assert!(
                text.starts_with("out.checkpoints/checkpoint-3 was made"),
                "{text}"
            );
            assert!(text.contains(words), "{text}");
        }
        assert!(refusal(Identity::new(&TrainingArguments::default(), [])).contains("another -a:"));
    }

    #[test]
    fn what_changes_no_result_may_change() {
        let other = |a: &mut TrainingArguments| {
            (a.logging_steps, a.save_steps) = (1.into(), 7.into());
            a.gradient_checkpointing = true;
        };
        let (a, b) = (identity(|_| (), 1), identity(other, 1));
        assert!(a.check(&b, Path::new("x")).is_ok());
        // The evaluations follow the log when they have no interval of their own.
        let steps = |logging: u64| {
            identity(
                move |a| (a.eval_strategy, a.logging_steps) = (EvalStrategy::Steps, logging.into()),
                1,
            )
        };
        let refusal = steps(10).check(&steps(20), Path::new("x")).unwrap_err();
        assert!(
            refusal.to_string().contains("--eval-steps 20, not 10"),
            "{refusal}"
        );
    }
}
