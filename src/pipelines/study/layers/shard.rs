//! The sentences of one shard: accumulators that are kept on disk now and then, so that a killed run goes on.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Study;
use crate::artifact::{Shard, ShardSet};
use crate::error::{Error, Result};
use crate::feature_extraction::{ExtractOptions, Extractor, Sentence, Sink, Tokens};
use crate::files::AtomicFile;
use crate::models::{Encoder, checkpoint};
use crate::pipelines::study::measures::{FirstLook, Measures, REFERENCE_SENTENCES};
use crate::pipelines::study::spool::Spool;
use crate::pipelines::study::statistics::{Statistics, row_width};

/// Everything that the chunks of a shard left, up to one of them.
#[derive(Serialize, Deserialize)]
pub(super) struct State {
    pub statistics: Statistics,
    pub forward_seconds: f64,
    pub statistics_seconds: f64,
    /// The first chunk that is missing.
    chunk: usize,
    /// Rows of the spool.
    rows: u64,
}

/// The table of a shard by sentence.
pub(super) fn spool(folder: &Path) -> PathBuf {
    folder.join("sentences.rows")
}

/// What a file of accumulators begins with. The rest does not say what it is: after a change of the accumulators, numbers of an older
/// file would be read as others.
const FORMAT: &[u8] = b"flue-study layers 2\n";

fn file(folder: &Path) -> PathBuf {
    folder.join("statistics.state")
}

impl State {
    /// What a shard left in its folder.
    pub fn read(folder: &Path) -> Result<Self> {
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

    pub fn merge(&mut self, other: &Self) -> Result<()> {
        self.forward_seconds += other.forward_seconds;
        self.statistics_seconds += other.statistics_seconds;
        self.statistics.merge(&other.statistics)
    }
}

/// Time between two states on disk, as a multiple of what writing one takes.
const REST: u32 = 20;

impl Study<'_> {
    /// See the sentences of `shard`, unless it is finished, from where an earlier run stopped.
    pub(super) fn compute(&self, set: &ShardSet, shard: Shard) -> Result<()> {
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

    /// No sentence seen; for the further measures after a first look at the first ones, the same in every shard.
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
