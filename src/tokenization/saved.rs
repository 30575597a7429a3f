//! A checkpoint's tokenizer beside the weights that were trained with it.

use std::fs;
use std::path::Path;

use super::camembert::CamembertTokenizer;
use super::files::JsonFile;
use super::{TOKENIZER_FILES, Tokenizer, TokenizerKind, TokenizerOptions, Transformers5, kind_of};
use crate::error::{Error, Result};
use crate::files::presence;

/// Files whose content is in the two that are written where the others would not be read alike.
const REPLACED: [&str; 4] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
];

/// Leave the tokenizer of the folder `from` in the folder `to`, so that `AutoTokenizer` of transformers 4.57 and of 5.24 gives
/// the ids that it gives here.
///
/// The files are copied where both do so anyway. Where 5 would build another tokenizer, they are written anew for
/// `PreTrainedTokenizerFast`, which both take from `tokenizer.json` as it is. A folder without a tokenizer leaves none, and files that cannot be
/// read are copied with a warning: they come after a training.
///
/// # Errors
/// For files that cannot be written.
pub fn save(from: &Path, to: &Path) -> Result<()> {
    let written: &[&str] = match write_for_both(from, to) {
        Ok(true) => &REPLACED,
        Ok(false) => &[],
        Err(e @ (Error::Io { .. } | Error::Interrupted { .. })) => return Err(e),
        Err(e) => {
            tracing::warn!("the tokenizer's files are copied as they are: {e}");
            &[]
        }
    };
    for name in TOKENIZER_FILES
        .iter()
        .filter(|name| !written.contains(name))
    {
        let file = from.join(name);
        if presence::is_file(&file)? {
            fs::copy(&file, to.join(name)).map_err(Error::io(&file, "copy"))?;
        }
    }
    Ok(())
}

/// Write the two files that both releases read alike, where copies would not be; whether that was so.
fn write_for_both(from: &Path, to: &Path) -> Result<bool> {
    if !has_tokenizer(from)? || kind_of(from)? != TokenizerKind::Camembert {
        return Ok(false);
    }
    let tokenizer = CamembertTokenizer::open(from, &TokenizerOptions::default())?;
    if matches!(tokenizer.under_transformers_5()?, Transformers5::Same) {
        return Ok(false);
    }
    let config = JsonFile::open(from, "tokenizer_config.json")?;
    for (name, text) in tokenizer.for_both_releases(&config)? {
        let path = to.join(name);
        fs::write(&path, text).map_err(Error::io(&path, "write"))?;
    }
    tracing::warn!(
        "{}: transformers 5 would build another tokenizer of this checkpoint; the saved folder names \
         PreTrainedTokenizerFast, so that AutoTokenizer of 4.57 and of 5 gives the ids of the training",
        from.display()
    );
    Ok(true)
}

fn has_tokenizer(folder: &Path) -> Result<bool> {
    Ok(presence::is_file(&folder.join("tokenizer.json"))?
        || presence::is_file(&folder.join("sentencepiece.bpe.model"))?)
}
