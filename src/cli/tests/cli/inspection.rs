//! Goal: `stat`, `check` and `compact` tell the truth about a file.
//! Method: a file whose content is known, whole and damaged.

use std::fs;

use serde_json::Value;

use crate::Place;
use crate::watch::open;

#[test]
fn stat_shows_file_pages_and_tables() {
    let place = Place::with_words();
    let text = place.run(&["stat", "words.folio"]).succeeds().text();
    let size = fs::metadata(place.path("words.folio")).unwrap().len();
    for part in ["words.folio", "4 KiB", "branch", "leaf", "overflow", "free", "pending", "depth", "fill"] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    let row = text.lines().find(|line| line.starts_with("words ")).expect("a row for the table");
    let cells: Vec<_> = row.split_whitespace().collect();
    assert_eq!(cells[..4], ["words", "bytes", "bytes", "5"], "{row}");
    assert!(row.ends_with(" %"), "{row}");
    let digits: String = text.lines().find(|line| line.starts_with("size")).unwrap().replace(',', "");
    assert!(digits.contains(&format!("{size} bytes")), "{size} in {digits}");
}

#[test]
fn stat_gives_the_same_as_json() {
    let place = Place::with_words();
    let stat: Value =
        serde_json::from_slice(&place.run(&["stat", "words.folio", "--json"]).succeeds().out).unwrap();
    assert_eq!(stat["file_bytes"], fs::metadata(place.path("words.folio")).unwrap().len());
    assert_eq!(stat["page_size"], 4096);
    assert_eq!(stat["tables"][0]["name"], "words");
    assert_eq!(stat["tables"][0]["entries"], 5);
    assert_eq!(stat["tables"][0]["key_bytes"], "bananaappledatecherryblackberry".len());
    assert_eq!(stat["tables"][0]["value_bytes"], "longa fruitredblack".len());
    assert!(stat["tables"][0]["depth"].as_u64().unwrap() >= 1);
    for count in
        ["pages", "branch_pages", "leaf_pages", "overflow_pages", "free_pages", "pending_pages", "txn"]
    {
        assert!(stat[count].is_u64(), "{count} is {}", stat[count]);
    }
}

/// Whoever comes to others does not know how the database last ended: only who opens it first does.
#[test]
fn stat_says_whether_others_have_it_open() {
    let place = Place::with_words();
    let shown = || {
        let json: Value =
            serde_json::from_slice(&place.run(&["stat", "words.folio", "--json"]).succeeds().out).unwrap();
        (place.run(&["stat", "words.folio"]).succeeds().text(), json["joined"].as_bool().unwrap())
    };
    let (text, joined) = shown();
    assert!(text.contains("\nlast end     clean\n") && !text.contains("in use"), "{text}");
    assert!(!joined);
    let db = open(&place, "words.folio");
    let (text, joined) = shown();
    assert!(
        text.contains("\nin use       other processes have it open\n") && !text.contains("last end"),
        "{text}"
    );
    assert!(joined);
    db.close().unwrap();
}

#[test]
fn stat_of_an_empty_database_works() {
    let place = Place::with_words();
    place.run(&["del", "words.folio", "words", "--prefix", ""]).prints("deleted 5 entries\n");
    let text = place.run(&["stat", "words.folio"]).succeeds().text();
    assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
}

#[test]
fn a_sound_file_is_ok() {
    let place = Place::with_words();
    let text = place.run(&["check", "words.folio"]).succeeds().text();
    assert!(text.starts_with("ok: ") && text.contains("5 entries") && text.lines().count() == 1, "{text:?}");
    let report: Value =
        serde_json::from_slice(&place.run(&["check", "words.folio", "--json"]).succeeds().out).unwrap();
    assert_eq!(report["ok"], true);
    assert_eq!(report["faults"], serde_json::json!([]));
    assert_eq!(report["entries"], 5);
    assert_eq!(report["tables"], 1);
}

#[test]
fn a_changed_byte_is_a_fault_and_exit_code_1() {
    let place = Place::with_words();
    place.run(&["put", "words.folio", "words", "needle", "a value that can be found"]).succeeds();
    let path = place.path("words.folio");
    let mut bytes = fs::read(&path).unwrap();
    let needle = b"a value that can be found";
    let places: Vec<_> =
        (0..=bytes.len() - needle.len()).filter(|at| bytes[*at..].starts_with(needle)).collect();
    assert!(!places.is_empty(), "the value stands in the file as it is");
    for at in places {
        bytes[at] ^= 1;
    }
    fs::write(&path, bytes).unwrap();
    let run = place.run(&["check", "words.folio"]);
    assert_eq!((run.code, run.err.as_str()), (Some(1), ""));
    let text = run.text();
    assert!(text.contains("page ") && !text.contains("ok"), "{text:?}");
    let run = place.run(&["check", "words.folio", "--json"]);
    assert_eq!(run.code, Some(1));
    let report: Value = serde_json::from_slice(&run.out).unwrap();
    assert_eq!(report["ok"], false);
    assert_eq!(report["faults"].as_array().unwrap().len(), text.lines().count(), "a line per fault");
}

#[test]
fn a_cut_file_is_an_error() {
    let place = Place::with_words();
    let bytes = fs::read(place.path("words.folio")).unwrap();
    place.write("words.folio", &bytes[..100]);
    for command in ["tables", "stat", "check", "compact"] {
        place.run(&[command, "words.folio"]).fails(1, &["words.folio"]);
    }
}

#[test]
fn compact_says_what_it_gained_and_keeps_everything() {
    let place = Place::new();
    let lines: String = (0..20_000).map(|n| format!("{n:05}\t{}\n", "x".repeat(100))).collect();
    place.run_with(&["load", "x.folio", "t"], lines.as_bytes()).succeeds();
    place.run(&["del", "x.folio", "t", "--from", "00100"]).prints("deleted 19,900 entries\n");
    let size = || fs::metadata(place.path("x.folio")).unwrap().len();
    let before = size();
    let text = place.run(&["compact", "x.folio"]).succeeds().text();
    let (said_before, rest) = text.split_once(" before, ").unwrap();
    let (said_after, _) = rest.split_once(" after (").unwrap();
    for (said, size) in [(said_before, before), (said_after, size())] {
        let (number, unit) = said.split_once(' ').unwrap();
        let unit = if unit == "KiB" { 1024.0 } else { 1_048_576.0 };
        let off = number.parse::<f64>().unwrap() * unit / size as f64 - 1.0;
        assert!(off.abs() < 0.06, "{said} for {size} bytes");
    }
    assert!(size() <= before, "{} after {before}", size());
    place.run(&["count", "x.folio", "t"]).prints("100\n");
    assert!(place.run(&["check", "x.folio"]).succeeds().text().starts_with("ok: "));
}

#[test]
fn histograms_count_every_page_and_entry_once() {
    let place = Place::with_words();
    let lines: String = (0..2_000).map(|n| format!("{n:05}\t{}\n", "x".repeat(n / 10))).collect();
    place.run_with(&["load", "words.folio", "many"], lines.as_bytes()).succeeds();
    let all = ["stat", "words.folio", "--json", "--histogram"];
    let stat: Value = serde_json::from_slice(&place.run(&all).succeeds().out).unwrap();
    for table in stat["tables"].as_array().unwrap() {
        let histograms = &table["histograms"];
        let sum = |buckets: &Value, what: &str| -> u64 {
            buckets.as_array().unwrap().iter().map(|bucket| bucket[what].as_u64().unwrap()).sum()
        };
        assert_eq!(sum(&histograms["leaf_fill"], "pages"), table["leaf_pages"].as_u64().unwrap());
        assert_eq!(sum(&histograms["branch_fill"], "pages"), table["branch_pages"].as_u64().unwrap());
        for sizes in ["key_sizes", "value_sizes"] {
            let buckets = &histograms[sizes]["buckets"];
            assert_eq!(sum(buckets, "entries"), table["entries"].as_u64().unwrap());
            // Everything is in a bucket, the least in the first and the most in the last.
            let buckets = buckets.as_array().unwrap();
            let ends = |at: usize| ["from_bytes", "to_bytes"].map(|end| buckets[at][end].as_u64().unwrap());
            let ([from, to], least) = (ends(0), histograms[sizes]["min_bytes"].as_u64().unwrap());
            assert!((from..=to).contains(&least), "{histograms}");
            let ([from, to], most) =
                (ends(buckets.len() - 1), histograms[sizes]["max_bytes"].as_u64().unwrap());
            assert!((from..=to).contains(&most), "{histograms}");
        }
    }
    let words = &stat["tables"][1]["histograms"];
    assert_eq!([&words["key_sizes"]["min_bytes"], &words["key_sizes"]["max_bytes"]], [4, 10]);
    assert_eq!([&words["value_sizes"]["min_bytes"], &words["value_sizes"]["max_bytes"]], [0, 7]);
    let expected = serde_json::json!([
        { "from_bytes": 4, "to_bytes": 7, "entries": 4 },
        { "from_bytes": 8, "to_bytes": 15, "entries": 1 },
    ]);
    assert_eq!(words["key_sizes"]["buckets"], expected);
    // Of one table only, and without the option none.
    let one: Value =
        serde_json::from_slice(&place.run(&[&all[..], &["words"]].concat()).succeeds().out).unwrap();
    assert_eq!(one["tables"][1]["histograms"], *words);
    assert!(one["tables"][0].get("histograms").is_none());
    let none: Value = serde_json::from_slice(&place.run(&all[..3]).succeeds().out).unwrap();
    assert!(none["tables"][1].get("histograms").is_none());
}

#[test]
fn histograms_are_bars_that_fit_and_add_up() {
    let place = Place::with_words();
    let text = place.run(&["stat", "words.folio", "--histogram", "words"]).succeeds().text();
    let part = text.split("\n\n").find(|part| part.starts_with("value sizes")).unwrap();
    let lines: Vec<Vec<&str>> = part.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0].join(" "), "value sizes, from 0 B to 7 B");
    assert_eq!(lines[2][..4], ["0", "B", "1", "20.0"]);
    assert_eq!(lines[3][..], ["1", "B", "0", "0.0", "%"]);
    assert_eq!(lines[5][..6], ["4", "to", "7", "B", "3", "60.0"]);
    let bar = |line: usize| lines[line].last().unwrap().len();
    assert_eq!(lines[5].last().unwrap().trim_matches('#'), "");
    assert_eq!(bar(2), bar(5).div_ceil(3));
    assert!(
        text.starts_with("table words, 5 entries\n") && text.lines().all(|line| line.len() <= 80),
        "{text}"
    );
    place.run(&["load", "words.folio", "none", "/dev/null"]).succeeds();
    let empty = place.run(&["stat", "words.folio", "--histogram", "none"]).succeeds().text();
    assert!(empty.contains("\nkey sizes\nnone\n"), "{empty}");
    place.run(&["stat", "words.folio", "--histogram", "verbs"]).fails(1, &["no table", "verbs"]);
}
