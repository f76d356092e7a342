//! Goal: what several who have a file open do to it fits together, however old what one of them knows.
//! Method: a file that is opened several times in one process: openers share nothing but the file and its
//! lock file, as processes do.

use std::panic::Location;
use std::path::Path;
use std::sync::Arc;

use super::super::*;
use crate::raw::{OpenTables, RawTableMut};

/// One of those who have the file open.
struct Opener(Arc<Pager>);

impl Opener {
    fn new(path: &Path) -> Opener {
        let storage = Storage::open(path, Access::ReadWrite).unwrap();
        Opener(open(storage, None, Config::new(&OpenOptions::new())).unwrap())
    }

    /// Commits what `change` does, durably.
    fn write(&self, change: impl FnOnce(&OpenTables)) {
        let tx = OpenTables::new(self.0.begin_write(self.0.lock_writer().unwrap()).unwrap());
        change(&tx);
        let done = tx.commit(false, false).unwrap().unwrap();
        self.0.sync_to(done.root.txn).unwrap();
    }

    fn fill(&self, name: &str, count: u64) {
        self.write(|tx| {
            let table = tx.take(name, Some(("bytes", "bytes")), Location::caller()).unwrap();
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
    first.write(|tx| assert!(tx.drop_table("large", Location::caller()).unwrap()));
    (1..4).for_each(|i| first.fill("small", i));
    drop(reader);
    // Its page count is lower by now, and nobody has cut the file: the commit that lowered it was not the
    // last.
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
