//! Rows that are padded on the left: RoBERTa's positions count the tokens, XLM's are those of the
//! columns.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};

use super::{CASES, Case, close, fixture};
use crate::models::Input;
use crate::nn::Queries;

/// What a version of transformers makes of such rows; see `left_padded.py`.
fn expected(version: &str) -> HashMap<String, Tensor> {
    let file = fixture(&format!("left_padded-{version}.safetensors"));
    candle_core::safetensors::load(file, &Device::Cpu).unwrap()
}

#[test]
fn states_of_rows_padded_on_the_left_are_those_of_transformers() {
    // 5.24 cannot run the last, a FlauBERT whose norms come first.
    for (version, names) in [("4.57.1", &CASES[..]), ("5.24.0", &CASES[..3])] {
        let expected = expected(version);
        for name in names {
            let rows = |key: &str| {
                let rows = expected[&format!("{name}.{key}")].to_dtype(DType::U32);
                rows.unwrap().to_vec2::<u32>().unwrap()
            };
            let (mut ids, mut columns, mut bounds) = (vec![], vec![], vec![0]);
            for (row, mask) in rows("ids").iter().zip(rows("mask")) {
                for (column, &id) in row.iter().enumerate().filter(|(c, _)| mask[*c] == 1) {
                    ids.push(id);
                    columns.push(column as u32);
                }
                bounds.push(ids.len());
            }
            let input = Input {
                ids: &ids,
                columns: &columns,
                token_type_ids: None,
                bounds: &bounds,
            };
            let case = Case::load(name);
            let last = case.model.config().num_layers;
            let mut check = |layer: usize, states: &Tensor| {
                let want = &expected[&format!("{name}.{layer}")];
                close(&format!("{version}, {name}, {layer}"), states, want, 2e-6);
                Ok(())
            };
            case.model
                .hidden_states(&input, last, Queries::All, &mut check)
                .unwrap();
        }
    }
}

#[test]
fn a_column_beyond_the_positions_of_xlm_is_refused() {
    let input = Input {
        ids: &[7],
        columns: &[38],
        token_type_ids: None,
        bounds: &[0, 1],
    };
    let refused = Case::load("flaubert").model.logits(&input).unwrap_err();
    let message = refused.to_string();
    assert!(
        message.contains("column 38") && message.contains("--max-length 38"),
        "{message}"
    );
    // RoBERTa's positions do not depend on it.
    Case::load("camembert").model.logits(&input).unwrap();
}
