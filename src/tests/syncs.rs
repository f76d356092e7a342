//! Goal: a commit costs as many syncs as its way asks for, and a meta page without a record is written when
//! all pages of its root are on the disk.
//! Method: syncs are counted; then the power fails at every point, in many ways.

use super::explore::{Place, formatted, leave};
use super::ops::Setup;
use super::version::sound;
use crate::page::HEAD_AT;
use crate::storage::sim::{Loss, SimDisk};
use crate::{Database, Durability, WriteTransaction};

/// Commits `pages` pages of `fill`.
fn put(db: &Database, fill: u8, pages: u8, durability: Durability, two_phase: bool) {
    let mut tx = db.begin_write().unwrap();
    tx.set_two_phase(two_phase);
    put_with(tx, fill, pages, durability);
}

fn put_with(mut tx: WriteTransaction, fill: u8, pages: u8, durability: Durability) {
    tx.set_durability(durability);
    {
        let mut table = tx.create_raw("t", "k", "v").unwrap();
        for page in 0..pages {
            table.insert(&[page], &[fill; 4000]).unwrap();
        }
        table.insert(b"last", &[fill]).unwrap();
    }
    tx.commit().unwrap();
}

/// A database whose pages all hold 0.
fn begun(setup: &Setup) -> (SimDisk, Database) {
    let disk = SimDisk::with_content(formatted(setup)).unwrap();
    let db = Database::over(&setup.options(), disk.storage().unwrap()).unwrap();
    put(&db, 0, 10, Durability::Immediate, false);
    (disk, db)
}

/// The last commit, which is whole.
fn last(db: &Database) -> u8 {
    let tx = db.begin_read().unwrap();
    let table = tx.open_raw("t").unwrap();
    let last = table.get(b"last").unwrap().unwrap()[0];
    for page in 0..10 {
        let value = table.get(&[page]).unwrap().unwrap();
        assert!(value.len() == 4000 && value.iter().all(|byte| *byte == last), "a page of another commit");
    }
    last
}

/// Looks at every crash since the log had `from` events.
fn explore(disk: &SimDisk, setup: &Setup, from: usize) {
    for point in from..=disk.event_count() {
        for (seed, loss) in (0..40).flat_map(|seed| Loss::EACH.map(|loss| (seed, loss))) {
            let place = format!("point {point} from {from}, {loss:?}, seed {seed}");
            let _place = Place(&place);
            let image = disk.crash(point, loss, seed).unwrap();
            let db = Database::over(&setup.options(), image.storage().unwrap()).unwrap();
            sound(&db).unwrap();
            last(&db);
            leave(&image, db);
        }
    }
}

#[test]
fn a_commit_costs_one_sync_or_two() {
    use Durability::{Buffered, Immediate};
    let always = Setup { two_phase: true, ..Setup::PLAIN };
    // How, the commits with whether they ask for two phases, and how many syncs that is.
    let cases = [
        ("a record", &Setup::PLAIN, vec![(Immediate, false)], 1),
        ("a record of two commits", &Setup::PLAIN, vec![(Buffered, false), (Immediate, false)], 1),
        ("two phases for one commit", &Setup::PLAIN, vec![(Immediate, true)], 2),
        ("two phases for the first", &Setup::PLAIN, vec![(Buffered, true), (Immediate, false)], 2),
        ("two phases for the second", &Setup::PLAIN, vec![(Buffered, false), (Immediate, true)], 2),
        ("two phases for all", &always, vec![(Immediate, false)], 2),
    ];
    for (how, setup, commits, syncs) in cases {
        let _place = Place(how);
        let (disk, db) = begun(setup);
        let (from, before) = (disk.event_count(), disk.counters().syncs);
        for (i, (durability, two_phase)) in commits.iter().enumerate() {
            // The first commit writes all pages, the others few.
            put(&db, 1, if i == 0 { 10 } else { 0 }, *durability, *two_phase);
        }
        assert_eq!(disk.counters().syncs - before, syncs);
        explore(&disk, setup, from);
    }
}

/// Goal: the head that a transaction begins on is kept when it becomes durable meanwhile: what that one
/// frees of it is not written over.
/// Method: one commit is being synced and another waits, when a transaction begins. It goes on, with others
/// after it, when both are durable. Then everything arrives but the head record.
#[test]
fn a_head_that_becomes_durable_under_a_transaction_is_kept() {
    use Durability::{Buffered, Immediate};
    let (disk, db) = begun(&Setup::PLAIN);
    let (syncs, next) = (disk.counters().syncs, db.begin_write().unwrap().txn());
    let held = disk.hold_syncs();
    let running = std::thread::scope(|scope| {
        scope.spawn(|| put(&db, 1, 10, Immediate, false));
        while disk.counters().syncs == syncs {
            std::thread::yield_now();
        }
        scope.spawn(|| put(&db, 2, 10, Immediate, false));
        while db.try_begin_write().map_or(0, |tx| tx.txn()) < next + 2 {
            std::thread::yield_now();
        }
        let running = db.begin_write().unwrap();
        drop(held);
        running
    });
    put_with(running, 3, 10, Buffered);
    // Of all sizes, so that every free place is taken once.
    (4..60).for_each(|fill| put(&db, fill, fill % 11, Buffered, false));
    let now = disk.event_count();
    let content = |loss| disk.crash(now, loss, 0).unwrap().content().unwrap();
    let (durable, mut arrived) = (content(Loss::None), content(Loss::All));
    let head = usize::try_from(HEAD_AT).unwrap();
    arrived[head..head + 4096].copy_from_slice(&durable[head..head + 4096]);
    let image = SimDisk::with_content(arrived).unwrap();
    let again = Database::over(&Setup::PLAIN.options(), image.storage().unwrap()).unwrap();
    assert_eq!(last(&again), 2, "{:?}", again.stats());
    sound(&again).unwrap();
}

/// Goal: nobody keeps a sync waiting by writing for long.
#[test]
fn a_sync_does_not_wait_for_a_long_transaction() {
    let (_, db) = begun(&Setup::PLAIN);
    put(&db, 1, 0, Durability::Buffered, false);
    let running = db.begin_write().unwrap();
    std::thread::scope(|scope| scope.spawn(|| db.sync().unwrap()).join().unwrap());
    assert_eq!(db.durable(), running.txn() - 1);
}
