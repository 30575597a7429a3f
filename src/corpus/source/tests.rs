use std::fs::{self, File};

use super::*;

fn open(source: Source) -> Result<Corpus> {
    Corpus::open(
        &source,
        &Hub::new(Default::default()),
        &ReadOptions::default(),
    )
}

fn texts(corpus: &Corpus, split: &str) -> Vec<(String, i64, i32)> {
    let reviews = corpus.reviews(split).map(|r| r.unwrap());
    reviews.map(|r| (r.text, r.label, r.idx)).collect()
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
                found.any(|r| r.category.as_deref() == Some(category) && r.label == label)
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
    let label = "a.csv, row 2 at line 3: found label \"maybe\", expected a label 0 or negative, 1 or positive;";
    assert!(e.starts_with(label) && e.contains("--label-map"), "{e}");
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

/// A Parquet file of reviews in a folder.
fn parquet(folder: &Path, name: &str, texts: Vec<String>) -> PathBuf {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    let labels: ArrayRef = Arc::new(Int64Array::from(vec![1; texts.len()]));
    let texts: ArrayRef = Arc::new(StringArray::from(texts));
    let batch = RecordBatch::try_from_iter([("text", texts), ("label", labels)]).unwrap();
    let path = folder.join(name);
    let file = File::create(&path).unwrap();
    let mut writer = ::parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    path
}

#[test]
fn a_text_of_more_than_4_mib_is_refused_by_its_row() {
    let folder = tempfile::tempdir().unwrap();
    let (fits, long) = ("x".repeat(1 << 22), "x".repeat((1 << 22) + 1));
    let files = |text: &str| {
        let review = format!("<rating>5.0</rating><url>u</url><text>{text}</text><title>");
        [
            ("a.csv", format!("text,label\n{text},1\n")),
            ("a.tsv", format!("text\tlabel\n{text}\t1\n")),
            (
                "a.jsonl",
                format!("{{\"text\": \"{text}\", \"label\": 1}}\n"),
            ),
            ("a.review", format!("<?xml?>\n{review}\n")),
        ]
    };
    let read = |path: &Path| -> Result<Vec<Review>> {
        if path.extension().is_some_and(|e| e == "review") {
            let reader = BufReader::new(File::open(path).unwrap());
            return ReviewFile::new(Lines::new(path, reader), "dvd").collect();
        }
        open(Source::Path(path.into()))?.reviews("train").collect()
    };
    for (text, is_read) in [(&fits, true), (&long, false)] {
        let mut paths = vec![parquet(folder.path(), "a.parquet", vec![text.clone()])];
        for (name, content) in files(text) {
            paths.push(folder.path().join(name));
            fs::write(&paths[paths.len() - 1], content).unwrap();
        }
        for path in paths {
            match read(&path) {
                Ok(reviews) => assert!(is_read && reviews.len() == 1, "{path:?}"),
                Err(e) => {
                    let words = "found a text of 4194305 bytes, expected a review of at most 4 MiB";
                    assert!(!is_read && e.to_string().contains(words), "{path:?}: {e}");
                }
            }
        }
    }
}

#[test]
fn a_header_or_a_row_without_an_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let corpus = open(Source::Path(path)).unwrap();
        corpus
            .reviews("train")
            .find_map(Result::err)
            .unwrap()
            .to_string()
    };
    let e = refused("a.csv", format!("text,label{}\n", ",".repeat(1 << 21)));
    assert!(
        e.contains("a.csv, row 0") && e.contains("a first line of more than 1 MiB"),
        "{e}"
    );
    let e = refused("b.csv", format!("text,label\n\"{}", "x".repeat(1 << 25)));
    assert!(
        e.contains("b.csv, row 1") && e.contains("is a quote left open?"),
        "{e}"
    );
    let e = refused("c.jsonl", "x".repeat(1 << 25));
    assert!(
        e.contains("c.jsonl, line 1: found more than 16777216 bytes"),
        "{e}"
    );
}

/// The number of rows is what the footer says, whatever that is.
#[test]
fn known_rows_of_files_that_lie_add_up_to_no_overflow() {
    let folder = tempfile::tempdir().unwrap();
    let path = parquet(folder.path(), "train-0.parquet", vec!["x".into(); 5000]);
    let rows = |folder: &Path| {
        open(Source::Path(folder.into()))
            .unwrap()
            .known_rows("train")
    };
    assert_eq!(rows(folder.path()), Some(5000));
    let whole = fs::read(&path).unwrap();
    let (front, end) = whole.split_at(whole.len() - 8);
    let length = u32::from_le_bytes(end[..4].try_into().unwrap());
    let (pages, footer) = front.split_at(front.len() - length as usize);
    // The field 3, 5000 as a zigzag number, and the beginning of the field 4.
    let field = [0x16, 0x90, 0x4E, 0x19];
    let at = footer.windows(4).position(|w| w == field).unwrap();
    let most = [&[0x16, 0xFE][..], &[0xFF; 8], &[0x01]].concat();
    let footer = [&footer[..at], &most, &footer[at + 3..]].concat();
    let length = (footer.len() as u32).to_le_bytes();
    let lying = [pages, &footer, &length, b"PAR1"].concat();
    for i in 0..3 {
        fs::write(folder.path().join(format!("train-{i}.parquet")), &lying).unwrap();
    }
    assert_eq!(rows(folder.path()), Some(u64::MAX));
}

/// The corpus in a folder of these files, and its folder.
fn corpus(files: &[(&str, &str)], options: &ReadOptions) -> Result<(Corpus, TempDir)> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let source = Source::Path(folder.path().into());
    Ok((
        Corpus::open(&source, &Hub::new(Default::default()), options)?,
        folder,
    ))
}

#[test]
fn a_table_without_a_split_stays_out_once_others_name_theirs() {
    let options = ReadOptions::default();
    let row = |text: &str| format!("text,label\n{text},1\n");
    let (a, b, c) = (row("a"), row("b"), row("c"));
    let (all, _folder) = corpus(&[("full.csv", &a), ("more.csv", &b)], &options).unwrap();
    assert_eq!((all.split_names(), all.files().len()), (vec!["train"], 2));
    let files = [
        ("train.csv", &*a),
        ("dev.tsv", "text\tlabel\nd\t0\n"),
        ("test.csv", &b),
        ("full.csv", &c),
    ];
    let (some, _folder) = corpus(&files, &options).unwrap();
    assert_eq!(some.split_names(), ["train", "test", "validation"]);
    assert_eq!(texts(&some, "train"), [("a".to_string(), 1, 1)]);
    assert_eq!(texts(&some, "validation"), [("d".to_string(), 0, 1)]);
    assert_eq!(some.files().len(), 3);
    let twice = [("train.csv", &*a), ("train.jsonl", "{}")];
    let error = corpus(&twice, &options).err().unwrap().to_string();
    assert!(
        error.contains("train.jsonl: found the split train a second time"),
        "{error}"
    );
}

#[test]
fn columns_are_found_whatever_their_case() {
    let options = ReadOptions::default();
    let files = [
        ("books/train.tsv", "Text\tLABEL\nx\t1\n"),
        (
            "dvd/train.csv",
            "Idx,text,Label,Category\n9,y,0,films\n8,z,1,\n",
        ),
    ];
    let (found, _folder) = corpus(&files, &options).unwrap();
    assert!(found.has_categories().unwrap() && !found.is_flue());
    let reviews: Vec<Review> = found.reviews("train").map(Result::unwrap).collect();
    let categories: Vec<_> = reviews.iter().map(|r| r.category.as_deref()).collect();
    assert_eq!(categories, [Some("books"), Some("films"), Some("dvd")]);
    assert_eq!(reviews[1].idx, 9);
    for header in ["text,label,Text", "text,label,text", "text,label,Label"] {
        let (found, _folder) = corpus(&[("train.csv", header)], &options).unwrap();
        let error = found
            .reviews("train")
            .next()
            .unwrap()
            .unwrap_err()
            .to_string();
        assert!(error.contains("line 1: found the columns `"), "{error}");
    }
    // Only where all tables have them.
    let files = [
        ("train.csv", "text,label\n"),
        ("test.csv", "text,label,category\n"),
    ];
    assert!(
        !corpus(&files, &options)
            .unwrap()
            .0
            .has_categories()
            .unwrap()
    );
}

#[test]
fn quotes_that_do_not_hold_a_field_together_are_refused() {
    let plain = "text\tlabel\nun\t1\n\"deux\" fois\t0\ntrois\t1\n";
    // The quotes happen to close at the end of a field.
    let glued = "text\tlabel\n\"un\t1\ndeux\"\t0\ntrois\t1\n";
    let read = |text: &str, no_quotes: bool| {
        let options = ReadOptions {
            no_quotes,
            ..Default::default()
        };
        let (found, _folder) = corpus(&[("train.tsv", text)], &options).unwrap();
        found.reviews("train").collect::<Result<Vec<_>>>()
    };
    for (text, words) in [
        (
            plain,
            "train.tsv, line 3: found text after the closing quote",
        ),
        (glued, "row 1 at line 2: found 2 lines that are one row if"),
        // Windows' line ends, and a last line without one.
        (
            &glued.replace('\n', "\r\n"),
            "found 2 lines that are one row if",
        ),
        (
            "text\tlabel\n\"un\t1\ndeux\"\t0",
            "found 2 lines that are one row if",
        ),
        (
            "text\tlabel\n\"un\t1\n",
            "line 3: found the end of the file inside a quoted field",
        ),
    ] {
        let error = read(text, false).unwrap_err().to_string();
        assert!(
            error.contains(words) && error.contains("--no-quotes"),
            "{error}"
        );
    }
    let texts = |text: &str, no_quotes| -> Vec<String> {
        let rows = read(text, no_quotes).unwrap().into_iter();
        rows.map(|r| r.text).collect()
    };
    assert_eq!(texts(plain, true), ["un", "\"deux\" fois", "trois"]);
    assert_eq!(texts(glued, true), ["\"un", "deux\"", "trois"]);
    // Lines that are not rows by themselves are lines of a text.
    let lines = "text\tlabel\n\"un\ndeux\t1\"\t0\n\"a \"\"b\"\"\"\t1\n";
    assert_eq!(texts(lines, false), ["un\ndeux\t1", "a \"b\""]);
}

#[test]
fn labels_in_other_words_are_read_through_the_map() {
    let options = ReadOptions {
        label_map: "bon=positive,Mauvais=neg,2=1".parse().unwrap(),
        ..Default::default()
    };
    let files = [
        (
            "train.csv",
            "text,label\na,BON\nb,mauvais\nc,2\nd,0\ne,True\n",
        ),
        (
            "test.jsonl",
            "{\"text\": \"f\", \"label\": 2}\n{\"text\": \"g\", \"label\": false}\n",
        ),
    ];
    let (found, _folder) = corpus(&files, &options).unwrap();
    let labels = |split| {
        texts(&found, split)
            .into_iter()
            .map(|r| r.1)
            .collect::<Vec<_>>()
    };
    assert_eq!(labels("train"), [1, 0, 1, 0, 1]);
    assert_eq!(labels("test"), [1, 0]);
}
