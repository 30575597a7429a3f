//! `study layers`: cosines, traces and effective rank of every layer of one model.
//!
//! Sentences are seen in chunks; a shard takes every N-th of them, and its accumulators merge with
//! those of the others.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::charts::{ENGLISH, Series, layer_charts};
use super::measures::{FirstLook, Measures, REFERENCE_SENTENCES};
use super::spool::{Spool, SpoolReader};
use super::statistics::{LayerSummary, Sizes, Statistics, row_width};
use super::{Amounts, Count, Execution};
use crate::artifact::{Manifest, Part, Shard, ShardSet};
use crate::error::{Error, Result};
use crate::feature_extraction::{ExtractOptions, Extractor, Sentence, Sink, Tokens};
use crate::files::{self, AtomicDir, AtomicFile, OutputLock};
use crate::hub::Hub;
use crate::models::{self, Encoder, checkpoint};
use crate::plotting;

/// What `study layers` works on.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// A `DatasetDict` folder with a `test` split.
    pub(crate) data: PathBuf,
    /// A local folder or a name on the hub.
    pub(crate) checkpoint: String,
    /// The folder that receives tables and pictures.
    pub(crate) out: PathBuf,
    /// What the pictures call the model.
    pub(crate) title: String,
    /// What is looked at.
    #[serde(flatten)]
    pub(crate) amounts: Amounts,
    /// Which part of the work.
    #[serde(skip)]
    pub(crate) part: Part,
    /// How the model is run.
    #[serde(flatten)]
    pub(crate) execution: Execution,
}

/// What `study layers` found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    /// The folder of tables and pictures, or of the shard.
    pub(crate) out: PathBuf,
    /// The shard, as i/N.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shard: Option<String>,
    /// The checkpoint that was studied.
    pub(crate) checkpoint: String,
    /// Its `model_type`.
    pub(crate) model_type: String,
    /// Sentences that were read.
    pub(crate) sentences: usize,
    /// Their tokens.
    pub(crate) tokens: u64,
    /// Seconds of the forward passes, reading included.
    pub(crate) forward_seconds: f64,
    /// Seconds of all statistics.
    pub(crate) statistics_seconds: f64,
    /// The largest error of a quartile of the cosines.
    pub(crate) cosine_error_bound: f64,
    /// The main figures by layer.
    pub(crate) layers: Vec<LayerFigures>,
}

/// The main figures of one layer.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct LayerFigures {
    /// 0 for the embeddings.
    pub(crate) layer: usize,
    /// The median cosine of two tokens of a sentence.
    pub(crate) cosine_median: f64,
    /// The median trace of a sentence's covariance.
    pub(crate) trace_median: f64,
    /// The effective rank of all tokens.
    pub(crate) erank: f64,
}

/// Run the model over the first rows of the `test` split and leave `cosine`, `cosine_variance`,
/// `trace` and `erank` as CSV and Parquet, three pictures, and a manifest; with the further
/// measures also `measures`, `sentences`, `leading` and `cka`. A shard leaves its part of it in
/// `OUT.shards`.
///
/// # Errors
/// [`Error::OutputExists`] without `overwrite`; [`Error::Mismatch`] when the output was begun with
/// other settings; [`Error::NotFound`] for shards that a merge misses; those of the checkpoint, the
/// dataset and the forward passes.
pub(crate) fn run(config: &Config) -> Result<Summary> {
    files::check(&config.out, config.execution.overwrite, files::Kind::Folder)
        .inspect_err(|_| ShardSet::remove_if_done(&config.out))?;
    let folder = Hub::new(config.execution.hub.clone()).checkpoint(&config.checkpoint)?;
    let split = super::test_split(&config.data)?;
    let study = Study {
        config,
        model: models::Config::read(&folder)?,
        sizes: sizes(&config.amounts, split.len()),
        split: &split,
        folder: &folder,
    };
    let manifest = study.manifest()?;
    match config.part {
        Part::Whole => {
            let _lock = OutputLock::of_shards(&config.out)?;
            let set = ShardSet::begin_whole(&config.out, &manifest, config.execution.overwrite)?;
            let all = Shard { index: 0, count: 1 };
            study
                .compute(&set, all)
                .inspect_err(|_| set.remove_if_bare())?;
            let summary = study.finish(&set, manifest)?;
            set.remove_done();
            Ok(summary)
        }
        Part::Shard(shard) => {
            let set = ShardSet::begin(&config.out, shard.count, &manifest)?;
            let _lock = OutputLock::acquire(&set.path(shard.index))?;
            study.compute(&set, shard)?;
            let state = State::read(&set.path(shard.index))?;
            Ok(Summary {
                out: set.path(shard.index),
                shard: Some(shard.to_string()),
                ..study.summary(&state, Vec::new())
            })
        }
        Part::Merge => {
            let _lock = OutputLock::of_shards(&config.out)?;
            let set = ShardSet::finished(&config.out, &manifest)?;
            study.finish(&set, manifest)
        }
    }
}

/// A study with its inputs opened.
struct Study<'a> {
    config: &'a Config,
    model: models::Config,
    sizes: Sizes,
    split: &'a crate::dataset::Split,
    /// The checkpoint.
    folder: &'a Path,
}

impl Study<'_> {
    /// Merge all shards and write what they found.
    fn finish(&self, set: &ShardSet, mut manifest: Manifest) -> Result<Summary> {
        let config = self.config;
        let out = AtomicDir::create(&config.out, config.execution.overwrite)?;
        let mut state = State::read(&set.path(0))?;
        for index in 1..set.count() {
            state.merge(&State::read(&set.path(index))?)?;
        }
        let start = Instant::now();
        let spools: Vec<PathBuf> = (0..set.count())
            .map(|index| spool(&set.path(index)))
            .collect();
        let spool = SpoolReader::open(&spools, row_width(self.model.num_layers + 1))?;
        let summary = self.summary(&state, Vec::new());
        let layers = state.statistics.finish(out.path(), spool)?;
        draw(out.path(), &config.title, &layers, self.sizes)?;
        let error_bound = error_bound(&layers);
        manifest.config["found"]["tokens"] = summary.tokens.into();
        manifest.config["found"]["cosine_error_bound"] = error_bound.into();
        super::leave(out, &manifest)?;
        Ok(Summary {
            statistics_seconds: summary.statistics_seconds + start.elapsed().as_secs_f64(),
            cosine_error_bound: error_bound,
            layers: layers.iter().map(LayerFigures::of).collect(),
            ..summary
        })
    }

    fn summary(&self, state: &State, layers: Vec<LayerFigures>) -> Summary {
        Summary {
            out: self.config.out.clone(),
            shard: None,
            checkpoint: self.config.checkpoint.clone(),
            model_type: self.model.model_type.clone(),
            sentences: state.statistics.sentences(),
            tokens: state.statistics.tokens(),
            forward_seconds: state.forward_seconds,
            statistics_seconds: state.statistics_seconds,
            cosine_error_bound: 0.0,
            layers,
        }
    }

    /// The settings, what they met (`found`), and what tells weights and data from others.
    fn manifest(&self) -> Result<Manifest> {
        let (config, sizes, model) = (self.config, self.sizes, &self.model);
        let models = [(&config.checkpoint[..], self.folder)];
        let inputs = super::inputs(&models, &config.data)?;
        let mut manifest = super::manifest("layers", config, &inputs)?;
        manifest.config["found"] = serde_json::json!({
            "revision": config.execution.hub.revision,
            "model_type": model.model_type,
            "hidden_size": model.hidden_size,
            "num_layers": model.num_layers,
            "sentences": { "cosine": sizes.cosine, "trace": sizes.trace, "erank": sizes.erank,
                "measures": sizes.measures },
        });
        Ok(manifest)
    }
}

impl LayerFigures {
    fn of(layer: &LayerSummary) -> Self {
        Self {
            layer: layer.number,
            cosine_median: layer.cosine.five_numbers[2],
            trace_median: layer.trace[2],
            erank: layer.erank,
        }
    }
}

fn sizes(amounts: &Amounts, rows: usize) -> Sizes {
    let mut sizes = Sizes {
        cosine: amounts.cosine_sentences.of(rows),
        trace: amounts.trace_sentences.of(rows),
        erank: amounts.erank_sentences.of(rows),
        measures: 0,
    };
    if amounts.measures {
        let most = Count::First(sizes.most());
        sizes.measures = amounts.measure_sentences.unwrap_or(most).of(rows);
    }
    sizes
}

/// The largest error of a quartile of the cosines.
fn error_bound(layers: &[LayerSummary]) -> f64 {
    let bounds = layers.iter().map(|l| l.cosine.error_bound);
    bounds.fold(0.0, f64::max)
}

fn draw(folder: &Path, title: &str, layers: &[LayerSummary], sizes: Sizes) -> Result<()> {
    let numbers: Vec<usize> = layers.iter().map(|l| l.number).collect();
    let series = Series {
        name: title.to_string(),
        cosine: layers.iter().map(|l| l.cosine.five_numbers).collect(),
        trace: layers.iter().map(|l| l.trace).collect(),
        erank: layers.iter().map(|l| l.erank).collect(),
        error_bound: error_bound(layers),
    };
    let charts = layer_charts(title, &numbers, &[series], sizes, &ENGLISH);
    plotting::save(&charts.cosine, folder, "cosine")?;
    plotting::save(&charts.trace, folder, "trace")?;
    plotting::save(&charts.erank, folder, "erank")
}

/// Everything that the chunks of a shard left, up to one of them.
#[derive(Serialize, Deserialize)]
struct State {
    statistics: Statistics,
    forward_seconds: f64,
    statistics_seconds: f64,
    /// The first chunk that is missing.
    chunk: usize,
    /// Rows of the spool.
    rows: u64,
}

/// The table of a shard by sentence.
fn spool(folder: &Path) -> PathBuf {
    folder.join("sentences.rows")
}

/// What a file of accumulators begins with. The rest does not say what it is: after a change of the
/// accumulators, numbers of an older file would be read as others.
const FORMAT: &[u8] = b"flue-study layers 2\n";

fn file(folder: &Path) -> PathBuf {
    folder.join("statistics.state")
}

impl State {
    /// What a shard left in its folder.
    fn read(folder: &Path) -> Result<Self> {
        let path = file(folder);
        let mut bytes = Vec::new();
        File::open(&path)
            .and_then(|mut f| f.read_to_end(&mut bytes))
            .map_err(Error::io(&path, "read"))?;
        let expected = "the statistics of a shard: remove the folder and run again";
        let Some(state) = bytes.strip_prefix(FORMAT) else {
            let found = "those of another version, or something else";
            return Err(Error::malformed(&path, "byte 0", found, expected));
        };
        postcard::from_bytes(state)
            .map_err(|e| Error::malformed(&path, format!("{} bytes", bytes.len()), e, expected))
    }

    fn write(&self, folder: &Path) -> Result<()> {
        let path = file(folder);
        // Not to the file: a full disk would not be told from an encoder's failure.
        let bytes = postcard::to_extend(self, FORMAT.to_vec());
        let bytes = bytes.map_err(Error::compute(path.display()))?;
        let mut out = AtomicFile::create(&path, true)?;
        out.write_all(&bytes).map_err(Error::io(&path, "write"))?;
        out.commit()
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        self.forward_seconds += other.forward_seconds;
        self.statistics_seconds += other.statistics_seconds;
        self.statistics.merge(&other.statistics)
    }
}

/// Time between two states on disk, as a multiple of what writing one takes.
const REST: u32 = 20;

impl Study<'_> {
    /// See the sentences of `shard`, unless it is finished, from where an earlier run stopped.
    fn compute(&self, set: &ShardSet, shard: Shard) -> Result<()> {
        let target = set.path(shard.index);
        if set.is_finished(shard.index) {
            tracing::info!("shard {shard} is finished: {}", target.display());
            return Ok(());
        }
        let partial = target.with_extension("partial");
        fs::create_dir_all(&partial).map_err(Error::io(&partial, "create the folder"))?;
        let device = crate::device::select(self.config.execution.device.as_deref())?;
        let encoder = checkpoint::load_encoder(self.folder, &device)?;
        let mut state = match file(&partial).exists() {
            true => State::read(&partial)?,
            false => self.begin(encoder.as_ref())?,
        };
        let width = row_width(self.model.num_layers + 1);
        let mut spool = Spool::open(&spool(&partial), width, state.rows)?;
        let chunks: Vec<_> = shard
            .chunks(self.sizes.most())
            .filter(|(chunk, _)| *chunk >= state.chunk)
            .collect();
        let rows = chunks.iter().map(|(_, rows)| rows.len()).sum();
        let mut extractor = self.extractor(encoder.as_ref(), rows)?;
        let (mut written, mut cost) = (Instant::now(), Duration::from_millis(10));
        for (chunk, rows) in chunks {
            let start = Instant::now();
            let before = state.statistics_seconds;
            let mut sink = Both(&mut state, &mut spool);
            extractor.run(&rows.collect::<Vec<_>>(), &mut sink)?;
            let statistics = state.statistics_seconds - before;
            state.forward_seconds += start.elapsed().as_secs_f64() - statistics;
            state.chunk = chunk + 1;
            if written.elapsed() > REST * cost {
                let start = Instant::now();
                state.rows = spool.sync()?;
                state.write(&partial)?;
                (written, cost) = (Instant::now(), start.elapsed());
            }
        }
        state.rows = spool.sync()?;
        state.write(&partial)?;
        fs::rename(&partial, &target).map_err(Error::io(&target, "rename"))
    }

    fn extractor<'e>(&'e self, encoder: &'e dyn Encoder, rows: usize) -> Result<Extractor<'e>> {
        let options = ExtractOptions {
            layers: (0..=self.model.num_layers).collect(),
            tokens: Tokens::All,
            batch_size: self.config.execution.batch_size,
        };
        Extractor::new(encoder, self.split, &options, rows)
    }

    /// No sentence seen; for the further measures after a first look at the first ones, the same in
    /// every shard.
    fn begin(&self, encoder: &dyn Encoder) -> Result<State> {
        let (start, sizes) = (Instant::now(), self.sizes);
        let (mut measures, mut look) = (None, Look::default());
        if sizes.measures > 0 {
            let rows: Vec<usize> = (0..sizes.measures.min(REFERENCE_SENTENCES)).collect();
            self.extractor(encoder, rows.len())?.run(&rows, &mut look)?;
            let seen = Instant::now();
            let shared = sizes.erank == sizes.measures;
            let seed = self.config.amounts.seed;
            measures = Some(Measures::new(&look.first, seed, shared)?);
            look.seconds += seen.elapsed().as_secs_f64();
        }
        Ok(State {
            statistics: Statistics::new(sizes, measures),
            forward_seconds: start.elapsed().as_secs_f64() - look.seconds,
            statistics_seconds: look.seconds,
            chunk: 0,
            rows: 0,
        })
    }
}

/// A first look and the seconds that it took beside the forward passes.
#[derive(Default)]
struct Look {
    first: FirstLook,
    seconds: f64,
}

impl Sink for Look {
    fn sentence(&mut self, sentence: &Sentence<'_>) -> Result<()> {
        let start = Instant::now();
        self.first.add(sentence.layers)?;
        self.seconds += start.elapsed().as_secs_f64();
        Ok(())
    }
}

/// Accumulators and spool.
struct Both<'a>(&'a mut State, &'a mut Spool);

impl Sink for Both<'_> {
    fn sentence(&mut self, sentence: &Sentence<'_>) -> Result<()> {
        let start = Instant::now();
        let row = self.0.statistics.add(sentence.row, sentence.layers)?;
        self.1.push(&row)?;
        self.0.statistics_seconds += start.elapsed().as_secs_f64();
        Ok(())
    }
}
