//! CamemBERT (Martin et al. 2020), RoBERTa (Liu et al. 2019) and XLM-RoBERTa: the tensors' names, and what is looked up.
//!
//! References: transformers' `CamembertModel`, `RobertaEmbeddings` and `create_position_ids_from_input_ids`.

use super::Input;
use super::embeddings::Lookups;
use super::loading::Names;
use super::task::Task;

/// Names of the tensors below the prefix `roberta.`.
pub(super) const NAMES: Names = Names {
    prefix: "roberta.",
    tables: &[
        "embeddings.word_embeddings.weight",
        "embeddings.position_embeddings.weight",
        "embeddings.token_type_embeddings.weight",
    ],
    embeddings_norm: "embeddings.LayerNorm",
    qkv: [
        "encoder.layer.{}.attention.self.query",
        "encoder.layer.{}.attention.self.key",
        "encoder.layer.{}.attention.self.value",
    ],
    output: "encoder.layer.{}.attention.output.dense",
    norm1: "encoder.layer.{}.attention.output.LayerNorm",
    expand: "encoder.layer.{}.intermediate.dense",
    contract: "encoder.layer.{}.output.dense",
    norm2: "encoder.layer.{}.output.LayerNorm",
    head: &["classifier.dense", "classifier.out_proj"],
    pretraining: &["lm_head.", "roberta.pooler.", "pooler."],
    other_heads: &[
        // Multiple choice calls its only layer the same.
        ("classifier.weight", Task::TokenClassification),
        ("classifier.bias", Task::TokenClassification),
        ("qa_outputs.", Task::QuestionAnswering),
    ],
};

/// Words, positions and types. Positions count the tokens that are not padding from padding id + 1; a padding token
/// that stands in the text itself takes the padding position.
pub(super) fn lookups(input: &Input<'_>, padding: u32) -> Lookups {
    let mut positions = Vec::with_capacity(input.ids.len());
    for bounds in input.bounds.windows(2) {
        let mut next = padding;
        for &id in &input.ids[bounds[0]..bounds[1]] {
            positions.push(if id == padding {
                padding
            } else {
                next += 1;
                next
            });
        }
    }
    let types = input
        .token_type_ids
        .map_or_else(|| vec![0; input.ids.len()], <[u32]>::to_vec);
    vec![(0, input.ids.to_vec()), (1, positions), (2, types)]
}
