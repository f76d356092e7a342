//! Goal: `readers` lists every reader of every process as the library knows it, and nobody else.
//! Method: the tool in one process, this process and a stopped `watch` as readers. Nothing waits for the
//! clock: an age lies between two that the library gives, before and after.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use serde_json::Value;

use crate::Place;
use crate::watch::{Watch, open};

/// Bytes of the value that each commit replaces.
const VALUE: usize = 100_000;

/// Replaces the value of the key `apple`, and so frees the pages of the last one.
fn replace(place: &Place, letter: u8) {
    place.run_with(&["put", "words.folio", "words", "apple"], &[letter; VALUE]).succeeds();
}

/// A reader that keeps its snapshot whatever is committed, and its transaction.
fn stopped_reader(place: &Place) -> (Watch, u64) {
    let (watch, txn) = Watch::start(place, &["words.folio", "words"], 5);
    watch.signal("STOP");
    watch.wait_until_stopped();
    (watch, txn)
}

fn listed(place: &Place) -> Vec<Value> {
    let out = place.run(&["readers", "words.folio", "--json"]).succeeds().out;
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn nobody_is_listed_where_nobody_reads() {
    let place = Place::with_words();
    let is_empty = || {
        place.run(&["readers", "words.folio"]).prints("nobody reads this database\n");
        place.run(&["readers", "words.folio", "--json"]).prints("[]\n");
    };
    is_empty();
    // To have it open is not to read it, nor to have read it.
    let db = open(&place, "words.folio");
    is_empty();
    drop(db.begin_read().unwrap());
    is_empty();
}

#[test]
#[cfg(target_os = "linux")]
fn each_reader_is_listed_with_its_process_its_snapshot_and_what_it_pins() {
    let place = Place::with_words();
    replace(&place, b'a');
    let db = open(&place, "words.folio");
    let old = db.begin_read().unwrap();
    replace(&place, b'b');
    let (watch, newer) = stopped_reader(&place);
    replace(&place, b'c');
    let before = db.readers().unwrap();
    let shown = listed(&place);
    let after = db.readers().unwrap();
    let pids: Vec<_> = shown.iter().map(|reader| reader["pid"].as_u64().unwrap()).collect();
    assert_eq!(pids, [u64::from(std::process::id()), u64::from(watch.child.id())], "the oldest first");
    for (reader, (before, after)) in shown.iter().zip(before.iter().zip(&after)) {
        assert_eq!(reader["txn"], before.txn);
        assert_eq!(reader["behind"], before.behind);
        assert_eq!(reader["pinned_bytes"], before.pinned_bytes);
        let age = Duration::from_millis(reader["age_ms"].as_u64().unwrap());
        assert!(before.age <= age && age <= after.age, "{before:?}, {age:?}, {after:?}");
        assert_eq!(reader.as_object().unwrap().len(), 5, "{reader}");
    }
    let numbers = |name: &str| shown.iter().map(|reader| reader[name].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!(numbers("txn"), [old.txn(), newer]);
    assert_eq!(numbers("behind"), [2, 1]);
    // Each sees a value that is gone, and neither the one that came and went between.
    let pinned = numbers("pinned_bytes");
    assert!(pinned.iter().all(|pinned| (VALUE as u64..2 * VALUE as u64).contains(pinned)), "{pinned:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn the_table_says_the_same_in_aligned_columns() {
    let place = Place::with_words();
    replace(&place, b'a');
    let db = open(&place, "words.folio");
    let _old = db.begin_read().unwrap();
    let (_watch, _) = stopped_reader(&place);
    replace(&place, b'b');
    let text = place.run(&["readers", "words.folio"]).succeeds().text();
    let rows: Vec<Vec<_>> = text
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    assert_eq!(rows[0], ["pid", "age", "transaction", "behind", "pinned"]);
    let shown = listed(&place);
    assert_eq!((rows.len(), shown.len()), (3, 2), "{text}");
    for (row, reader) in rows[1..].iter().zip(&shown) {
        let numbers = [&reader["pid"], &reader["txn"], &reader["behind"]].map(Value::to_string);
        assert_eq!([row[0], row[2], row[3]], numbers.each_ref().map(String::as_str), "{text}");
        assert!(row[1].ends_with(" s") || row[1].ends_with(" min"), "{text}");
        assert!(row[4].ends_with(" KiB"), "{text}");
    }
    // Every column keeps to the right, the last one too.
    let widths: Vec<_> = text.lines().map(str::len).collect();
    assert!(widths.iter().all(|width| *width == widths[0] && *width < 80), "{text}");
}

/// What the help promises: nothing is left to do.
#[test]
#[cfg(target_os = "linux")]
fn a_reader_that_is_killed_is_gone_with_what_it_pinned() {
    let place = Place::with_words();
    replace(&place, b'a');
    let (mut watch, _) = stopped_reader(&place);
    replace(&place, b'b');
    let pending = || {
        let out = place.run(&["stat", "words.folio", "--json"]).succeeds().out;
        serde_json::from_slice::<Value>(&out).unwrap()["pending_pages"].as_u64().unwrap()
    };
    assert_eq!(listed(&place).len(), 1);
    assert!(pending() * 4096 >= VALUE as u64);
    watch.child.kill().unwrap();
    assert_eq!(watch.ends().signal(), Some(9));
    place.run(&["readers", "words.folio"]).prints("nobody reads this database\n");
    assert_eq!(pending(), 0);
    replace(&place, b'c');
    assert!(place.run(&["check", "words.folio"]).succeeds().text().starts_with("ok: "));
}
