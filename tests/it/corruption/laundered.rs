//! Damage is never copied under a checksum that makes it look as if it had been meant: neither by compaction
//! nor by copies, also where a value is so long that reading it does not check it.

use folio::inspect::PageKind;
use folio::{Database, Error, Result, Table};

use super::decode::{PAGE, at};
use super::{Rng, VERIFIED_MAX};
use crate::files::{create, open};

const VALUES: Table<u64, &[u8]> = Table::new("values");

/// A database whose second value is damaged. Behind the first there is room for it.
fn damaged(path: &std::path::Path) -> Database {
    let mut rng = Rng(3);
    let db = create(path).unwrap();
    db.write(|tx| tx.open(VALUES)?.insert(1, rng.bytes(VERIFIED_MAX * 3)).map(drop)).unwrap();
    db.write(|tx| tx.open(VALUES)?.insert(2, rng.bytes(VERIFIED_MAX * 2)).map(drop)).unwrap();
    let map = db.begin_read().unwrap().page_map().unwrap();
    let runs = map.iter().filter(|record| record.kind == PageKind::Overflow);
    let run = runs.max_by_key(|record| record.page).unwrap();
    assert!(run.used_bytes == 2 * VERIFIED_MAX as u64 && run.pages > 400, "{run:?}");
    db.close().unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at(run.page) + 100 * PAGE + 77] ^= 1;
    std::fs::write(path, bytes).unwrap();
    open(path).unwrap()
}

fn assert_refused<R>(result: Result<R>) {
    let result = result.map(|_| ());
    assert!(matches!(result, Err(Error::Corrupted { .. })), "{result:?}");
}

#[test]
fn compaction_moves_no_damaged_value() {
    let folder = tempfile::tempdir().unwrap();
    let db = damaged(&folder.path().join("db.folio"));
    db.write(|tx| tx.open(VALUES)?.remove(1).map(drop)).unwrap();
    assert_refused(db.compact());
    assert!(!db.check().unwrap().is_ok());
}

#[test]
fn copies_have_no_damaged_value() {
    let folder = tempfile::tempdir().unwrap();
    let db = damaged(&folder.path().join("db.folio"));
    let snapshot = db.begin_read().unwrap();
    for compact in [false, true] {
        let path = folder.path().join("copy");
        assert_refused(snapshot.copy().compact(compact).to_file(&path));
        assert!(!path.exists());
        assert_refused(snapshot.copy().compact(compact).to_writer(&mut Vec::new()));
    }
}
