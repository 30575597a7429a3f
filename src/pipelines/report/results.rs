//! What the studies left in a folder of results.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::Value;

use crate::artifact::{Inputs, Manifest};
use crate::error::{Error, Result};
use crate::files::{self, presence};
use crate::metrics::quantile;
use crate::pipelines::original::{self, MODELS, Original};
use crate::pipelines::study::charts::Series;

/// A CSV table, read whole.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    pub(crate) path: PathBuf,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    /// The table at `path`, when it is there.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>> {
        if !presence::is_file(path)? {
            return Ok(None);
        }
        let malformed = |error: csv::Error| {
            let place = error.position().map(|p| format!("line {}", p.line()));
            let place = place.unwrap_or_default();
            Error::malformed(path, place, error, "a table of this toolkit")
        };
        let mut reader = csv::Reader::from_path(path).map_err(malformed)?;
        let columns = reader.headers().map_err(malformed)?;
        let columns = columns.iter().map(String::from).collect();
        let rows = reader
            .records()
            .map(|row| row.map(|r| r.iter().map(String::from).collect()))
            .collect::<std::result::Result<_, csv::Error>>()
            .map_err(malformed)?;
        Ok(Some(Self {
            path: path.to_path_buf(),
            columns,
            rows,
        }))
    }

    fn column(&self, name: &str) -> Result<usize> {
        self.columns.iter().position(|c| c == name).ok_or_else(|| {
            let found = format!("the columns {}", self.columns.join(","));
            Error::malformed(&self.path, "line 1", found, format!("a column {name}"))
        })
    }

    /// The words of a column.
    pub(crate) fn words(&self, name: &str) -> Result<Vec<&str>> {
        let at = self.column(name)?;
        Ok(self.rows.iter().map(|r| r[at].as_str()).collect())
    }

    /// The numbers of a column.
    pub(crate) fn numbers(&self, name: &str) -> Result<Vec<f64>> {
        self.parsed(name, "a number")
    }

    /// [`words`](Self::words) of several columns.
    pub(crate) fn words_of<const N: usize>(&self, names: [&str; N]) -> Result<[Vec<&str>; N]> {
        let mut columns = [const { Vec::new() }; N];
        for (column, name) in columns.iter_mut().zip(names) {
            *column = self.words(name)?;
        }
        Ok(columns)
    }

    /// [`numbers`](Self::numbers) of several columns.
    pub(crate) fn numbers_of<const N: usize>(&self, names: [&str; N]) -> Result<[Vec<f64>; N]> {
        let mut columns = [const { Vec::new() }; N];
        for (column, name) in columns.iter_mut().zip(names) {
            *column = self.numbers(name)?;
        }
        Ok(columns)
    }

    /// The whole numbers of a column, not below 0.
    fn whole_numbers(&self, name: &str) -> Result<Vec<usize>> {
        self.parsed(name, "a whole number")
    }

    fn parsed<T: FromStr>(&self, name: &str, expected: &str) -> Result<Vec<T>> {
        let words = self.words(name)?;
        let parse = |(i, word): (usize, &&str)| {
            word.parse().map_err(|_| {
                let place = format!("line {}, column {name}", i + 2);
                Error::malformed(&self.path, place, format!("{word:?}"), expected)
            })
        };
        words.iter().enumerate().map(parse).collect()
    }
}

/// The statistics by layer of one model.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// The name of its folder.
    pub(crate) folder: String,
    /// Its folder.
    pub(crate) folder_path: PathBuf,
    /// The model of the original study whose name begins the folder's.
    pub(crate) model: Option<&'static Original>,
    /// `raw`, `ft_1`, ...: the rest of the folder's name.
    pub(crate) stage: String,
    pub(crate) layers: Vec<usize>,
    pub(crate) series: Series,
    /// layer,measure,value,low,high
    pub(crate) measures: Option<Table>,
    /// layer_a,layer_b,cka
    pub(crate) cka: Option<Table>,
    pub(crate) manifest: Option<Manifest>,
}

impl Run {
    fn read(folder: &Path) -> Result<Option<Self>> {
        let table = |stem: &str| Table::read(&folder.join(format!("{stem}.csv")));
        let (Some(cosine), Some(trace), Some(erank)) =
            (table("cosine")?, table("trace")?, table("erank")?)
        else {
            return Ok(None);
        };
        let name = folder.file_name().expect("what a folder holds has a name");
        let name = name.to_string_lossy();
        let (model, stage) = match original::named(&name) {
            Some((model, stage)) => (Some(model), stage.to_string()),
            None => (None, name.to_string()),
        };
        let layers = erank.whole_numbers("layer")?;
        let others = cosine.whole_numbers("layer")?;
        if others != layers {
            let expected = format!("{layers:?}, as in erank.csv: run the study again");
            let found = format!("layers {others:?}");
            return Err(Error::malformed(
                &cosine.path,
                "column layer",
                found,
                expected,
            ));
        }
        let five = cosine.numbers_of(["min", "q1", "median", "q3", "max"])?;
        let manifest = read_manifest(folder)?;
        let config = manifest.as_ref().map(|m| &m.config);
        let bound = config.and_then(|c| c.pointer("/found/cosine_error_bound"));
        Ok(Some(Self {
            folder: name.to_string(),
            folder_path: folder.to_path_buf(),
            model,
            series: Series {
                name: stage.clone(),
                cosine: (0..layers.len())
                    .map(|i| five.each_ref().map(|column| column[i]))
                    .collect(),
                trace: five_by_layer(&trace, &layers)?,
                erank: erank.numbers("erank")?,
                error_bound: bound.and_then(Value::as_f64).unwrap_or(0.0),
            },
            stage,
            layers,
            measures: table("measures")?,
            cka: table("cka")?,
            manifest,
        }))
    }

    /// The values of a measure by layer with the ends of their intervals: (layer, value, low,
    /// high).
    pub(crate) fn measure(&self, name: &str) -> Result<Vec<[f64; 4]>> {
        let Some(table) = &self.measures else {
            return Ok(Vec::new());
        };
        let columns = table.numbers_of(["layer", "value", "low", "high"])?;
        let names = table.words("measure")?;
        let own = (0..names.len()).filter(|&i| names[i] == name);
        Ok(own.map(|i| columns.each_ref().map(|c| c[i])).collect())
    }

    /// Where the weights came from: a folder, or a name.
    fn checkpoint(&self) -> Option<&Path> {
        self.setting("/checkpoint")?.as_str().map(Path::new)
    }

    /// The accuracy that the classifier had after fine-tuning, from the results beside its weights;
    /// NaN when there are none.
    pub(crate) fn classifier_accuracy(&self) -> Result<f64> {
        let results = match self.checkpoint() {
            Some(folder) => read_json(&folder.join("all_results.json"))?,
            None => None,
        };
        let accuracy = results.and_then(|r| r.get("eval_accuracy")?.as_f64());
        Ok(accuracy.unwrap_or(f64::NAN))
    }

    /// Whether it is of one of the original's models on FLUE CLS: its size, and weights from its
    /// repository, or fine-tuned from these as the original did it. A name proves nothing: what
    /// counts is where the weights were read from, as manifests keep it.
    fn is_original(&self) -> Result<bool> {
        let (Some(model), Some(manifest)) = (self.model, &self.manifest) else {
            return Ok(false);
        };
        let beside = |pointer: &str| match self.setting(pointer).and_then(Value::as_str) {
            Some(folder) => source_manifest(&Path::new(folder).join("manifest.json")),
            None => Ok(None),
        };
        if !model.has_shape_of(manifest) || !beside("/data")?.is_some_and(|d| original::is_flue(&d))
        {
            return Ok(false);
        }
        Ok(match &self.stage[..] {
            "raw" => model.is_source_of(manifest),
            "ft" | "ft_1" => {
                beside("/checkpoint")?.is_some_and(|tuning| model.was_tuned_by(&tuning))
            }
            _ => false,
        })
    }

    /// A setting of the study, by its path in the manifest.
    pub(crate) fn setting(&self, pointer: &str) -> Option<&Value> {
        self.manifest.as_ref()?.config.pointer(pointer)
    }
}

/// Whether every run is of one of the original's models on FLUE CLS, and there is one.
fn are_original(runs: &[Run]) -> Result<bool> {
    for run in runs {
        if !run.is_original()? {
            return Ok(false);
        }
    }
    Ok(!runs.is_empty())
}

fn read_manifest(folder: &Path) -> Result<Option<Manifest>> {
    let path = folder.join("manifest.json");
    match presence::is_file(&path)? {
        true => Manifest::read(&path).map(Some),
        false => Ok(None),
    }
}

/// The manifest of what a study read, where this toolkit made it: that stands outside the folder of
/// results, and a file of this name may be another program's.
pub(super) fn source_manifest(path: &Path) -> Result<Option<Manifest>> {
    let value = read_json(path)?;
    Ok(value.and_then(|value| serde_json::from_value(value).ok()))
}

/// A file of JSON, when it is there.
fn read_json(path: &Path) -> Result<Option<Value>> {
    match presence::is_file(path)? {
        true => files::read_json(path, "JSON").map(Some),
        false => Ok(None),
    }
}

/// A table about a model, or a pair of them.
#[derive(Debug, Clone)]
pub(super) struct Titled {
    /// What its pictures call the model.
    pub(crate) title: String,
    pub(crate) table: Table,
}

/// The five numbers of the traces of every layer.
fn five_by_layer(trace: &Table, layers: &[usize]) -> Result<Vec<[f64; 5]>> {
    let mut by_layer: HashMap<usize, Vec<f64>> = HashMap::new();
    let traces = trace.numbers("trace")?;
    for (layer, value) in trace.whole_numbers("layer")?.into_iter().zip(traces) {
        if value.is_finite() {
            by_layer.entry(layer).or_default().push(value);
        }
    }
    Ok(layers
        .iter()
        .map(|layer| {
            // None where no sentence has two tokens: five times NaN.
            let mut values = by_layer.remove(layer).unwrap_or_default();
            values.sort_unstable_by(f64::total_cmp);
            [0.0, 0.25, 0.5, 0.75, 1.0].map(|q| quantile(&values, q))
        })
        .collect())
}

/// Everything that was found.
#[derive(Debug, Clone, Default)]
pub(super) struct Results {
    /// The statistics by layer: FlauBERT's, CamemBERT's, others; raw before fine-tuned.
    pub(crate) runs: Vec<Run>,
    pub(crate) treillis: Option<Table>,
    pub(crate) probes: Option<Table>,
    pub(crate) logistic: Option<Table>,
    pub(crate) curves: Option<Table>,
    pub(crate) classes: Option<Table>,
    pub(crate) cone: Option<Table>,
    /// What `study compare` left: layer_a,layer_b,cka
    pub(crate) comparisons: Vec<Titled>,
    /// What `study convergence` left: target,group,layer,rows,spearman,low,high
    pub(crate) convergence: Vec<Titled>,
    /// Whether the published figures may stand beside those found here.
    pub(crate) comparable: bool,
    /// The manifests of all folders, by the names of these.
    pub(crate) manifests: Vec<(String, Manifest)>,
    /// The tables in all folders.
    pub(crate) tables: Inputs,
}

impl Results {
    /// Look into every folder of `folder`.
    ///
    /// # Errors
    /// [`Error::NotFound`] when no study left anything there, [`Error::Malformed`] for a broken
    /// table.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let mut found = Results::default();
        for path in files::visible(folder)? {
            let name = path.file_name().expect("what a folder holds has a name");
            if presence::is_dir(&path)? {
                found.add(&name.to_string_lossy(), &path)?;
            }
        }
        let rank = |run: &Run| {
            let place = MODELS.iter().position(|model| Some(*model) == run.model);
            place.unwrap_or(MODELS.len())
        };
        found
            .runs
            .sort_by_key(|run| (rank(run), run.stage != "raw", run.stage.clone()));
        for pairs in [&mut found.comparisons, &mut found.convergence] {
            pairs.sort_by_key(|pair| original::titled(&pair.title) != Some(MODELS[0]));
        }
        let nothing =
            found.runs.is_empty() && found.convergence.is_empty() && found.comparisons.is_empty();
        found.comparable = are_original(&found.runs)?;
        if nothing && found.treillis.is_none() && found.cone.is_none() {
            return Err(Error::NotFound {
                what: format!("results of a study in {}", folder.display()),
                remedy: "run study raw, study fine-tuning, study cls or study cone first, or name the folder they are in".into(),
            });
        }
        Ok(found)
    }

    fn add(&mut self, name: &str, folder: &Path) -> Result<()> {
        let table = |stem: &str| Table::read(&folder.join(format!("{stem}.csv")));
        let manifest = read_manifest(folder)?;
        let names = presence::names(folder)?;
        for name in names.iter().filter(|name| name.ends_with(".csv")) {
            let path = folder.join(name);
            self.tables.add(path.display().to_string(), path);
        }
        self.runs.extend(Run::read(folder)?);
        for (slot, stem) in [
            (&mut self.comparisons, "comparison"),
            (&mut self.convergence, "convergence"),
        ] {
            let title = manifest
                .as_ref()
                .and_then(|m| m.config.get("title")?.as_str().map(String::from));
            slot.extend(table(stem)?.map(|table| Titled {
                title: title.unwrap_or_else(|| name.into()),
                table,
            }));
        }
        if self.treillis.is_none() {
            self.treillis = table("treillis")?;
            if self.treillis.is_some() {
                self.probes = table("probes")?;
                self.logistic = table("logistic")?;
                self.curves = table("curves")?;
                self.classes = table("classes")?;
            }
        }
        if self.cone.is_none() {
            self.cone = table("cone")?;
        }
        self.manifests.extend(manifest.map(|m| (name.into(), m)));
        Ok(())
    }

    /// The runs of each model of the original study, in order.
    pub(crate) fn models(&self) -> Vec<(&'static Original, Vec<&Run>)> {
        let of = |model| {
            let own = self.runs.iter().filter(|run| run.model == Some(model));
            (model, own.collect::<Vec<_>>())
        };
        let models = MODELS.into_iter().map(of);
        models.filter(|(_, runs)| !runs.is_empty()).collect()
    }
}
