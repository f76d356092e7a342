//! Goal: who opens a file that others have open works with them on one database: commits build on each
//! other, nobody writes over what another reads, nobody comes in past the others, and the last who goes
//! leaves a file in good order.
//! Method: several openings in one process that know nothing of each other, as those of several processes:
//! the locks belong to open files. A reader that is killed is a child.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write, pipe};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::thread;

use tempfile::TempDir;

use super::fork::{Killed, fork};
use crate::page::{META_AT, META_LEN, Meta, page_at};
use crate::pager::format;
use crate::storage::{Access, Storage};
use crate::{Database, Durability, Error, OpenOptions, ReadTransaction, Recovery, Result, Table};

const ROWS: Table<u64, &[u8]> = Table::new("rows");

/// What is in the table.
type Model = BTreeMap<u64, Vec<u8>>;

/// An empty database that nobody has open.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    Storage::create(&path, |storage| format(storage, 4096)).unwrap();
    (folder, path)
}

/// One more opening.
fn join(path: &Path) -> Result<Database> {
    Database::over(&OpenOptions::new(), Storage::open(path, Access::ReadWrite)?)
}

fn value(key: u64, round: u64) -> Vec<u8> {
    format!("{key} in round {round}, ").repeat(50).into_bytes()
}

fn put(db: &Database, durability: Durability, rows: impl IntoIterator<Item = (u64, u64)>) -> Model {
    let mut tx = db.begin_write().unwrap();
    tx.set_durability(durability);
    let mut put = Model::new();
    {
        let mut table = tx.open(ROWS).unwrap();
        for (key, round) in rows {
            table.insert(key, &value(key, round)[..]).unwrap();
            put.insert(key, value(key, round));
        }
    }
    tx.commit().unwrap();
    put
}

fn rows(tx: &ReadTransaction) -> Model {
    let rows = tx.open(ROWS).unwrap().iter().unwrap().map(|row| row.unwrap());
    rows.map(|(key, value)| (key, value.to_vec())).collect()
}

#[track_caller]
fn check(db: &Database, model: &Model) {
    assert!(rows(&db.begin_read().unwrap()) == *model, "the rows are others");
    let report = db.check().unwrap();
    assert!(report.is_ok(), "{:?}", report.faults);
}

fn recovery(db: &Database) -> Recovery {
    db.stats().unwrap().recovery
}

/// The number of the newest meta page.
fn newest_meta(path: &Path) -> u64 {
    let bytes = fs::read(path).unwrap();
    let metas = META_AT.into_iter().map(|at| {
        let from = usize::try_from(at).unwrap();
        Meta::decode(&bytes[from..from + META_LEN], page_at(at, 4096)).unwrap().sequence
    });
    metas.max().unwrap()
}

#[test]
fn writers_in_turn_build_on_each_other() {
    let (folder, path) = place();
    let copy = folder.path().join("copy");
    let dbs = [join(&path).unwrap(), join(&path).unwrap()];
    assert_eq!(dbs.each_ref().map(recovery), [Recovery::Clean, Recovery::Joined]);
    let (mut model, mut metas) = (Model::new(), newest_meta(&path));
    for round in 0..90_usize {
        let (turn, number) = (round / (1 + round % 3) % 2, round as u64);
        let level = if round % 3 == 0 { Durability::Immediate } else { Durability::Buffered };
        model.extend(put(&dbs[turn], level, (0..12).map(|i| ((number * 5 + i * 7) % 211, number))));
        dbs.iter().for_each(|db| check(db, &model));
        if level == Durability::Immediate {
            let now = newest_meta(&path);
            assert!(now > metas, "meta page {metas} was written over, by {now}");
            metas = now;
        }
        if round % 10 == 0 {
            // As the end of all processes leaves the file.
            fs::copy(&path, &copy).unwrap();
            check(&join(&copy).unwrap(), &model);
        }
    }
    let [first, second] = dbs;
    first.close().unwrap();
    check(&second, &model);
    second.close().unwrap();
    let db = join(&path).unwrap();
    assert_eq!(recovery(&db), Recovery::Clean);
    check(&db, &model);
}

#[test]
fn a_snapshot_keeps_its_pages_whoever_writes_and_is_no_writer_itself() {
    let (_folder, path) = place();
    let (reader, writer) = (join(&path).unwrap(), join(&path).unwrap());
    let all = |round| (0..200).map(move |key| (key, round));
    let before = put(&writer, Durability::Immediate, all(0));
    let snapshot = reader.begin_read().unwrap();
    let mut after = Model::new();
    for round in 1..10 {
        let level = if round % 2 == 0 { Durability::Immediate } else { Durability::Buffered };
        after = put(&writer, level, all(round));
        assert!(rows(&snapshot) == before);
        assert!(rows(&reader.begin_read().unwrap()) == after);
    }
    drop(reader);
    put(&writer, Durability::Immediate, all(9));
    assert!(rows(&snapshot) == before);
    writer.close().unwrap();
    assert!(rows(&snapshot) == before);
    drop(snapshot);
    let db = join(&path).unwrap();
    assert_eq!(recovery(&db), Recovery::Clean);
    check(&db, &after);
}

#[test]
fn a_reader_that_was_killed_pins_nothing() {
    let (_folder, path) = place();
    let db = join(&path).unwrap();
    let all = |round| (0..400).map(move |key| (key, round));
    put(&db, Durability::Immediate, all(0));
    let (mut ready, mut say_ready) = pipe().unwrap();
    let child = Killed(fork(|| {
        let db = join(&path).unwrap();
        let _tx = db.begin_read().unwrap();
        drop(say_ready.write_all(b"r"));
        loop {
            thread::park();
        }
    }));
    ready.read_exact(&mut [0]).unwrap();
    let pending = || {
        // The last of them makes durable what the others have freed.
        (1..4).for_each(|round| drop(put(&db, Durability::Immediate, all(round))));
        (4..7).for_each(|_| drop(put(&db, Durability::Immediate, [(0, 0)])));
        db.stats().unwrap().pending_pages
    };
    let while_it_lived = pending();
    drop(child);
    let afterwards = pending();
    assert!(while_it_lived > 60 && afterwards < 20, "{while_it_lived} and {afterwards} pages are pinned");
}

/// A file as the end of a process leaves it, with a commit that only a head record names.
fn left_behind() -> (Vec<u8>, Model) {
    let (_folder, path) = place();
    let db = join(&path).unwrap();
    let mut model = put(&db, Durability::Immediate, [(1_000, 0)]);
    model.extend(put(&db, Durability::Buffered, [(1_001, 0)]));
    (fs::read(&path).unwrap(), model)
}

#[test]
fn who_opens_in_a_race_finds_what_the_others_left() {
    const OPENERS: u64 = 4;
    let (left, found) = left_behind();
    let (_folder, path) = place();
    for round in 0..30 {
        fs::write(&path, &left).unwrap();
        let begin = Barrier::new(4);
        let open = |key| {
            begin.wait();
            let db = join(&path).unwrap();
            assert!(rows(&db.begin_read().unwrap()).contains_key(&1_001), "what was there is there");
            put(&db, Durability::Buffered, [(key, round)])
        };
        let model = thread::scope(|scope| {
            let openers: Vec<_> = (0..OPENERS).map(|key| scope.spawn(move || open(key))).collect();
            openers.into_iter().fold(found.clone(), |mut model, opener| {
                model.extend(opener.join().unwrap());
                model
            })
        });
        let db = join(&path).unwrap();
        assert_eq!(recovery(&db), Recovery::Clean, "who closed last has closed in good order");
        check(&db, &model);
    }
}

#[test]
fn two_lock_files_are_never_in_use_at_once() {
    let (folder, path) = place();
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let second_name = elsewhere.join("db");
    fs::hard_link(&path, &second_name).unwrap();
    let refused = |result: &Result<Database>| matches!(result, Err(Error::LockFileReplaced { .. }));
    for _ in 0..50 {
        let (begin, end) = (Barrier::new(2), Barrier::new(2));
        let open = |name: &Path| {
            begin.wait();
            let result = join(name);
            end.wait();
            assert!(result.is_ok() || refused(&result), "{result:?}");
            result.is_ok()
        };
        let came_in = thread::scope(|scope| {
            let openers = [&path, &second_name].map(|name| scope.spawn(|| open(name)));
            openers.map(|opener| opener.join().unwrap())
        });
        assert_ne!(came_in, [true, true], "both are in");
    }
    // Where there is no race, it is the first who stays.
    for (first, second) in [(&path, &second_name), (&second_name, &path)] {
        let db = join(first).unwrap();
        assert!(refused(&join(second)));
        drop(db);
    }
}

#[test]
fn who_opens_another_file_of_the_same_name_is_refused_while_the_old_one_is_open() {
    let (folder, path) = place();
    let first = join(&path).unwrap();
    let model = put(&first, Durability::Immediate, (0..100).map(|key| (key, 1)));
    let tx = first.begin_read().unwrap();
    fs::rename(&path, folder.path().join("old")).unwrap();
    Storage::create(&path, |storage| format(storage, 4096)).unwrap();
    assert!(matches!(join(&path), Err(Error::LockFileReplaced { .. })), "they would share a lock file");
    check(&first, &model);
    assert!(rows(&tx) == model);
    drop((tx, first));
    check(&join(&path).unwrap(), &Model::new());
}

#[test]
fn a_database_that_is_named_as_a_lock_file_is_not_taken_for_one() {
    let (folder, path) = place();
    let other = folder.path().join("db-lock");
    Storage::create(&other, |storage| format(storage, 4096)).unwrap();
    let model = put(&join(&other).unwrap(), Durability::Immediate, (0..100).map(|key| (key, 1)));
    assert!(matches!(join(&path), Err(Error::NotAFile { .. })));
    check(&join(&other).unwrap(), &model);
}

#[test]
fn the_owner_can_open_the_lock_file_of_a_database_that_nobody_may_write() {
    let (_folder, path) = place();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    let storage = Storage::open(&path, Access::ReadOnly).unwrap();
    drop(Database::over(&OpenOptions::new(), storage).unwrap());
    let mode = fs::metadata(path.with_file_name("db-lock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
}
