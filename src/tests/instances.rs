//! Goal: one file is one database, however often and by whatever name a process opens it; what one opening
//! does, others see and can wait for. Method: real files with several names. An opening for reading beside
//! one for writing shares nothing with it but the files, as another process would.

#![expect(unsafe_code, reason = "opening files that nobody else has")]

use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::{Database, Durability, Error, ReadTransaction, Recovery, Table, WriteTransaction};

const WORDS: Table<&str, u64> = Table::new("words");

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
