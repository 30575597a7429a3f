//! `.npy` and `.safetensors`: every row is put at its place in the arrays of its split, all of
//! which are known before the first state is.
//!
//! **`.npy`** as the original leaves it: arrays stored one after another. Train layers in order,
//! test layers in order (float32 or float16, rows × hidden), train labels, test labels (int64).
//!
//! **`.safetensors`**: tensors `train.layer_5`, … (records × hidden), `train.row`, `train.label`,
//! `train.idx`, `train.category` (one per row; the category is its number in the list `categories`
//! of the metadata, a JSON array, −1 where the row has none); where every token is kept also
//! `train.token_ids` (one per record), `train.spans` (records × 2: first and last character,
//! exclusive; −1 where the checkpoint's tokenizer does not give these tokens) and `train.bounds`
//! (rows + 1, the first record of each row).

use std::io::{Seek, SeekFrom, Write};

use serde_json::{Map, Value, json};

use super::options::StorageType;
use super::{Job, SPLITS, Stored, Tokens, Writer};
use crate::artifact::npy::{DType, Header, NpyWriter};
use crate::dataset::{Categories, Split};
use crate::error::{Error, Result};
use crate::files::AtomicFile;

/// A `.npy` file in the making.
pub(super) struct NpyFile {
    writer: NpyWriter<AtomicFile>,
    layers: usize,
    hidden: usize,
}

impl NpyFile {
    pub(crate) fn create(job: &Job<'_>) -> Result<Self> {
        let file = AtomicFile::create(&job.run.out, job.overwrite)?;
        let dtype = match job.config.dtype {
            StorageType::F16 => DType::F16,
            StorageType::F32 | StorageType::BF16 => DType::F32,
        };
        let mut headers = Vec::new();
        for split in job.splits {
            let states = Header::new(dtype, [job.rows(split), job.hidden()]);
            headers.extend(std::iter::repeat_n(states, job.layers.len()));
        }
        for split in job.splits {
            headers.push(Header::new(DType::I64, [job.rows(split)]));
        }
        Ok(Self {
            writer: NpyWriter::new(&job.run.out, file, &headers)?,
            layers: job.layers.len(),
            hidden: job.hidden(),
        })
    }
}

impl Writer for NpyFile {
    fn row(&mut self, stored: &Stored<'_>) -> Result<()> {
        let first = stored.split * self.layers;
        for i in 0..self.layers {
            let bytes = stored.layer(i, self.layers);
            self.writer
                .write_bytes(first + i, stored.row * self.hidden, bytes)?;
        }
        self.writer
            .write(2 * self.layers + stored.split, stored.row, &[stored.label])
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.writer.finish()?.commit()
    }
}

/// A `.safetensors` file in the making.
pub(super) struct TensorFile<'a> {
    job: &'a Job<'a>,
    layout: Layout,
    file: AtomicFile,
    /// Where the tensors begin.
    start: u64,
    /// Records written so far in each split.
    records: [usize; 2],
    /// The names of the categories of both splits.
    categories: Vec<String>,
}

impl<'a> TensorFile<'a> {
    pub(crate) fn create(job: &'a Job<'a>, categories: &[Option<Categories>; 2]) -> Result<Self> {
        let mut names: Vec<String> = Vec::new();
        for name in categories.iter().flatten().flat_map(Categories::names) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        let mut layout = Layout::default();
        for (split, name) in job.splits.iter().zip(SPLITS) {
            layout.plan(job, split, name)?;
        }
        let mut file = AtomicFile::create(&job.run.out, job.overwrite)?;
        let header = layout.header(job, &names);
        file.write_all(&(header.len() as u64).to_le_bytes())
            .and_then(|()| file.write_all(&header))
            .map_err(Error::io(&job.run.out, "write"))?;
        Ok(Self {
            job,
            layout,
            file,
            start: 8 + header.len() as u64,
            records: [0; 2],
            categories: names,
        })
    }

    fn put(&mut self, split: usize, tensor: &str, at: usize, bytes: &[u8]) -> Result<()> {
        let offset = self.layout.offset(&format!("{}.{tensor}", SPLITS[split]));
        let position = SeekFrom::Start(self.start + offset + at as u64);
        self.file
            .seek(position)
            .and_then(|_| self.file.write_all(bytes))
            .map_err(Error::io(&self.job.run.out, "write"))
    }

    /// What is there once per token.
    fn put_tokens(&mut self, stored: &Stored<'_>) -> Result<()> {
        let (split, first) = (stored.split, self.records[stored.split]);
        let end = (first + stored.records) as i64;
        if stored.row == 0 {
            self.put(split, "bounds", 0, &0i64.to_le_bytes())?;
        }
        self.put(split, "bounds", (stored.row + 1) * 8, &end.to_le_bytes())?;
        let ids = stored.token_ids.iter().map(|&id| i64::from(id));
        self.put(split, "token_ids", first * 8, &bytes_of(ids))?;
        let unknown = vec![[-1; 2]; stored.records];
        let spans = stored.spans.unwrap_or(&unknown).as_flattened().iter();
        let spans = bytes_of(spans.map(|&c| i64::from(c)));
        self.put(split, "spans", first * 16, &spans)
    }
}

fn bytes_of(numbers: impl Iterator<Item = i64>) -> Vec<u8> {
    numbers.flat_map(i64::to_le_bytes).collect()
}

impl Writer for TensorFile<'_> {
    fn row(&mut self, stored: &Stored<'_>) -> Result<()> {
        let (split, row) = (stored.split, stored.row);
        self.put(split, "row", row * 8, &(row as i64).to_le_bytes())?;
        self.put(split, "label", row * 8, &stored.label.to_le_bytes())?;
        self.put(split, "idx", row * 8, &i64::from(stored.idx).to_le_bytes())?;
        let number = |name: &str| {
            let place = self.categories.iter().position(|c| c == name);
            place.expect("the names of all categories were gathered first") as i64
        };
        let category = stored.category.map_or(-1, number);
        self.put(split, "category", row * 8, &category.to_le_bytes())?;
        if self.job.config.tokens == Tokens::All {
            self.put_tokens(stored)?;
        }
        let layers = &self.job.layers;
        for (i, layer) in layers.iter().enumerate() {
            let at = self.records[split] * self.job.record_bytes();
            self.put(
                split,
                &format!("layer_{layer}"),
                at,
                stored.layer(i, layers.len()),
            )?;
        }
        self.records[split] += stored.records;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.file.commit()
    }
}

/// Where each tensor lies behind the header.
#[derive(Default)]
struct Layout {
    tensors: Vec<(String, &'static str, Vec<usize>, u64)>,
    end: u64,
}

impl Layout {
    fn add(&mut self, name: String, dtype: &'static str, shape: Vec<usize>) {
        let size = match dtype {
            "I64" => 8,
            "F32" => 4,
            _ => 2,
        };
        let bytes = size * shape.iter().product::<usize>() as u64;
        self.tensors.push((name, dtype, shape, self.end));
        self.end += bytes;
    }

    fn plan(&mut self, job: &Job<'_>, split: &Split, name: &str) -> Result<()> {
        let rows = job.rows(split);
        let mut records = 0;
        for row in 0..rows {
            records += job.records(split.example(row)?.attention_mask);
        }
        // The widest type first keeps every tensor aligned.
        self.add(format!("{name}.row"), "I64", vec![rows]);
        self.add(format!("{name}.label"), "I64", vec![rows]);
        if job.config.tokens == Tokens::All {
            self.add(format!("{name}.bounds"), "I64", vec![rows + 1]);
            self.add(format!("{name}.token_ids"), "I64", vec![records]);
            self.add(format!("{name}.spans"), "I64", vec![records, 2]);
        }
        self.add(format!("{name}.idx"), "I64", vec![rows]);
        self.add(format!("{name}.category"), "I64", vec![rows]);
        let dtype = match job.config.dtype {
            StorageType::F32 => "F32",
            StorageType::F16 => "F16",
            StorageType::BF16 => "BF16",
        };
        for layer in &job.layers {
            self.add(
                format!("{name}.layer_{layer}"),
                dtype,
                vec![records, job.hidden()],
            );
        }
        let missing = (self.end.next_multiple_of(8) - self.end) as usize / job.config.dtype.size();
        if missing > 0 {
            self.add(format!("{name}.padding"), dtype, vec![missing]);
        }
        Ok(())
    }

    fn header(&self, job: &Job<'_>, categories: &[String]) -> Vec<u8> {
        let mut json = Map::new();
        json.insert(
            "__metadata__".into(),
            json!({
                "flue_study": job.describe().to_string(),
                "categories": json!(categories).to_string(),
            }),
        );
        for (i, (name, dtype, shape, from)) in self.tensors.iter().enumerate() {
            let to = self.tensors.get(i + 1).map_or(self.end, |next| next.3);
            json.insert(
                name.clone(),
                json!({"dtype": dtype, "shape": shape, "data_offsets": [from, to]}),
            );
        }
        let mut text = Value::Object(json).to_string().into_bytes();
        text.resize(text.len().next_multiple_of(8), b' ');
        text
    }

    fn offset(&self, name: &str) -> u64 {
        let tensor = self.tensors.iter().find(|t| t.0 == name);
        tensor.expect("what is written of a row was planned").3
    }
}
