//! What the report says of the published figures.

use std::fs;
use std::path::Path;

use crate::common::Workspace;

/// Results as `study layers` leaves them for a model of `hidden` dimensions, with made-up figures.
fn write_run(folder: &Path, checkpoint: &str, hidden: u32) {
    fs::create_dir_all(folder).unwrap();
    let mut tables = [
        String::from("layer,count,mean,variance,min,q1,median,q3,max\n"),
        String::from("sentence,layer,trace\n"),
        String::from("layer,erank\n"),
    ];
    for layer in 0..13 {
        tables[0] += &format!("{layer},9,0.3,0.01,-0.2,0.2,0.{},0.4,0.9\n", 20 + layer);
        tables[1] += &format!("0,{layer},{}\n1,{layer},{}\n", 10 + layer, 20 + layer);
        tables[2] += &format!("{layer},{}\n", 500 - 10 * layer);
    }
    for (stem, text) in ["cosine", "trace", "erank"].iter().zip(tables) {
        fs::write(folder.join(format!("{stem}.csv")), text).unwrap();
    }
    let manifest = serde_json::json!({
        "program": "study layers", "version": "0",
        "config": {"data": "d", "checkpoint": checkpoint, "found": {"hidden_size": hidden, "num_layers": 12,
            "sentences": {"cosine": 50, "trace": 100, "erank": 10}}},
        "inputs": {},
    });
    fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
}

const RUNS: [(&str, &str); 4] = [
    ("flaubert_raw", "flaubert/flaubert_base_cased"),
    ("flaubert_ft_1", "./flaubert_base_cased_1"),
    ("camembert_raw", "camembert-base"),
    ("camembert_ft_1", "./camembert_base_1"),
];

#[test]
fn published_figures_stand_beside_those_of_the_original_models_only() {
    let w = Workspace::new();
    for (folder, checkpoint) in RUNS {
        write_run(&w.path("results").join(folder), checkpoint, 768);
    }
    let page = |more: &str| {
        w.run(&format!("study report --overwrite {more}"));
        fs::read_to_string(w.path("results/report.html")).unwrap()
    };
    let beside = page("");
    // three marks for each of the four, and the figures in words
    assert_eq!(beside.matches("<title>published, ").count(), 12);
    assert_eq!(beside.matches("diamonds: published").count(), 6);
    assert!(beside.contains("published: 0.20 → 0.75") && beside.contains("published: 434 → 208"));
    assert!(!beside.contains("cannot be compared"));
    let french = page("--lang fr");
    assert!(french.contains("publié : 0,20 → 0,75"));
    assert!(french.contains("<title>publié, affiné, 1 époque: 0,75</title>"));

    // one of another size, one of another name
    for (folder, checkpoint, hidden) in [
        ("camembert_raw", "camembert-base", 48),
        ("camembert_raw", "my-camembert", 768),
        ("flaubert_ft_1", "./something", 768),
    ] {
        write_run(&w.path("results").join(folder), checkpoint, hidden);
        let apart = page("");
        assert!(!apart.contains("<title>published") && !apart.contains("diamonds"));
        assert!(apart.contains("cannot be compared") && apart.contains(">1807<"));
        let original = RUNS.iter().find(|r| r.0 == folder).unwrap().1;
        write_run(&w.path("results").join(folder), original, 768);
    }
}
