//! The `[CLS]` vectors that `data-cls` stores, as the studies `cls` and `cone` read them.

use std::path::{Path, PathBuf};

use ndarray::Array2;

use crate::artifact::npy::{Array, DType, Header, NpyWriter, read_arrays};
use crate::artifact::{Inputs, Manifest, ShardSet};
use crate::corpus::{Classes, LabelMap};
use crate::error::{Error, Result};
use crate::files::{AtomicFile, manifest_beside, presence};
use crate::pipelines::inputs::add_arrays;
use crate::pipelines::original::{LAYERS, MODELS, Original, Variant};

/// One of the original's four files: of a model before or after fine-tuning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Source {
    pub(crate) model: &'static Original,
    pub(crate) variant: &'static Variant,
}

/// The vectors of one model: (sentences, hidden) by layer.
pub(super) struct ClsArrays {
    pub(crate) path: PathBuf,
    pub(crate) layers: Vec<usize>,
    pub(crate) train: Vec<Array2<f32>>,
    pub(crate) test: Vec<Array2<f32>>,
    pub(crate) train_labels: Vec<i64>,
    pub(crate) test_labels: Vec<i64>,
    /// The names of the classes, where the manifest beside the file has them.
    pub(crate) class_names: Option<Vec<String>>,
}

impl ClsArrays {
    /// The classes of the labels: those of the manifest, else the numbers 0 and 1 that the original
    /// stores.
    ///
    /// # Errors
    /// When two of them have one meaning.
    pub(crate) fn classes(&self, map: &LabelMap) -> Result<Classes> {
        let source = self.path.display();
        match &self.class_names {
            Some(names) => Classes::declared(source, names, map),
            None => Classes::numbers(source, 2, map),
        }
    }

    /// Count the classes in another way: the class that was number `i` becomes `places[i]`.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a label that is not a class.
    pub(crate) fn relabel(&mut self, places: &[usize]) -> Result<()> {
        for labels in [&mut self.train_labels, &mut self.test_labels] {
            for label in labels {
                let place = usize::try_from(*label).ok().and_then(|l| places.get(l));
                let place = place.ok_or_else(|| {
                    let last = places.len().saturating_sub(1);
                    let expected = format!("a class from 0 to {last}");
                    Error::malformed(&self.path, "the labels", format!("label {label}"), expected)
                })?;
                *label = *place as i64;
            }
        }
        Ok(())
    }
}

/// The original's files that stand in `folder`.
///
/// # Errors
/// [`Error::NotFound`] when none is there.
pub(super) fn find(folder: &Path) -> Result<Vec<(Source, PathBuf)>> {
    let mut found = Vec::new();
    let sources = MODELS.into_iter().flat_map(|model| {
        let variants = model.variants().into_iter();
        variants.map(move |variant| Source { model, variant })
    });
    for source in sources {
        let path = folder.join(format!("{}.npy", source.variant.name));
        if presence::is_file(&path)? {
            found.push((source, path));
        } else {
            tracing::warn!("{}: not found, left out", path.display());
        }
    }
    if found.is_empty() {
        return Err(Error::NotFound {
            what: format!("arrays of [CLS] vectors in {}", folder.display()),
            remedy: "run data-cls, or name the folder of its files".into(),
        });
    }
    Ok(found)
}

/// What a study reads that is made from these files.
///
/// # Errors
/// [`Error::Io`] when the system does not tell what stands beside one.
pub(in crate::pipelines) fn inputs<'p>(files: impl Iterator<Item = &'p PathBuf>) -> Result<Inputs> {
    let mut inputs = Inputs::default();
    for path in files {
        add_arrays(&mut inputs, path)?;
    }
    Ok(inputs)
}

/// Write the `wanted` layers of a file of `data-cls` to another: what `data-cls --layers` writes,
/// its manifest too.
///
/// # Errors
/// [`Error::Usage`] for a layer that the file lacks; [`Error::OutputExists`] without `overwrite`;
/// [`Error::Malformed`] for a file that is not laid out as `data-cls` does it.
pub(crate) fn select(from: &Path, to: &Path, wanted: &[usize], overwrite: bool) -> Result<()> {
    let arrays = read(from, None)?;
    let places = wanted.iter().map(|layer| {
        let place = arrays.layers.iter().position(|l| l == layer);
        place.ok_or_else(|| {
            let path = from.display();
            Error::Usage(format!(
                "layer {layer}: {path} has the layers {:?}",
                arrays.layers
            ))
        })
    });
    let places: Vec<usize> = places.collect::<Result<_>>()?;
    let splits = [&arrays.train, &arrays.test];
    let labels = [&arrays.train_labels, &arrays.test_labels];
    let states = splits
        .iter()
        .flat_map(|split| places.iter().map(|&p| &split[p]));
    let states: Vec<&Array2<f32>> = states.collect();
    let mut headers: Vec<Header> = states
        .iter()
        .map(|x| Header::new(DType::F32, [x.nrows(), x.ncols()]))
        .collect();
    headers.extend(labels.map(|l| Header::new(DType::I64, [l.len()])));
    let mut file = NpyWriter::new(to, AtomicFile::create(to, overwrite)?, &headers)?;
    for (i, x) in states.iter().enumerate() {
        for (row, values) in x.rows().into_iter().enumerate() {
            let first = row * x.ncols();
            file.write(i, first, &values.as_standard_layout().to_vec())?;
        }
    }
    for (i, labels) in labels.into_iter().enumerate() {
        file.write(states.len() + i, 0, labels)?;
    }
    file.finish()?.commit()?;
    let mut manifest = Manifest::read(&manifest_beside(from))?;
    manifest.config["layers"] = wanted.into();
    manifest.write(&manifest_beside(to))
}

/// Read one of these files; `layers` names its layers when the file does not say.
///
/// # Errors
/// [`Error::Malformed`] for a file that is not laid out as `data-cls` does it; [`Error::Usage`] for
/// other layers than it holds.
pub(super) fn read(path: &Path, layers: Option<&[usize]>) -> Result<ClsArrays> {
    let arrays = read_arrays(path)?;
    let (count, total) = (arrays.len().saturating_sub(2) / 2, arrays.len());
    if count == 0 || total % 2 == 1 {
        return Err(Error::malformed(
            path,
            "",
            format!("{total} arrays"),
            "the train layers, as many test layers, the train labels and the test labels",
        ));
    }
    let stored = stored_settings(path)?;
    let named = match layers {
        Some(layers) => Some(layers.to_vec()),
        None => stored.layers,
    };
    let layers = match named {
        Some(layers) if layers.len() == count => layers,
        None if count == LAYERS.len() => LAYERS.to_vec(),
        other => {
            let named = other.map_or(LAYERS.len(), |l| l.len());
            let path = path.display();
            let problem = format!("{path}: {count} layers are stored and {named} are named");
            return Err(Error::setting("layers", "", problem));
        }
    };
    let mut arrays = arrays.into_iter().enumerate();
    let matrices = |from: &mut dyn Iterator<Item = (usize, Array)>| {
        from.map(|(i, array)| matrix(path, i, array))
            .collect::<Result<Vec<_>>>()
    };
    let train = matrices(&mut arrays.by_ref().take(count))?;
    let test = matrices(&mut arrays.by_ref().take(count))?;
    let mut labels = arrays.map(|(i, array)| integers(path, i, array));
    let mut next = || labels.next().expect("two arrays stand behind the layers");
    let read = ClsArrays {
        path: path.to_path_buf(),
        layers,
        train,
        test,
        train_labels: next()?,
        test_labels: next()?,
        class_names: stored.classes,
    };
    check(&read)?;
    Ok(read)
}

/// What the manifest says of a file.
#[derive(Default, serde::Deserialize)]
struct StoredSettings {
    layers: Option<Vec<usize>>,
    /// The names of the classes in the order of the labels.
    classes: Option<Vec<String>>,
}

/// The settings in the manifest that `data-cls` leaves beside a file, where there is one.
fn stored_settings(path: &Path) -> Result<StoredSettings> {
    if ShardSet::lack_manifest_only(path) {
        return Err(Error::Mismatch(format!(
            "{}: the run that wrote it was stopped before its manifest: run the same data-cls again",
            path.display()
        )));
    }
    let path = manifest_beside(path);
    if !presence::is_taken(&path)? {
        return Ok(StoredSettings::default());
    }
    let manifest = Manifest::read(&path)?;
    serde_json::from_value(manifest.config).map_err(|e| {
        let expected = "the numbers of the layers and the names of the classes";
        Error::malformed(&path, "key `config`", e, expected)
    })
}

fn matrix(path: &Path, i: usize, array: Array) -> Result<Array2<f32>> {
    let shape = array.shape.clone();
    array.into_matrix().ok_or_else(|| {
        Error::malformed(
            path,
            format!("array {i}"),
            format!("shape {shape:?}"),
            "floating-point numbers of shape (sentences, hidden)",
        )
    })
}

fn integers(path: &Path, i: usize, array: Array) -> Result<Vec<i64>> {
    let shape = array.shape.clone();
    let labels = array.into_integers().ok_or_else(|| {
        Error::malformed(
            path,
            format!("array {i}"),
            format!("shape {shape:?}"),
            "whole numbers of shape (sentences), the labels",
        )
    })?;
    Ok(labels.to_vec())
}

fn check(arrays: &ClsArrays) -> Result<()> {
    let count = arrays.layers.len();
    let splits = [
        (&arrays.train, &arrays.train_labels, 0),
        (&arrays.test, &arrays.test_labels, count),
    ];
    for (matrices, labels, first) in splits {
        for (i, matrix) in matrices.iter().enumerate() {
            if matrix.nrows() != labels.len() || matrix.ncols() != arrays.train[0].ncols() {
                return Err(Error::malformed(
                    &arrays.path,
                    format!("array {}", first + i),
                    format!("shape {:?}", matrix.dim()),
                    format!("({}, {})", labels.len(), arrays.train[0].ncols()),
                ));
            }
            if !matrix.iter().all(|value| value.is_finite()) {
                let place = format!("array {}", first + i);
                let expected = "finite numbers: run data-cls again, or look at the checkpoint";
                return Err(Error::malformed(
                    &arrays.path,
                    place,
                    "a NaN or an infinity",
                    expected,
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_none_are_named_with_their_array() {
        let vectors = |value: f32| vec![Array2::from_elem((2, 3), value)];
        let mut arrays = ClsArrays {
            path: "a.npy".into(),
            layers: vec![5],
            train: vectors(0.5),
            test: vectors(f32::MAX),
            train_labels: vec![0, 1],
            test_labels: vec![1, 1],
            class_names: None,
        };
        check(&arrays).unwrap();
        for bad in [f32::NAN, f32::INFINITY] {
            arrays.test = vectors(bad);
            let message = check(&arrays).unwrap_err().to_string();
            assert!(message.contains("a.npy, array 1"), "{message}");
        }
        arrays.relabel(&[1, 0]).unwrap();
        assert_eq!(
            (&arrays.train_labels[..], &arrays.test_labels[..]),
            (&[1, 0][..], &[0, 0][..])
        );
        arrays.test_labels[1] = 2;
        let message = arrays.relabel(&[1, 0]).unwrap_err().to_string();
        assert!(
            message.contains("a.npy, the labels: found label 2"),
            "{message}"
        );
    }
}
