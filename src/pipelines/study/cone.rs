//! `study cone`: the cosine of every `[CLS]` vector with the first one, by label.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::arrays::{self, ClsArrays, Source};
use super::charts;
use super::table::{Kind, TableWriter};
use crate::analysis::cone::cosines_with_first;
use crate::corpus::{Classes, LabelMap};
use crate::error::Result;
use crate::files::AtomicDir;
use crate::pipelines::{Same, keep_inputs};
use crate::plotting::{self, Axis, Scatter, ScatterSeries};

/// What `study cone` works on.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// The folder of the arrays: `{flaubert,camembert}_{raw,ft}.npy`.
    pub(crate) npy: PathBuf,
    /// The folder that receives the table and the pictures.
    pub(crate) out: PathBuf,
    /// The layers that the files hold, when they do not say.
    pub(crate) layers: Option<Vec<usize>>,
    /// Other names for the classes.
    pub(crate) label_map: LabelMap,
    /// Replace an output that exists.
    #[serde(skip)]
    pub(crate) overwrite: bool,
}

/// What `study cone` found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    /// The folder of the table and the pictures.
    pub(crate) out: PathBuf,
    /// One per model.
    pub(crate) cones: Vec<Cone>,
}

/// The mean cosines of one model.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cone {
    /// `flaubert_raw`, `flaubert_ft`, `camembert_raw` or `camembert_ft`.
    pub(crate) model: String,
    /// The layer: the last one stored.
    pub(crate) layer: usize,
    /// The mean cosine of the negative reviews with the first review.
    pub(crate) negative: f64,
    /// The mean cosine of the positive ones.
    pub(crate) positive: f64,
}

/// Compare every row of `train`, then of `test`, with the very first, in the last layer stored;
/// leave `cone` as CSV and Parquet and a scatter for each model.
///
/// # Errors
/// [`Error::OutputExists`] without `overwrite`, [`Error::NotFound`] and [`Error::Malformed`] for
/// the arrays; [`Error::Mismatch`] for classes that are not negative and positive.
pub(crate) fn run(config: &Config) -> Result<Summary> {
    keep_inputs(&config.out, [&config.npy], Same::Refused)?;
    let out = AtomicDir::create(&config.out, config.overwrite)?;
    let models = arrays::find(&config.npy)?;
    let columns = [
        ("model", Kind::Text),
        ("split", Kind::Text),
        ("row", Kind::Integer),
        ("label", Kind::Integer),
        ("cosine", Kind::Float),
    ];
    let mut table = TableWriter::create(out.path(), "cone", &columns)?;
    let inputs = arrays::inputs(models.iter().map(|(_, path)| path))?;
    let manifest = super::manifest("cone", config, &inputs)?;
    let mut cones = Vec::new();
    for (source, path) in models {
        let mut arrays = arrays::read(&path, config.layers.as_deref())?;
        let classes = arrays.classes(&config.label_map)?;
        arrays.relabel(&classes.places_in(&Classes::flue())?)?;
        let arrays = &arrays;
        let last = arrays.layers.len() - 1;
        let cosines = cosines_with_first(&[arrays.train[last].view(), arrays.test[last].view()])?;
        let labels = [&arrays.train_labels[..], &arrays.test_labels].concat();
        let train = arrays.train_labels.len();
        for (i, (&cosine, &label)) in cosines.iter().zip(&labels).enumerate() {
            let (split, row) = if i < train {
                ("train", i)
            } else {
                ("test", i - train)
            };
            let name = source.variant.name.into();
            table.row(&[name, split.into(), row.into(), label.into(), cosine.into()])?;
        }
        draw(out.path(), source, arrays, &cosines, &labels)?;
        cones.push(Cone {
            model: source.variant.name.into(),
            layer: arrays.layers[last],
            negative: mean_of(&cosines, &labels, 0),
            positive: mean_of(&cosines, &labels, 1),
        });
    }
    table.finish()?;
    super::leave(out, &manifest)?;
    Ok(Summary {
        out: config.out.clone(),
        cones,
    })
}

fn mean_of(cosines: &[f64], labels: &[i64], label: i64) -> f64 {
    let own = cosines.iter().zip(labels).filter(|(_, l)| **l == label);
    let (sum, n) = own.fold((0.0, 0u32), |(sum, n), (c, _)| (sum + c, n + 1));
    sum / f64::from(n)
}

fn draw(
    folder: &Path,
    source: Source,
    arrays: &ClsArrays,
    cosines: &[f64],
    labels: &[i64],
) -> Result<()> {
    let (train, total) = (arrays.train_labels.len(), labels.len());
    let points_of = |label: i64| {
        cosines
            .iter()
            .zip(labels)
            .enumerate()
            .filter(|(_, (_, l))| **l == label)
            .map(|(i, (&c, _))| (i as f64, c))
            .collect()
    };
    let layer = arrays.layers.last().expect("arrays have a layer");
    let chart = Scatter {
        labels: charts::labels(
            format!(
                "{}: cosine of every [CLS] with the first one",
                source.variant.title
            ),
            &format!(
                "layer {layer}; train rows 0 to {}, then test",
                train.saturating_sub(1)
            ),
            "review, in the order of the file",
            "cosine",
        ),
        series: [("negative", 0), ("positive", 1)]
            .into_iter()
            .map(|(name, label)| ScatterSeries {
                name: name.into(),
                points: points_of(label),
            })
            .collect(),
        x_axis: Axis::Range(0.0, total as f64),
        y_axis: Axis::Linear,
    };
    plotting::save(&chart, folder, &format!("cone_{}", source.variant.name))
}
