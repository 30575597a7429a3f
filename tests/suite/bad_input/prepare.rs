//! Sources, options and outputs of `flue-cls-prepare`.

use std::fs;

use crate::common::{Workspace, fixtures};

const LINE: &str = "flue-cls-prepare -c tiny-camembert --no-pad";

/// Write `bytes` to `name`, prepare from it, and require a failure with these words and nothing
/// left behind.
fn refuses(name: &str, bytes: &[u8], words: &[&str]) {
    let w = Workspace::new();
    fs::write(w.path(name), bytes).unwrap();
    w.fails(&format!("{LINE} --data {name} out"), 1, words);
    nothing_left(&w, name);
}

fn nothing_left(w: &Workspace, input: &str) {
    let left: Vec<_> = fs::read_dir(w.path("."))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != input && name != "cache")
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// A Webis tree whose `dvd/test.review` holds `bytes` after its first line.
fn tree(bytes: &[u8]) -> Workspace {
    let w = Workspace::new();
    for category in ["books", "dvd", "music"] {
        let folder = w.path(&format!("tree/fr/{category}"));
        fs::create_dir_all(&folder).unwrap();
        for split in ["train", "test"] {
            let good = "<item><rating>5.0</rating><url>u</url><text>x</text><title></item>";
            let text = format!("<?xml version=\"1.0\"?>\n{good}\n");
            fs::write(folder.join(format!("{split}.review")), text).unwrap();
        }
    }
    let path = w.path("tree/fr/dvd/test.review");
    fs::write(path, [b"<?xml version=\"1.0\"?>\n", bytes].concat()).unwrap();
    w
}

#[test]
fn review_items_without_a_part_or_in_another_encoding() {
    let fails = |bytes: &[u8], words: &[&str]| {
        let w = tree(bytes);
        let mut all = vec!["tree/fr/dvd/test.review"];
        all.extend(words);
        w.fails(&format!("{LINE} --data tree out"), 1, &all);
        nothing_left(&w, "tree");
    };
    fails(
        b"<item><url>u</url><text>sans note</text><title></item>\n",
        &["item 1 at line 2", "no rating"],
    );
    fails(
        b"<item><rating>4.0</rating><url>u</url></item>\n",
        &["item 1 at line 2", "no text"],
    );
    fails(
        b"<item><rating>4.0</rating><url>u</url><text>\xe9t\xe9</text><title></item>\n",
        &["byte 66", "invalid UTF-8"],
    );
}

#[test]
fn an_incomplete_tree() {
    let w = tree(b"");
    fs::remove_file(w.path("tree/fr/music/train.review")).unwrap();
    let words = ["tree/fr/music/train.review not found"];
    w.fails(&format!("{LINE} --data tree out"), 1, &words);
    nothing_left(&w, "tree");
}

#[test]
fn archives_that_are_damaged_or_lack_a_file() {
    refuses(
        "cls.tar.gz",
        b"no archive",
        &["cls.tar.gz", "download it again"],
    );
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    header.set_cksum();
    archive
        .append_data(&mut header, "a/fr/books/train.review", &b"x"[..])
        .unwrap();
    let bytes = archive.into_inner().unwrap();
    refuses("cls.tar", &bytes, &["cls.tar", "no fr/books/test.review"]);
}

#[test]
fn tables_with_other_columns_labels_or_bytes() {
    refuses(
        "a.csv",
        b"review,label\nx,1\n",
        &["a.csv, line 1", "review, label"],
    );
    refuses(
        "semicolons.csv",
        b"text;label\nbien;1\n",
        &["semicolons.csv, line 1", "text;label", "a comma between"],
    );
    refuses(
        "windows.csv",
        b"\xff\xfet\0e\0x\0t\0",
        &["windows.csv, byte 0: found UTF-16", "iconv -f UTF-16"],
    );
    refuses(
        "windows.jsonl",
        b"\xfe\xff\0{",
        &["windows.jsonl, byte 0: found UTF-16"],
    );
    refuses(
        "b.csv",
        b"text,label\nbien,1\nbof,neutre\n",
        &["b.csv, row 2 at line 3", "neutre", "negative", "positive"],
    );
    refuses(
        "c.csv",
        b"text,label\nbien,1\nt\xe9l\xe9,0\n",
        &["c.csv, byte 19"],
    );
    refuses("d.tsv", b"text\tlabel\nbien\n", &["d.tsv, row 1 at line 2"]);
    refuses(
        "e.jsonl",
        b"{\"text\": 3, \"label\": 1}\n",
        &["e.jsonl, row 1 at line 1"],
    );
    refuses(
        "f.jsonl",
        b"{\"text\": \"x\", \"label\": 2}\n",
        &["label 2"],
    );
    refuses("g.jsonl", b"not json\n", &["g.jsonl, row 1 at line 1"]);
    refuses("h.parquet", b"PAR1", &["h.parquet", "footer"]);
    refuses("i.txt", b"bien", &["i.txt", "no reviews"]);
}

#[test]
fn datasets_that_are_half_written_or_damaged() {
    let w = Workspace::new();
    let copy = || {
        for name in ["train", "test"] {
            fs::create_dir_all(w.path("in").join(name)).unwrap();
        }
        for file in [
            "dataset_dict.json",
            "train/state.json",
            "train/dataset_info.json",
            "train/data-00000-of-00002.arrow",
            "train/data-00001-of-00002.arrow",
            "test/state.json",
            "test/dataset_info.json",
            "test/data-00000-of-00001.arrow",
        ] {
            let from = fixtures().join("prepare/datasets-5.0.1").join(file);
            fs::copy(from, w.path("in").join(file)).unwrap();
        }
    };
    let fails = |words: &[&str]| {
        w.fails(&format!("{LINE} --data in out"), 1, words);
        nothing_left(&w, "in");
    };
    copy();
    let arrow = w.path("in/test/data-00000-of-00001.arrow");
    let bytes = fs::read(&arrow).unwrap();
    fs::write(&arrow, &bytes[..bytes.len() / 2]).unwrap();
    fails(&["in/test/data-00000-of-00001.arrow, message", "cut short"]);
    copy();
    fs::remove_file(w.path("in/train/data-00001-of-00002.arrow")).unwrap();
    fails(&["in/train/data-00001-of-00002.arrow"]);
    copy();
    fs::remove_file(w.path("in/test/state.json")).unwrap();
    fails(&["in/test", "state.json"]);
}

#[test]
fn what_is_absent_or_exists() {
    let w = Workspace::new();
    fs::write(w.path("t.csv"), "text,label\nx,1\n").unwrap();
    w.fails(
        &format!("{LINE} --data nowhere out"),
        1,
        &["corpus nowhere not found"],
    );
    w.fails(
        "flue-cls-prepare -c nowhere --data t.csv out",
        1,
        &["nowhere"],
    );
    w.fails(&format!("{LINE} out"), 1, &["FLUE CLS"]);
    fs::create_dir(w.path("out")).unwrap();
    fs::write(w.path("out/mine.txt"), "x").unwrap();
    w.fails(
        &format!("{LINE} --data t.csv out"),
        1,
        &["out exists already", "--overwrite"],
    );
    assert!(w.path("out/mine.txt").is_file());
    w.run(&format!("{LINE} --data t.csv --overwrite out"));
    assert!(w.path("out/train/state.json").is_file());
    assert!(!w.path("out/mine.txt").exists());
}

#[test]
fn options_that_make_no_sense() {
    let w = Workspace::new();
    fs::write(w.path("t.csv"), "text,label\nx,1\n").unwrap();
    for (options, word) in [
        ("--max-length 1", "special tokens"),
        ("--max-length 513", "at most 512"),
        ("--max-shard-size 3XB", "KB, MB, GB"),
        ("--max-shard-size 0", "out of range"),
        ("--format json", "arrow, parquet"),
        ("--shard 4/4", "0/4"),
        ("--shard two", "i/N"),
        ("--merge", "--data"),
    ] {
        w.fails(&format!("{LINE} --data t.csv {options} out"), 2, &[word]);
        nothing_left(&w, "t.csv");
    }
    w.fails(
        "flue-cls-prepare --merge out",
        1,
        &["out.shards/manifest.json not found"],
    );
}
