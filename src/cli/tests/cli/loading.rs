//! Goal: `load` brings in exactly its input, or whole batches of it, and says what it did.
//! Method: good and broken inputs of each format, then a dump.

use std::fs;
use std::os::unix::fs::symlink;

use crate::Place;

#[test]
fn load_says_what_it_did() {
    let place = Place::new();
    place.write("a.tsv", b"a\t1\nb\t22\n");
    let text = place.run(&["load", "x.folio", "t", "a.tsv"]).succeeds().text();
    assert!(text.starts_with("2 entries, 5 bytes, 0."), "{text:?}");
    assert!(text.ends_with(" entries/s\n") && text.contains(" s, "), "{text:?}");
    let text = place.run(&["load", "x.folio", "t", "a.tsv"]).succeeds().text();
    assert!(text.starts_with("2 entries (2 replaced), 5 bytes"), "{text:?}");
}

#[test]
fn nothing_or_a_dash_is_standard_input() {
    let place = Place::new();
    place.write("b.tsv", b"b\t2\n");
    place.run_with(&["load", "x.folio", "t"], b"a\t1\n").succeeds();
    place.run_with(&["load", "x.folio", "t", "b.tsv", "-"], b"c\t3").succeeds();
    place.run(&["dump", "x.folio", "t"]).prints("a\t1\nb\t2\nc\t3\n");
}

#[test]
fn an_empty_input_still_makes_the_table() {
    let place = Place::new();
    let text = place.run_with(&["load", "x.folio", "t"], b"").succeeds().text();
    assert!(text.starts_with("0 entries, 0 bytes"), "{text:?}");
    place.run(&["dump", "x.folio", "t"]).prints("");
}

#[test]
fn a_later_entry_takes_the_place_of_an_earlier_one() {
    let place = Place::new();
    let text = place.run_with(&["load", "x.folio", "t"], b"a\t1\na\t2\n").succeeds().text();
    assert!(text.starts_with("2 entries (1 replaced)"), "{text:?}");
    place.run(&["dump", "x.folio", "t"]).prints("a\t2\n");
}

#[test]
fn lines_may_end_as_on_windows_and_values_may_hold_tabs() {
    let place = Place::new();
    place.run_with(&["load", "x.folio", "t"], b"a\t1\t2\r\nb\t\r\n").succeeds();
    place.run(&["dump", "x.folio", "t"]).prints("a\t1\\t2\nb\t\n");
}

#[test]
fn every_batch_size_loads_the_same() {
    let lines: String = (0..100).map(|n| format!("{n:03}\tv{n}\n")).collect();
    for (batch, level) in [("1", "buffered"), ("7", "immediate"), ("50", "buffered"), ("100", "immediate")] {
        let place = Place::new();
        let arguments = ["load", "x.folio", "t", "--batch", batch, "--durability", level];
        let text = place.run_with(&arguments, lines.as_bytes()).succeeds().text();
        assert!(text.starts_with("100 entries, "), "{text:?}");
        place.run(&["dump", "x.folio", "t"]).prints(&lines);
    }
}

#[test]
fn a_broken_line_is_named_and_its_batch_is_not_committed() {
    let place = Place::with_words();
    place.write("good.tsv", b"x\t1\n");
    place.write("bad.tsv", b"y\t1\nz\t2\nno tab here\nw\t3\n");
    let load = ["load", "words.folio", "words", "good.tsv", "bad.tsv"];
    place.run(&load).fails(1, &["bad.tsv:3: ", "tab", "nothing was loaded"]);
    place.run(&["count", "words.folio", "words"]).prints("5\n");
    let batches = [&load[..], &["--batch", "2"]].concat();
    place.run(&batches).fails(1, &["bad.tsv:3: ", "2 entries of earlier batches stay loaded"]);
    place.run(&["scan", "words.folio", "words", "--from", "e"]).prints("x\t1\ny\t1\n");
    place
        .run_with(&["load", "words.folio", "words"], b"a\\q\tb\n")
        .fails(1, &["standard input:1: key: ", "\\xHH"]);
    place.run_with(&["load", "words.folio", "words"], b"a\tb\\x4\n").fails(1, &["standard input:1: value: "]);
    place.run_with(&["load", "words.folio", "words"], b"a\tb\n\n").fails(1, &["standard input:2: "]);
    let long = ["k".repeat(70_000).as_bytes(), b"\tv\n"].concat();
    place.run_with(&["load", "words.folio", "words"], &long).fails(1, &["standard input:1: ", "70000 bytes"]);
}

#[test]
fn a_failed_load_leaves_no_table() {
    let place = Place::new();
    place.run_with(&["load", "x.folio", "t"], b"a\t1\nbroken\n").fails(1, &["standard input:2: "]);
    assert!(!place.run(&["tables", "x.folio"]).succeeds().text().contains("bytes"));
    place.run(&["dump", "x.folio", "t"]).fails(1, &["no table"]);
}

#[test]
fn a_missing_input_is_named_and_nothing_is_created() {
    let place = Place::new();
    place.write("a.tsv", b"a\t1\n");
    place.run(&["load", "x.folio", "t", "a.tsv", "b.tsv"]).fails(1, &["b.tsv: No such file"]);
    place.run(&["load", "x.folio", "t", "b", "--format", "files"]).fails(1, &["b: No such file"]);
    assert!(!place.path("x.folio").exists());
    place.write("folder/a", b"");
    place.run(&["load", "x.folio", "t", "folder"]).fails(1, &["folder: Is a directory"]);
}

#[test]
fn values_are_checked_against_the_recorded_types() {
    let place = Place::with_types("str", "u64");
    place
        .run_with(&["load", "x.folio", "t"], b"a\t1\nb\tx\n")
        .fails(1, &["standard input:2: value: ", "u64"]);
    place.run_with(&["load", "x.folio", "t"], b"\xff\t1\n").fails(1, &["standard input:1: key: ", "UTF-8"]);
    place.run_with(&["load", "x.folio", "t"], b"\\xff\t1\n").fails(1, &["standard input:1: key: ", "UTF-8"]);
    place.run_with(&["load", "x.folio", "t"], b"a\t\xff\n").fails(1, &["standard input:1: value: ", "u64"]);
    place.run(&["dump", "x.folio", "t"]).prints("");
}

#[test]
fn page_size_is_of_the_new_database() {
    let place = Place::new();
    place.run_with(&["load", "x.folio", "t", "--page-size", "16384"], b"a\t1\n").succeeds();
    let stat: serde_json::Value =
        serde_json::from_slice(&place.run(&["stat", "x.folio", "--json"]).out).unwrap();
    assert_eq!(stat["page_size"], 16_384);
    place.run_with(&["load", "x.folio", "t", "--page-size", "4096"], b"b\t1\n").succeeds();
    place.run(&["count", "x.folio", "t"]).prints("2\n");
}

#[test]
fn lines_are_keys() {
    let place = Place::new();
    place
        .run_with(&["load", "x.folio", "t", "--format", "lines"], b"two\\x\tb\none\n\ntwo\\x\tb\n")
        .succeeds();
    place.run(&["dump", "x.folio", "t"]).prints("\t\none\t\ntwo\\\\x\\tb\t\n");
    let typed = Place::with_types("u64", "bytes");
    typed.run_with(&["load", "x.folio", "t", "--format", "lines"], b"20\n3\n").succeeds();
    typed.run(&["dump", "x.folio", "t"]).prints("3\t\n20\t\n");
}

#[test]
fn files_have_their_paths_as_keys() {
    let place = Place::new();
    let binary: Vec<u8> = (0..=255).cycle().take(30_000).collect();
    place.write("tree/a.txt", b"first\n");
    place.write("tree/deep/er/b.bin", &binary);
    place.write("tree/deep/empty", b"");
    place.write("single", b"1");
    symlink("../tree", place.path("tree/deep/circle")).unwrap();
    symlink("a.txt", place.path("tree/link")).unwrap();
    place.run(&["load", "x.folio", "t", "tree", "single", "--format", "files"]).succeeds();
    let lines = place.run(&["dump", "x.folio", "t"]).succeeds().text();
    let keys: Vec<_> = lines.lines().map(|line| line.split('\t').next().unwrap()).collect();
    assert_eq!(keys, ["single", "tree/a.txt", "tree/deep/empty", "tree/deep/er/b.bin"]);
    place.run(&["get", "x.folio", "t", "tree/a.txt", "--raw"]).prints("first\n");
    assert!(place.run(&["get", "x.folio", "t", "tree/deep/er/b.bin", "--raw"]).succeeds().out == binary);
    place.run(&["get", "x.folio", "t", "tree/deep/empty", "--raw"]).prints("");
}

#[test]
fn a_database_is_not_loaded_into_itself() {
    let place = Place::new();
    place.write("a", b"1");
    place.run(&["load", "./x.folio", "t", ".", "--format", "files"]).succeeds();
    place.run(&["load", "x.folio", "t", ".", "--format", "files"]).succeeds();
    place.run(&["dump", "x.folio", "t"]).prints("a\t1\n");
}

#[test]
fn a_link_given_by_name_is_followed() {
    let place = Place::new();
    place.write("tree/a", b"1");
    symlink("tree", place.path("to-tree")).unwrap();
    symlink("tree/a", place.path("to-a")).unwrap();
    place.run(&["load", "x.folio", "t", "to-tree", "to-a", "--format", "files"]).succeeds();
    place.run(&["dump", "x.folio", "t"]).prints("to-a\t1\nto-tree/a\t1\n");
    assert!(fs::symlink_metadata(place.path("to-a")).unwrap().is_symlink());
}

#[test]
fn an_entry_that_never_ends_is_an_error() {
    let place = Place::new();
    for format in ["tsv", "jsonl", "csv", "lines", "files", "dump"] {
        let table = if format == "dump" { "" } else { "t" };
        let load = format!("exec folio load x.folio {table} /dev/zero --format {format}");
        let run = place.shell(&format!("ulimit -d 131072; {load}"));
        run.fails(1, &["/dev/zero", "nothing was loaded"]);
    }
    let rows = "(echo key,value; echo 'a,\"b'; yes)";
    let run = place.shell(&format!(
        "{rows} | (ulimit -d 131072; exec folio load x.folio t --format csv) 2>err; cat err >&2; exit 1"
    ));
    run.fails(1, &["standard input:2: ", "memory"]);
    let run = place.shell("ulimit -d 131072; exec folio put x.folio t key < /dev/zero");
    run.fails(1, &["standard input", "memory"]);
}

#[test]
fn a_folder_is_no_input_but_for_files() {
    let place = Place::new();
    place.write("folder/a", b"1");
    for format in ["tsv", "jsonl", "csv", "lines"] {
        let run = place.run(&["load", "x.folio", "t", "folder", "--format", format]);
        run.fails(1, &["folder: Is a directory"]);
    }
    place.run(&["load", "x.folio", "folder", "--format", "dump"]).fails(1, &["folder: Is a directory"]);
    assert!(!place.path("x.folio").exists() && !place.path("x.folio-lock").exists());
}
