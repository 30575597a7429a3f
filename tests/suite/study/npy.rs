//! `.npy` files against NumPy's own, and broken ones.

use std::fs;
use std::path::Path;

use flue_study::artifact::npy::{Array, DType, Header, NpyWriter, Values, read_arrays};
use flue_study::files::AtomicFile;

use crate::common::{Workspace, fixtures};

/// The arrays of `arrays.npy`, written by NumPy.
fn numpy_arrays() -> (Vec<u8>, Vec<Array>) {
    let path = fixtures().join("study/arrays.npy");
    (fs::read(&path).unwrap(), read_arrays(&path).unwrap())
}

#[test]
fn npy_files_equal_numpys_byte_for_byte() {
    let (bytes, arrays) = numpy_arrays();
    assert_eq!(arrays.len(), 8);
    assert_eq!(arrays[2].values, Values::I64((-3..4).collect()));
    assert_eq!(
        (arrays[6].shape.len(), &arrays[6].values),
        (0, &Values::F64(vec![1.5]))
    );
    assert_eq!(arrays[7].shape, [1, 12_345_678, 0]);

    let folder = Workspace::new();
    let path = folder.path("copy.npy");
    let header = |a: &Array| {
        let dtype = match &a.values {
            Values::F16(_) => DType::F16,
            Values::F32(_) => DType::F32,
            Values::F64(_) => DType::F64,
            Values::I32(_) => DType::I32,
            Values::I64(_) => DType::I64,
        };
        Header::new(dtype, a.shape.clone())
    };
    let headers: Vec<Header> = arrays.iter().map(header).collect();
    let file = AtomicFile::create(&path, false).unwrap();
    let mut writer = NpyWriter::new(&path, file, &headers).unwrap();
    // the last array first, and the first one from its end
    for (i, array) in arrays.iter().enumerate().rev() {
        match &array.values {
            Values::F32(v) if i == 0 => {
                for k in (0..v.len()).rev() {
                    writer.write(0, k, &v[k..=k]).unwrap();
                }
            }
            Values::F16(v) => writer.write(i, 0, v).unwrap(),
            Values::F32(v) => writer.write(i, 0, v).unwrap(),
            Values::F64(v) => writer.write(i, 0, v).unwrap(),
            Values::I32(v) => writer.write(i, 0, v).unwrap(),
            Values::I64(v) => writer.write(i, 0, v).unwrap(),
        }
    }
    writer.finish().unwrap().commit().unwrap();
    assert!(fs::read(&path).unwrap() == bytes);
}

#[test]
fn an_npy_writer_refuses_what_does_not_fit() {
    let folder = Workspace::new();
    let path = folder.path("a.npy");
    let make = || {
        let file = AtomicFile::create(&path, true).unwrap();
        NpyWriter::new(&path, file, &[Header::new(DType::F32, [2, 3])]).unwrap()
    };
    assert!(make().write(0, 4, &[0f32; 3]).is_err());
    assert!(make().write(0, usize::MAX, &[0f32; 3]).is_err());
    assert!(make().write(0, 0, &[0f64; 3]).is_err());
    assert!(make().write(1, 0, &[0f32; 3]).is_err());
    let mut short = make();
    short.write(0, 0, &[0f32; 5]).unwrap();
    assert!(short.finish().is_err());
    assert!(!path.exists());
}

#[test]
fn broken_npy_files_are_refused_with_their_place() {
    let folder = Workspace::new();
    let (bytes, _) = numpy_arrays();
    let refused = |name: &str, bytes: &[u8], words: &str| {
        let path = folder.path(name);
        fs::write(&path, bytes).unwrap();
        let message = read_arrays(&path).unwrap_err().to_string();
        assert!(
            message.contains(words) && message.contains(name),
            "{message}"
        );
    };
    refused("empty.npy", b"", "byte 0");
    refused("text.npy", b"text,label\nbon,1\n", "byte 0");
    refused("cut.npy", &bytes[..150], "cut short");
    refused("header.npy", &bytes[..60], "cut short");
    refused("tail.npy", &[&bytes[..], b"xx"].concat(), "cut short");
    let edit = |from: &str, to: &str| {
        let at = bytes
            .windows(from.len())
            .position(|w| w == from.as_bytes())
            .unwrap();
        [&bytes[..at], to.as_bytes(), &bytes[at + from.len()..]].concat()
    };
    refused("big.npy", &edit("<f4", ">f4"), ">f4");
    refused("order.npy", &edit("False", "True "), "Fortran");
    refused("shape.npy", &edit("(3, 5)", "(3, x)"), "shape");
    refused(
        "huge.npy",
        &edit("(3, 5), ", "(3, 99999999999999999999), "),
        "shape",
    );
    refused(
        "large.npy",
        &edit("(3, 5), }     ", "(3, 99999999), }"),
        "cut short",
    );
    refused(
        "version.npy",
        &[&bytes[..6], &[9], &bytes[7..]].concat(),
        "version 9",
    );
    let missing = read_arrays(Path::new("absent.npy"))
        .unwrap_err()
        .to_string();
    assert!(missing.contains("absent.npy"));
}
