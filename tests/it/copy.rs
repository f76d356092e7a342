//! Goal: a copy is a sound database that holds exactly its snapshot, whatever writers do meanwhile, and it
//! can be written like any other; what fails leaves nothing.
//! Method: threads that insert, remove, replace large values and make and drop tables at all levels of
//! durability; snapshot after snapshot is copied, the copy checked, compared entry by entry, changed and
//! checked again. Then each way in which copying fails.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use folio::{Database, Durability, Error, OpenOptions, RawTable, ReadTransaction, Result};
use tempfile::TempDir;

use crate::files::{create, open, open_with};

/// A random number after the other.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Changes up to 200 entries of some tables, and now and then makes or drops one.
fn change(db: &Database, random: &mut Random) -> Result<()> {
    let mut tx = db.begin_write()?;
    tx.set_durability(match random.below(3) {
        0 => Durability::Immediate,
        1 => Durability::Buffered,
        _ => Durability::Background { within: Duration::from_millis(5) },
    });
    let name = format!("table {}", random.below(4));
    if random.below(40) == 0 {
        tx.drop_table(&name)?;
    } else {
        let (keys, values) = ("bytes", if name.ends_with('3') { "str" } else { "bytes" });
        let mut table = tx.create_raw(&name, keys, values)?;
        for _ in 0..random.below(200) {
            let key = format!("{:06}", random.below(5_000));
            let value = vec![b'v'; usize::try_from(random.below(120)).unwrap()];
            match random.below(30) {
                0 => drop(table.insert(key.as_bytes(), &value.repeat(200))?),
                1..10 => drop(table.remove(key.as_bytes())?),
                _ => drop(table.insert(key.as_bytes(), &value)?),
            }
        }
    }
    tx.commit().map(|_| ())
}

/// Every entry of every table is the same in both.
#[track_caller]
fn assert_equal(copy: &ReadTransaction, snapshot: &ReadTransaction) {
    assert_eq!(copy.tables().unwrap(), snapshot.tables().unwrap());
    for table in snapshot.tables().unwrap() {
        let entries = |tx| all(&ReadTransaction::open_raw(tx, &table.name).unwrap());
        assert!(entries(copy) == entries(snapshot), "{table:?}");
    }
}

fn all(table: &RawTable<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let range = table.range((std::ops::Bound::Unbounded, std::ops::Bound::Unbounded)).unwrap();
    range.map(|entry| entry.map(|(key, value)| (key.into_owned(), value.to_vec())).unwrap()).collect()
}

#[track_caller]
fn assert_sound(db: &Database) {
    let report = db.check().unwrap();
    assert!(report.is_ok(), "{:?}", report.faults);
}

/// Opens the copy, compares it, changes it, and checks it before and after, and when it is opened again.
#[track_caller]
fn assert_good_copy(path: &Path, snapshot: &ReadTransaction, random: &mut Random) {
    let copy = open(path).unwrap();
    assert_sound(&copy);
    let stats = copy.stats().unwrap();
    assert_eq!((stats.recovery, stats.pending_pages), (folio::Recovery::Clean, 0));
    let seen = copy.begin_read().unwrap();
    assert_equal(&seen, snapshot);
    // A number that stands on a page is not given again.
    assert!(copy.begin_write().unwrap().txn() > seen.txn());
    drop(seen);
    for _ in 0..5 {
        change(&copy, random).unwrap();
    }
    assert_sound(&copy);
    copy.close().unwrap();
    assert_sound(&open(path).unwrap());
}

/// Sets the flag when it is dropped, by a panic too: who goes on until then would else never end.
struct SetAtEnd<'f>(&'f AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What is in a folder besides the lock files.
fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.ends_with("-lock")).collect();
    names.sort();
    names
}

#[test]
fn a_copy_under_busy_writers_is_sound_and_equals_its_snapshot() {
    let folder = TempDir::new().unwrap();
    let db = create(&folder.path().join("x.folio")).unwrap();
    (0..200).for_each(|i| change(&db, &mut Random(i)).unwrap());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for seed in 0..2 {
            let (db, done) = (&db, &done);
            scope.spawn(move || {
                let mut random = Random(1_000_000 + seed);
                while !done.load(Ordering::Relaxed) {
                    change(db, &mut random).unwrap();
                }
            });
        }
        let _end = SetAtEnd(&done);
        let mut random = Random(7);
        let mut transactions = Vec::new();
        for round in 0..40 {
            let snapshot = db.begin_read().unwrap();
            let path = folder.path().join(format!("copy {round}"));
            let report = match round % 4 {
                0 => snapshot.copy().compact(true).to_file(&path).unwrap(),
                1 => {
                    let report = snapshot.copy().to_writer(&mut fs::File::create(&path).unwrap()).unwrap();
                    assert_eq!(report.bytes, fs::metadata(&path).unwrap().len());
                    report
                }
                _ => snapshot.copy().to_file(&path).unwrap(),
            };
            assert_eq!(report.txn, snapshot.txn());
            assert_good_copy(&path, &snapshot, &mut random);
            transactions.push(report.txn);
            fs::remove_file(&path).unwrap();
        }
        transactions.dedup();
        assert!(transactions.len() > 20, "the writers went on meanwhile: {transactions:?}");
    });
    assert_sound(&db);
}

#[test]
fn every_page_size_and_an_empty_database_are_copied() {
    let folder = TempDir::new().unwrap();
    for page_size in [4096, 8192, 16384, 32768, 65536] {
        let path = folder.path().join(format!("{page_size}"));
        let db = open_with(&path, OpenOptions::new().create(true).page_size(page_size)).unwrap();
        for entries in [0, 300] {
            (0..entries).for_each(|i| change(&db, &mut Random(i)).unwrap());
            for compact in [false, true] {
                let snapshot = db.begin_read().unwrap();
                let copy = folder.path().join(format!("{page_size} {entries} {compact}"));
                snapshot.copy().compact(compact).to_file(&copy).unwrap();
                assert_good_copy(&copy, &snapshot, &mut Random(1));
                assert_eq!(open(&copy).unwrap().stats().unwrap().page_size, page_size);
            }
        }
    }
}

/// Every second page is free: more gaps than one page of the log can name.
#[test]
fn a_snapshot_full_of_gaps_gets_a_log_of_many_pages() {
    let folder = TempDir::new().unwrap();
    let db = create(&folder.path().join("x.folio")).unwrap();
    let value = vec![7; 3000];
    let key = |i: u64| format!("{i:06}");
    db.write(|tx| {
        let mut table = tx.create_raw("t", "bytes", "bytes")?;
        (0..4000).try_for_each(|i| table.insert(key(i).as_bytes(), &value).map(|_| ()))
    })
    .unwrap();
    db.write(|tx| {
        let mut table = tx.open_raw("t")?;
        (0..4000).step_by(2).try_for_each(|i| table.remove(key(i).as_bytes()).map(|_| ()))
    })
    .unwrap();
    let snapshot = db.begin_read().unwrap();
    let path = folder.path().join("copy");
    snapshot.copy().to_file(&path).unwrap();
    let stats = open(&path).unwrap().stats().unwrap();
    assert!(stats.free_space_pages > 5 && stats.free_pages > 1500, "{stats:?}");
    assert_good_copy(&path, &snapshot, &mut Random(1));
    let before = fs::metadata(folder.path().join("x.folio")).unwrap().len();
    let packed = folder.path().join("packed");
    let report = snapshot.copy().compact(true).to_file(&packed).unwrap();
    assert!(report.bytes < before * 6 / 10, "{} of {before}", report.bytes);
    assert_eq!(fs::metadata(&packed).unwrap().len(), report.bytes, "a closed file has no room for growth");
    let small = Database::in_memory().unwrap();
    let path = folder.path().join("small");
    let report = small.begin_read().unwrap().copy().compact(true).to_file(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), report.bytes);
}

#[test]
fn what_is_there_is_kept_unless_it_may_be_replaced() {
    let folder = TempDir::new().unwrap();
    let (source, path) = (folder.path().join("x.folio"), folder.path().join("y"));
    let db = create(&source).unwrap();
    change(&db, &mut Random(1)).unwrap();
    let snapshot = db.begin_read().unwrap();
    for compact in [false, true] {
        fs::write(&path, b"precious").unwrap();
        let refused = snapshot.copy().compact(compact).to_file(&path);
        assert!(matches!(refused, Err(Error::AlreadyExists { .. })), "{refused:?}");
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        snapshot.copy().compact(compact).replace(true).to_file(&path).unwrap();
        assert_good_copy(&path, &snapshot, &mut Random(1));
    }
    let refused = snapshot.copy().replace(true).to_file(&source);
    let kept = if cfg!(target_os = "linux") { matches!(refused, Err(Error::Locked { .. })) } else { true };
    assert!(kept, "{refused:?}");
    let refused = snapshot.copy().replace(true).to_file(folder.path());
    assert!(matches!(refused, Err(Error::NotAFile { .. })), "{refused:?}");
    let refused = snapshot.copy().to_file(folder.path().join("no/such"));
    assert!(matches!(refused, Err(Error::Io { .. } | Error::NotFound { .. })), "{refused:?}");
    assert_eq!(names(folder.path()), ["x.folio", "y"]);
}

#[test]
fn a_damaged_page_is_an_error_and_no_copy() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x.folio");
    let db = create(&path).unwrap();
    (0..50).for_each(|i| change(&db, &mut Random(i)).unwrap());
    db.close().unwrap();
    let sound = fs::read(&path).unwrap();
    let mut refused = 0;
    for at in (0..sound.len()).step_by(4096).skip(33) {
        let mut bytes = sound.clone();
        bytes[at + 100] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let db = open(&path).unwrap();
        let faults = db.check().unwrap().faults;
        let copied = db.begin_read().unwrap().copy().to_file(folder.path().join("copy"));
        match copied {
            // A free page, or the log, of which nothing is copied.
            Ok(_) => {
                let copy = open(&folder.path().join("copy")).unwrap();
                assert_sound(&copy);
                assert!(faults.len() <= 1, "{faults:?}");
                drop(copy);
                fs::remove_file(folder.path().join("copy")).unwrap();
            }
            Err(error) => {
                assert!(matches!(error, Error::Corrupted { .. }) && !faults.is_empty(), "{error}");
                refused += 1;
            }
        }
        assert_eq!(names(folder.path()), ["x.folio"]);
    }
    assert!(refused > 20, "{refused} damaged pages");
}

/// A stream that takes so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stream_that_fails_is_an_error() {
    let db = Database::in_memory().unwrap();
    (0..50).for_each(|i| change(&db, &mut Random(i)).unwrap());
    let snapshot = db.begin_read().unwrap();
    for room in [0, 4096, 200_000] {
        for compact in [false, true] {
            let error = snapshot.copy().compact(compact).to_writer(&mut Full(room)).unwrap_err();
            assert!(matches!(error, Error::Io { call: "write", .. }), "{error}");
        }
    }
    snapshot.copy().to_writer(&mut Full(usize::MAX)).unwrap();
}

#[test]
fn nothing_is_replaced_that_somebody_has_opened_meanwhile() {
    let folder = TempDir::new().unwrap();
    let (source, path) = (folder.path().join("x.folio"), folder.path().join("y.folio"));
    let db = create(&source).unwrap();
    change(&db, &mut Random(1)).unwrap();
    create(&path).unwrap().close().unwrap();
    let snapshot = db.begin_read().unwrap();
    for compact in [false, true] {
        let mut other = None;
        let mut tell = |_| drop(other.get_or_insert_with(|| open(&path).unwrap()).check());
        let refused = snapshot.copy().compact(compact).replace(true).progress(&mut tell).to_file(&path);
        assert!(matches!(refused, Err(Error::Locked { .. })), "{refused:?}");
        assert!(other.unwrap().begin_read().unwrap().tables().unwrap().is_empty());
    }
    snapshot.copy().replace(true).to_file(&path).unwrap();
}
