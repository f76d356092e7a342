//! Goal: one file is one database, however often and by whatever name a process opens it; what one opening
//! does, others see and can wait for. Method: real files with several names. An opening for reading beside
//! one for writing shares nothing with it but the files, as another process would.

#![expect(unsafe_code, reason = "opening files that nobody else has")]

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use crate::{Database, Durability, Error, ReadTransaction, Recovery, Table, WriteTransaction};

const WORDS: Table<&str, u64> = Table::new("words");
const LARGE: Table<u64, &[u8]> = Table::new("large");

/// Long enough for whatever has to happen to happen.
const LONG: Duration = Duration::from_secs(60);

fn open(path: &Path, read_only: bool) -> Database {
    let mut options = Database::options();
    options.create(!read_only).read_only(read_only);
    // SAFETY: nobody but Folio writes to the file.
    unsafe { options.open(path) }.unwrap()
}

fn put(db: &Database, key: &str, durability: Durability) -> u64 {
    let mut tx = db.begin_write().unwrap();
    tx.set_durability(durability);
    tx.open(WORDS).unwrap().insert(key, 1).unwrap();
    tx.commit().unwrap().txn
}

fn has(db: &Database, key: &str) -> bool {
    db.begin_read().unwrap().open(WORDS).unwrap().get(key).unwrap().is_some()
}

#[test]
fn one_file_is_one_database_by_whatever_name() {
    let folder = tempfile::tempdir().unwrap();
    let [path, symbolic, hard] = ["x", "symbolic", "hard"].map(|name| folder.path().join(name));
    let db = open(&path, false);
    std::os::unix::fs::symlink(&path, &symbolic).unwrap();
    std::fs::hard_link(&path, &hard).unwrap();
    for name in [&path, &symbolic, &hard] {
        let again = open(name, false);
        assert_eq!(again.stats().unwrap().recovery, Recovery::Clean, "it did not join, it is the same");
        let tx = again.begin_write().unwrap();
        assert!(matches!(db.try_begin_write(), Err(Error::WriterBusy)));
        drop(tx);
        put(&again, name.to_str().unwrap(), Durability::Immediate);
        again.close().unwrap();
        assert!(has(&db, name.to_str().unwrap()));
    }
    db.close().unwrap();
    assert_eq!(open(&path, false).stats().unwrap().recovery, Recovery::Clean);
}

#[test]
fn threads_that_open_at_once_get_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    for _ in 0..20 {
        let all: Vec<Database> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| open(&path, false))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let _tx = all[0].begin_write().unwrap();
        assert!(all.iter().all(|db| matches!(db.try_begin_write(), Err(Error::WriterBusy))));
    }
}

#[test]
fn an_opening_for_reading_sees_what_another_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let writer = open(&path, false);
    put(&writer, "first", Durability::Immediate);
    let reader = open(&path, true);
    assert_eq!(reader.stats().unwrap().recovery, Recovery::Joined);
    assert!(has(&reader, "first"));
    let tx = reader.begin_read().unwrap();
    put(&writer, "second", Durability::Buffered);
    assert!(has(&reader, "second"), "visible before it is durable");
    assert!(tx.open(WORDS).unwrap().get("second").unwrap().is_none(), "a snapshot stays what it is");
    assert!(matches!(reader.begin_write(), Err(Error::ReadOnly)));
}

#[test]
fn nobody_reads_without_a_lock_file_what_others_have_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let writer = open(&path, false);
    put(&writer, "first", Durability::Immediate);
    // SAFETY: it is refused as long as somebody could write.
    let unlocked = || unsafe { Database::options().open_unlocked(&path) };
    assert!(matches!(unlocked(), Err(Error::Locked { .. })));
    let tx = writer.begin_read().unwrap();
    writer.close().unwrap();
    assert!(matches!(unlocked(), Err(Error::Locked { .. })), "its snapshot is left");
    drop(tx);
    let db = unlocked().unwrap();
    assert!(has(&db, "first"));
    assert!(db.readers().unwrap().is_empty());
}

#[test]
fn readers_of_all_openings_are_listed_with_what_they_pin() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let writer = open(&path, false);
    put(&writer, "first", Durability::Immediate);
    let reader = open(&path, true);
    let (old, own) = (reader.begin_read().unwrap(), writer.begin_read().unwrap());
    let last = put(&writer, "second", Durability::Immediate);
    let new = reader.begin_read().unwrap();
    for db in [&writer, &reader] {
        let found = db.readers().unwrap();
        assert_eq!(found.iter().map(|r| r.txn).collect::<Vec<_>>(), [old.txn(), own.txn(), last]);
        assert!(found.iter().all(|r| r.pid == std::process::id() && r.age < LONG), "{found:?}");
        assert_eq!(found.iter().map(|r| r.behind).collect::<Vec<_>>(), [1, 1, 0]);
        // The leaf of the table, that of the catalog, and a page of the free-space log.
        assert_eq!(found[0].pinned_bytes, 3 * 4096);
        assert_eq!(found[2].pinned_bytes, 0);
    }
    drop((old, own, new));
    assert!(writer.readers().unwrap().is_empty());
}

#[test]
fn whoever_waits_for_a_commit_is_woken_when_it_is_visible() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let writer = open(&path, false);
    let seen = put(&writer, "first", Durability::Immediate);
    let reader = open(&path, true);
    assert_eq!(reader.wait_for_commit(seen - 1, LONG).unwrap(), seen, "it is visible already");
    assert_eq!(reader.wait_for_commit(seen, Duration::ZERO).unwrap(), seen, "there is none");
    assert_eq!(reader.wait_for_commit(seen, Duration::from_millis(1)).unwrap(), seen, "time is over");
    for (i, level) in [Durability::Immediate, Durability::Buffered].into_iter().cycle().take(200).enumerate()
    {
        let seen = writer.begin_read().unwrap().txn();
        thread::scope(|scope| {
            let waiting = [&reader, &writer, &reader].map(|db| {
                scope.spawn(move || {
                    let found = db.wait_for_commit(seen, LONG).unwrap();
                    assert!(found > seen);
                    assert!(has(db, &i.to_string()), "whoever is woken sees it");
                })
            });
            put(&writer, &i.to_string(), level);
            waiting.into_iter().for_each(|waiting| waiting.join().unwrap());
        });
    }
}

#[test]
fn handles_go_where_the_documentation_says() {
    fn is_send<T: Send>() {}
    fn is_sync<T: Sync>() {}
    is_send::<Database>();
    is_sync::<Database>();
    is_send::<ReadTransaction>();
    is_sync::<ReadTransaction>();
    is_send::<WriteTransaction>();
}

/// Changes all of a table, whose entries take about 100 pages.
fn change_all(db: &Database, round: u8) -> Result<(), Error> {
    db.write(|tx| {
        let mut table = tx.open(LARGE)?;
        (0..400).try_for_each(|key| table.insert(key, [round; 1000]).map(|_| ()))
    })
}

#[test]
fn who_pins_much_is_told_of() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let mut options = Database::options();
    let db = options.warn_pinned(200_000, move |reader| tell.lock().push(*reader)).in_memory().unwrap();
    (0..10).for_each(|round| change_all(&db, round).unwrap());
    assert!(told.lock().is_empty(), "nobody reads");
    let tx = db.begin_read().unwrap();
    (0..10).for_each(|round| change_all(&db, round).unwrap());
    let found = told.lock().clone();
    assert_eq!(found.len(), 1, "once for a snapshot, and it pins no more as time goes by: {found:?}");
    assert_eq!(found[0].txn, tx.txn());
    assert!((200_000..600_000).contains(&found[0].pinned_bytes), "{found:?}");
}

#[test]
fn where_a_reader_pins_too_much_the_file_does_not_grow() {
    let db = Database::options().refuse_pinned(200_000).in_memory().unwrap();
    (0..3).for_each(|round| change_all(&db, round).unwrap());
    let tx = db.begin_read().unwrap();
    change_all(&db, 3).unwrap();
    let add = |key| db.write(|tx| tx.open(LARGE)?.insert(key, [3; 1000]).map(|_| ()));
    let refused = (400..10_000).find_map(|key| add(key).err());
    assert!(matches!(refused, Some(Error::PinLimit { txn, .. }) if txn == tx.txn()), "{refused:?}");
    let bytes = db.stats().unwrap().file_bytes;
    // What makes the database smaller goes on.
    for key in 0..400 {
        db.write(|tx| tx.open(LARGE)?.remove(key).map(|_| ())).unwrap();
    }
    assert_eq!(db.stats().unwrap().file_bytes, bytes);
    drop(tx);
    (0..10).for_each(|round| change_all(&db, round).unwrap());
}

#[test]
fn what_was_durable_before_is_no_reader() {
    let db = Database::options().refuse_pinned(200_000).in_memory().unwrap();
    let table = crate::Table::<u64, &[u8]>::new("rows");
    let put = |durability, byte| {
        let mut tx = db.begin_write().unwrap();
        tx.set_durability(durability);
        (0..1_000).for_each(|key| {
            tx.open(table).unwrap().insert(key, &[byte; 1_000][..]).unwrap();
        });
        tx.commit().unwrap();
    };
    put(crate::Durability::Immediate, 1);
    put(crate::Durability::Buffered, 2);
    let tx = db.begin_write().unwrap();
    tx.open(table).unwrap().insert(0, &[3; 100_000][..]).unwrap();
    // What this transaction has found pinned by the durable root, nobody needs any more.
    db.sync().unwrap();
    tx.open(table).unwrap().insert(1, &[3; 30_000_000][..]).unwrap();
    tx.commit().unwrap();
}
