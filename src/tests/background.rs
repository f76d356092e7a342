//! Goal: a background commit is visible at once and durable in its time, one sync serves many, a failure
//! reaches who waits and who commits next, and the thread does not outlive the database.
//! Method: a simulated disk whose syncs are held, counted and made to fail.

use std::time::Duration;

use super::explore::formatted;
use super::ops::Setup;
use crate::storage::Call;
use crate::storage::sim::{Fault, Loss, SimDisk};
use crate::{CommitInfo, Database, Durability, Error, Result, Table};

const LOG: Table<u64, u64> = Table::new("log");
const NOW: Durability = Durability::Background { within: Duration::ZERO };
const NEVER: Durability = Durability::Background { within: Duration::MAX };
const LATE: Durability = Durability::Background { within: Duration::from_secs(86_400) };

fn empty() -> (SimDisk, Database) {
    let disk = SimDisk::with_content(formatted(&Setup::PLAIN)).unwrap();
    let db = Database::over(&Setup::PLAIN.options(), disk.storage().unwrap()).unwrap();
    // The first write of all raises the ceiling: a sync that is none of the tests' business.
    put(&db, 0, Durability::Immediate).unwrap();
    (disk, db)
}

fn put(db: &Database, key: u64, durability: Durability) -> Result<CommitInfo> {
    let mut tx = db.begin_write()?;
    tx.set_durability(durability);
    tx.open(LOG)?.insert(key, key)?;
    tx.commit()
}

fn entries(db: &Database) -> u64 {
    db.read(|tx| Ok(tx.open(LOG)?.len())).unwrap()
}

fn wait_until(what: impl Fn() -> bool) {
    while !what() {
        std::thread::yield_now();
    }
}

#[test]
fn a_background_commit_is_visible_at_once_and_durable_in_its_time() {
    let (disk, db) = empty();
    let held = disk.hold_syncs();
    let commit = put(&db, 1, NOW).unwrap();
    assert!(!commit.durable);
    assert_eq!(entries(&db), 2);
    assert!(db.durable() < commit.txn);
    drop(held);
    wait_until(|| db.durable() >= commit.txn);
    let image = disk.crash(disk.event_count(), Loss::None, 0).unwrap();
    let again = Database::over(&Setup::PLAIN.options(), image.storage().unwrap()).unwrap();
    assert_eq!(entries(&again), 2);
}

#[test]
fn background_commits_share_a_sync() {
    let (disk, db) = empty();
    let before = disk.counters().syncs;
    let held = disk.hold_syncs();
    let commits: Vec<u64> = (1..100).map(|key| put(&db, key, NOW).unwrap().txn).collect();
    drop(held);
    wait_until(|| db.durable() >= *commits.last().unwrap());
    let syncs = disk.counters().syncs - before;
    assert!(syncs <= 2, "{syncs} syncs: one was under way, one is for all that came meanwhile");
}

#[test]
fn the_earliest_time_counts() {
    let (disk, db) = empty();
    let before = disk.counters().syncs;
    let first = put(&db, 1, NEVER).unwrap();
    let second = put(&db, 2, LATE).unwrap();
    assert_eq!((db.durable() < first.txn, disk.counters().syncs), (true, before));
    // It covers what came before it.
    let third = put(&db, 3, NOW).unwrap();
    wait_until(|| db.durable() >= third.txn);
    assert!(second.txn < third.txn);
    assert_eq!(disk.counters().syncs, before + 1);
}

#[test]
fn who_waits_does_not_wait_for_the_clock() {
    let (disk, db) = empty();
    let before = disk.counters().syncs;
    for (key, level) in [(1, LATE), (2, NEVER), (3, Durability::Buffered)] {
        let commit = put(&db, key, level).unwrap();
        assert!(!commit.durable && db.durable() < commit.txn);
        db.wait_durable(commit.txn).unwrap();
        assert_eq!(db.durable(), commit.txn);
        db.wait_durable(commit.txn).unwrap();
        db.sync().unwrap();
        assert_eq!(disk.counters().syncs, before + key);
    }
}

#[test]
fn nobody_waits_for_what_is_not_committed() {
    let (_disk, db) = empty();
    let tx = db.begin_write().unwrap();
    let (txn, newest) = (tx.txn(), db.durable());
    match db.wait_durable(txn) {
        Err(Error::NotCommitted { txn: asked, newest: found }) => assert_eq!((asked, found), (txn, newest)),
        result => panic!("{result:?}"),
    }
}

#[test]
fn a_failure_in_the_background_reaches_who_waits_and_who_commits() {
    let (disk, db) = empty();
    let commit = {
        let _held = disk.hold_syncs();
        disk.inject(Fault::new(Some(Call::Sync), 1, libc::EIO));
        put(&db, 1, NOW).unwrap()
    };
    // Whoever is first, the thread or this: nobody is told that it is durable.
    for _ in 0..2 {
        let result = db.wait_durable(commit.txn);
        assert!(
            matches!(&result, Err(Error::OutcomeUnknown { txn, .. }) if *txn == commit.txn),
            "{result:?}"
        );
    }
    wait_until(|| disk.counters().syncs > 1);
    let result = put(&db, 2, NOW);
    match result {
        Err(Error::WritingEnded { reason }) => assert!(reason.contains("sync"), "{reason}"),
        result => panic!("{result:?}"),
    }
    assert_eq!(entries(&db), 2, "reading goes on");
    let result = db.close();
    assert!(matches!(result, Err(Error::WritingEnded { .. })), "not everything is durable: {result:?}");
}

#[test]
fn closing_ends_the_thread_and_syncs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    for round in 0..50 {
        let mut options = Database::options();
        options.create(true);
        #[expect(unsafe_code, reason = "nobody else has the file")]
        // SAFETY: nobody else writes to the file or truncates it.
        let db = unsafe { options.open(&path) }.unwrap();
        assert_eq!(db.stats().unwrap().recovery, crate::Recovery::Clean);
        put(&db, round, [NOW, LATE, NEVER][usize::try_from(round % 3).unwrap()]).unwrap();
        // The next round opens the file at once: its lock is free.
        match round % 2 {
            0 => db.close().unwrap(),
            _ => drop(db),
        }
    }
}

/// Goal: who commits need not wait for a checkpoint, as long as it is made in time.
/// Method: a file whose pages are all written anew, which pins more than half of what may be pinned, and then
/// more than all of it.
#[test]
fn a_checkpoint_is_made_beside_the_commits_before_one_has_to_wait() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = Database::options();
    options.create(true).checkpoint_after(1 << 20);
    #[expect(unsafe_code, reason = "nobody else has the file")]
    // SAFETY: nobody else writes to the file or truncates it.
    let db = unsafe { options.open(folder.path().join("db")) }.unwrap();
    let all = |keys: u32, durability| {
        let mut tx = db.begin_write().unwrap();
        tx.set_durability(durability);
        let mut table = tx.create_raw("t", "k", "v").unwrap();
        for i in 0..keys {
            table.insert(format!("{i:06}").as_bytes(), &[1; 1000]).unwrap();
        }
        drop(table);
        tx.commit().unwrap()
    };
    all(1_000, Durability::Immediate);
    // About 200 leaves.
    let commit = all(600, Durability::Buffered);
    assert!(!commit.durable);
    wait_until(|| db.durable() >= commit.txn);
    all(2_000, Durability::Immediate);
    assert!(all(2_000, Durability::Buffered).durable, "this one had to wait");
}
