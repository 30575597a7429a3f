//! What the head of a checkpoint was trained for. A head for another task is never taken for a
//! classifier of sequences, although transformers takes that of a multiple-choice FlauBERT for one:
//! both call their first layer `sequence_summary.summary`.

use std::fmt;

/// What a head does with the states of the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// One class for a whole sequence: the only head that is run here.
    SequenceClassification,
    /// One class for each token.
    TokenClassification,
    /// The beginning and the end of an answer.
    QuestionAnswering,
    /// A score for each of several answers.
    MultipleChoice,
    /// The token behind a mask, or the next one.
    LanguageModelling,
}

impl Task {
    /// The task of a class of transformers such as `CamembertForTokenClassification`; none for a
    /// bare encoder and for what is not known.
    pub(crate) fn of_class(class: &str) -> Option<Self> {
        const ENDINGS: [(&str, Task); 9] = [
            ("ForSequenceClassification", Task::SequenceClassification),
            ("ForTokenClassification", Task::TokenClassification),
            ("ForQuestionAnswering", Task::QuestionAnswering),
            ("ForQuestionAnsweringSimple", Task::QuestionAnswering),
            ("ForMultipleChoice", Task::MultipleChoice),
            ("ForMaskedLM", Task::LanguageModelling),
            ("ForCausalLM", Task::LanguageModelling),
            ("LMHeadModel", Task::LanguageModelling),
            ("ForPreTraining", Task::LanguageModelling),
        ];
        let known = ENDINGS.iter().find(|(ending, _)| class.ends_with(ending));
        known.map(|(_, task)| *task)
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SequenceClassification => "sequence classification",
            Self::TokenClassification => "token classification",
            Self::QuestionAnswering => "question answering",
            Self::MultipleChoice => "multiple choice",
            Self::LanguageModelling => "language modelling",
        })
    }
}

/// A head that is not one for sequences.
#[derive(Debug, Clone)]
pub(crate) struct OtherHead {
    /// What it is for.
    pub(crate) task: Task,
    /// Its tensors.
    pub(crate) tensors: Vec<String>,
}

impl fmt::Display for OtherHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a head for {} ({})", self.task, self.tensors.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::Task;

    #[test]
    fn a_class_tells_its_task() {
        for (class, task) in [
            (
                "CamembertForSequenceClassification",
                "sequence classification",
            ),
            ("XLMRobertaForTokenClassification", "token classification"),
            ("FlaubertForQuestionAnsweringSimple", "question answering"),
            ("FlaubertForQuestionAnswering", "question answering"),
            ("RobertaForMultipleChoice", "multiple choice"),
            ("FlaubertWithLMHeadModel", "language modelling"),
            ("CamembertForMaskedLM", "language modelling"),
        ] {
            assert_eq!(Task::of_class(class).unwrap().to_string(), task, "{class}");
        }
        assert_eq!(Task::of_class("CamembertModel"), None);
    }
}
