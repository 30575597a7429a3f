//! Hidden states of a checkpoint for ids that are given.

use candle_core::{DType, Device, Tensor};
use serde_json::{Value, json};

use super::expected::States;
use crate::device::on_worker;
use crate::error::{Error, Result};
use crate::hub::Hub;
use crate::models::Input;
use crate::models::checkpoint::load_encoder;
use crate::nn::Queries;

/// The numbers of this build in the places of `expected.values`, and the largest difference.
pub(super) fn find(expected: &States, hub: &Hub, device: &Device) -> Result<(Value, f64)> {
    let folder = hub.checkpoint(&expected.checkpoint)?;
    let encoder = load_encoder(&folder, device)?;
    let padding = encoder.config().pad_token_id;
    let seen = expected.ids.iter().filter(|&&id| id != padding).count();
    let ids = &expected.ids[..seen];
    if ids.len() < expected.values.len() {
        let (found, wanted) = (ids.len(), expected.values.len());
        return Err(Error::Mismatch(format!(
            "{found} tokens that are not padding, but states of {wanted} are expected"
        )));
    }
    let columns: Vec<u32> = (0..ids.len() as u32).collect();
    let bounds = [0, ids.len()];
    let input = Input {
        ids,
        columns: &columns,
        token_type_ids: None,
        bounds: &bounds,
    };
    let layer = expected.layer.unwrap_or(encoder.config().num_layers);
    let states = on_worker(|| -> Result<Vec<Vec<f32>>> {
        let mut states = Vec::new();
        let mut keep = |number: usize, x: &Tensor| {
            if number == layer {
                states = x.to_dtype(DType::F32)?.to_vec2()?;
            }
            Ok(())
        };
        encoder.hidden_states(&input, layer, Queries::All, &mut keep)?;
        Ok(states)
    })?;
    let first = states
        .into_iter()
        .zip(&expected.values)
        .map(|(mut row, wanted)| {
            if row.len() < wanted.len() {
                let (found, wanted) = (row.len(), wanted.len());
                return Err(Error::Mismatch(format!(
                    "states of {found} numbers, but {wanted} are expected"
                )));
            }
            row.truncate(wanted.len());
            Ok(row)
        });
    let first = first.collect::<Result<Vec<_>>>()?;
    let difference = largest_difference(&expected.values, &first);
    Ok((json!(first), difference))
}

/// The largest difference between expected and found numbers; infinite where one is not a number.
fn largest_difference(expected: &[Vec<f64>], found: &[Vec<f32>]) -> f64 {
    let pairs = expected.iter().flatten().zip(found.iter().flatten());
    let differences = pairs.map(|(want, got)| match (f64::from(*got) - want).abs() {
        difference if difference.is_nan() => f64::INFINITY,
        difference => difference,
    });
    differences.fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::largest_difference;

    #[test]
    fn what_is_not_a_number_never_agrees() {
        let expected = [vec![0.0, 1.0], vec![2.0]];
        let found = |x: f32| [vec![0.0, 1.25], vec![x]];
        assert_eq!(largest_difference(&expected, &found(2.125)), 0.25);
        assert_eq!(
            largest_difference(&expected, &found(f32::NAN)),
            f64::INFINITY
        );
    }
}
