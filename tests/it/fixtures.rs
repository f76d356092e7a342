//! Goal: files of every version of the format are opened by all later ones, and docs/FORMAT.md says enough to
//! read them without the library.
//! Method: the files in `tests/data/format-1`, whose `manifest.tsv` says what they hold, are read by the
//! library and by a decoder that is written after the document alone; then a copy of each is written to.
//!
//! `src/tests/fixtures.rs` makes them. A file that a released version has written is never made anew.

mod format;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use folio::{Database, Recovery};

use crate::files::{open, open_read_only};
use format::{Decoder, Entries, crc};

/// Of a table: its types, the number of its entries, and their checksum, as the manifest has them.
type Tables = BTreeMap<String, [String; 4]>;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/format-1")
}

/// The tables of each file.
fn manifest() -> BTreeMap<String, Tables> {
    let mut files = BTreeMap::new();
    for line in fs::read_to_string(folder().join("manifest.tsv")).unwrap().lines() {
        let mut fields = line.split('\t').map(str::to_owned);
        let tables: &mut Tables = files.entry(fields.next().unwrap()).or_default();
        if let Some(table) = fields.next() {
            tables.insert(table, std::array::from_fn(|_| fields.next().unwrap()));
        }
    }
    assert_eq!(files.len(), 6);
    files
}

/// A line of the manifest for these entries.
fn line(key_type: &str, value_type: &str, entries: &Entries) -> [String; 4] {
    let mut bytes = Vec::new();
    for (key, value) in entries {
        for len in [key.len(), value.len()] {
            bytes.extend(u32::try_from(len).unwrap().to_le_bytes());
        }
        bytes.extend([&key[..], value].concat());
    }
    let sum = crc(0, &bytes);
    [key_type.to_owned(), value_type.to_owned(), entries.len().to_string(), format!("{sum:08x}")]
}

/// What the library shows of a database.
fn shown(db: &Database) -> Tables {
    let tx = db.begin_read().unwrap();
    let tables = tx.tables().unwrap().into_iter().map(|table| {
        let raw = tx.open_raw(&table.name).unwrap();
        let range = raw.range((Bound::Unbounded, Bound::Unbounded)).unwrap();
        let entries = range.map(|entry| entry.map(|(k, v)| (k.into_owned(), v.to_vec())).unwrap()).collect();
        (table.name, line(raw.key_type(), raw.value_type(), &entries))
    });
    tables.collect()
}

#[test]
fn every_version_is_opened_and_can_be_written_to() {
    let copies = tempfile::tempdir().unwrap();
    for (name, tables) in manifest() {
        println!("{name}");
        let path = copies.path().join(format!("{name}.folio"));
        fs::copy(folder().join(format!("{name}.folio")), &path).unwrap();
        let db = open_read_only(&path).unwrap();
        assert_eq!(shown(&db), tables, "{name}");
        let recovery = db.stats().unwrap().recovery;
        assert_eq!(recovery == Recovery::Clean, name != "unclean", "{name}: {recovery}");
        assert!(db.check().unwrap().is_ok());
        drop(db);
        let db = open(&path).unwrap();
        assert_eq!(shown(&db), tables, "{name}");
        let tx = db.begin_write().unwrap();
        for table in tables.keys() {
            tx.open_raw(table).unwrap().insert(b"one more", &[1; 3000]).unwrap();
        }
        tx.create_raw("one more", "str", "bytes").unwrap().insert(b"key", b"value").unwrap();
        tx.commit().unwrap();
        assert!(db.check().unwrap().is_ok());
        db.compact().unwrap();
        db.close().unwrap();
        let db = open(&path).unwrap();
        let report = db.check().unwrap();
        assert!(report.is_ok(), "{name}: {:#?}", report.faults);
        assert_eq!(shown(&db).len(), tables.len() + 1);
        let file = fs::read(&path).unwrap();
        assert_eq!(decoded(&file), shown(&db), "{name}: what is written is of version 1 as well");
    }
}

/// What the decoder finds.
fn decoded(file: &[u8]) -> Tables {
    decoded_by(&mut Decoder::new(file))
}

fn decoded_by(decoder: &mut Decoder<'_>) -> Tables {
    let tables = decoder.tables().into_iter();
    tables.map(|(name, table)| (name, line(&table.key_type, &table.value_type, &table.entries))).collect()
}

#[test]
fn the_document_is_enough_to_read_a_file() {
    for (name, tables) in manifest() {
        println!("{name}");
        let file = fs::read(folder().join(format!("{name}.folio"))).unwrap();
        assert_eq!(decoded(&file), tables, "{name}");
    }
}

/// Goal: the decoder is no rubber stamp.
#[test]
fn the_decoder_sees_each_flipped_bit_of_a_page_in_use() {
    for (name, step) in [("types", 97), ("values", 487)] {
        let file = fs::read(folder().join(format!("{name}.folio"))).unwrap();
        let mut sound = Decoder::new(&file);
        let tables = decoded_by(&mut sound);
        let newest = [0, 65_536].into_iter().max_by_key(|at| sequence(&file, *at)).unwrap();
        let mut seen = [0; 3];
        for at in (0..file.len()).step_by(step) {
            let mut damaged = file.clone();
            damaged[at] ^= 1 << (at % 8);
            let found = std::panic::catch_unwind(|| {
                let mut decoder = Decoder::new(&damaged);
                (decoded_by(&mut decoder), decoder.sequence())
            });
            let expected = if sound.is_in_use(at) {
                seen[0] += 1;
                assert!(found.is_err(), "{name}, byte {at}: nothing is wrong with a page in use");
                continue;
            } else if (newest..newest + META).contains(&at) {
                seen[1] += 1;
                // A close left the same root in the other one.
                (tables.clone(), sound.sequence() - 1)
            } else {
                seen[2] += 1;
                (tables.clone(), sound.sequence())
            };
            assert_eq!(found.ok(), Some(expected), "{name}, byte {at}");
        }
        assert!(seen.iter().all(|seen| *seen > 5), "{name}: {seen:?}");
    }
}

/// Bytes of a meta page, however large the others are.
const META: usize = 4096;

/// That of the meta page at byte `at`.
fn sequence(file: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(file[at + 72..at + 80].try_into().unwrap())
}
