//! Options that several programs share, and the words that they take.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::de::value::{Error as WordError, StrDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};

use super::process;
use crate::error::Result;
use crate::pipelines::extract::{Part, Shard};
use crate::pipelines::{HubOptions, LabelMap, ReadOptions};
use crate::progress::Progress;

/// The options that every program takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct CommonArgs {
    /// Where tensors live: cpu, cuda, cuda:N or metal [default: the best one compiled in]
    #[arg(long, global = true, value_name = "DEVICE")]
    pub(crate) device: Option<String>,

    /// Number of threads [default: all cores]
    #[arg(long, global = true, value_name = "N")]
    pub(crate) threads: Option<usize>,

    /// Never touch the network: names are looked up on disk and in the cache only
    #[arg(long, global = true)]
    pub(crate) offline: bool,

    /// Fetch what the run needs from the network into the cache and stop: for a node with a
    /// connection, before --offline runs
    #[arg(long, global = true)]
    pub(crate) download_only: bool,

    /// Cache of downloaded files [default: the cache of Hugging Face's libraries]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,

    /// Branch, tag or commit of a checkpoint on the hub [default: main]
    #[arg(long, global = true, value_name = "REV")]
    pub(crate) revision: Option<String>,

    /// Replace an output that exists
    #[arg(long, global = true)]
    pub(crate) overwrite: bool,

    /// No log and no progress on stderr; errors are still printed
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,

    /// More log lines on stderr; twice for debugging
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

impl CommonArgs {
    /// Where checkpoints are looked up.
    pub(crate) fn hub(&self) -> HubOptions {
        HubOptions {
            offline: self.offline,
            cache_dir: self.cache_dir.clone(),
            revision: self.revision.clone(),
            watch: Some(|name, from, size| {
                let mut progress =
                    Progress::new(format!("download {name}"), size, "bytes").from(from);
                Box::new(move |n| progress.advance(n))
            }),
        }
    }
}

/// What the classes are called, for programs that read prepared data.
#[derive(Debug, Clone, Args)]
pub(super) struct LabelArgs {
    /// Other names for classes, where data, splits or a classifier call them differently
    #[arg(long, value_name = "NAME=CLASS,...")]
    label_map: Option<LabelMap>,
}

impl LabelArgs {
    /// The map; without the option one that says nothing.
    pub(crate) fn map(&self) -> LabelMap {
        self.label_map.clone().unwrap_or_default()
    }
}

/// How reviews are read where they can be read in several ways.
#[derive(Debug, Clone, Args)]
pub(super) struct ReadingArgs {
    /// What other words for the classes mean, as bon=positive,mauvais=negative: in tables, and
    /// wherever data, splits or a classifier call the classes differently
    #[arg(long, value_name = "NAME=CLASS,...")]
    label_map: Option<LabelMap>,

    /// In CSV and TSV a quote is a character like any other, and every line is a row
    #[arg(long)]
    no_quotes: bool,
}

impl ReadingArgs {
    /// These as options of the reader.
    pub(crate) fn options(&self) -> ReadOptions {
        ReadOptions {
            label_map: self.label_map.clone().unwrap_or_default(),
            no_quotes: self.no_quotes,
        }
    }
}

/// Parses a number of rows, epochs or sentences that must not be 0.
pub(super) fn at_least_one(word: &str) -> std::result::Result<usize, String> {
    let number = word.parse().ok().filter(|n| *n > 0);
    number.ok_or_else(|| "expected a whole number of at least 1".into())
}

/// Takes a variant of `T` by the name under which serde stores it, so that a setting has the same
/// name on the command line and in a manifest.
pub(super) fn one_of<T>() -> impl TypedValueParser<Value = T>
where
    T: DeserializeOwned + Clone + Send + Sync + 'static,
{
    let mut names: &[&str] = &[];
    // It fails, after it has said what it would take.
    let _ = T::deserialize(Names(&mut names));
    PossibleValuesParser::new(names).try_map(|name: String| {
        let word: StrDeserializer<'_, WordError> = name.as_str().into_deserializer();
        T::deserialize(word)
    })
}

/// Writes down which variants an enum asks for, and has none to give.
struct Names<'n>(&'n mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = WordError;

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> std::result::Result<V::Value, WordError> {
        *self.0 = variants;
        Err(WordError::custom("only the names were asked for"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> std::result::Result<V::Value, WordError> {
        Err(WordError::custom("not an enum"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// The part of the work that `--merge` and `--shard` ask for.
///
/// # Errors
/// As [`shard`].
pub(super) fn part(merge: bool, word: Option<&str>) -> Result<Part> {
    if merge {
        return Ok(Part::Merge);
    }
    Ok(shard(word)?.map_or(Part::Whole, Part::Shard))
}

/// The shard of a call: `--shard i/N`, else that of a task of a SLURM job array, else none.
///
/// # Errors
/// [`crate::error::Error::Usage`] for a shard that is none.
pub(super) fn shard(word: Option<&str>) -> Result<Option<Shard>> {
    if let Some(word) = word {
        return word.parse().map(Some);
    }
    let shard = process::slurm_shard(|name| std::env::var(name).ok())?;
    if let Some(shard) = shard {
        tracing::info!("shard {shard}, from SLURM_ARRAY_TASK_ID");
    }
    Ok(shard)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipelines::extract::{StorageType, Tokens};

    #[test]
    fn an_enum_is_taken_by_the_names_that_manifests_give_it() {
        fn names<T: DeserializeOwned + Clone + Send + Sync + 'static>() -> Vec<String> {
            let parser = one_of::<T>();
            let values = parser.possible_values().unwrap();
            values.map(|v| v.get_name().to_owned()).collect()
        }
        assert_eq!(names::<Tokens>(), ["cls", "all", "mean"]);
        assert_eq!(names::<StorageType>(), ["f32", "f16", "bf16"]);
        let command = clap::Command::new("x");
        let parse = |word: &str| one_of::<Tokens>().parse_ref(&command, None, word.as_ref());
        assert_eq!(parse("mean").unwrap(), Tokens::Mean);
        assert!(parse("Mean").is_err());
    }
}
