//! The sound files that are mutated: of several page sizes, new and aged, with many tables, with values
//! outside their leaves, deep, closed and not closed.

use std::fs;
use std::path::Path;

use folio::{Database, Durability};

use super::bytes::Rng;
use crate::files::open_with;

/// A sound file by name.
pub(super) struct Base {
    pub(super) name: &'static str,
    pub(super) bytes: Vec<u8>,
}

/// A name, a page size, whether the file is closed in order, and what is done with it.
type Recipe = (&'static str, u32, bool, fn(&Database));

/// How each file is made: its name, its page size, and whether it is closed in order.
const RECIPES: &[Recipe] = &[
    ("empty", 4096, true, |_| {}),
    ("tiny", 4096, true, tiny),
    ("aged", 4096, true, aged),
    ("many tables", 4096, true, many_tables),
    ("runs", 4096, true, runs),
    ("deep", 4096, true, deep),
    ("middle pages", 8192, true, mixed),
    ("large pages", 65_536, true, mixed),
    ("not closed", 4096, false, aged),
    ("not closed, buffered", 4096, false, buffered),
    ("not closed, tiny", 8192, false, tiny),
];

/// Makes all of them below `folder`.
pub(super) fn make(folder: &Path) -> Vec<Base> {
    let make = |(name, page_size, close, fill): &(&'static str, u32, bool, fn(&Database))| {
        let path = folder.join(name.replace([' ', ','], "-"));
        let db = open_with(&path, Database::options().create_new(true).page_size(*page_size)).unwrap();
        fill(&db);
        let bytes = if *close {
            db.close().unwrap();
            fs::read(&path).unwrap()
        } else {
            // As a process that died here would leave it.
            fs::read(&path).unwrap()
        };
        Base { name, bytes }
    };
    RECIPES.iter().map(make).collect()
}

fn key(i: usize) -> Vec<u8> {
    format!("key/{i:05}").into_bytes()
}

/// Puts entries into a table and commits.
fn put(
    db: &Database,
    table: &str,
    durability: Durability,
    entries: impl Iterator<Item = (Vec<u8>, Vec<u8>)>,
) {
    let mut tx = db.begin_write().unwrap();
    tx.set_durability(durability);
    {
        let mut table = tx.create_raw(table, "str", "[u8]").unwrap();
        entries.for_each(|(key, value)| assert!(table.insert(&key, &value).is_ok()));
    }
    tx.commit().unwrap();
}

fn tiny(db: &Database) {
    put(db, "tiny", Durability::Immediate, (0..3).map(|i| (key(i), vec![7; i])));
}

fn aged(db: &Database) {
    let rng = &mut Rng(11);
    let value = |rng: &mut Rng| {
        let len = rng.below(90);
        rng.bytes(len)
    };
    for table in ["first", "second"] {
        put(db, table, Durability::Immediate, (0..900).map(|i| (key(i), value(rng))));
    }
    // Pages that a reader needs are pending when the file is left.
    let _reader = db.begin_read().unwrap();
    for round in 0..25 {
        let entries: Vec<_> = (0..20).map(|_| (key(rng.below(900)), value(rng))).collect();
        put(db, "first", Durability::Immediate, entries.into_iter());
        let tx = db.begin_write().unwrap();
        for _ in 0..12 {
            tx.open_raw("second").unwrap().remove(&key(rng.below(900))).unwrap();
        }
        if round % 8 == 0 {
            let mut first = tx.open_raw("first").unwrap();
            first.insert(&key(1000 + round), &rng.bytes(6000)).unwrap();
        }
        tx.commit().unwrap();
    }
}

fn many_tables(db: &Database) {
    let rng = &mut Rng(12);
    for i in 0..150 {
        let entries: Vec<_> = (0..rng.below(3)).map(|i| (key(i), vec![1; 10])).collect();
        put(db, &format!("table-{i:03}"), Durability::Buffered, entries.into_iter());
    }
    assert!(db.write(|tx| tx.drop_table("table-077")).unwrap());
}

fn runs(db: &Database) {
    let rng = &mut Rng(13);
    let lens = [1, 2100, 4096, 4097, 9000, 20_000, 65_536, 70_001];
    for round in 0..3 {
        let entries: Vec<_> = lens.iter().map(|len| (key(rng.below(40)), rng.bytes(*len))).collect();
        put(db, &format!("runs-{round}"), Durability::Immediate, entries.into_iter());
    }
    let tx = db.begin_write().unwrap();
    tx.open_raw("runs-1").unwrap().clear().unwrap();
    tx.commit().unwrap();
}

/// Long keys: branches have two or three children.
fn deep(db: &Database) {
    let long = |i: usize| [key(i * 37 % 200), vec![b'x'; 1900], key(i * 37 % 200)].concat();
    put(db, "deep", Durability::Immediate, (0..120).map(|i| (long(i), vec![3; 40])));
    // Separators as long as keys: they differ in their last bytes alone.
    let same = |i: usize| [vec![b'y'; 1900], key(i)].concat();
    put(db, "same", Durability::Immediate, (0..40).map(|i| (same(i * 7 % 40), vec![3; 40])));
}

fn mixed(db: &Database) {
    let rng = &mut Rng(14);
    let entry = |rng: &mut Rng| {
        let len = if rng.one_in(20) { 30_000 + rng.below(9000) } else { rng.below(300) };
        (key(rng.below(700)), rng.bytes(len))
    };
    for table in ["one", "two"] {
        let entries: Vec<_> = (0..400).map(|_| entry(rng)).filter(|(_, value)| value.len() < 9000).collect();
        put(db, table, Durability::Immediate, entries.into_iter());
    }
    for _ in 0..3 {
        let entries: Vec<_> = (0..10).map(|_| entry(rng)).collect();
        put(db, "two", Durability::Immediate, entries.into_iter());
    }
}

/// Durable commits, and buffered ones behind them that only a head record names.
fn buffered(db: &Database) {
    aged(db);
    for i in 0..4 {
        put(db, "first", Durability::Buffered, (0..30).map(|n| (key(n * 17), vec![i; 50])));
        put(db, "new", Durability::Buffered, (0..8).map(|n| (key(n), vec![i; 3000])));
    }
}
