//! Goal: a table's changes are those between any two snapshots of it, whatever became of the table.
//! Method: single cases, each with two snapshots and all that `changes_since` says of them.

use super::WORDS;
use crate::{Change, Database, Error, Prefix, ReadTable, ReadTransaction};

type Word = Change<String, u64>;

fn inserted(word: &str, number: u64) -> Word {
    Change { key: word.to_owned(), before: None, after: Some(number) }
}

fn removed(word: &str, number: u64) -> Word {
    Change { key: word.to_owned(), before: Some(number), after: None }
}

fn replaced(word: &str, before: u64, after: u64) -> Word {
    Change { key: word.to_owned(), before: Some(before), after: Some(after) }
}

fn put(db: &Database, words: &[(&str, u64)]) -> ReadTransaction {
    db.write(|tx| {
        let mut table = tx.open(WORDS)?;
        words.iter().try_for_each(|(word, number)| table.insert(word, *number).map(|_| ()))
    })
    .unwrap();
    db.begin_read().unwrap()
}

/// What changed in the table of words.
fn changes(older: &ReadTransaction, newer: &ReadTransaction) -> Vec<Word> {
    let (older, newer) = (older.open(WORDS).unwrap(), newer.open(WORDS).unwrap());
    let owned = |change: Change<std::borrow::Cow<'_, str>, u64>| Change {
        key: change.key.into_owned(),
        before: change.before,
        after: change.after,
    };
    newer.changes_since(&older).map(|change| owned(change.unwrap())).collect()
}

#[test]
fn changes_go_either_way_in_time() {
    let db = Database::in_memory().unwrap();
    let old = put(&db, &[("folio", 1), ("leaf", 2), ("page", 3)]);
    db.write(|tx| tx.open(WORDS)?.remove("folio")).unwrap();
    let new = put(&db, &[("leaf", 20), ("page", 3), ("quire", 4)]);
    assert_eq!(changes(&old, &new), [removed("folio", 1), replaced("leaf", 2, 20), inserted("quire", 4)]);
    assert_eq!(changes(&new, &old), [inserted("folio", 1), replaced("leaf", 20, 2), removed("quire", 4)]);
    assert_eq!(changes(&new, &new), []);
}

#[test]
fn a_table_that_is_not_there_is_empty_on_either_side() {
    let db = Database::in_memory().unwrap();
    let none = db.begin_read().unwrap();
    let some = put(&db, &[("folio", 1), ("leaf", 2)]);
    db.write(|tx| tx.drop_table("words")).unwrap();
    let dropped = db.begin_read().unwrap();
    assert_eq!(changes(&none, &some), [inserted("folio", 1), inserted("leaf", 2)]);
    assert_eq!(changes(&some, &dropped), [removed("folio", 1), removed("leaf", 2)]);
    assert_eq!(changes(&none, &dropped), []);
    let again = put(&db, &[("leaf", 2), ("page", 3)]);
    assert_eq!(changes(&some, &again), [removed("folio", 1), inserted("page", 3)]);
}

#[test]
fn pages_that_moved_are_no_change() {
    let db = Database::in_memory().unwrap();
    let words: Vec<_> = (0..20_000).map(|n| format!("word {n:05}")).collect();
    let words: Vec<_> = words.iter().zip(0..).map(|(word, n)| (word.as_str(), n)).collect();
    drop(put(&db, &words));
    db.write(|tx| tx.open(WORDS)?.remove_range(.."word 15000")).unwrap();
    let old = db.begin_read().unwrap();
    assert!(db.compact().unwrap().pages_moved > 20);
    let new = db.begin_read().unwrap();
    assert_eq!(changes(&old, &new), []);
}

#[test]
fn a_range_of_changes_has_the_forms_of_a_range() {
    let db = Database::in_memory().unwrap();
    let old = db.begin_read().unwrap();
    let new = put(&db, &[("fold", 1), ("folio", 2), ("leaf", 3), ("page", 4)]);
    let (old, new) = (old.open(WORDS).unwrap(), new.open(WORDS).unwrap());
    fn numbers(changes: crate::Changes<'_, &'static str, u64>) -> Vec<u64> {
        changes.map(|change| change.unwrap().after.unwrap()).collect()
    }
    assert_eq!(numbers(new.changes_since_in(&old, Prefix("fo"))), [1, 2]);
    assert_eq!(numbers(new.changes_since_in(&old, "folio".."page")), [2, 3]);
    assert_eq!(numbers(new.changes_since_in(&old, "leaf"..)), [3, 4]);
    assert_eq!(numbers(new.changes_since_in(&old, ..="leaf")), [1, 2, 3]);
    assert_eq!(numbers(new.changes_since_in(&old, "page".."fold")), []);
    assert_eq!(numbers(new.changes_since_in(&old, ..)), [1, 2, 3, 4]);
}

/// Both have a page of the same number, birth and count, with other words on it.
#[test]
fn two_databases_are_compared_entry_by_entry() {
    let (one, other) = (Database::in_memory().unwrap(), Database::in_memory().unwrap());
    let one = put(&one, &[("folio", 1), ("leaf", 2)]);
    let other = put(&other, &[("folio", 1), ("page", 3)]);
    assert_eq!(one.txn(), other.txn());
    assert_eq!(changes(&one, &other), [removed("leaf", 2), inserted("page", 3)]);
}

#[test]
fn a_value_of_another_type_is_an_error_and_ends_the_changes() {
    let db = Database::in_memory().unwrap();
    let old = put(&db, &[("folio", 1)]);
    db.write(|tx| tx.open_raw("words")?.insert(b"leaf", b"two")).unwrap();
    let new = put(&db, &[("page", 3)]);
    let (old, new) = (old.open(WORDS).unwrap(), new.open(WORDS).unwrap());
    let mut changes = new.changes_since(&old);
    assert!(matches!(changes.next(), Some(Err(Error::Decode { .. }))));
    assert!(changes.next().is_none() && changes.next().is_none());
    assert!(format!("{changes:?}").starts_with("Changes"));
}

/// The snapshots have to live as long as what was read, the tables do not.
#[test]
fn changes_borrow_from_the_snapshots() {
    let db = Database::in_memory().unwrap();
    let old = put(&db, &[("folio", 1)]);
    let new = put(&db, &[("leaf", 2)]);
    let changes = {
        let tables: [ReadTable<'_, _, _>; 2] = [&old, &new].map(|tx| tx.open(WORDS).unwrap());
        tables[1].changes_since(&tables[0])
    };
    assert_eq!(changes.map(|change| change.unwrap().key).collect::<Vec<_>>(), ["leaf"]);
}
