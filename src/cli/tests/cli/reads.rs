//! Goal: `get`, `scan`, `dump`, `count` and `tables` show what is there, in order, and change nothing.
//! Method: five words, every combination of bounds, and every way to name what does not exist.

use std::fs;

use crate::Place;

const ALL: &str = "apple\ta fruit\nbanana\tlong\nblackberry\tblack\ncherry\tred\ndate\t\n";

#[test]
fn get_prints_the_value() {
    let place = Place::with_words();
    place.run(&["get", "words.folio", "words", "apple"]).prints("a fruit\n");
    place.run(&["get", "words.folio", "words", "date"]).prints("\n");
    place.run(&["get", "words.folio", "words", "apple", "--raw"]).prints("a fruit");
}

#[test]
fn a_missing_key_is_exit_code_1_and_no_output() {
    let place = Place::with_words();
    place.run(&["get", "words.folio", "words", "app"]).fails(1, &["app", "words"]);
    place.run(&["get", "words.folio", "words", ""]).fails(1, &["no key"]);
    place.run(&["del", "words.folio", "words", "app"]).fails(1, &["app", "words"]);
}

#[test]
fn dump_prints_all_in_the_order_of_the_keys() {
    let place = Place::with_words();
    place.run(&["dump", "words.folio", "words"]).prints(ALL);
    place.run(&["dump", "words.folio", "words", "--format", "tsv"]).prints(ALL);
}

#[test]
fn a_range_includes_from_and_excludes_to() {
    let place = Place::with_words();
    let check = |arguments: &[&str], expected: &[&str]| {
        let scan = [&["scan", "words.folio", "words"], arguments].concat();
        let lines = place.run(&scan).succeeds().text();
        let keys: Vec<_> = lines.lines().map(|line| line.split('\t').next().unwrap()).collect();
        assert_eq!(keys, expected, "{arguments:?}");
        let mut reversed: Vec<_> = expected.to_vec();
        reversed.reverse();
        let lines = place.run(&[&scan[..], &["--reverse"]].concat()).succeeds().text();
        let keys: Vec<_> = lines.lines().map(|line| line.split('\t').next().unwrap()).collect();
        assert_eq!(keys, reversed, "{arguments:?} --reverse");
        let count = [&["count", "words.folio", "words"], arguments].concat();
        place.run(&count).prints(&format!("{}\n", expected.len()));
    };
    check(&[], &["apple", "banana", "blackberry", "cherry", "date"]);
    check(&["--from", "banana"], &["banana", "blackberry", "cherry", "date"]);
    check(&["--to", "banana"], &["apple"]);
    check(&["--from", "banana", "--to", "cherry"], &["banana", "blackberry"]);
    check(&["--from", "bananas", "--to", "cherry"], &["blackberry"]);
    check(&["--from", "cherry", "--to", "banana"], &[]);
    check(&["--from", "banana", "--to", "banana"], &[]);
    check(&["--from", "", "--to", "zoo"], &["apple", "banana", "blackberry", "cherry", "date"]);
    check(&["--prefix", "b"], &["banana", "blackberry"]);
    check(&["--prefix", "bl"], &["blackberry"]);
    check(&["--prefix", ""], &["apple", "banana", "blackberry", "cherry", "date"]);
    check(&["--prefix", "x"], &[]);
}

#[test]
fn a_limit_counts_from_the_end_it_starts_at() {
    let place = Place::with_words();
    let scan = ["scan", "words.folio", "words", "--limit"];
    place.run(&[&scan[..], &["2"]].concat()).prints("apple\ta fruit\nbanana\tlong\n");
    place.run(&[&scan[..], &["2", "--reverse"]].concat()).prints("date\t\ncherry\tred\n");
    place.run(&[&scan[..], &["0"]].concat()).prints("");
    place.run(&[&scan[..], &["99"]].concat()).prints(ALL);
    place
        .run(&[&scan[..], &["1", "--format", "jsonl"]].concat())
        .prints("{\"key\":\"apple\",\"value\":\"a fruit\"}\n");
}

#[test]
fn keys_of_numbers_are_ordered_as_numbers() {
    let place = Place::with_types("u64", "str");
    place.run_with(&["load", "x.folio", "t"], b"10\tten\n9\tnine\n300\tmany\n").succeeds();
    place.run(&["dump", "x.folio", "t"]).prints("9\tnine\n10\tten\n300\tmany\n");
    place.run(&["scan", "x.folio", "t", "--from", "10", "--to", "300"]).prints("10\tten\n");
    place.run(&["get", "x.folio", "t", "300"]).prints("many\n");
    place.run(&["get", "x.folio", "t", "ten"]).fails(1, &["u64", "ten"]);
    place.run(&["count", "x.folio", "t", "--to", "-1"]).fails(1, &["u64", "-1"]);
    place.run(&["scan", "x.folio", "t", "--prefix", "1"]).fails(1, &["--prefix", "u64"]);
}

#[test]
fn tables_lists_names_types_and_entries() {
    let place = Place::with_words();
    place
        .run_with(&["load", "words.folio", "ages", "--key-type", "str", "--value-type", "u64"], b"a\t1\n")
        .succeeds();
    let lines = place.run(&["tables", "words.folio"]).succeeds().text();
    let rows: Vec<Vec<_>> = lines.lines().map(|line| line.split_whitespace().collect()).collect();
    let expected =
        [["table", "key", "value", "entries"], ["ages", "str", "u64", "1"], ["words", "bytes", "bytes", "5"]];
    assert_eq!(rows, expected);
    assert!(lines.lines().all(|line| !line.ends_with(' ')), "{lines:?}");
}

#[test]
fn a_missing_table_is_named() {
    let place = Place::with_words();
    for command in ["dump", "scan", "count"] {
        place.run(&[command, "words.folio", "verbs"]).fails(1, &["no table", "verbs"]);
    }
    place.run(&["get", "words.folio", "verbs", "go"]).fails(1, &["no table", "verbs"]);
    place.run(&["del", "words.folio", "verbs", "go"]).fails(1, &["no table", "verbs"]);
    place.run(&["del", "words.folio", "verbs", "--prefix", "g"]).fails(1, &["no table", "verbs"]);
    assert!(!place.run(&["tables", "words.folio"]).succeeds().text().contains("verbs"));
}

#[test]
fn reading_commands_create_nothing() {
    let commands: &[&[&str]] = &[
        &["dump", "no.folio", "t"],
        &["scan", "no.folio", "t"],
        &["get", "no.folio", "t", "k"],
        &["del", "no.folio", "t", "k"],
        &["count", "no.folio", "t"],
        &["watch", "no.folio", "t"],
        &["readers", "no.folio"],
        &["tables", "no.folio"],
        &["stat", "no.folio"],
        &["check", "no.folio"],
        &["compact", "no.folio"],
    ];
    for arguments in commands {
        let place = Place::new();
        place.run(arguments).fails(1, &["no.folio", "does not exist"]);
        assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 0, "{arguments:?}");
    }
}

#[test]
fn what_is_no_database_is_refused_and_kept() {
    let place = Place::with_words();
    place.write("text.folio", b"this is a letter, not a database\n");
    fs::create_dir(place.path("folder.folio")).unwrap();
    for command in ["tables", "stat", "check", "compact"] {
        place.run(&[command, "text.folio"]).fails(1, &["text.folio", "not a Folio database"]);
        place.run(&[command, "folder.folio"]).fails(1, &["folder.folio", "a directory"]);
    }
    place.run(&["put", "text.folio", "t", "k", "v"]).fails(1, &["not a Folio database"]);
    place.run(&["load", "text.folio", "t", "words.tsv"]).fails(1, &["not a Folio database"]);
    assert_eq!(fs::read(place.path("text.folio")).unwrap(), b"this is a letter, not a database\n");
}
