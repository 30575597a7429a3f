//! Seconds that candle-transformers' XLM-RoBERTa takes for the `[CLS]` states of a dataset's first
//! rows; `benches/extraction_peers.py` calls it.
//!
//! `FLUE_CHECKPOINT` names the folder of a CamemBERT, `FLUE_DATA` one of `flue-cls-prepare`,
//! `FLUE_LIMIT` the rows of each split, `FLUE_BATCHES` the batch sizes to try and `FLUE_STATES` the
//! `.npy` file that takes the states of the last layer, the only one that this encoder gives. Rows
//! are sorted by length and padded to the longest of their batch. Prints one line of JSON: the
//! seconds by batch size without loading, and the peak memory of the process.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use candle_core::{DType, Device, IndexOp, Tensor};
use candle_transformers::models::xlm_roberta::XLMRobertaModel;
use flue_study::dataset::DatasetDict;
use flue_study::error::{Error, Result};
use flue_study::models::Config;

#[path = "../tests/suite/candle_peer.rs"]
mod candle_peer;

fn main() -> Result<()> {
    let Ok(checkpoint) = std::env::var("FLUE_CHECKPOINT") else {
        return Ok(());
    };
    let limit = setting("FLUE_LIMIT")?
        .parse()
        .map_err(Error::compute("FLUE_LIMIT"))?;
    let rows = tokens(&setting("FLUE_DATA")?, limit)?;
    let config = Config::read(Path::new(&checkpoint))?;
    let pad = config.pad_token_id;
    let model = candle_peer::load(Path::new(&checkpoint), &config)
        .map_err(Error::compute("candle-transformers' model"))?;
    forward(&model, &rows.iter().take(4).collect::<Vec<_>>(), pad)?;
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&row| Reverse(rows[row].len()));
    let mut seconds = BTreeMap::new();
    let mut states = vec![None; rows.len()];
    for size in setting("FLUE_BATCHES")?.split(',') {
        let size: usize = size.parse().map_err(Error::compute("FLUE_BATCHES"))?;
        let start = Instant::now();
        for pick in order.chunks(size) {
            let batch: Vec<_> = pick.iter().map(|&row| &rows[row]).collect();
            let found = forward(&model, &batch, pad)?;
            for (line, &row) in pick.iter().enumerate() {
                states[row] = Some(found.i(line).map_err(Error::compute("a row"))?);
            }
        }
        seconds.insert(size.to_string(), start.elapsed().as_secs_f64());
    }
    let states: Vec<Tensor> = states.into_iter().flatten().collect();
    Tensor::stack(&states, 0)
        .and_then(|all| {
            all.unsqueeze(0)?
                .write_npy(setting("FLUE_STATES").unwrap_or_default())
        })
        .map_err(Error::compute("the states"))?;
    let line = serde_json::json!({ "seconds": seconds, "peak_mib": peak_mib()? });
    writeln!(std::io::stdout(), "{line}").map_err(Error::io("stdout", "write"))
}

fn setting(name: &str) -> Result<String> {
    std::env::var(name).map_err(|e| Error::Usage(format!("{name}: {e}")))
}

/// The tokens of the first rows of each split.
fn tokens(data: &str, limit: usize) -> Result<Vec<Vec<u32>>> {
    let data = DatasetDict::open(data)?;
    let mut rows = Vec::new();
    for name in ["train", "test"] {
        for example in data.split(name)?.iter().take(limit) {
            rows.push(example?.tokens().iter().map(|&id| id as u32).collect());
        }
    }
    Ok(rows)
}

/// The `[CLS]` states of one batch: (rows, hidden size).
fn forward(model: &XLMRobertaModel, rows: &[&Vec<u32>], pad: u32) -> Result<Tensor> {
    let width = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let padded = |fill: u32, value: &dyn Fn(u32) -> u32| {
        let mut all = Vec::with_capacity(rows.len() * width);
        for row in rows {
            all.extend(row.iter().map(|&id| value(id)));
            all.resize(all.len() + width - row.len(), fill);
        }
        Tensor::from_vec(all, (rows.len(), width), &Device::Cpu)
    };
    padded(pad, &|id| id)
        .and_then(|ids| {
            let mask = padded(0, &|_| 1)?.to_dtype(DType::F32)?;
            let states = model.forward(&ids, &mask, &ids.zeros_like()?, None, None, None)?;
            states.i((.., 0))?.contiguous()
        })
        .map_err(Error::compute("candle-transformers' forward pass"))
}

/// The most memory that this process has held so far.
fn peak_mib() -> Result<f64> {
    let path = "/proc/self/status";
    let status = std::fs::read_to_string(path).map_err(Error::io(path, "read"))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    Ok(kib.unwrap_or(f64::NAN) / 1024.0)
}
