//! The report in headless Chromium: it opens without errors or requests, values appear under the
//! pointer and by the keyboard, links lead somewhere, the theme changes, and nothing is wider than
//! a phone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::program::write_arrays;
use crate::common::{Workspace, fixtures};

/// The browser.
fn chromium() -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = ["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .flat_map(|name| std::env::split_paths(&folders).map(move |f| f.join(name)))
        .find(|path| path.is_file());
    found.expect("no chromium on the PATH (apt-get install chromium)")
}

/// The folder of the arrays.
const ARRAYS: &str = "numpy_save_of_a_study_of_all_layers";

/// Everything that a report can hold, of tiny checkpoints.
fn results(w: &Workspace) {
    // Long names must not make the page wider than a phone.
    let arrays = w.path(ARRAYS);
    write_arrays(&arrays, 5);
    let manifest = r#"{"program": "data-cls", "version": "0.1.0", "config": {"layers": [5, 7, 9, 11, 12]}, "inputs": {}}"#;
    fs::write(arrays.join("camembert_raw.npy.manifest.json"), manifest).unwrap();
    for model in ["flaubert", "camembert"] {
        let data = fixtures().join(format!("study/beyond/{model}.datasets"));
        let checkpoint = fixtures().join("models").join(model);
        let (data, checkpoint) = (data.display(), checkpoint.display());
        for stage in ["raw", "ft_1"] {
            w.run(&format!(
                "study layers --data {data} --checkpoint {checkpoint} --out results/{model}_{stage}"
            ));
        }
        w.run(&format!("study convergence --data {data} --checkpoint {checkpoint} --out results/convergence_{model}"));
        w.run(&format!("study compare --data {data} --checkpoint {checkpoint} --other {checkpoint} --out results/compare_{model}"));
    }
    w.run(&format!("study cls --epochs 3 --npy {ARRAYS}"));
    w.run(&format!("study cone --npy {ARRAYS}"));
}

/// What the browser says of a page: the document as it stands after loading, and what it logs.
fn open(browser: &Path, w: &Workspace, page: &Path) -> (String, String) {
    let output = Command::new(browser)
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--allow-file-access-from-files",
        ])
        .args([
            "--enable-logging=stderr",
            "--window-size=1280,900",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", w.path("profile").display()))
        .arg(format!("file://{}", page.display()))
        .env("HOME", w.path(""))
        .output()
        .unwrap();
    let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (words(&output.stdout), words(&output.stderr))
}

/// What the probe found on a page, `width` pixels wide.
fn probe(browser: &Path, w: &Workspace, page: &Path, width: u32) -> Value {
    let text = fs::read_to_string(page).unwrap();
    let script = format!("<head><script>{}</script>", include_str!("probe.js"));
    let tried = page.with_extension("tried.html");
    fs::write(&tried, text.replacen("<head>", &script, 1)).unwrap();
    let frame = page.with_extension("frame.html");
    let name = tried.file_name().unwrap().to_string_lossy();
    fs::write(
        &frame,
        format!("<!DOCTYPE html><body><iframe src=\"{name}\" width=\"{width}\" height=\"900\"></iframe></body>"),
    )
    .unwrap();
    let (document, log) = open(browser, w, &frame);
    let found = document.split("PROBE").nth(1);
    let found = found.unwrap_or_else(|| panic!("the page did not load\n{log}"));
    let found = found
        .replace("&amp;", "&")
        .replace("&lt;", "<")
        .replace("&gt;", ">");
    serde_json::from_str(&found).unwrap()
}

#[test]
#[ignore = "needs chromium"]
fn the_report_works_in_a_browser() {
    let browser = chromium();
    let w = Workspace::new();
    results(&w);
    for (language, file) in [("en", "report.html"), ("fr", "rapport.html")] {
        w.run(&format!(
            "study report --lang {language} --out results/{file}"
        ));
        let page = w.path("results").join(file);
        let (document, log) = open(&browser, &w, &page);
        assert!(
            document.contains("</html>") && !log.contains("CONSOLE"),
            "{log}"
        );
        for width in [390, 1280] {
            let found = probe(&browser, &w, &page, width);
            assert_eq!(found["errors"], serde_json::json!([]));
            assert_eq!(found["requests"], serde_json::json!([]));
            assert_eq!(found["broken"], serde_json::json!([]));
            assert_eq!(
                (&found["language"], &found["unnamed"]),
                (&language.into(), &0.into())
            );
            let charts = found["charts"].as_u64().unwrap();
            // two families, CKA of fine-tuning, convergence, probes, curves, cones
            assert_eq!(charts, 2 * (3 + 6 + 2) + 1 + 2 + 4 + 4 + 4);
            assert_eq!(found["pointed"], charts, "values under the pointer");
            assert_eq!(found["walked"], charts, "values by the keyboard");
            assert_ne!(found["before"], found["turned"]);
            assert_eq!(found["before"], found["after"]);
            assert_eq!(found["room"], width);
            let used = found["width"].as_u64().unwrap();
            assert!(used <= u64::from(width), "{used} of {width} pixels");
            for link in found["links"].as_array().unwrap() {
                let link = link.as_str().unwrap();
                assert!(
                    link.starts_with('#') || w.path("results").join(link).is_file(),
                    "{link}"
                );
            }
        }
    }
}

#[test]
#[ignore = "needs chromium"]
fn the_probe_notices_a_broken_page() {
    let browser = chromium();
    let w = Workspace::new();
    let page = w.path("broken.html");
    let body = "<button id=theme></button><div id=hover></div><a href=\"#nowhere\">x</a><img src=\"http://127.0.0.1:9/absent.png\"><p style=\"width:900px\">wide</p>";
    fs::write(&page, format!("<!DOCTYPE html>\n<html>\n<head>\n</head><body>{body}<script>nothing()</script></body></html>")).unwrap();
    let found = probe(&browser, &w, &page, 390);
    assert_eq!(found["errors"].as_array().unwrap().len(), 2);
    assert_eq!(found["requests"].as_array().unwrap().len(), 1);
    assert_eq!(found["broken"], serde_json::json!(["#nowhere"]));
    assert_eq!(found["before"], found["turned"]);
    assert!(found["width"].as_u64().unwrap() > 900);
}
