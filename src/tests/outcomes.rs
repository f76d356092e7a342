//! Goal: whoever commits while a sync or a head record fails is told that the outcome is unknown, of its own
//! transaction; nothing more is written, reading goes on, and opening finds whole commits in their order.
//! Method: syncs of the simulated disk are held while several threads commit; then one fails.

use super::explore::{formatted, leave};
use super::ops::Setup;
use super::version::sound;
use crate::storage::Call;
use crate::storage::sim::{Fault, Loss, SimDisk};
use crate::{CommitInfo, Database, Durability, Error, Result, Table};

const LOG: Table<u64, u64> = Table::new("log");

fn open(disk: &SimDisk, setup: &Setup) -> Database {
    Database::over(&setup.options(), disk.storage().unwrap()).unwrap()
}

/// A database with a durable entry 0, whose ceiling is raised.
fn begun(setup: &Setup) -> (SimDisk, Database) {
    let disk = SimDisk::with_content(formatted(setup)).unwrap();
    let db = open(&disk, setup);
    put(&db, 0, Durability::Immediate).unwrap();
    (disk, db)
}

/// Each entry in a commit of its own, with its number as value.
fn put(db: &Database, key: u64, durability: Durability) -> Result<CommitInfo> {
    let mut tx = db.begin_write()?;
    tx.set_durability(durability);
    let txn = tx.txn();
    tx.open(LOG)?.insert(key, txn)?;
    tx.commit()
}

fn keys(db: &Database) -> Vec<u64> {
    db.read(|tx| tx.open(LOG)?.range(..)?.map(|entry| entry.map(|(key, _)| key)).collect()).unwrap()
}

fn wait_until(what: impl Fn() -> bool) {
    while !what() {
        std::thread::yield_now();
    }
}

/// The number of the next transaction, once nobody writes.
fn next_txn(db: &Database) -> u64 {
    db.begin_write().unwrap().txn()
}

fn is_unknown(result: &Result<CommitInfo>, txn: u64) -> bool {
    matches!(result, Err(Error::OutcomeUnknown { txn: named, .. }) if *named == txn)
}

fn writing_has_ended(db: &Database) {
    assert!(matches!(put(db, 99, Durability::Buffered), Err(Error::WritingEnded { .. })));
    assert!(matches!(put(db, 99, Durability::Immediate), Err(Error::WritingEnded { .. })));
    assert!(matches!(db.sync(), Err(Error::OutcomeUnknown { .. } | Error::WritingEnded { .. })));
}

/// Commits `keys` while syncs are held, one after another, each from a thread of its own and with its level;
/// then the `nth` sync from now on fails. What each was told.
fn group(
    disk: &SimDisk,
    db: &Database,
    keys: &[(u64, Durability)],
    nth: u64,
) -> Vec<(u64, Result<CommitInfo>)> {
    let syncs = disk.counters().syncs;
    let held = disk.hold_syncs();
    disk.inject(Fault::new(Some(Call::Sync), nth, libc::EIO));
    std::thread::scope(|scope| {
        let mut writers = Vec::new();
        for (key, durability) in keys {
            let txn = next_txn(db);
            writers.push((txn, scope.spawn(|| put(db, *key, *durability))));
            // It is the head, and the first of them leads.
            wait_until(|| db.try_begin_write().is_ok_and(|tx| tx.txn() > txn));
            wait_until(|| disk.counters().syncs > syncs);
        }
        drop(held);
        writers.into_iter().map(|(txn, writer)| (txn, writer.join().unwrap())).collect()
    })
}

/// What opening finds after the end of the process, or of the power.
fn found_after(disk: &SimDisk, setup: &Setup, loss: Loss) -> Vec<u64> {
    let image = disk.crash(disk.event_count(), loss, 7).unwrap();
    let db = open(&image, setup);
    sound(&db).unwrap();
    let found = keys(&db);
    leave(&image, db);
    found
}

#[test]
fn who_waits_for_a_sync_that_fails_does_not_know_its_outcome() {
    use Durability::{Buffered, Immediate};
    let (disk, db) = begun(&Setup::PLAIN);
    let told = group(&disk, &db, &[(1, Immediate), (2, Immediate), (3, Buffered), (4, Immediate)], 1);
    for (txn, result) in &told {
        assert!(is_unknown(result, *txn), "{txn}: {result:?}");
    }
    assert_eq!(keys(&db), [0], "nothing of it is visible");
    writing_has_ended(&db);
    assert_eq!(keys(&db), [0]);
    // The leader had captured the first of them alone.
    assert_eq!(found_after(&disk, &Setup::PLAIN, Loss::None), [0]);
    assert_eq!(found_after(&disk, &Setup::PLAIN, Loss::All), [0, 1]);
}

#[test]
fn an_unknown_outcome_is_that_of_ones_own_transaction() {
    use Durability::Immediate;
    // Who leads the second sync, the older or the newer commit, is up to the threads.
    for _ in 0..20 {
        let (disk, db) = begun(&Setup::PLAIN);
        // The first sync is for the first commit; the second, which fails, for all others.
        let told = group(&disk, &db, &[(1, Immediate), (2, Immediate), (3, Immediate)], 2);
        assert!(told[0].1.as_ref().is_ok_and(|info| info.durable), "{told:?}");
        for (txn, result) in &told[1..] {
            assert!(is_unknown(result, *txn), "{txn}: {result:?}");
        }
        assert_eq!(keys(&db), [0, 1]);
        writing_has_ended(&db);
        assert_eq!(found_after(&disk, &Setup::PLAIN, Loss::None), [0, 1]);
        assert_eq!(found_after(&disk, &Setup::PLAIN, Loss::All), [0, 1, 2, 3]);
    }
}

#[test]
fn a_commit_whose_head_record_fails_does_not_know_its_outcome() {
    // How many writes such a commit makes: the head record is the last.
    let (disk, db) = begun(&Setup::PLAIN);
    put(&db, 1, Durability::Buffered).unwrap();
    let before = disk.counters().writes;
    put(&db, 2, Durability::Buffered).unwrap();
    let writes = disk.counters().writes - before;
    drop(db);
    for level in [Durability::Buffered, Durability::Background { within: std::time::Duration::MAX }] {
        // Nothing of it is written; or all of it, and the answer is an error all the same.
        for (partial, found) in [(0, vec![0, 1]), (4096, vec![0, 1, 2])] {
            let (disk, db) = begun(&Setup::PLAIN);
            put(&db, 1, level).unwrap();
            let txn = next_txn(&db);
            disk.inject(Fault::new(Some(Call::Write), writes, libc::ENOSPC).partial(partial));
            let result = put(&db, 2, level);
            assert!(is_unknown(&result, txn), "{result:?}");
            assert_eq!(keys(&db), [0, 1], "what is not known is not shown");
            writing_has_ended(&db);
            assert_eq!(found_after(&disk, &Setup::PLAIN, Loss::All), found);
            assert_eq!(found_after(&disk, &Setup::PLAIN, Loss::None), [0]);
        }
    }
}

#[test]
fn a_leader_whose_head_record_fails_does_not_know_its_outcome() {
    let setup = Setup { two_phase: true, ..Setup::PLAIN };
    let (disk, db) = begun(&setup);
    let commit = put(&db, 1, Durability::Buffered).unwrap();
    let syncs = disk.counters().syncs;
    let held = disk.hold_syncs();
    let result = std::thread::scope(|scope| {
        let leader = scope.spawn(|| db.sync());
        wait_until(|| disk.counters().syncs > syncs);
        // A commit that the meta page to come does not cover: its head record will be written once more.
        put(&db, 2, Durability::Buffered).unwrap();
        disk.inject(Fault::new(Some(Call::Write), 1, libc::EIO));
        drop(held);
        leader.join().unwrap()
    });
    assert!(matches!(&result, Err(Error::OutcomeUnknown { txn, .. }) if *txn == commit.txn), "{result:?}");
    assert_eq!(keys(&db), [0, 1, 2]);
    writing_has_ended(&db);
    assert_eq!(disk.counters().syncs, syncs + 1, "no meta page without its head record");
    assert_eq!(found_after(&disk, &setup, Loss::All), [0, 1, 2]);
}
