//! Where the cache is, which hub is asked and with which token: the environment variables of `huggingface_hub`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::HubOptions;
use crate::error::{Error, Result, read_text};

/// The hub that is asked when `HF_ENDPOINT` names no other.
pub(super) const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// What the options and the environment say, resolved once.
///
/// The names, the defaults and the order of precedence are those of `huggingface_hub.constants`.
#[derive(Clone)]
pub(super) struct Settings {
    /// The folder of `models--owner--name` folders.
    pub cache: PathBuf,
    /// The folder of what only this toolkit caches, beside the hub's.
    pub own_cache: PathBuf,
    /// The hub's address without a slash at its end.
    pub endpoint: String,
    /// Sent to the endpoint's host only; never shown.
    pub token: Option<String>,
    /// Never touch the network.
    pub offline: bool,
    /// Why: `--offline` or the name of a variable.
    pub offline_because: String,
    /// The branch, tag or commit asked for; `main` when none was.
    pub revision: String,
}

impl Settings {
    /// The settings of `options` in the environment that `variable` looks up.
    ///
    /// # Errors
    /// [`Error::Usage`] when there is neither a home folder nor a variable that names the cache.
    pub fn resolve(
        options: &HubOptions,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self> {
        let text = |name: &str| -> Option<String> {
            let value = variable(name)?.into_string().ok()?;
            let value = value.trim();
            (!value.is_empty()).then(|| value.to_owned())
        };
        let folder = |name: &str| variable(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let home = folder("HOME").or_else(|| folder("USERPROFILE"));
        let expand = |path: PathBuf| match (path.strip_prefix("~"), &home) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => path,
        };
        let hf_home = folder("HF_HOME")
            .map(&expand)
            .or_else(|| folder("XDG_CACHE_HOME").map(|c| expand(c).join("huggingface")))
            .or_else(|| home.as_ref().map(|h| h.join(".cache/huggingface")));
        let named = folder("HF_HUB_CACHE")
            .or_else(|| folder("HUGGINGFACE_HUB_CACHE"))
            .map(&expand);
        let cache = options.cache_dir.clone().or(named);
        let (cache, own_cache) = match (cache, &hf_home, &options.cache_dir) {
            (Some(cache), _, Some(_)) => (cache.clone(), cache.join("flue-study")),
            (Some(cache), Some(home), None) => (cache, home.join("flue-study")),
            (Some(cache), None, None) => (cache.clone(), cache.join("flue-study")),
            (None, Some(home), _) => (home.join("hub"), home.join("flue-study")),
            (None, None, _) => {
                return Err(Error::Usage(
                    "no home folder to keep a cache in: set HF_HOME or pass --cache-dir".into(),
                ));
            }
        };
        let offline_because = if options.offline {
            Some("--offline")
        } else {
            ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"]
                .into_iter()
                .find(|name| text(name).is_some_and(|v| is_true(&v)))
        };
        Ok(Self {
            cache,
            own_cache,
            endpoint: text("HF_ENDPOINT")
                .unwrap_or_else(|| DEFAULT_ENDPOINT.into())
                .trim_end_matches('/')
                .to_owned(),
            token: token(&text, hf_home.as_deref(), &expand, &folder),
            offline: offline_because.is_some(),
            offline_because: offline_because.unwrap_or_default().to_owned(),
            revision: options.revision.clone().unwrap_or_else(|| "main".into()),
        })
    }
}

/// The token of `HF_TOKEN`, else of the file that a login left.
fn token(
    text: &dyn Fn(&str) -> Option<String>,
    hf_home: Option<&Path>,
    expand: &dyn Fn(PathBuf) -> PathBuf,
    folder: &dyn Fn(&str) -> Option<PathBuf>,
) -> Option<String> {
    if text("HF_HUB_DISABLE_IMPLICIT_TOKEN").is_some_and(|v| is_true(&v)) {
        return None;
    }
    text("HF_TOKEN")
        .or_else(|| text("HUGGING_FACE_HUB_TOKEN"))
        .or_else(|| {
            let file = folder("HF_TOKEN_PATH")
                .map(expand)
                .or_else(|| hf_home.map(|h| h.join("token")))?;
            let token = read_text(&file).ok()?;
            let token = token.trim();
            (!token.is_empty()).then(|| token.to_owned())
        })
        .filter(|token| token.chars().all(|c| c.is_ascii_graphic()))
}

/// What `huggingface_hub` takes for true.
fn is_true(value: &str) -> bool {
    ["1", "ON", "YES", "TRUE"].contains(&value.to_ascii_uppercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)], options: HubOptions) -> Settings {
        Settings::resolve(&options, &|name| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| OsString::from(v))
        })
        .unwrap()
    }

    #[test]
    fn the_cache_is_where_python_looks() {
        let home = ("HOME", "/h");
        let cache = |v: &[(&str, &str)]| settings(v, HubOptions::default()).cache;
        assert_eq!(cache(&[home]), Path::new("/h/.cache/huggingface/hub"));
        assert_eq!(
            cache(&[home, ("XDG_CACHE_HOME", "/x")]),
            Path::new("/x/huggingface/hub")
        );
        assert_eq!(cache(&[home, ("HF_HOME", "~/hf")]), Path::new("/h/hf/hub"));
        assert_eq!(
            cache(&[home, ("HF_HOME", "/hf"), ("HF_HUB_CACHE", "/c")]),
            Path::new("/c")
        );
        let given = HubOptions {
            cache_dir: Some("/d".into()),
            ..Default::default()
        };
        let s = settings(&[home, ("HF_HUB_CACHE", "/c")], given);
        assert_eq!(s.cache, Path::new("/d"));
        assert_eq!(s.own_cache, Path::new("/d/flue-study"));
        assert!(Settings::resolve(&HubOptions::default(), &|_| None).is_err());
    }

    #[test]
    fn offline_and_endpoint_follow_the_variables() {
        let s = settings(
            &[
                ("HOME", "/h"),
                ("HF_HUB_OFFLINE", "yes"),
                ("HF_ENDPOINT", "http://m/"),
            ],
            HubOptions::default(),
        );
        assert!(s.offline);
        assert_eq!(s.offline_because, "HF_HUB_OFFLINE");
        assert_eq!(s.endpoint, "http://m");
        let s = settings(
            &[("HOME", "/h"), ("HF_HUB_OFFLINE", "0")],
            HubOptions::default(),
        );
        assert!(!s.offline && s.endpoint == DEFAULT_ENDPOINT && s.revision == "main");
    }

    #[test]
    fn the_token_comes_from_the_variable_or_the_login_file() {
        let d = tempfile::tempdir().unwrap();
        let home = d.path().to_str().unwrap();
        let token = |v: &[(&str, &str)]| settings(v, HubOptions::default()).token;
        assert_eq!(token(&[("HF_HOME", home)]), None);
        std::fs::write(d.path().join("token"), "hf_file\n").unwrap();
        assert_eq!(token(&[("HF_HOME", home)]).as_deref(), Some("hf_file"));
        assert_eq!(
            token(&[("HF_HOME", home), ("HF_TOKEN", "hf_env")]).as_deref(),
            Some("hf_env")
        );
        let other = d.path().join("t2");
        std::fs::write(&other, "hf_other").unwrap();
        assert_eq!(
            token(&[
                ("HF_HOME", home),
                ("HF_TOKEN_PATH", other.to_str().unwrap())
            ])
            .as_deref(),
            Some("hf_other")
        );
        assert_eq!(
            token(&[("HF_HOME", home), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]),
            None
        );
    }
}
