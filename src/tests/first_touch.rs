//! Goal: a page is checked when it is first touched, and one that this process has written is not: what is
//! damaged is reported by whoever needs it, and by nobody else.
//! Method: a byte of one leaf is flipped in the file of a simulated disk.

use super::ops::Setup;
use crate::storage::sim::SimDisk;
use crate::{Database, Error, Result, Table};

const SQUARES: Table<u64, u64> = Table::new("squares");
const COUNT: u64 = 2000;
const PAGE: usize = 4096;

fn open(disk: &SimDisk) -> Database {
    Database::over(&Setup::PLAIN.options(), disk.storage().unwrap()).unwrap()
}

/// All squares, in one commit: no page has an older copy.
fn squares() -> (SimDisk, Database) {
    let disk = SimDisk::new().unwrap();
    let db = open(&disk);
    db.write(|tx| {
        let mut squares = tx.open(SQUARES)?;
        (0..COUNT).try_for_each(|i| squares.insert(i, i * i).map(|_| ()))
    })
    .unwrap();
    (disk, db)
}

/// The bytes with one of them flipped, which is in a leaf of the table in the middle of the file; where.
fn damaged(disk: &SimDisk) -> (Vec<u8>, usize) {
    let mut bytes = disk.content().unwrap();
    // No other leaf has so many entries.
    let is_leaf = |page: &[u8]| page[4..6] == [1, 0] && u16::from_le_bytes([page[6], page[7]]) > 20;
    let leaves: Vec<_> = (0..bytes.len() / PAGE).filter(|i| is_leaf(&bytes[i * PAGE..])).collect();
    let at = leaves[leaves.len() / 2] * PAGE + 3000;
    bytes[at] ^= 0x10;
    (bytes, at)
}

fn is_corrupted<T>(result: &Result<T>) -> bool {
    matches!(result, Err(Error::Corrupted { .. }))
}

#[test]
fn a_page_that_was_written_here_is_not_checked_again() {
    let (disk, db) = squares();
    let (bytes, at) = damaged(&disk);
    disk.storage().unwrap().write_at(&[&bytes[at..=at]], at as u64).unwrap();
    let gets = |db: &Database| -> Vec<_> {
        let tx = db.begin_read().unwrap();
        let squares = tx.open(SQUARES).unwrap();
        (0..COUNT).map(|i| squares.get(i)).collect()
    };
    assert!(gets(&db).iter().all(Result::is_ok));
    // Whoever has not written it finds it out.
    db.close().unwrap();
    let other = open(&SimDisk::with_content(disk.content().unwrap()).unwrap());
    assert!(gets(&other).iter().any(is_corrupted));
}

#[test]
fn many_keys_have_their_values_up_to_the_one_in_a_damaged_leaf() {
    let (disk, db) = squares();
    db.close().unwrap();
    let db = open(&SimDisk::with_content(damaged(&disk).0).unwrap());
    let tx = db.begin_read().unwrap();
    let squares = tx.open(SQUARES).unwrap();
    let (bad, good): (Vec<u64>, Vec<u64>) = (0..COUNT).partition(|i| is_corrupted(&squares.get(i)));
    assert!(bad.len() > 20 && good.len() > bad.len(), "{bad:?}");
    assert!(bad.is_sorted_by(|a, b| a + 1 == *b), "one leaf: {bad:?}");
    for before in 0..20 {
        let keys = good[..before].iter().chain(&bad[..1]).chain(&good);
        let mut found = squares.get_many(keys);
        for key in &good[..before] {
            assert_eq!(found.next().unwrap().unwrap(), Some(key * key), "{before} before the error");
        }
        assert!(is_corrupted(&found.next().unwrap()), "{before} before the error");
        assert_eq!(found.size_hint(), (0, Some(0)));
        assert!(found.next().is_none() && found.next().is_none(), "nothing follows an error");
    }
    let found = squares.get_many(&good).map(|value| value.unwrap().unwrap());
    assert!(found.eq(good.iter().map(|key| key * key)));
}
