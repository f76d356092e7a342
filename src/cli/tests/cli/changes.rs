//! Goal: `put` and `del` change what they are told to and nothing else.
//! Method: a change, then a dump.

use crate::Place;

#[test]
fn put_creates_database_and_table() {
    let place = Place::new();
    place.run(&["put", "new.folio", "t", "k", "v"]).prints("");
    place.run(&["get", "new.folio", "t", "k"]).prints("v\n");
    place.run(&["put", "new.folio", "n", "a", "7", "--key-type", "str", "--value-type", "u64"]).prints("");
    place.run(&["get", "new.folio", "n", "a"]).prints("7\n");
    place.run(&["dump", "new.folio", "t"]).prints("k\tv\n");
}

#[test]
fn put_replaces_a_value() {
    let place = Place::with_words();
    place.run(&["put", "words.folio", "words", "apple", "green"]).prints("");
    place.run(&["get", "words.folio", "words", "apple"]).prints("green\n");
    place.run(&["count", "words.folio", "words"]).prints("5\n");
}

#[test]
fn put_reads_a_value_from_standard_input() {
    let place = Place::with_words();
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    place.run_with(&["put", "words.folio", "words", "big"], &bytes).prints("");
    assert!(place.run(&["get", "words.folio", "words", "big", "--raw"]).succeeds().out == bytes);
    let typed = Place::with_types("str", "u64");
    typed.run_with(&["put", "x.folio", "t", "n"], b"12\n").prints("");
    typed.run(&["get", "x.folio", "t", "n"]).prints("12\n");
    typed.run_with(&["put", "x.folio", "t", "n"], b"twelve\n").fails(1, &["standard input", "u64", "twelve"]);
    typed.run(&["get", "x.folio", "t", "n"]).prints("12\n");
}

#[test]
fn arguments_may_hold_escapes_and_begin_with_a_dash() {
    let place = Place::new();
    place.run(&["put", "x.folio", "t", r"a\tb\x00\xff", r"c\n\\"]).prints("");
    place.run(&["put", "x.folio", "t", "-k", "-v"]).prints("");
    place.run(&["dump", "x.folio", "t"]).prints("-k\t-v\na\\tb\\x00\\xFF\tc\\n\\\\\n");
    assert_eq!(place.run(&["get", "x.folio", "t", r"a\tb\x00\xff", "--raw"]).succeeds().out, b"c\n\\");
    place.run(&["put", "x.folio", "t", r"\q", "v"]).fails(1, &["\\xHH"]);
    place.run(&["count", "x.folio", "t"]).prints("2\n");
}

#[test]
fn types_of_an_existing_table_are_not_changed() {
    let place = Place::with_types("str", "u64");
    place.run(&["put", "x.folio", "t", "a", "1", "--value-type", "str"]).fails(1, &["t", "str -> u64"]);
    place.run_with(&["load", "x.folio", "t", "--key-type", "u8"], b"1\t1\n").fails(1, &["str -> u64"]);
    place.run(&["put", "x.folio", "t", "a", "1", "--key-type", "str", "--value-type", "u64"]).prints("");
    place.run(&["put", "x.folio", "t", "b", "x"]).fails(1, &["u64"]);
    place.run(&["put", "x.folio", "t", r"\xff", "1"]).fails(1, &["not UTF-8", "str"]);
    place.run(&["dump", "x.folio", "t"]).prints("a\t1\n");
}

#[test]
fn del_takes_one_key() {
    let place = Place::with_words();
    place.run(&["del", "words.folio", "words", "apple"]).prints("");
    place.run(&["del", "words.folio", "words", "apple"]).fails(1, &["apple"]);
    place.run(&["count", "words.folio", "words"]).prints("4\n");
}

#[test]
fn del_takes_a_range_and_says_how_many() {
    let place = Place::with_words();
    place
        .run(&["del", "words.folio", "words", "--from", "b", "--to", "cherry"])
        .prints("deleted 2 entries\n");
    place.run(&["del", "words.folio", "words", "--prefix", "b"]).prints("deleted 0 entries\n");
    place.run(&["del", "words.folio", "words", "--prefix", "ch"]).prints("deleted 1 entry\n");
    place.run(&["dump", "words.folio", "words"]).prints("apple\ta fruit\ndate\t\n");
    place.run(&["del", "words.folio", "words", "--from", "a"]).prints("deleted 2 entries\n");
    place.run(&["dump", "words.folio", "words"]).prints("");
}

#[test]
fn a_key_that_is_too_long_is_refused() {
    let place = Place::with_words();
    let long = "k".repeat(70_000);
    place.run(&["put", "words.folio", "words", &long, "v"]).fails(1, &["70000 bytes"]);
    place.run(&["count", "words.folio", "words"]).prints("5\n");
}
