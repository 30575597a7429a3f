//! FlauBERT (Le et al. 2020), which is XLM's encoder (Conneau and Lample 2019): the tensors' names, and what is looked up.
//!
//! Reference: transformers' `FlaubertModel`.

use super::Input;
use super::embeddings::Lookups;
use super::loading::Names;
use super::task::Task;

/// Names of the tensors below the prefix `transformer.`.
pub(super) const NAMES: Names = Names {
    prefix: "transformer.",
    tables: &["embeddings.weight", "position_embeddings.weight"],
    embeddings_norm: "layer_norm_emb",
    qkv: [
        "attentions.{}.q_lin",
        "attentions.{}.k_lin",
        "attentions.{}.v_lin",
    ],
    output: "attentions.{}.out_lin",
    norm1: "layer_norm1.{}",
    expand: "ffns.{}.lin1",
    contract: "ffns.{}.lin2",
    norm2: "layer_norm2.{}",
    head: &["sequence_summary.summary"],
    pretraining: &["pred_layer."],
    other_heads: &[
        ("classifier.", Task::TokenClassification),
        ("qa_outputs.", Task::QuestionAnswering),
        // Behind a `sequence_summary` of its own.
        ("logits_proj.", Task::MultipleChoice),
    ],
};

/// Words and positions; token types, where they are given, take rows of the *word* embeddings, as `FlaubertModel` has it.
pub(super) fn lookups(input: &Input<'_>) -> Lookups {
    let mut lookups = vec![(0, input.ids.to_vec()), (1, input.columns.to_vec())];
    if let Some(types) = input.token_type_ids {
        lookups.push((0, types.to_vec()));
    }
    lookups
}
