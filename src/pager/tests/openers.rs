//! Goal: what several who have a file open do to it fits together, however old what one of them knows.
//! Method: a file that is opened several times in one process: openers share nothing but the file and its
//! lock file, as processes do.

use std::panic::Location;
use std::path::Path;
use std::sync::Arc;

use super::super::*;
use crate::page::{HEAD_AT, HEAD_LEN};
use crate::raw::{OpenTables, RawTableMut};

/// One of those who have the file open.
struct Opener(Arc<Pager>);

impl Opener {
    fn new(path: &Path) -> Opener {
        Opener::open(path, Access::ReadWrite).unwrap()
    }

    fn open(path: &Path, access: Access) -> Result<Opener> {
        Ok(Opener(open(Storage::open(path, access)?, None, Config::new(&OpenOptions::new()))?))
    }

    /// Commits what `change` does; durably, if it is not buffered.
    fn write(&self, buffered: bool, change: impl FnOnce(&OpenTables)) {
        let tx = OpenTables::new(self.0.begin_write(self.0.lock_writer().unwrap()).unwrap());
        change(&tx);
        let done = tx.commit(buffered, false).unwrap().unwrap();
        if !buffered {
            self.0.sync_to(done.root.txn).unwrap();
        }
    }

    fn fill(&self, name: &str, count: u64) {
        self.fill_at(name, count, false);
    }

    fn fill_at(&self, name: &str, count: u64, buffered: bool) {
        self.write(buffered, |tx| {
            let table = tx.take(name, || Some(("bytes".into(), "bytes".into())), Location::caller()).unwrap();
            let mut table = RawTableMut::new(tx, table);
            for i in 0..count {
                table.insert(&i.to_le_bytes(), &[7; 1000]).unwrap();
            }
        });
    }

    fn file_pages(&self) -> u64 {
        self.0.storage().len().unwrap() / 4096
    }
}

fn formatted(folder: &tempfile::TempDir) -> std::path::PathBuf {
    let path = folder.path().join("x.folio");
    drop(Storage::create(&path, |storage| format(storage, 4096)).unwrap());
    path
}

#[test]
fn the_file_is_cut_behind_the_newest_commit_of_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = formatted(&folder);
    let (first, second) = (Opener::new(&path), Opener::new(&path));
    first.fill("large", 2_000);
    let large = first.0.page_count();
    let reader = first.0.begin_read().unwrap();
    first.write(false, |tx| assert!(tx.drop_table("large", Location::caller()).unwrap()));
    (1..4).for_each(|i| first.fill("small", i));
    drop(reader);
    // The page count is lower after this one, and nobody has cut the file yet.
    first.fill("small", 5);
    let reader = second.0.begin_read().unwrap();
    first.fill("small", 6);
    assert!(first.0.page_count() < large / 2, "{large} pages, now {}", first.0.page_count());
    assert!(first.0.base.shared.lowered().is_some(), "it is cut later");
    second.fill("large", 1_500);
    drop(reader);
    first.0.cut().unwrap();
    assert!(first.file_pages() >= second.0.page_count(), "cut to {}", first.file_pages());
    second.fill("small", 7);
}

fn failure() -> Error {
    Error::WritingEnded { reason: "a test says so".to_owned() }
}

#[test]
fn after_a_failure_writing_goes_on_when_nobody_is_left_who_could_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = formatted(&folder);
    let (first, reader) = (Opener::new(&path), Opener::open(&path, Access::ReadOnly).unwrap());
    first.fill("before", 10);
    first.0.end_writing(&failure());
    let second = Opener::new(&path);
    let ended = |opener: &Opener| matches!(opener.0.check_writable(), Err(Error::WritingEnded { .. }));
    assert!(ended(&first) && ended(&second), "it has ended for all");
    let snapshot = reader.0.begin_read().unwrap();
    drop((first, second));
    let third = Opener::new(&path);
    assert!(third.0.check_writable().is_ok(), "only somebody who reads is left");
    third.fill("after", 10);
    assert!(reader.0.begin_read().unwrap().pages().root().txn > snapshot.pages().root().txn);
}

#[test]
fn after_a_failure_nothing_is_written_over_what_is_read_and_was_not_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = formatted(&folder);
    let (writer, reader) = (Opener::new(&path), Opener::open(&path, Access::ReadOnly).unwrap());
    writer.fill("durable", 10);
    writer.fill_at("buffered", 10, true);
    let snapshot = reader.0.begin_read().unwrap();
    assert_eq!(snapshot.pages().root().txn, writer.0.newest());
    writer.0.end_writing(&failure());
    drop(writer);
    // What is read is not found again: the head record is lost.
    let storage = Storage::open(&path, Access::ReadWrite).unwrap();
    storage.write_at(&[&[0; HEAD_LEN]], HEAD_AT).unwrap();
    assert!(matches!(Opener::open(&path, Access::ReadWrite), Err(Error::Locked { .. })));
    drop(snapshot);
    let writer = Opener::new(&path);
    writer.fill("after", 10);
    let found = writer.0.begin_read().unwrap().pages().root().txn;
    assert_eq!(reader.0.begin_read().unwrap().pages().root().txn, found);
}

#[test]
fn after_a_failure_the_file_is_not_cut_below_what_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = formatted(&folder);
    let (first, reader) = (Opener::new(&path), Opener::open(&path, Access::ReadOnly).unwrap());
    first.fill("large", 2_000);
    first.write(false, |tx| assert!(tx.drop_table("large", Location::caller()).unwrap()));
    let snapshot = reader.0.begin_read().unwrap();
    let pages = snapshot.pages().root().page_count;
    (1..8).for_each(|i| first.fill("small", i));
    assert!(first.0.page_count() < pages);
    first.0.end_writing(&failure());
    drop(first);
    let second = Opener::new(&path);
    second.fill("small", 8);
    drop(second);
    assert!(reader.file_pages() >= pages, "cut to {}, and a reader needs {pages}", reader.file_pages());
}

#[test]
fn after_a_failure_a_snapshot_that_is_left_is_nobody_who_could_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = formatted(&folder);
    let first = Opener::new(&path);
    first.fill("before", 10);
    let snapshot = first.0.begin_read().unwrap();
    first.0.end_writing(&failure());
    drop(first);
    let second = Opener::new(&path);
    assert!(second.0.check_writable().is_ok());
    second.fill("after", 10);
    drop(snapshot);
}
