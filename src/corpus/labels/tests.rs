//! Lists of classes side by side, the labels of rows, and the map that renames classes.

use super::*;

fn map(text: &str) -> LabelMap {
    match text {
        "" => LabelMap::default(),
        text => text.parse().unwrap(),
    }
}

fn classes(names: &str) -> Classes {
    let names: Vec<String> = names.split(' ').map(String::from).collect();
    Classes::declared(format!("<{}>", names.join(" ")), &names, &map("")).unwrap()
}

#[test]
fn both_classes_have_several_names_and_nothing_else_is_one() {
    let labels = RowLabels::default();
    for word in [
        "0",
        "negative",
        "NEG",
        " Negative ",
        "négatif",
        "NE\u{301}GATIVE",
        "False",
    ] {
        assert_eq!(labels.of_word(word), Some(0), "{word}");
    }
    for word in ["1", "positive", "Pos", "Positif", "true"] {
        assert_eq!(labels.of_word(word), Some(1), "{word}");
    }
    for word in ["", "2", "-1", "01", "maybe", "1.5", "nan", "LABEL_0"] {
        assert_eq!(labels.of_word(word), None, "{word}");
    }
    assert_eq!((labels.of_number(1), labels.of_number(2)), (Some(1), None));
}

#[test]
fn declared_names_decide_what_a_number_means() {
    let of = |names: [&str; 2], given: &str| {
        RowLabels::declared("t", &names.map(String::from), &map(given))
            .map(|labels| [-1, 0, 1, 2].map(|n| labels.of_number(n)))
    };
    let (same, exchanged) = (
        [None, Some(0), Some(1), None],
        [None, Some(1), Some(0), None],
    );
    assert_eq!(of(["negative", "positive"], "").unwrap(), same);
    assert_eq!(of(["Positif", "négatif"], "").unwrap(), exchanged);
    assert_eq!(of(["1", "0"], "").unwrap(), exchanged);
    assert_eq!(of(["LABEL_0", "LABEL_1"], "").unwrap(), same);
    assert_eq!(
        of(["bon", "nul"], "bon=positive,NUL=neg").unwrap(),
        exchanged
    );
    assert_eq!(
        of(["LABEL_0", "LABEL_1"], "label_0=positive,LABEL_1=negative").unwrap(),
        exchanged
    );
    let error = of(["bon", "nul"], "").unwrap_err().to_string();
    for part in [
        "the classes of t are bon, nul, those of FLUE CLS are negative, positive",
        "--label-map bon=negative,nul=positive or --label-map bon=positive,nul=negative",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

/// What becomes of two lists of two classes each.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Outcome {
    Same,
    Exchanged,
    Refused(&'static str),
}

#[test]
fn lists_are_put_side_by_side_by_name() {
    use Outcome::{Exchanged, Refused, Same};
    let numbers = || Classes::numbers("<numbers>", 2, &map("")).unwrap();
    let named = || classes("negative positive");
    let exchanged = || classes("POSITIVE NEGATIVE");
    let counterpart = Refused("not all of these names have a counterpart");
    for (one, other, want) in [
        (named(), named(), Same),
        (named(), exchanged(), Exchanged),
        (classes("pos Négatif"), named(), Exchanged),
        (classes("0 1"), exchanged(), Exchanged),
        (classes("chat chien"), classes("CHIEN Chat"), Exchanged),
        (classes("mauvais bon"), named(), counterpart),
        (classes("neg bon"), named(), Refused("counterpart")),
        (numbers(), named(), Same),
        (numbers(), numbers(), Same),
        (numbers(), exchanged(), Refused("numbers alone")),
        (numbers(), classes("mauvais bon"), counterpart),
        (classes("LABEL_0 LABEL_1"), named(), Same),
        (classes("LABEL_0 LABEL_1"), exchanged(), Same),
        (classes("LABEL_1 LABEL_0"), named(), Refused("counterpart")),
        (classes("neg neu pos"), named(), Refused("not as many")),
        (classes("0 1 2"), classes("2 1 0"), Exchanged),
    ] {
        // Either way round.
        for (one, other) in [(&one, &other), (&other, &one)] {
            let found = match one.places_in(other) {
                Ok(places) if places.iter().enumerate().all(|(i, p)| i == *p) => Same,
                Ok(places) => {
                    let back = other.places_in(one).unwrap();
                    assert!(places.iter().enumerate().all(|(i, &p)| back[p] == i));
                    Exchanged
                }
                Err(error) => {
                    let error = error.to_string();
                    for side in [one, other] {
                        assert!(error.contains(&side.source), "{error}");
                        assert!(error.contains(&side.listed()), "{error}");
                    }
                    match want {
                        Refused(why) if error.contains(why) => Refused(why),
                        _ => panic!("{error}"),
                    }
                }
            };
            assert_eq!(found, want, "{one:?} beside {other:?}");
        }
    }
}

#[test]
fn two_classes_of_one_meaning_are_refused() {
    let names = ["neg".to_string(), "Négatif".to_string()];
    let error = Classes::declared("t", &names, &map(""))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("both neg and Négatif mean negative"),
        "{error}"
    );
    // Among three classes 0 and 1 are names like others.
    assert!(classes("0 1 2").keys().contains(&"0".to_string()));
    assert!(!classes("0 1 2").are_flue() && classes("1 Neg").are_flue());
}

#[test]
fn a_map_that_says_nothing_clear_is_refused() {
    for text in ["", "a", "a=", "=b", "a=b,,c=d", "a=b,A=c"] {
        let error = LabelMap::from_str(text).unwrap_err().to_string();
        assert!(error.starts_with("--label-map: "), "{text}: {error}");
    }
    assert_eq!(map(" a = b ,c=d").rename("A"), "b");
    assert_eq!(map("a=b").rename("c"), "c");
    let text = |map: &LabelMap| serde_json::to_string(map).unwrap();
    assert_eq!(text(&map(" a = b ,c=d")), "\"a=b,c=d\"");
    assert_eq!(text(&LabelMap::default()), "null");
}
