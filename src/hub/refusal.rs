//! What a server refuses, in words.

use ureq::Body;
use ureq::http::Response;

use super::address::same_origin;
use super::client::{header, network};
use super::settings::Settings;
use crate::error::Error;

/// Characters of the server's own words that are passed on.
const LONGEST: usize = 300;

/// The error for an answer of `url` that gives nothing: by `X-Error-Code` where the hub itself speaks (as
/// `hf_raise_for_status` in `huggingface_hub` reads it), else by its status.
pub(super) fn refusal(settings: &Settings, url: &str, response: &Response<Body>) -> Error {
    let code = header(response.headers(), "x-error-code").unwrap_or_default();
    let says = header(response.headers(), "x-error-message").unwrap_or_default();
    let status = response.status().as_u16();
    let login = if settings.token.is_some() {
        "the token that was sent has no right to it"
    } else {
        "no token was sent: set HF_TOKEN or log in with `hf auth login`"
    };
    let at_hub = same_origin(url, &settings.endpoint);
    let (mut problem, remedy) = match (status, code) {
        (429, _) => (
            "too many requests".to_owned(),
            "wait some minutes, or log in for a larger allowance".to_owned(),
        ),
        (_, "GatedRepo") => (
            "access to this repository is restricted".into(),
            format!("accept its conditions on its page at the hub; {login}"),
        ),
        (404, "RevisionNotFound") => (
            "there is no branch, tag or commit of that name".into(),
            "check --revision, if you gave one".into(),
        ),
        (404, "EntryNotFound") => (
            "the repository has no such file".into(),
            "check the name of the repository and the revision".into(),
        ),
        (_, "DisabledRepo") => (
            "this repository has been switched off".into(),
            "choose another one".into(),
        ),
        (401, _) if at_hub && says.contains("Invalid credentials") => (
            "the token that was sent is not valid".into(),
            "set HF_TOKEN to a new one, or log in anew with `hf auth login`".into(),
        ),
        (401 | 404, _) if at_hub => (
            "there is no such repository, or it is private".into(),
            format!("check its name; {login}"),
        ),
        (403, _) if at_hub => ("access is forbidden".into(), login.into()),
        (status, _) => (
            format!("the server answers with status {status}"),
            settings.no_answer(),
        ),
    };
    if !says.is_empty() {
        let says: String = says.chars().take(LONGEST).collect();
        problem += &format!(" (the server says: {says})");
    }
    network(url, problem, remedy)
}
