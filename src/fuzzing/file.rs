//! Any bytes as a database file: whatever they are, everything ends with a result or an error.

use std::ops::Bound;
use std::sync::OnceLock;

use super::image::unpack;
use super::seal::put_boot_id;
use crate::page::{META_AT, META_LEN, Meta, index};
use crate::simulation::explore::formatted;
use crate::simulation::ops::Setup;
use crate::storage::Access;
use crate::storage::sim::SimDisk;
use crate::{Database, Durability, Error, RawBounds, RawTable, Result};

const ALL: RawBounds<'static> = (Bound::Unbounded, Bound::Unbounded);

/// So many entries are looked at: a small file may claim to have any number, sharing its pages.
const ENTRIES: usize = 400;

/// Opens the file that `packed` stands for, and does everything with it.
///
/// # Panics
/// If something panics that must not; or if a file that passed the check does not do what a database does.
pub fn file(packed: &[u8]) {
    let mut bytes = unpack(packed);
    put_boot_id(&mut bytes, boot_id());
    // An empty file is no database, but a place for one.
    if bytes.is_empty() {
        return;
    }
    let disk = SimDisk::with_content(bytes).unwrap();
    let setup = Setup { reserve: Some(1), memory_limit: 64 << 10, ..Setup::PLAIN };
    let open = |access| Database::over(&setup.options(), disk.storage_with(access)?);
    // Some files are not written to, and some are made smaller.
    let kind = crc32fast::hash(packed) % 4;
    if kind == 0 {
        let _ = open(Access::ReadOnly).and_then(|db| read(&db));
        return;
    }
    let Ok(db) = open(Access::ReadWrite) else { return };
    let is_sound = db.check().is_ok_and(|report| report.is_ok());
    let read = read(&db);
    // What calls a page free that is in use may be read, but must not be written to: docs/ARCHITECTURE.md,
    // "Safety".
    if is_sound {
        read.unwrap();
        match write(&db, kind == 1) {
            // A feature that writers must know; numbers that are used up.
            Err(Error::WritingEnded { .. } | Error::Full { .. }) => return,
            written => written.unwrap(),
        }
        let report = db.check().unwrap();
        assert!(report.is_ok(), "it was sound before: {:#?}", report.faults);
        let entries = db.stats().unwrap().tables.iter().map(|table| table.entries).sum::<u64>();
        db.close().unwrap();
        let db = open(Access::ReadWrite).unwrap();
        assert!(db.check().unwrap().is_ok());
        assert_eq!(entries, db.stats().unwrap().tables.iter().map(|table| table.entries).sum::<u64>());
    }
}

/// The id of the running system's boot, as a new database has it.
fn boot_id() -> [u8; 16] {
    static BOOT_ID: OnceLock<[u8; 16]> = OnceLock::new();
    *BOOT_ID.get_or_init(|| {
        let file = formatted(&Setup::PLAIN);
        Meta::decode(&file[index(META_AT[0])..][..META_LEN], 0).unwrap().boot_id
    })
}

/// Looks at everything; the first error, after all the rest was tried.
fn read(db: &Database) -> Result<()> {
    let _ = db.check()?;
    let mut result = db.stats().map(|_| ());
    let tx = db.begin_read()?;
    let _ = (db.usage(), db.readers(), tx.free_space());
    let _ = tx.page_map().map(|map| (map.iter().count(), map.get(33)));
    for table in tx.tables()? {
        let _ = tx.visit_tree(&table.name, u32::MAX, &mut |_| {});
        let read = tx.open_raw(&table.name).and_then(|table| read_table(&table));
        result = result.and(read);
    }
    result
}

fn read_table(table: &RawTable<'_>) -> Result<()> {
    let mut keys = Vec::new();
    let mut result = Ok(());
    for entry in table.range(ALL)?.take(ENTRIES) {
        result = result.and(entry.map(|(key, _)| keys.push(key.into_owned())));
    }
    for entry in table.range(ALL)?.rev().take(ENTRIES) {
        result = result.and(entry.map(|_| ()));
    }
    result = result.and(table.first().map(|_| ())).and(table.last().map(|_| ()));
    for (at, key) in keys.iter().enumerate().step_by(1 + keys.len() / 32) {
        let looked = look(table, at, key);
        result = result.and(looked);
    }
    look(table, 0, b"a key that is not there").and(result)
}

fn look(table: &RawTable<'_>, at: usize, key: &[u8]) -> Result<()> {
    let from_here = (Bound::Excluded(key), Bound::Unbounded);
    let results = [
        table.get(key).map(|_| ()),
        table.rank(key).map(|_| ()),
        table.nth(at as u64).map(|_| ()),
        table.count(from_here).map(|_| ()),
        table.range(from_here).and_then(|mut range| range.next().transpose().map(|_| ())),
    ];
    results.into_iter().collect()
}

/// Changes something in every table, commits, and makes the file smaller.
fn write(db: &Database, compacts: bool) -> Result<()> {
    let names: Vec<String> = db.begin_read()?.tables()?.into_iter().map(|table| table.name).collect();
    let mut result = Ok(());
    for name in names.iter().take(3) {
        result = result.and(write_table(db, name));
    }
    let mut tx = db.begin_write()?;
    tx.set_durability(Durability::Buffered);
    tx.create_raw("new", "[u8]", "[u8]")?.insert(b"key", &[7; 5000])?;
    tx.commit()?;
    db.sync()?;
    if compacts {
        db.compact()?;
    }
    result
}

fn write_table(db: &Database, name: &str) -> Result<()> {
    let tx = db.begin_write()?;
    {
        let mut table = tx.open_raw(name)?;
        for i in 0..20u8 {
            table.insert(&[b'k', i.wrapping_mul(37), i], &vec![i; usize::from(i) * 150])?;
        }
        let some: Vec<_> = {
            let keys = table.range(ALL)?.take(ENTRIES).step_by(3);
            keys.map(|entry| entry.map(|(key, _)| key.into_owned())).collect::<Result<_>>()?
        };
        for key in &some {
            table.remove(key)?;
        }
        table.remove_range((Bound::Excluded(&b"k"[..]), Bound::Excluded(&b"l"[..])))?;
    }
    tx.commit().map(|_| ())
}
