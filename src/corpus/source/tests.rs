use super::*;

fn open(source: Source) -> Result<Corpus> {
    Corpus::open(&source, &Hub::new(Default::default()))
}

fn texts(corpus: &Corpus, split: &str) -> Vec<(String, i64, i32)> {
    let reviews = corpus.reviews(split).map(|r| r.unwrap());
    reviews.map(|r| (r.text, r.label, r.idx)).collect()
}

#[test]
fn tables_are_split_by_the_words_of_their_names() {
    assert_eq!(split_named("train.csv"), Some("train"));
    assert_eq!(
        split_named("data/Test-00000-of-00001.parquet"),
        Some("test")
    );
    assert_eq!(split_named("dev/x.csv"), Some("validation"));
    assert_eq!(split_named("contest.csv"), None);
    assert_eq!(split_named("reviews.csv"), None);
}

#[test]
fn the_sample_has_both_splits_and_both_classes() {
    let corpus = open(Source::Sample).unwrap();
    assert_eq!(corpus.split_names(), ["train", "test"]);
    for (split, least) in [("train", 1200), ("test", 600)] {
        let reviews: Vec<_> = corpus.reviews(split).map(|r| r.unwrap()).collect();
        assert!(reviews.len() >= least, "{split}: {}", reviews.len());
        for category in CATEGORIES {
            let of = |label| {
                let mut found = reviews.iter();
                found.any(|r| r.category == Some(category) && r.label == label)
            };
            assert!(of(0) && of(1), "{split} {category}");
        }
    }
    assert!(corpus.files().is_empty());
}

#[test]
fn a_tree_of_oddities_is_read_as_python_reads_it() {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/prepare/webis");
    let expected = std::fs::read(tree.join("expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_slice(&expected).unwrap();
    let corpus = open(Source::Path(tree)).unwrap();
    for split in SPLITS {
        let want = expected[split].as_array().unwrap();
        let got: Vec<_> = corpus.reviews(split).map(|r| r.unwrap()).collect();
        assert!(want.len() > 30);
        assert_eq!(got.len(), want.len(), "{split}");
        for (got, want) in got.iter().zip(want) {
            let got = serde_json::json!([got.category, got.text, got.label, got.idx]);
            assert_eq!(&got, want, "{split}");
        }
    }
}

#[test]
fn a_folder_of_tables_is_read_in_the_order_of_names() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "test.jsonl",
        "{\"text\": \"été\", \"label\": \"positive\", \"idx\": 7}\n\n",
    );
    write("train-1.csv", "\u{feff}label,text\n1,\"a, b\nc\"\n0,\n");
    write("train-2.tsv", "text\tlabel\r\n\"q\"\tneg\r\n");
    write("readme.md", "# no table");
    let corpus = open(Source::Path(folder.path().into())).unwrap();
    assert_eq!(corpus.split_names(), ["train", "test"]);
    let row = |text: &str, label, idx| (text.to_string(), label, idx);
    let want = [row("a, b\nc", 1, 1), row("", 0, 2), row("q", 0, 3)];
    assert_eq!(texts(&corpus, "train"), want);
    assert_eq!(texts(&corpus, "test"), [row("été", 1, 7)]);
    assert_eq!(corpus.files().len(), 3);
}

#[test]
fn what_cannot_be_read_is_named_by_file_row_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let fails = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let corpus = open(Source::Path(path.clone())).unwrap();
        let mut reviews = corpus.reviews("train");
        let error = reviews.by_ref().find_map(Result::err).unwrap().to_string();
        assert!(reviews.next().is_none(), "{name}");
        error.replace(&format!("{}/", folder.path().display()), "")
    };
    let e = fails("a.csv", b"text,label\nx,1\ny,maybe\n");
    assert_eq!(
        e,
        "a.csv, row 2 at line 3: found label \"maybe\", expected a label 0 or negative, 1 or positive"
    );
    let e = fails("b.csv", b"review,stars\n");
    assert!(
        e.contains("b.csv, line 1: found columns review, stars"),
        "{e}"
    );
    let e = fails("c.csv", b"text,label\nx,1\ny\n");
    assert!(
        e.contains("row 2 at line 3: found 1 fields, expected 2"),
        "{e}"
    );
    let e = fails("d.csv", b"text,label\nx\xff,1\n");
    assert!(e.contains("d.csv, byte 12: found invalid UTF-8"), "{e}");
    let e = fails(
        "e.jsonl",
        b"{\"text\": \"x\", \"label\": 0}\n{\"text\": \"x\"}\n",
    );
    assert!(
        e.contains("e.jsonl, row 2 at line 2: found label null"),
        "{e}"
    );
    let e = fails("f.jsonl", b"{\"text\": \"x\", \"label\"\n");
    assert!(e.contains("row 1 at line 1"), "{e}");
    let e = fails("g.parquet", b"PAR1 nothing");
    assert!(e.contains("g.parquet, the footer"), "{e}");
}

#[test]
fn an_incomplete_tree_and_an_empty_folder_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = || open(Source::Path(folder.path().into())).unwrap_err();
    assert!(refused().to_string().contains("found no reviews"));
    std::fs::create_dir_all(folder.path().join("fr/books")).unwrap();
    std::fs::write(folder.path().join("fr/books/train.review"), "x\n").unwrap();
    let e = refused().to_string();
    assert!(e.contains("fr/dvd/train.review not found"), "{e}");
}
