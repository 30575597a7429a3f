//! An output that replaces a folder must not take along what the run reads.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::error::{Error, Result};

/// Whether an output may be the very folder that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Same {
    /// It is read before it is replaced, and its user named it twice.
    Replaced,
    /// What is in it would be lost.
    Refused,
}

/// Refuse an output in which an input lies. Called where the options are checked; names that lead nowhere, such as those of the
/// hub, are passed over.
///
/// # Errors
/// [`Error::Usage`] that names both; [`Error::Io`] when the output cannot be looked at.
pub fn keep_inputs<P: AsRef<Path>>(
    output: &Path,
    inputs: impl IntoIterator<Item = P>,
    same: Same,
) -> Result<()> {
    if output.file_name().is_none() {
        // `.` and `..` are no names that an output can take, and are refused as such.
        return Ok(());
    }
    // By their true names: a link or `..` may hide that one is in the other.
    let folder = match fs::canonicalize(output) {
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(());
        }
        folder => folder.map_err(Error::io(output, "look at"))?,
    };
    for input in inputs {
        let input = input.as_ref();
        let Ok(found) = fs::canonicalize(input) else {
            continue;
        };
        if found.starts_with(&folder) && (found != folder || same == Same::Refused) {
            return Err(Error::Usage(format!(
                "{} would be deleted with {}, which this run replaces: choose another output",
                input.display(),
                output.display()
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_in_the_output_are_refused_by_whatever_name() {
        let d = tempfile::tempdir().unwrap();
        let at = |name: &str| d.path().join(name);
        fs::create_dir_all(at("out/sub")).unwrap();
        fs::create_dir_all(at("output")).unwrap();
        let keep = |output: &str, input: &str, same| keep_inputs(&at(output), [at(input)], same);
        for input in ["out/sub", "output/../out/sub", "out/sub/../sub"] {
            let message = keep("out", input, Same::Replaced).unwrap_err().to_string();
            assert!(message.contains(input), "{message}");
            assert!(message.contains("choose another output"), "{message}");
        }
        keep("out", "out", Same::Replaced).unwrap();
        assert!(keep("out", "out/sub/..", Same::Refused).is_err());
        for (output, input) in [
            ("out/sub", "out"),
            ("out", "output"),
            ("new", "out"),
            ("out", "no"),
        ] {
            keep(output, input, Same::Refused).unwrap();
        }
        keep(".", "out", Same::Refused).unwrap_err();
        keep_inputs(Path::new("."), ["src"], Same::Refused).unwrap();
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(at("out"), at("link")).unwrap();
            assert!(keep("out", "link/sub", Same::Replaced).is_err());
        }
    }
}
