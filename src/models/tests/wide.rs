//! Networks as wide as the published ones, where vectors end in the middle of nothing and a row has
//! many blocks: hidden size 768, heads of 64, 1,200 tokens, three labels. See
//! `tests/fixtures/models/wide.py`.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use safetensors::SafeTensors;

use super::{RELEASES, close, fixture, largest, tensor};
use crate::models::checkpoint::load_classifier;
use crate::models::{Config, Gradients, Input, SequenceClassifier};
use crate::nn::Queries;

const LENGTHS: [usize; 3] = [1200, 7, 65];
const LABELS: [u32; 3] = [2, 0, 1];
const TOKENS: [usize; 10] = [0, 1, 6, 15, 16, 63, 64, 599, 1198, 1199];
const COLUMNS: [u32; 10] = [0, 1, 15, 16, 63, 64, 100, 511, 512, 767];

/// Numbers in [0, 1) with 24 bits: splitmix64 (Steele, Lea and Flood 2014) from the FNV-1a hash of
/// a name.
fn numbers(name: &str) -> impl Iterator<Item = f64> {
    let hash = |seed: u64, byte: u8| (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    let mut state = name.bytes().fold(0xCBF2_9CE4_8422_2325, hash);
    std::iter::repeat_with(move || {
        state = u64::wrapping_add(state, 0x9E37_79B9_7F4A_7C15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1 << 24)
    })
}

/// What a release of transformers makes of a model, without the name before the keys.
struct Expected(HashMap<String, Tensor>);

impl Expected {
    fn of(&self, key: &str) -> &Tensor {
        &self.0[key]
    }

    fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Tensor)> {
        let found = self.0.iter();
        found.filter_map(move |(key, t)| Some((key.strip_prefix(prefix)?, t)))
    }

    /// The weights by their formula: norms about 1, everything else about 0.
    fn weights(&self) -> HashMap<String, Tensor> {
        let weight = |(name, shape): (&str, &Tensor)| {
            let shape: Vec<usize> = shape
                .to_vec1::<i64>()
                .unwrap()
                .into_iter()
                .map(|n| n as usize)
                .collect();
            let is_norm = shape.len() == 1 && name.ends_with("weight");
            let centre = if is_norm { 1.0 } else { 0.0 };
            let values = numbers(name).map(|u| ((u - 0.5) * 0.1 + centre) as f32);
            let values: Vec<f32> = values.take(shape.iter().product()).collect();
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
            (name.to_owned(), tensor)
        };
        self.under("shape.").map(weight).collect()
    }
}

/// The model that both sides make, and what a release of transformers makes of it.
fn load(name: &str, release: &str) -> (Box<dyn SequenceClassifier>, Expected) {
    let file = fixture(&format!("wide-{release}.safetensors"));
    let bytes = std::fs::read(&file).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let config = &metadata.metadata().as_ref().unwrap()[name];
    let tensors = candle_core::safetensors::load(&file, &Device::Cpu).unwrap();
    let of_name =
        |(key, t): (String, Tensor)| Some((key.strip_prefix(&format!("{name}."))?.to_owned(), t));
    let expected = Expected(tensors.into_iter().filter_map(of_name).collect());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    let weights = folder.path().join("model.safetensors");
    candle_core::safetensors::save(&expected.weights(), weights).unwrap();
    let config = Config::read(folder.path()).unwrap();
    let (model, report) = load_classifier(folder.path(), config, &Device::Cpu, 1).unwrap();
    assert!(
        report.initialised.is_empty() && report.unused.is_empty(),
        "{report:?}"
    );
    (model, expected)
}

/// Within `tolerance` of the largest value.
#[track_caller]
fn near(what: &str, got: &Tensor, want: &Tensor, tolerance: f32) {
    let scale = largest(want).max(1e-6);
    close(
        what,
        &(got / f64::from(scale)).unwrap(),
        &(want / f64::from(scale)).unwrap(),
        tolerance,
    );
}

#[test]
fn wide_networks_give_the_values_of_transformers() {
    for release in RELEASES {
        for name in ["camembert", "flaubert"] {
            let (model, expected) = load(name, release);
            let what = |part: &str| format!("{name}, transformers {release}, {part}");
            let (mut ids, mut columns, mut bounds) = (vec![], vec![], vec![0]);
            for (row, length) in LENGTHS.into_iter().enumerate() {
                let name = format!("ids {row}");
                let drawn = numbers(&name).take(length);
                ids.extend(drawn.map(|u| 7 + (u * 94.0) as u32));
                columns.extend(0..length as u32);
                bounds.push(ids.len());
                let want = expected.of(&format!("ids.{row}")).to_dtype(DType::U32);
                assert_eq!(want.unwrap().to_vec1::<u32>().unwrap(), ids[bounds[row]..]);
            }
            let mut input = Input {
                ids: &ids,
                columns: &columns,
                token_type_ids: None,
                bounds: &bounds,
            };
            let mut check = |layer: usize, states: &Tensor| {
                for (row, length) in LENGTHS.into_iter().enumerate() {
                    let tokens = TOKENS.into_iter().filter(|t| *t < length);
                    let rows: Vec<u32> = tokens.map(|t| (bounds[row] + t) as u32).collect();
                    let of = |numbers: &[u32]| Tensor::new(numbers, &Device::Cpu).unwrap();
                    let got = states.index_select(&of(&rows), 0)?;
                    let got = got.index_select(&of(&COLUMNS), 1)?;
                    let key = format!("hidden.{layer}.{row}");
                    near(&what(&key), &got, expected.of(&key), 2e-5);
                }
                Ok(())
            };
            model
                .hidden_states(&input, 2, Queries::All, &mut check)
                .unwrap();
            let types = vec![0; ids.len()];
            input.token_type_ids = (name == "flaubert").then_some(&types[..]);
            let logits = model.logits(&input).unwrap();
            near(&what("logits"), &logits, expected.of("logits"), 2e-5);
            gradients_agree(model.as_ref(), &input, &expected, &what);
        }
    }
}

/// The loss, and of every gradient the norm and some elements.
fn gradients_agree(
    model: &dyn SequenceClassifier,
    input: &Input<'_>,
    expected: &Expected,
    what: &dyn Fn(&str) -> String,
) {
    let mut gradients = Gradients::new(model.parameters().len());
    let loss = model.accumulate_gradients(input, &LABELS, 1.0, None, &mut gradients);
    let loss = loss.unwrap().mean().unwrap();
    let want = f64::from(expected.of("loss").to_vec1::<f32>().unwrap()[0]);
    assert!(
        (loss - want).abs() < 2e-6,
        "{}: {loss}, {want}",
        what("loss")
    );
    let mut compared = 0;
    for (id, p) in model.parameters().iter().enumerate() {
        let whole = tensor(gradients.get(id));
        let rows = whole.dim(0).unwrap() / p.names.len();
        for (part, key) in p.names.iter().enumerate() {
            let g = whole.narrow(0, part * rows, rows).unwrap();
            let g = g.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let want = expected
                .of(&format!("grad.{key}"))
                .to_vec1::<f32>()
                .unwrap();
            let norm = g.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            let error = (norm - f64::from(want[0])).abs();
            // A key's bias changes no probability: its gradient is rounding alone.
            let scale = norm.max(1e-3);
            assert!(error <= 2e-5 * scale, "{}: {norm}, {}", what(key), want[0]);
            let largest = g.iter().fold(0f32, |m, x| m.max(x.abs())).max(1e-3);
            for (k, want) in want[1..].iter().enumerate() {
                let got = g[k * 7919 % g.len()];
                let error = (got - want).abs();
                assert!(error <= 2e-4 * largest, "{}: {got}, {want}", what(key));
            }
            compared += 1;
        }
    }
    assert_eq!(compared, expected.under("grad.").count());
}
