//! The layout that the design lays down: a module imports only from lower floors and only what its
//! line names, no files of a folder import each other in a circle, and none is longer than a reader
//! follows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The most lines of a file, its tests aside.
const LONGEST: usize = 450;

/// The floors from the ground up, but for the programs on top: each module with what it may import.
const FLOORS: &[&[(&str, Imports)]] = &[
    &[("error", Only(&[]))],
    &[
        ("files", Only(&["error"])),
        ("rng", Only(&["error"])),
        ("device", Only(&["error"])),
        ("linalg", Only(&["error"])),
        ("progress", Only(&[])),
    ],
    &[
        ("artifact", Only(&["error", "files"])),
        ("hub", Only(&["error", "files", "progress"])),
        ("tokenization", Only(&["error", "files"])),
        ("metrics", Only(&["error", "rng"])),
        ("nn", Only(&["error", "rng", "device"])),
    ],
    &[
        ("corpus", Only(&["error", "files", "hub", "artifact"])),
        ("dataset", Only(&["error", "files", "artifact"])),
        ("plotting", Only(&["error", "files"])),
        ("models", FloorsTo(1, &["nn"])),
        ("analysis", Only(&["error", "rng", "linalg", "metrics"])),
    ],
    &[("batching", Only(&["error", "rng", "device", "dataset"]))],
    &[
        ("training", FloorsTo(4, &[])),
        ("feature_extraction", FloorsTo(4, &[])),
    ],
    &[("pipelines", FloorsTo(5, &[]))],
    &[("cli", Only(&["error", "device", "progress", "pipelines"]))],
];

/// What a module may import.
enum Imports {
    Only(&'static [&'static str]),
    /// Everything up to a floor, and these.
    FloorsTo(usize, &'static [&'static str]),
}
use Imports::{FloorsTo, Only};

impl Imports {
    fn allow(&self, module: &str) -> bool {
        match self {
            Only(modules) => modules.contains(&module),
            FloorsTo(top, more) => {
                let mut below = FLOORS[..=*top].iter().copied().flatten();
                below.any(|(name, _)| *name == module) || more.contains(&module)
            }
        }
    }
}

/// The Rust files below a folder.
pub fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            sources(&entry.path(), found);
        } else if entry.path().extension().is_some_and(|e| e == "rs") {
            found.push(entry.path());
        }
    }
}

/// A file of the library.
struct Source {
    /// `a::b` for `a/b.rs` and for `a/b/mod.rs`.
    module: Vec<String>,
    /// Without comments and without tests.
    code: String,
    /// Without tests.
    lines: usize,
}

/// The files of the library by their paths, without those of tests.
fn library() -> BTreeMap<String, Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 50, "only {} files were found", files.len());
    let mut library = BTreeMap::new();
    for file in files {
        let path = file.strip_prefix(&root).unwrap().with_extension("");
        let mut module: Vec<String> = path
            .iter()
            .map(|part| part.to_str().unwrap().into())
            .collect();
        let path = module.join("/");
        if module.contains(&"tests".into()) || path == "lib" || module[0] == "bin" {
            continue;
        }
        if module.last().unwrap() == "mod" {
            module.pop();
        }
        let code = fs::read_to_string(&file).unwrap();
        let code = code.split("\n#[cfg(test)]\nmod tests").next().unwrap();
        let source = Source {
            module,
            code: without_comments(code),
            lines: code.lines().count(),
        };
        library.insert(path, source);
    }
    library
}

fn without_comments(code: &str) -> String {
    let lines = code.lines().map(|l| l.split("//").next().unwrap_or(""));
    lines.collect::<Vec<_>>().join("\n")
}

/// The paths of a tree such as `a::{b, c::d as e}`, which `code` begins with, each with the name
/// that it gets.
fn paths(code: &str) -> Vec<(Vec<String>, String)> {
    let code = code.trim_start();
    if let Some(group) = code.strip_prefix('{') {
        let (mut found, mut depth, mut from) = (Vec::new(), 0, 0);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                ',' | '}' if depth == 0 => {
                    found.extend(paths(&group[from..at]));
                    from = at + 1;
                    if c == '}' {
                        break;
                    }
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
        return found;
    }
    let end = code.find(|c: char| !(c.is_alphanumeric() || c == '_'));
    let (name, rest) = code.split_at(end.unwrap_or(code.len()));
    if name.is_empty() {
        return Vec::new();
    }
    if let Some(inner) = rest.strip_prefix("::") {
        let mut found = paths(inner);
        if found.is_empty() {
            // A star, or the type of a turbofish.
            found.push((Vec::new(), String::new()));
        }
        for (path, alias) in &mut found {
            path.insert(0, name.into());
            // `a::{self}` is called `a`.
            if alias == "self" {
                *alias = name.into();
            }
        }
        return found;
    }
    let alias = rest.trim_start().strip_prefix("as ").map(str::trim_start);
    let alias = alias.map(|a| a.split(|c: char| !(c.is_alphanumeric() || c == '_')).next());
    let alias = alias.flatten().unwrap_or(name);
    vec![(vec![name.into()], alias.into())]
}

/// The paths in some code that begin with one of these words.
fn paths_from(code: &str, word: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(word) {
        let before = code[..at].chars().next_back();
        if !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            found.extend(paths(&code[at..]).into_iter().map(|(path, _)| path));
        }
    }
    found
}

impl Source {
    /// All paths in the code that name something of this library.
    fn named(&self) -> Vec<Vec<String>> {
        let words = ["crate::", "super::", "self::"];
        let paths = words.into_iter().flat_map(|w| paths_from(&self.code, w));
        paths.map(|path| self.absolute(&path)).collect()
    }

    /// A path from the root of the crate.
    fn absolute(&self, path: &[String]) -> Vec<String> {
        let mut whole = self.module.clone();
        for part in path {
            match &part[..] {
                "crate" => whole.clear(),
                "super" => drop(whole.pop()),
                "self" => {}
                _ => whole.push(part.clone()),
            }
        }
        whole
    }

    /// What `name` stands for where the file has it from elsewhere by a `use`.
    fn imported(&self, name: &str) -> Option<Vec<String>> {
        let uses = self.code.split("use ").skip(1);
        let (path, _) = uses.flat_map(paths).find(|(_, alias)| alias == name)?;
        Some(self.absolute(&path))
    }
}

/// The file in which the item of a path is written.
fn written_in<'l>(library: &'l BTreeMap<String, Source>, path: &[String]) -> Option<&'l str> {
    let mut path = path.to_vec();
    // A name may be handed on from file to file.
    for _ in 0..8 {
        let fits = |source: &Source| path.starts_with(&source.module);
        let (file, source) = library
            .iter()
            .filter(|(_, source)| fits(source))
            .max_by_key(|(_, source)| source.module.len())?;
        match path.get(source.module.len()) {
            Some(item) => match source.imported(item) {
                Some(elsewhere) if elsewhere != path => path = elsewhere,
                _ => return Some(file),
            },
            None => return Some(file),
        }
    }
    None
}

/// What each file imports of the others in its top folder. A folder's `mod.rs` and what lies below
/// it are one subject: they may know each other.
fn imports(library: &BTreeMap<String, Source>) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut imports = BTreeMap::new();
    for (file, source) in library {
        let below = |a: &str, b: &str| a.strip_suffix("mod").is_some_and(|f| b.starts_with(f));
        let of_others = source
            .named()
            .iter()
            .filter_map(|path| written_in(library, path))
            .filter(|other| library[*other].module[0] == source.module[0])
            .filter(|other| other != file && !below(other, file) && !below(file, other))
            .collect::<BTreeSet<_>>();
        imports.insert(&file[..], of_others);
    }
    imports
}

/// The sets of files each of which leads to every other.
fn circles(imports: &BTreeMap<&str, BTreeSet<&str>>) -> Vec<String> {
    let reached = |from: &str| {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&str> = imports[from].iter().copied().collect();
        while let Some(file) = next.pop() {
            if reached.insert(file.to_owned()) {
                next.extend(&imports[file]);
            }
        }
        reached
    };
    let reached: BTreeMap<&str, _> = imports.keys().map(|file| (*file, reached(file))).collect();
    let mut circles = BTreeSet::new();
    for (file, others) in &reached {
        if others.contains(*file) {
            let circle = others.iter().filter(|o| reached[&o[..]].contains(*file));
            circles.insert(circle.cloned().collect::<Vec<_>>().join(", "));
        }
    }
    circles.into_iter().collect()
}

#[test]
fn every_import_goes_down_the_floors() {
    let modules: BTreeMap<&str, &Imports> = FLOORS
        .iter()
        .copied()
        .flatten()
        .map(|(name, imports)| (*name, imports))
        .collect();
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    for (file, source) in library() {
        let module = source.module[0].clone();
        let Some(allowed) = modules.get(&module[..]) else {
            wrong.push(format!("{file}: {module} is not a module of the design"));
            continue;
        };
        let imported: BTreeSet<String> = paths_from(&source.code, "crate::")
            .into_iter()
            .filter_map(|path| path.into_iter().nth(1))
            .filter(|import| *import != module && !allowed.allow(import))
            .collect();
        wrong.extend(
            imported
                .iter()
                .map(|i| format!("{file}: {module} may not import {i}")),
        );
        seen.insert(module);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(seen.len(), modules.len(), "without a file: {seen:?}");
}

#[test]
fn a_program_only_calls_cli() {
    let mut files = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin");
    sources(&folder, &mut files);
    assert_eq!(files.len(), 4);
    for file in files {
        let code = fs::read_to_string(&file).unwrap();
        let lines = code.lines().count();
        let others = code.replace("flue_study::cli", "").contains("flue_study::");
        assert!(lines <= 40 && !others, "{}: {lines} lines", file.display());
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let library = library();
    let circles = circles(&imports(&library));
    assert!(circles.is_empty(), "circles:\n{}", circles.join("\n"));
}

#[test]
fn no_file_is_longer_than_a_reader_follows() {
    let library = library();
    let long = library.iter().filter(|(_, source)| source.lines > LONGEST);
    let long: Vec<_> = long
        .map(|(file, s)| format!("{file}: {} lines", s.lines))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn paths_are_found_in_every_form_and_circles_through_every_hand() {
    let code =
        "use crate::a::{b, c};\nuse crate::{d, e::{f, g}, h as i};\nfn x() { crate::j::k() }";
    let found: Vec<String> = paths_from(code, "crate::")
        .iter()
        .map(|path| path[1..].join("::"))
        .collect();
    assert_eq!(found, ["a::b", "a::c", "d", "e::f", "e::g", "h", "j::k"]);
    let source = |path: &str, code: &str| {
        let module = path.trim_end_matches("/mod").split('/').map(String::from);
        let (module, code) = (module.collect(), without_comments(code));
        (
            path.to_owned(),
            Source {
                module,
                code,
                lines: 0,
            },
        )
    };
    let library = BTreeMap::from([
        source(
            "m/mod",
            "pub use a::{A, self as other};\nuse b::B;\nstruct M;",
        ),
        source("m/a", "use super::{M, b};\nfn x(_: b::B) {}"),
        // What the folder hands on is of the file that it is written in.
        source("m/b", "// super::c\nuse super::A;"),
        source("m/c", "use super::{M, d::D};"),
        source("m/d/mod", "use super::B;\nuse crate::n::N;"),
        source("m/d/e", "use super::D;"),
        source("n", "use crate::m::A;"),
    ]);
    assert_eq!(circles(&imports(&library)), ["m/a, m/b"]);
}
