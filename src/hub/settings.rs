//! Where the cache is, which hub is asked and with which token: the options of a run and the
//! environment variables of `huggingface_hub`.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::read_text;

/// The hub that is asked when `HF_ENDPOINT` names no other, and the archive of data sets when
/// `ZENODO_ENDPOINT` does not.
const DEFAULT_ENDPOINT: &str = "https://huggingface.co";
const DEFAULT_ZENODO: &str = "https://zenodo.org";

/// Shows the progress of one download: given its name, the bytes that an earlier run left and the
/// size (0 when that is unknown), it returns what is then told of the bytes as they arrive.
pub type Watch = fn(&str, u64, u64) -> Box<dyn FnMut(u64)>;

/// How names are looked up.
#[derive(Debug, Clone, Default)]
pub struct HubOptions {
    /// Never touch the network (`--offline`); `HF_HUB_OFFLINE=1` does the same.
    pub offline: bool,
    /// The folder of downloaded repositories (`--cache-dir`); else `HF_HUB_CACHE`, `HF_HOME/hub` or
    /// `~/.cache/huggingface/hub`.
    pub cache_dir: Option<PathBuf>,
    /// Branch, tag or commit of a checkpoint (`--revision`); else `main`.
    pub revision: Option<String>,
    /// Shows the progress of downloads; nothing is shown without it.
    pub watch: Option<Watch>,
}

/// Looks an environment variable up.
pub(super) type Variables = dyn Fn(&str) -> Option<OsString> + Send + Sync;

/// What the options and the environment say, resolved once.
///
/// The names, the defaults and the order of precedence are those of `huggingface_hub.constants`.
pub(super) struct Settings {
    /// The folder of `models--owner--name` folders.
    pub(crate) cache: PathBuf,
    /// The folder of what only this toolkit caches, beside the hub's.
    pub(crate) own_cache: PathBuf,
    /// The hub's address without a slash at its end.
    pub(crate) endpoint: String,
    /// Zenodo's, likewise.
    pub(crate) zenodo: String,
    /// Sent to the endpoint's host only; never shown.
    pub(crate) token: Option<String>,
    /// Never touch the network.
    pub(crate) offline: bool,
    /// Why: `--offline` or the name of a variable.
    pub(crate) offline_because: String,
    /// The branch, tag or commit asked for; `main` when none was.
    pub(crate) revision: String,
}

impl Settings {
    /// The settings of `options` in the environment that `variable` looks up.
    ///
    /// # Errors
    /// [`Error::Usage`] when there is neither a home folder nor a variable that names the cache,
    /// and for an endpoint or a revision that cannot be one.
    pub(crate) fn resolve(options: &HubOptions, variable: &Variables) -> Result<Self> {
        let text = |name: &str| -> Option<String> {
            let value = variable(name)?.into_string().ok()?;
            let value = value.trim();
            (!value.is_empty()).then(|| value.to_owned())
        };
        let folder = |name: &str| variable(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let home = folder("HOME").or_else(|| folder("USERPROFILE"));
        let expand = |path: PathBuf| {
            let path = with_variables(path, variable);
            match (path.strip_prefix("~"), &home) {
                (Ok(rest), Some(home)) => home.join(rest),
                _ => path,
            }
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
        // The first of the two that says anything decides.
        let offline_because = if options.offline {
            Some("--offline")
        } else {
            ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"]
                .into_iter()
                .find_map(|name| Some((name, text(name)?)))
                .and_then(|(name, value)| is_true(&value).then_some(name))
        };
        let address = |name: &str, default: &str| {
            let given = text(name).unwrap_or_else(|| default.into());
            given.trim_end_matches('/').to_owned()
        };
        let endpoint = address("HF_ENDPOINT", DEFAULT_ENDPOINT);
        if !endpoint.contains("://") {
            return Err(Error::Usage(format!(
                "HF_ENDPOINT is `{endpoint}`: an address begins with https:// or http://"
            )));
        }
        let revision = options.revision.clone().unwrap_or_else(|| "main".into());
        if !is_plain(&revision) {
            let problem = "give the name of a branch, a tag or a commit";
            return Err(Error::setting("revision", revision, problem));
        }
        Ok(Self {
            cache,
            own_cache,
            endpoint,
            zenodo: address("ZENODO_ENDPOINT", DEFAULT_ZENODO),
            token: token(&text, hf_home.as_deref(), &expand, &folder),
            offline: offline_because.is_some(),
            offline_because: offline_because.unwrap_or_default().to_owned(),
            revision,
        })
    }

    /// What helps when a server does not answer.
    pub(crate) fn no_answer(&self) -> String {
        format!(
            "check the connection, HF_ENDPOINT and HTTPS_PROXY, or work with --offline on what the \
             cache {} holds",
            self.cache.display()
        )
    }
}

/// Whether a name stays inside the folder it is joined to.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.contains(['\\', '\0'])
        && Path::new(name)
            .components()
            .all(|c| matches!(c, Component::Normal(_)))
}

/// `$NAME` and `${NAME}` replaced by what the environment has, as `os.path.expandvars` does;
/// unknown names stay.
fn with_variables(path: PathBuf, variable: &Variables) -> PathBuf {
    let Some(text) = path.to_str().filter(|text| text.contains('$')) else {
        return path;
    };
    let mut pieces = text.split('$');
    let mut out = OsString::from(pieces.next().unwrap_or_default());
    for piece in pieces {
        let braced = piece.strip_prefix('{').and_then(|p| p.split_once('}'));
        let (name, rest) = braced.unwrap_or_else(|| {
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            piece.split_at(piece.find(|c| !word(c)).unwrap_or(piece.len()))
        });
        match variable(name).filter(|_| !name.is_empty()) {
            Some(value) => {
                out.push(value);
                out.push(rest);
            }
            None => {
                out.push("$");
                out.push(piece);
            }
        }
    }
    out.into()
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
            read_text(&file).ok()
        })
        // As Python does, which removes line ends wherever they stand.
        .map(|token| token.replace(['\r', '\n'], "").trim().to_owned())
        .filter(|token| {
            let usable = token.chars().all(|c| c.is_ascii_graphic());
            if !usable {
                tracing::warn!(
                    "the hub's token is not sent: it holds characters that no token has"
                );
            }
            usable && !token.is_empty()
        })
}

/// What `huggingface_hub` takes to be true.
fn is_true(value: &str) -> bool {
    ["1", "ON", "YES", "TRUE"].contains(&value.to_ascii_uppercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)], options: HubOptions) -> Settings {
        let held: Vec<(String, OsString)> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.into()))
            .collect();
        let variable = move |name: &str| {
            let found = held.iter().find(|(n, _)| n == name);
            found.map(|(_, value)| value.clone())
        };
        Settings::resolve(&options, &variable).unwrap()
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
        let offline = |hub: &str, transformers: &str| {
            let set = [
                ("HOME", "/h"),
                ("HF_HUB_OFFLINE", hub),
                ("TRANSFORMERS_OFFLINE", transformers),
            ];
            settings(&set, HubOptions::default()).offline
        };
        assert!(!offline("0", "1") && offline("", "1") && offline("1", "0"));
    }

    #[test]
    fn what_can_be_neither_an_address_nor_a_revision_is_refused() {
        let message = |endpoint: &str, revision: &str| {
            let options = HubOptions {
                revision: Some(revision.into()),
                ..Default::default()
            };
            let endpoint = endpoint.to_owned();
            let set = move |name: &str| match name {
                "HF_ENDPOINT" => Some(endpoint.clone().into()),
                _ => Some("/h".into()),
            };
            Settings::resolve(&options, &set)
                .err()
                .map(|e| e.to_string())
        };
        assert!(
            message("huggingface.co", "main")
                .unwrap()
                .contains("https://")
        );
        for bad in ["", "../../up", "/abs", "a/../b"] {
            assert!(
                message("http://h", bad).unwrap().contains("revision"),
                "{bad}"
            );
        }
        assert_eq!(message("http://h", "refs/pr/1"), None);
    }

    #[test]
    fn variables_in_paths_are_replaced() {
        let cache = |value: &str| {
            let set = [("HOME", "/h"), ("A_1", "/a"), ("HF_HUB_CACHE", value)];
            settings(&set, HubOptions::default()).cache
        };
        for (value, path) in [
            ("$HOME/x", "/h/x"),
            ("${A_1}b$HOME", "/ab/h"),
            ("$A_1-b", "/a-b"),
            ("/c$NO/${NO}/$/${HOME", "/c$NO/${NO}/$/${HOME"),
            ("~/$A_1", "/h/a"),
        ] {
            assert_eq!(cache(value), Path::new(path), "{value}");
        }
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
        assert_eq!(
            token(&[("HF_HOME", home), ("HF_TOKEN", " a\nb\r ")]).as_deref(),
            Some("ab")
        );
        assert_eq!(token(&[("HF_HOME", home), ("HF_TOKEN", "a b")]), None);
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
