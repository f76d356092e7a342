//! Goal: a power cut or the end of the process, whenever it comes, leaves the last version that was
//! acknowledged as durable or a newer whole one; the file is sound, and writing goes on.
//! Method: random operations on a simulated disk; then, at every point of what happened and for every kind of
//! loss, the disk as it may be found is opened and compared with the model. Some are cut a second time while
//! they recover, or after another commit.
//!
//! `FOLIO_CRASH_STATES` says how many states are looked at, `FOLIO_CRASH_SEED` with which seed the first
//! scenario is made; the others follow it. A failure names its seed.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use proptest::prelude::*;

use super::explore::{Explorer, Place, allowed, scenario};
use super::model::Driver;
use super::ops::{Key, Mix, Near, Op, Setup, Value, generate, op, setup};
use super::seen::Seen;
use super::version::sound;
use crate::storage::sim::{Loss, SimDisk};
use crate::{Database, Durability};

/// What a long enough run meets.
const WANTED: [&str; 14] = [
    "changes that outgrew the memory",
    "compactions",
    "cuts of the file",
    "one-phase syncs",
    "two-phase syncs",
    "groups of several commits",
    "recoveries",
    "clean openings",
    "torn meta pages",
    "fallbacks to the older meta page",
    "head records adopted",
    "second crashes while recovering",
    "second crashes after it",
    "commits after a crash",
];

/// How many states the short form looks at.
const SHORT: u64 = if cfg!(debug_assertions) { 4_000 } else { 20_000 };

/// A number from the environment.
pub(super) fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

/// After a panic nobody goes on: what it says would be out of sight.
struct StopOthers<'s>(&'s AtomicU64);

impl Drop for StopOthers<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fetch_or(1 << 63, Ordering::Relaxed);
        }
    }
}

fn scenario_of_seed(seed: u64) -> (Setup, Vec<Op>) {
    let ops = prop::collection::vec(op(Mix::CRASH), 30..90);
    generate(&(setup(), ops), seed)
}

/// One seed: all of its scenario's states, or a sample.
fn explore_seed(seed: u64, states: u64) -> (u64, Seen) {
    let (setup, ops) = scenario_of_seed(seed);
    let place = format!("scenario seed {seed} {setup:?}");
    let _place = Place(&place);
    let driver = scenario(&setup, &ops);
    let mut explorer = Explorer::new(&driver, seed, place.clone());
    explorer.explore(states);
    (explorer.states, explorer.seen)
}

#[test]
fn every_crash_leaves_a_whole_version() {
    let (first, wanted) = (number("FOLIO_CRASH_SEED", 1), number("FOLIO_CRASH_STATES", SHORT));
    let (seed, states, seen) = (AtomicU64::new(first), AtomicU64::new(0), Mutex::new(Seen::default()));
    std::thread::scope(|scope| {
        let work = || {
            let _stop = StopOthers(&states);
            while states.load(Ordering::Relaxed) < wanted {
                let seed = seed.fetch_add(1, Ordering::Relaxed);
                // Many scenarios say more than all states of a few.
                let (found, met) = explore_seed(seed, 800);
                states.fetch_add(found, Ordering::Relaxed);
                seen.lock().add(&met);
            }
        };
        scope.spawn(work);
        scope.spawn(work);
    });
    let last = seed.into_inner() - 1;
    println!("{} states after crashes, of scenarios with seeds {first} to {last}", states.into_inner());
    seen.into_inner().report(if wanted >= SHORT { &WANTED } else { &[] });
}

fn immediate() -> Op {
    Op::Commit { durability: Durability::Immediate, two_phase: false }
}

fn explore_ops(setup: &Setup, ops: &[Op]) {
    let driver = scenario(setup, ops);
    let mut explorer = Explorer::new(&driver, 5, String::new());
    explorer.explore(u64::MAX);
}

/// Goal: what a transaction wrote and freed again is not part of what a crash is measured by.
#[test]
fn a_value_that_its_own_transaction_replaces_does_not_spoil_the_commit() {
    let value = |fill| Value { near: Near::Direct, off: 3, fill };
    let insert = |fill| Op::Insert { table: 0, key: Key::Short(1), value: value(fill) };
    let small =
        |n| Op::Insert { table: 0, key: Key::Short(n), value: Value { near: Near::Small, off: 0, fill: 1 } };
    let mut ops = vec![insert(1), insert(2), immediate(), small(3), immediate()];
    // The place of the removed value is used by the next transaction, before that is durable.
    ops.extend([insert(3), Op::Remove { table: 0, key: Key::Short(1) }, small(4), immediate()]);
    ops.extend([insert(5), small(6), immediate(), small(7), immediate()]);
    explore_ops(&Setup::PLAIN, &ops);
}

/// Goal: a page that its transaction has written twice is not taken for its first version.
/// Method: buffered commits that outgrow their memory again and again.
#[test]
fn a_page_written_twice_by_one_transaction_is_whole_or_not_believed() {
    let value = |fill| Value { near: Near::Small, off: 50, fill };
    let setup = Setup { memory_limit: 8192, ..Setup::PLAIN };
    let mut ops = Vec::new();
    for fill in 0..6 {
        for from in 0..6 {
            ops.push(Op::Scatter { table: 0, from: from * 7, count: 30, value: value(fill) });
        }
        ops.push(Op::Commit { durability: Durability::Buffered, two_phase: false });
    }
    let driver = scenario(&setup, &ops);
    for seed in 0..4 {
        let place = format!("seed {seed}");
        let mut explorer = Explorer::new(&driver, seed, place);
        explorer.explore(2_000);
    }
}

/// Goal: the file is cut only behind what nobody can look at: neither a snapshot nor what a crash leaves.
/// Method: much is removed without a sync, and the next transactions find the end of the file free.
#[test]
fn the_file_is_not_cut_below_what_is_needed() {
    let value = |near| Value { near, off: 0, fill: 4 };
    let buffered = || Op::Commit { durability: Durability::Buffered, two_phase: false };
    let small = |n| Op::Insert { table: 1, key: Key::Short(n), value: value(Near::Small) };
    let mut ops = vec![Op::Ascend { table: 0, from: 0, count: 250, value: value(Near::Page) }, immediate()];
    ops.extend([Op::BeginRead, Op::Clear { table: 0 }, buffered()]);
    (0..3).for_each(|n| ops.extend([small(n), buffered()]));
    ops.extend([
        Op::CheckRead { reader: 0 },
        Op::Compact,
        Op::CheckRead { reader: 0 },
        Op::EndRead { reader: 0 },
    ]);
    (3..6).for_each(|n| ops.extend([small(n), buffered()]));
    ops.push(Op::Compact);
    (6..9).for_each(|n| ops.extend([small(n), immediate()]));
    let driver = scenario(&Setup { checkpoint_after: Some(1 << 30), ..Setup::PLAIN }, &ops);
    let cuts = driver.disk.counters().truncates;
    assert!(cuts > 0, "the file was cut");
    let mut explorer = Explorer::new(&driver, 5, String::new());
    explorer.explore(1_500);
}

/// Goal: the file is not cut below the durable root's page count, though nothing of that root lies there.
/// Method: the durable root has some free pages at its end; buffered commits add more behind them and free
/// them all, and the file is cut when that is durable, not before.
#[test]
fn the_file_is_not_cut_before_a_lower_page_count_is_durable() {
    let value = |near| Value { near, off: 0, fill: 4 };
    let pages = |table, count| Op::Ascend { table, from: 0, count, value: value(Near::Page) };
    let small = |n| Op::Insert { table: 1, key: Key::Short(n), value: value(Near::Small) };
    let buffered = || Op::Commit { durability: Durability::Buffered, two_phase: false };
    let mut ops = vec![pages(0, 200), immediate(), pages(2, 20), immediate(), Op::Clear { table: 2 }];
    (0..3).for_each(|n| ops.extend([immediate(), small(n)]));
    ops.extend([immediate(), pages(3, 90), buffered(), Op::Clear { table: 3 }]);
    (3..7).for_each(|n| ops.extend([buffered(), small(n)]));
    let setup = Setup { checkpoint_after: Some(1 << 30), ..Setup::PLAIN };
    let cuts = |ops: &[Op]| {
        let driver = scenario(&setup, ops);
        let seen = driver.seen.of("cuts of the file");
        let mut explorer = Explorer::new(&driver, 7, String::new());
        explorer.explore(1_500);
        seen
    };
    assert_eq!(cuts(&ops), 0);
    (7..9).for_each(|n| ops.extend([immediate(), small(n)]));
    assert_eq!(cuts(&ops), 1);
}

/// Goal: the file has all pages of its root, also those that were given out and not needed.
/// Method: a transaction grows the file by more than a step, while there is free space enough for the
/// reserve.
#[test]
fn the_file_holds_pages_that_were_not_needed() {
    let value = |near| Value { near, off: 0, fill: 4 };
    let pages = |table, from, count| Op::Ascend { table, from, count, value: value(Near::Page) };
    let thin = |table, from, count| Op::Thin { table, from, count, step: 2 };
    for durability in [Durability::Immediate, Durability::Buffered] {
        let commit = || Op::Commit { durability, two_phase: false };
        let mut ops = vec![pages(0, 0, 250), immediate(), thin(0, 0, 250), immediate()];
        for n in 0..3 {
            ops.extend([pages(1, n * 150, 150), commit(), thin(1, n * 150, 150), commit()]);
        }
        let driver = scenario(&Setup { free_ratio: 4.0, ..Setup::PLAIN }, &ops);
        (0..=driver.disk.event_count()).for_each(|point| without_zeros_at_the_end(&driver, point));
        Explorer::new(&driver, 6, String::new()).explore(1_000);
    }
}

/// Everything arrives but the zeros at the end, and with them the length.
fn without_zeros_at_the_end(driver: &Driver, point: usize) {
    let place = format!("point {point}");
    let _place = Place(&place);
    let durable = driver.disk.crash(point, Loss::None, 0).unwrap().content().unwrap();
    let mut content = driver.disk.crash(point, Loss::All, 0).unwrap().content().unwrap();
    while content.len() > durable.len().max(4096) && content[content.len() - 4096..].iter().all(|b| *b == 0) {
        content.truncate(content.len() - 4096);
    }
    let image = SimDisk::with_content(content).unwrap();
    let options = driver.setup.options();
    let db = Database::over(&options, image.storage().unwrap()).unwrap();
    let explorer = Explorer::new(driver, 0, String::new());
    let found = explorer.version(&db, allowed(&driver.attempts, point, Loss::Prefix));
    sound(&db).unwrap();
    drop(db);
    let db = Database::over(&options, image.storage().unwrap()).unwrap();
    assert_eq!(explorer.version(&db, found..=found), found);
}
