//! Goal: a forked child cannot use its parent's database, does it no harm, and keeps nobody out when the
//! parent is killed.
//! Method: real children of real processes.

#![expect(unsafe_code, reason = "fork, and opening files that nobody else has")]

use std::fs;
use std::io::{PipeWriter, Read, Write, pipe};
use std::path::Path;

use crate::{Database, Durability, Error, Table};

const WORDS: Table<&str, u64> = Table::new("words");

fn open(path: &Path) -> crate::Result<Database> {
    // SAFETY: nobody else writes to the file or truncates it.
    unsafe { Database::options().create(true).open(path) }
}

fn put(db: &Database, durability: Durability) {
    let mut tx = db.begin_write().unwrap();
    tx.set_durability(durability);
    tx.open(WORDS).unwrap().insert("folio", 1).unwrap();
    tx.commit().unwrap();
}

/// Runs `child` in a forked copy of this process; its number. The C library sees to it that the child has a
/// heap, whatever other threads did; other locks it must keep off.
pub(super) fn fork(child: impl FnOnce() -> bool) -> libc::pid_t {
    // SAFETY: the child runs only `child`, and ends without running what others have left.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork: {}", std::io::Error::last_os_error());
    if pid == 0 {
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(false);
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(i32::from(!done)) };
    }
    pid
}

/// Ends the process, whatever becomes of the test.
pub(super) struct Killed(pub(super) libc::pid_t);

impl Drop for Killed {
    fn drop(&mut self) {
        // SAFETY: the number is of a child that was not waited for.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
        end_of(self.0);
    }
}

/// How the process ended, as `waitpid` has it.
fn end_of(pid: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: the pointer is to a live integer of this frame.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    status
}

/// A process that does `begin`, and a child of it that says what `look` sees of that and lives on until the
/// last of the three is dropped.
fn with_child<T>(begin: impl FnOnce() -> T, look: impl FnOnce(&T) -> bool) -> (Killed, bool, PipeWriter) {
    let (mut said, mut say) = pipe().unwrap();
    let (mut live_on, end) = pipe().unwrap();
    let mut end = Some(end);
    let parent = Killed(fork(|| {
        drop(end.take());
        let begun = begin();
        fork(|| {
            drop(say.write_all(&[look(&begun).into()]));
            drop(live_on.read(&mut [0]));
            true
        });
        loop {
            // SAFETY: waits for a signal.
            unsafe { libc::pause() };
        }
    }));
    let mut seen = [0];
    said.read_exact(&mut seen).unwrap();
    (parent, seen == [1], end.unwrap())
}

#[test]
fn everything_is_refused_in_a_child() {
    let db = Database::in_memory().unwrap();
    put(&db, Durability::Immediate);
    let (read, write) = (db.begin_read().unwrap(), db.begin_write().unwrap());
    // Another thread of the parent holds the writer's lock by now: a child that waited for it would for ever.
    let in_child = || {
        fn refused<T>(result: crate::Result<T>) -> bool {
            matches!(result, Err(Error::Forked))
        }
        refused(db.begin_read())
            & refused(db.begin_write())
            & refused(db.try_begin_write())
            & refused(db.begin_write_timeout(std::time::Duration::from_secs(100)))
            & refused(db.sync())
            & refused(db.wait_durable(1))
            & refused(db.stats())
            & refused(db.check())
            & refused(db.compact())
            & refused(read.open(WORDS))
            & refused(write.open(WORDS))
            & refused(db.clone().close())
    };
    assert_eq!(end_of(fork(in_child)), 0);
    // The parent goes on.
    assert_eq!(read.open(WORDS).unwrap().get("folio").unwrap(), Some(1));
    write.open(WORDS).unwrap().insert("leaf", 2).unwrap();
    write.commit().unwrap();
}

#[test]
fn a_child_that_drops_everything_leaves_the_file_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let db = open(&path).unwrap();
    // With a thread that the child does not have.
    put(&db, Durability::Background { within: std::time::Duration::MAX });
    put(&db, Durability::Background { within: std::time::Duration::from_secs(100_000) });
    let mut handles = (Some(db.begin_read().unwrap()), Some(db.begin_write().unwrap()));
    handles.1.as_ref().unwrap().open_raw("words").unwrap().insert(b"large", &[1; 200_000]).unwrap();
    let before = fs::read(&path).unwrap();
    let mut db = Some(db);
    let pid = fork(|| {
        let commit = handles.1.take().unwrap().commit();
        drop(handles.0.take());
        let close = db.take().unwrap().close();
        matches!((commit, close), (Err(Error::Forked), Err(Error::Forked)))
    });
    assert_eq!(end_of(pid), 0);
    assert!(fs::read(&path).unwrap() == before, "the child has written something");
    drop(handles);
    db.unwrap().close().unwrap();
    assert_eq!(open(&path).unwrap().stats().unwrap().recovery, crate::Recovery::Clean);
}

#[test]
fn a_child_does_not_keep_the_lock_of_a_parent_that_was_killed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let begin = || {
        let db = open(&path).unwrap();
        put(&db, Durability::Immediate);
        db
    };
    let (parent, _, end) = with_child(begin, |_| true);
    assert_eq!(open(&path).unwrap().stats().unwrap().recovery, crate::Recovery::Joined);
    drop(parent);
    let db = open(&path).unwrap();
    let found = db.stats().unwrap().recovery;
    assert!(matches!(found, crate::Recovery::Recovered { .. }), "nobody has it open any more: {found:?}");
    assert_eq!(db.begin_read().unwrap().open(WORDS).unwrap().get("folio").unwrap(), Some(1));
    drop(end);
}

#[test]
fn a_child_may_open_the_database_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let db = open(&path).unwrap();
    put(&db, Durability::Immediate);
    let child = fork(|| {
        let mine = open(&path).unwrap();
        let joined = mine.stats().unwrap().recovery == crate::Recovery::Joined;
        mine.write(|tx| tx.open(WORDS)?.insert("child", 2)).unwrap();
        mine.close().unwrap();
        joined && matches!(db.begin_read(), Err(Error::Forked))
    });
    assert_eq!(end_of(child), 0);
    assert_eq!(db.begin_read().unwrap().open(WORDS).unwrap().get("child").unwrap(), Some(2));
    put(&db, Durability::Immediate);
}

#[test]
fn a_child_does_not_keep_what_a_parent_that_was_killed_has_pinned() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let begin = || {
        let db = open(&path).unwrap();
        put(&db, Durability::Immediate);
        let pinned = db.begin_read().unwrap();
        (db, pinned)
    };
    // Nothing of the lock file is there for the child.
    let (parent, unknown, end) = with_child(begin, |(db, _)| db.durable() == 0);
    let db = open(&path).unwrap();
    assert_eq!(db.readers().unwrap().len(), 1);
    drop(parent);
    assert_eq!(db.readers().unwrap(), [], "the child keeps its parent's locks");
    assert!(unknown);
    drop(end);
}

#[test]
fn a_child_can_open_databases_whatever_threads_of_its_parent_were_doing() {
    let ended = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                    drop(Database::temporary().unwrap());
                }
            });
        }
        let children = (0..40).map(|_| {
            fork(|| {
                // SAFETY: a number. It ends the child if that waits for somebody who is not there.
                unsafe { libc::alarm(30) };
                put(&Database::temporary().unwrap(), Durability::Immediate);
                true
            })
        });
        let failed = children.map(end_of).find(|status| *status != 0);
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(failed, None);
    });
}
