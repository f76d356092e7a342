//! Goal: files of each version of the format are kept, so that every later version can be held to open them.
//! Method: a test that runs only when it is asked to writes small files and a list of what they hold;
//! `tests/it/fixtures.rs` reads them. The same program writes the same bytes: ids are given.
//!
//! `cargo test --release --lib write_fixtures -- --ignored` writes those of the version at hand anew.

use std::fmt::Write;
use std::ops::Bound;
use std::path::Path;

use super::explore::formatted;
use super::ops::Setup;
use crate::fuzzing::seal::{newest_meta, put, seal, u64_at};
use crate::page::{HEAD_AT, META_AT, index};
use crate::storage::sim::SimDisk;
use crate::{Database, Durability, ReadTransaction, Result, Table, WriteTransaction};

/// A file: its name, its page size, whether it is closed in order, and what is done to it.
type Fixture = (&'static str, u32, bool, fn(&Database) -> Result<()>);

const FIXTURES: [Fixture; 6] = [
    ("empty", 4096, true, |_| Ok(())),
    ("types", 4096, true, types),
    ("values", 8192, true, values),
    ("large-pages", 65_536, true, large_pages),
    ("aged", 4096, true, aged),
    ("unclean", 4096, false, unclean),
];

#[test]
#[ignore = "writes the files that other tests read"]
fn write_fixtures() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/format-1");
    std::fs::create_dir_all(&folder).unwrap();
    let mut manifest = String::new();
    for fixture in &FIXTURES {
        let (file, tables) = make(fixture);
        let again = make(fixture);
        assert!(again == (file.clone(), tables.clone()), "{} comes out the same each time", fixture.0);
        std::fs::write(folder.join(format!("{}.folio", fixture.0)), file).unwrap();
        manifest += &tables;
    }
    std::fs::write(folder.join("manifest.tsv"), manifest).unwrap();
}

/// The bytes of a file, and a line for each table of its durable state.
fn make(&(name, page_size, closes, fill): &Fixture) -> (Vec<u8>, String) {
    let setup = Setup { page_size, ..Setup::PLAIN };
    let mut file = formatted(&setup);
    put_ids(&mut file);
    let disk = SimDisk::with_content(file).unwrap();
    let db = Database::over(&setup.options(), disk.storage().unwrap()).unwrap();
    fill(&db).unwrap();
    let tables = if closes {
        let tables = lines(name, &db.begin_read().unwrap());
        db.close().unwrap();
        tables
    } else {
        // What is durable; a head record counts only on the machine that wrote it.
        let durable = SimDisk::with_content(without_head(disk.content().unwrap())).unwrap();
        let recovered = Database::over(&setup.options(), durable.storage().unwrap()).unwrap();
        lines(name, &recovered.begin_read().unwrap())
    };
    let mut file = disk.content().unwrap();
    if !closes {
        assert_ne!(u64_at(&file, index(HEAD_AT)), 0, "there is a head record");
    }
    put_ids(&mut file);
    let root = newest_meta(&file) + 104;
    let pages = u64_at(&file, root + 8).max(u64_at(&file, index(HEAD_AT) + 40));
    file.truncate(index(pages) * page_size as usize);
    (file, tables)
}

/// The database, the lineage and the boot get the same ids each time.
fn put_ids(file: &mut [u8]) {
    for meta in META_AT.map(index) {
        put(file, meta + 40, b"database fixture");
        put(file, meta + 56, b"lineage fixture.");
        put(file, meta + 88, b"boot of fixtures");
    }
    if u64_at(file, index(HEAD_AT)) != 0 {
        put(file, index(HEAD_AT) + 16, b"boot of fixtures");
    }
    seal(file);
}

fn without_head(mut file: Vec<u8>) -> Vec<u8> {
    put(&mut file, index(HEAD_AT), &[0; 512]);
    file
}

/// A line for each table: file, table, types, entries, and the CRC-32 of all entries, each as the lengths of
/// its key and value (u32, little-endian), its key and its value.
fn lines(file: &str, tx: &ReadTransaction) -> String {
    let mut lines = String::new();
    for table in tx.tables().unwrap() {
        let mut sum = crc32fast::Hasher::new();
        let raw = tx.open_raw(&table.name).unwrap();
        for entry in raw.range((Bound::Unbounded, Bound::Unbounded)).unwrap() {
            let (key, value) = entry.unwrap();
            for len in [key.len(), value.len()] {
                sum.update(&u32::try_from(len).unwrap().to_le_bytes());
            }
            sum.update(&key);
            sum.update(value);
        }
        let (types, sum) = (format!("{}\t{}", raw.key_type(), raw.value_type()), sum.finalize());
        writeln!(lines, "{file}\t{}\t{types}\t{}\t{sum:08x}", table.name, table.entries).unwrap();
    }
    if lines.is_empty() { format!("{file}\n") } else { lines }
}

/// Bytes that look random, the same for the same number.
fn bytes(number: usize, len: usize) -> Vec<u8> {
    let mut rng = crate::storage::sim::Rng::new(number as u64);
    (0..len).map(|_| rng.next().to_le_bytes()[3]).collect()
}

fn commit(mut tx: WriteTransaction, durability: Durability) -> Result<()> {
    tx.set_durability(durability);
    tx.commit().map(|_| ())
}

/// A table for each of many types.
fn types(db: &Database) -> Result<()> {
    let tx = db.begin_write()?;
    {
        let mut words = tx.open(Table::<&str, u64>::new("words"))?;
        for (i, word) in ["", "a", "a\0", "a\0b", "folio", "leaf", "page"].iter().enumerate() {
            words.insert(word, i as u64)?;
        }
        let mut pairs = tx.open(Table::<(&str, i32), (&[u8], bool)>::new("pairs"))?;
        for (text, number) in [("", -1), ("a", i32::MIN), ("a", 0), ("a\0", 7), ("b\x01", i32::MAX)] {
            pairs.insert((text, number), (text.as_bytes(), number > 0))?;
        }
        let mut floats = tx.open(Table::<f64, Option<&str>>::new("floats"))?;
        for float in [-f64::INFINITY, -1.5, -0.0, 0.0, f64::MIN_POSITIVE, 1e300, f64::NAN] {
            floats.insert(float, (float > 0.0).then_some("positive"))?;
        }
        let mut options = tx.open(Table::<Option<&[u8]>, [u16; 3]>::new("options"))?;
        for key in [None, Some(&b""[..]), Some(&[0; 3]), Some(&[1, 0, 255])] {
            options.insert(key, [1, 2, 3])?;
        }
        let mut numbers = tx.open(Table::<(u8, i64, u128), ()>::new("numbers"))?;
        for number in [(0, i64::MIN, u128::MAX), (0, -1, 0), (0, 0, 1), (255, i64::MAX, 0)] {
            numbers.insert(number, ())?;
        }
        let mut letters = tx.open(Table::<(char, bool, [u8; 2]), f32>::new("letters"))?;
        for letter in ['\0', 'a', '\u{e9}', '\u{10FFFF}'] {
            letters.insert((letter, letter > 'b', [1, 255]), 0.5)?;
        }
        drop(tx.create_raw("nothing in it", "shop::Id/1", "bytes")?);
        drop(tx.create_raw("\u{e9}t\u{e9}", "str", "str")?);
    }
    commit(tx, Durability::Immediate)
}

/// Two levels of branches, long and short keys, prefixes, and values in runs of their own.
fn values(db: &Database) -> Result<()> {
    let tx = db.begin_write()?;
    {
        let mut runs = tx.create_raw("runs", "u32", "bytes")?;
        for (i, len) in [0, 1, 4070, 4071, 8191, 8192, 8193, 30_000].into_iter().enumerate() {
            runs.insert(&u32::try_from(i).unwrap().swap_bytes().to_le_bytes(), &bytes(i, len))?;
        }
        let mut deep = tx.create_raw("deep", "bytes", "bytes")?;
        for i in 0..16u8 {
            let mut key = vec![b'k'; 4032];
            (key[0], key[4031]) = (i, i);
            deep.insert(&key, &[i])?;
        }
        let mut prefixes = tx.create_raw("prefixes", "str", "str")?;
        for i in 0..300 {
            prefixes.insert(format!("a/common/prefix/{i:05}").as_bytes(), format!("{i}").as_bytes())?;
        }
    }
    commit(tx, Durability::Immediate)
}

fn large_pages(db: &Database) -> Result<()> {
    let tx = db.begin_write()?;
    {
        let mut large = tx.create_raw("large", "bytes", "bytes")?;
        large.insert(&[b'k'; 32_704], b"the longest key")?;
        large.insert(b"plain", &bytes(1, 30_000))?;
        large.insert(b"run", &bytes(2, 70_000))?;
    }
    commit(tx, Durability::Immediate)
}

/// Many commits: a log of free space with records of every kind, tables that are gone.
fn aged(db: &Database) -> Result<()> {
    for round in 0..30usize {
        let tx = db.begin_write()?;
        {
            let mut first = tx.create_raw("first", "str", "bytes")?;
            for i in 0..10 {
                let number = (round * 37 + i * 11) % 90;
                first.insert(format!("key/{number:04}").as_bytes(), &bytes(round, 20 + number))?;
            }
            first.remove(format!("key/{:04}", round * 7 % 90).as_bytes())?;
            let mut second = tx.create_raw(&format!("table {}", round % 4), "str", "bytes")?;
            second.insert(b"value", &bytes(round, 2100 + round * 500 % 9000))?;
        }
        if round % 5 == 4 {
            tx.drop_table(&format!("table {}", round % 3))?;
        }
        let durability = if round % 3 == 0 { Durability::Immediate } else { Durability::Buffered };
        commit(tx, durability)?;
    }
    Ok(())
}

/// A durable commit that its commit record stands for, and a buffered one behind it in the head record.
fn unclean(db: &Database) -> Result<()> {
    for (round, durability) in
        [Durability::Immediate, Durability::Immediate, Durability::Buffered].into_iter().enumerate()
    {
        let tx = db.begin_write()?;
        {
            let mut table = tx.create_raw("table", "str", "bytes")?;
            for i in 0..40 {
                table.insert(format!("key/{round}/{i:04}").as_bytes(), &bytes(round, i))?;
            }
            table.insert(b"run", &bytes(round, 5000))?;
        }
        commit(tx, durability)?;
    }
    Ok(())
}
