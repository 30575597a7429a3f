//! The network written a second time, in candle's own operations and without a backward pass:
//! candle's autograd must find the gradients that ours finds, with every dropout at its place.

use std::collections::{BTreeSet, HashMap};

use candle_core::{Device, Tensor, Var};

use super::{CASES, Case, close};
use crate::models::{Config, Gradients, Input};
use crate::nn::{Dropout, DropoutSeed, Queries, Sequences, plain};
use crate::rng::Stream;

/// What a family calls its tensors; `{}` stands for the number of the layer.
struct Names {
    /// Those with a padding row first.
    tables: &'static [&'static str],
    padded_tables: usize,
    embeddings_norm: &'static str,
    qkv: [&'static str; 3],
    output: &'static str,
    norm1: &'static str,
    expand: &'static str,
    contract: &'static str,
    norm2: &'static str,
}

const ROBERTA: Names = Names {
    tables: &[
        "roberta.embeddings.word_embeddings.weight",
        "roberta.embeddings.position_embeddings.weight",
        "roberta.embeddings.token_type_embeddings.weight",
    ],
    padded_tables: 2,
    embeddings_norm: "roberta.embeddings.LayerNorm",
    qkv: [
        "roberta.encoder.layer.{}.attention.self.query",
        "roberta.encoder.layer.{}.attention.self.key",
        "roberta.encoder.layer.{}.attention.self.value",
    ],
    output: "roberta.encoder.layer.{}.attention.output.dense",
    norm1: "roberta.encoder.layer.{}.attention.output.LayerNorm",
    expand: "roberta.encoder.layer.{}.intermediate.dense",
    contract: "roberta.encoder.layer.{}.output.dense",
    norm2: "roberta.encoder.layer.{}.output.LayerNorm",
};

const XLM: Names = Names {
    tables: &[
        "transformer.embeddings.weight",
        "transformer.position_embeddings.weight",
    ],
    padded_tables: 1,
    embeddings_norm: "transformer.layer_norm_emb",
    qkv: [
        "transformer.attentions.{}.q_lin",
        "transformer.attentions.{}.k_lin",
        "transformer.attentions.{}.v_lin",
    ],
    output: "transformer.attentions.{}.out_lin",
    norm1: "transformer.layer_norm1.{}",
    expand: "transformer.ffns.{}.lin1",
    contract: "transformer.ffns.{}.lin2",
    norm2: "transformer.layer_norm2.{}",
};

/// The first dropout site of a head.
const HEAD_SITE: u32 = 1 << 20;

/// A classifier whose parameters are variables under their checkpoint names.
struct Reference<'a> {
    config: &'a Config,
    variables: HashMap<String, Var>,
    seed: DropoutSeed,
}

impl Reference<'_> {
    fn of(&self, name: &str) -> &Tensor {
        self.variables[name].as_tensor()
    }

    fn is_xlm(&self) -> bool {
        self.config.model_type == "flaubert"
    }

    fn names(&self) -> &'static Names {
        if self.is_xlm() { &XLM } else { &ROBERTA }
    }

    fn linear(&self, name: &str, x: &Tensor) -> Tensor {
        let weight = self.of(&format!("{name}.weight")).t().unwrap();
        let y = x.matmul(&weight).unwrap();
        y.broadcast_add(self.of(&format!("{name}.bias"))).unwrap()
    }

    fn norm(&self, name: &str, x: &Tensor) -> Tensor {
        let (gamma, beta) = (format!("{name}.weight"), format!("{name}.bias"));
        let epsilon = self.config.layer_norm_eps;
        plain::layer_norm(x, self.of(&gamma), self.of(&beta), epsilon).unwrap()
    }

    fn dropped(&self, x: &Tensor, p: f64, site: u32) -> Tensor {
        let Some(dropout) = Dropout::new(p, site, self.seed) else {
            return x.clone();
        };
        let (rows, width) = x.dims2().unwrap();
        x.mul(&dropout.mask(0, rows, width, x.device()).unwrap())
            .unwrap()
    }

    /// Which row of which table each token takes.
    fn lookups(&self, input: &Input<'_>) -> Vec<(usize, Vec<u32>)> {
        let (pad, types) = (self.config.pad_token_id, input.token_type_ids.unwrap());
        let position = |ids: &[u32], i: usize| match ids[i] == pad {
            true => pad,
            false => pad + ids[..=i].iter().filter(|&&id| id != pad).count() as u32,
        };
        let of_sequence = |b: &[usize]| {
            let ids = &input.ids[b[0]..b[1]];
            let positions = (0..ids.len()).map(|i| position(ids, i));
            positions.collect::<Vec<_>>()
        };
        let (positions, table_of_types) = match self.is_xlm() {
            false => (input.bounds.windows(2).flat_map(of_sequence).collect(), 2),
            true => (input.columns.to_vec(), 0),
        };
        let types = (table_of_types, types.to_vec());
        vec![(0, input.ids.to_vec()), (1, positions), types]
    }

    fn embeddings(&self, input: &Input<'_>) -> Tensor {
        let names = self.names();
        let lookups = self.lookups(input);
        let rows = lookups.iter().map(|(table, ids)| {
            let ids = Tensor::new(&ids[..], &Device::Cpu).unwrap();
            let table = self.of(names.tables[*table]);
            table.index_select(&ids, 0).unwrap()
        });
        let sum = rows.reduce(|a, b| (a + b).unwrap()).unwrap();
        let x = self.norm(names.embeddings_norm, &sum);
        self.dropped(&x, self.config.hidden_dropout, 0)
    }

    /// Layer `i` for `queries`; its dropouts have the sites 1, 2 and 3 of four.
    fn layer(&self, i: usize, x: &Tensor, sequences: &Sequences, queries: Queries) -> Tensor {
        let (config, names) = (self.config, self.names());
        let name = |pattern: &str| pattern.replace("{}", &i.to_string());
        let site = |k: u32| 4 * i as u32 + k;
        let (norm1, norm2) = (name(names.norm1), name(names.norm2));
        let norm_if = |here: bool, norm: &str, x: Tensor| match here {
            true => self.norm(norm, &x),
            false => x,
        };
        let input = norm_if(config.pre_norm, &norm1, x.clone());
        let parts = names.qkv.map(|n| self.linear(&name(n), &input));
        let context = plain::attention(
            &Tensor::cat(&parts, 1).unwrap(),
            sequences,
            queries,
            config.attention_shape(),
            Dropout::new(config.attention_dropout, site(1), self.seed),
        );
        let attended = self.linear(&name(names.output), &context.unwrap());
        let attended = self.dropped(&attended, config.hidden_dropout, site(2));
        let middle = (sequences.select(x, queries).unwrap() + attended).unwrap();
        let middle = norm_if(!config.pre_norm, &norm1, middle);
        let input = norm_if(config.pre_norm, &norm2, middle.clone());
        let wide = self.linear(&name(names.expand), &input);
        let wide = plain::activation(&wide, config.activation).unwrap();
        let narrow = self.linear(&name(names.contract), &wide);
        let narrow = self.dropped(&narrow, config.hidden_dropout, site(3));
        norm_if(!config.pre_norm, &norm2, (middle + narrow).unwrap())
    }

    /// The layers that this pass does not leave out.
    fn used(&self) -> Vec<usize> {
        let drawn = |i: &usize| {
            let name = format!("layer drop {} {i}", self.seed.step);
            Stream::new(self.seed.seed, &name).uniform() >= self.config.layer_drop
        };
        (0..self.config.num_layers).filter(drawn).collect()
    }

    fn head(&self, first: &Tensor) -> Tensor {
        let config = self.config;
        let input = self.dropped(first, config.head_dropout, HEAD_SITE);
        if !self.is_xlm() {
            let x = self.linear("classifier.dense", &input).tanh().unwrap();
            let x = self.dropped(&x, config.head_dropout, HEAD_SITE + 1);
            return self.linear("classifier.out_proj", &x);
        }
        let mut x = self.linear("sequence_summary.summary", &input);
        if config.summary_tanh {
            x = x.tanh().unwrap();
        }
        self.dropped(&x, config.summary_last_dropout, HEAD_SITE + 1)
    }

    /// The gradient of `key` with that of the padding row struck out, in the tables that have one.
    fn without_padding(&self, key: &str, gradient: &Tensor) -> Tensor {
        let names = self.names();
        if !names.tables[..names.padded_tables].contains(&key) {
            return gradient.clone();
        }
        let mut rows = gradient.to_vec2::<f32>().unwrap();
        rows[self.config.pad_token_id as usize].fill(0.0);
        Tensor::new(rows, gradient.device()).unwrap()
    }

    fn loss(&self, input: &Input<'_>, labels: &[u32]) -> Tensor {
        let used = self.used();
        let sequences = Sequences::new(input.bounds, &Device::Cpu).unwrap();
        let mut x = self.embeddings(input);
        for &i in &used {
            // The dropouts of the last layer number the rows that it computes.
            let queries = match used.last() == Some(&i) {
                true => Queries::First,
                false => Queries::All,
            };
            x = self.layer(i, &x, &sequences, queries);
        }
        if used.is_empty() {
            x = sequences.select(&x, Queries::First).unwrap();
        }
        let labels = Tensor::new(labels, x.device()).unwrap();
        candle_nn::loss::cross_entropy(&self.head(&x), &labels).unwrap()
    }
}

/// Every gradient of a training step with `seed` against autograd's; the layers that it used.
fn check(name: &str, case: &Case, seed: DropoutSeed) -> Vec<usize> {
    let parameters = case.model.parameters();
    let named = parameters.named_tensors().unwrap().into_iter();
    let reference = Reference {
        config: case.model.config(),
        variables: named
            .map(|(name, t)| (name, Var::from_tensor(&t).unwrap()))
            .collect(),
        seed,
    };
    // Token types of both kinds where there are two.
    let kinds = reference.config.type_vocab_size.max(1) as u32;
    let tokens = 0..case.batch.ids.len() as u32;
    let types: Vec<u32> = tokens.map(|t| t % kinds).collect();
    let input = Input {
        token_type_ids: Some(&types),
        ..case.batch.input(false)
    };
    let labels = &case.batch.labels;
    let mut gradients = Gradients::new(parameters.len());
    let loss = case
        .model
        .accumulate_gradients(&input, labels, 1.0, Some(seed), &mut gradients);
    let want = reference.loss(&input, labels);
    let difference = loss.unwrap().mean().unwrap() - f64::from(want.to_scalar::<f32>().unwrap());
    assert!(difference.abs() < 1e-6, "{name}: losses {difference} apart");
    let autograd = want.backward().unwrap();
    for (id, p) in parameters.iter().enumerate() {
        for (i, key) in p.names.iter().enumerate() {
            let want = autograd.get(&reference.variables[key]);
            let Some(g) = gradients.get(id).map(|g| g.to_tensor().unwrap()) else {
                assert!(want.is_none(), "{name}: no gradient of {key}");
                continue;
            };
            let rows = g.dim(0).unwrap() / p.names.len();
            let got = g.narrow(0, i * rows, rows).unwrap();
            let want = reference.without_padding(key, want.unwrap());
            close(&format!("{name}, gradient of {key}"), &got, &want, 3e-6);
        }
    }
    reference.used()
}

/// Each kind of dropout has a probability of its own, and the seeds leave out no layer, one, the
/// other, and both.
#[test]
fn every_gradient_is_that_of_autograd_with_every_dropout_at_its_place() {
    for name in CASES {
        let case = Case::changed(name, |config| {
            config.hidden_dropout = 0.2;
            config.attention_dropout = 0.3;
            config.head_dropout = 0.25;
            config.summary_last_dropout = 0.35;
            config.layer_drop = 0.5;
        });
        let seeds = (0..4).flat_map(|seed| (0..3).map(move |step| DropoutSeed { seed, step }));
        let used: BTreeSet<Vec<usize>> = seeds.map(|seed| check(name, &case, seed)).collect();
        assert_eq!(used.len(), 4, "{name}: {used:?}");
    }
}
