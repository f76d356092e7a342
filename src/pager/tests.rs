//! Goal: the free space is never lost, never given out twice, and its log never grows without bound.
//! Method: transactions of every end (commits, durable and not, aborts, spills, failed ones) over tables of
//! small and large values, beside snapshots that come and go; after each, the pages of the file are accounted
//! for, and what the log of the head says is compared with what the writer has in memory.

mod far;
mod openers;

use std::collections::BTreeSet;
use std::panic::Location;
use std::sync::Arc;

use proptest::prelude::*;

use super::free_log::{FreeLog, replay};
use super::*;
use crate::inspect;
use crate::page::{Extent, PageId, free_log_capacity, index};
use crate::raw::{OpenTables, RawTableMut};

/// A database below its public face.
struct Engine {
    pager: Arc<Pager>,
    random: u64,
}

impl Engine {
    fn new(options: &OpenOptions) -> Engine {
        let storage = Storage::memory().unwrap();
        format(&storage, 4096).unwrap();
        Engine { pager: open(storage, None, Config::new(options)).unwrap(), random: 1 }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % limit
    }

    fn begin(&self) -> OpenTables {
        OpenTables::new(self.pager.begin_write(self.pager.lock_writer().unwrap()).unwrap())
    }

    /// Commits as `WriteTransaction` does.
    fn commit(&self, tx: OpenTables, buffered: bool) -> Committed {
        let done = tx.commit(buffered, false).unwrap().unwrap();
        if !buffered || done.checkpoint_due || !self.pager.is_visible(done.root.txn) {
            self.pager.sync_to(done.root.txn).unwrap();
        }
        done
    }

    /// What the log of the head says is free or pending, and how many pages the log has.
    fn logged(&self) -> (Vec<Extent>, Vec<PageId>) {
        let head = self.pager.head();
        let snapshot = self.pager.snapshot_of_head(&head);
        let (log, records) = FreeLog::read(&snapshot).unwrap();
        (replay(&records, head.root.page_count).unwrap(), log.pages().collect())
    }

    /// Pages of the log, free and pending ones, as the writer has them; the log says the same.
    fn compare(&self) -> (usize, u64, u64) {
        let (extents, log_pages) = self.logged();
        let mut writer = self.pager.lock_writer().unwrap();
        let pins = self.pager.base.shared.pins();
        self.pager.load_space(&mut writer, &self.pager.head(), &pins).unwrap();
        let in_memory: BTreeSet<u64> = pages_of(writer.space.extents());
        let said: BTreeSet<u64> = pages_of(extents.iter().copied());
        assert_eq!(said, in_memory, "the log and the memory know the same pages");
        for page in &log_pages {
            assert!(!said.contains(&page.0), "page {page} of the log is in use");
        }
        let mut again = space::Space::default();
        extents.iter().for_each(|extent| again.add(*extent, &pins));
        writer.space.release(&pins);
        let found = (again.free_pages(), again.pending_pages());
        assert_eq!(found, (writer.space.free_pages(), writer.space.pending_pages()));
        (log_pages.len(), found.0, found.1)
    }

    /// Every page of the file is in use once, or free, or pending.
    fn check(&self) {
        let report = inspect::check(&self.pager, &self.pager.begin_read().unwrap(), &mut |_| {}).unwrap();
        assert!(report.is_ok(), "{:?}", report.faults);
    }
}

fn pages_of(extents: impl IntoIterator<Item = Extent>) -> BTreeSet<u64> {
    extents.into_iter().flat_map(|extent| extent.start..extent.end()).collect()
}

fn table<'t>(tx: &'t OpenTables, name: &str) -> RawTableMut<'t> {
    RawTableMut::new(
        tx,
        tx.take(name, || Some(("bytes".into(), "bytes".into())), Location::caller()).unwrap(),
    )
}

fn key(i: impl Into<u64>) -> Vec<u8> {
    format!("{:016x}", i.into()).into_bytes()
}

/// One operation of the random histories.
#[derive(Debug, Clone)]
enum Op {
    /// Entries: the first, how many, and how long their values are.
    Insert(u16, u16, usize),
    Remove(u16, u16),
    Drop,
    Commit {
        buffered: bool,
    },
    Abort,
    Sync,
    BeginRead,
    EndRead(usize),
    Lowest,
    Forget,
}

fn op() -> impl Strategy<Value = Op> {
    let len = prop_oneof![4 => 0usize..300, 2 => 2_000usize..9_000, 1 => 60_000usize..200_000];
    prop_oneof![
        6 => (0u16..600, 1u16..40, len).prop_map(|(from, count, len)| {
            Op::Insert(from, if len > 20_000 { 2 } else { count }, len)
        }),
        1 => (0u16..600, 200u16..600).prop_map(|(from, count)| Op::Insert(from, count, 150)),
        3 => (0u16..600, 1u16..200).prop_map(|(from, count)| Op::Remove(from, count)),
        1 => Just(Op::Drop),
        6 => any::<bool>().prop_map(|buffered| Op::Commit { buffered }),
        1 => Just(Op::Abort),
        1 => Just(Op::Sync),
        1 => Just(Op::BeginRead),
        1 => any::<usize>().prop_map(Op::EndRead),
        1 => Just(Op::Lowest),
        1 => Just(Op::Forget),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Goal: whatever happens, the log and the memory agree and no page is lost. Method: random histories
    /// with a memory limit so small that transactions spill.
    #[test]
    fn log_and_memory_agree_in_every_history(ops in prop::collection::vec(op(), 1..120), ratio in 0u8..3) {
        let mut options = OpenOptions::new();
        options.memory_limit(100_000).free_ratio(f64::from(ratio) / 2.0);
        let engine = Engine::new(&options);
        let mut readers = Vec::new();
        let mut tx = None;
        for op in ops {
            match op {
                Op::Insert(from, count, len) => {
                    let tx = tx.get_or_insert_with(|| engine.begin());
                    let mut table = table(tx, "a");
                    for i in from..from + count {
                        let i = i.wrapping_mul(40_503) % 1_200;
                        table.insert(&key(i), &vec![7; len]).unwrap();
                    }
                }
                Op::Remove(from, count) => {
                    let tx = tx.get_or_insert_with(|| engine.begin());
                    let mut table = table(tx, "a");
                    for i in from..from + count {
                        table.remove(&key(i)).unwrap();
                    }
                }
                Op::Drop => {
                    let tx = tx.get_or_insert_with(|| engine.begin());
                    tx.drop_table("a", Location::caller()).unwrap();
                }
                Op::Commit { buffered } => {
                    let Some(tx) = tx.take() else { continue };
                    tx.touch().unwrap();
                    engine.commit(tx, buffered);
                    engine.compare();
                    engine.check();
                }
                Op::Abort => {
                    if tx.take().is_some() {
                        engine.compare();
                        engine.check();
                    }
                }
                Op::Sync => engine.pager.sync_all().unwrap(),
                Op::BeginRead => readers.push(engine.pager.begin_read().unwrap()),
                Op::EndRead(i) => {
                    if !readers.is_empty() {
                        drop(readers.swap_remove(i % readers.len()));
                    }
                }
                Op::Lowest => {
                    if let Some(tx) = &tx {
                        tx.txn().lock().set_placement(Placement::Lowest);
                    }
                }
                Op::Forget => {
                    if tx.is_none() {
                        engine.pager.lock_writer().unwrap().forget_space(&engine.pager);
                        engine.compare();
                    }
                }
            }
        }
    }
}

/// What a commit takes for the log is not what the log calls free. The log of a file with many short extents,
/// and commits that bring it many records at once.
#[test]
fn a_page_of_the_log_is_never_called_free() {
    let mut engine = Engine::new(&OpenOptions::new());
    for round in 0..400 {
        let tx = engine.begin();
        {
            let mut table = table(&tx, "a");
            for _ in 0..1 + round % 60 {
                let i = engine.below(4_000);
                table.insert(&key(i), &vec![7; 1 + 20 * index(engine.below(150))]).unwrap();
            }
        }
        engine.commit(tx, round % 3 > 0);
        engine.compare();
    }
    engine.check();
}

/// Commits that overwrite `batch` of 20,000 entries each: at any time the log may have twice the pages that
/// the extents need, those of two commits, and a few.
fn log_in_proportion(batch: u64, commits: u64) {
    let mut engine = Engine::new(&OpenOptions::new());
    let tx = engine.begin();
    {
        let mut table = table(&tx, "a");
        for i in 0..20_000u64 {
            table.insert(&key(i), &[7; 150]).unwrap();
        }
    }
    engine.commit(tx, true);
    let mut shares = Vec::new();
    for round in 0..commits {
        let tx = engine.begin();
        {
            let mut table = table(&tx, "a");
            for _ in 0..batch {
                table.insert(&key(engine.below(20_000)), &[8; 150]).unwrap();
            }
        }
        engine.commit(tx, round % 100 > 0);
        if round % 50 == 0 {
            let (extents, log_pages) = engine.logged();
            // A commit says of each page what it took and what it freed.
            let needed = extents.len() / free_log_capacity(4096) + 1;
            let added = 2 * index(batch) / free_log_capacity(4096) + 1;
            let most = 2 * (needed + added) + 6;
            let pages = log_pages.len();
            assert!(pages <= most, "{pages} pages for {} extents after {round}", extents.len());
            shares.push((pages, extents.len()));
        }
    }
    println!("batches of {batch}: pages of the log, extents: {:?}", &shares[shares.len() - 5..]);
    engine.compare();
    engine.check();
}

#[test]
fn small_commits_leave_the_log_in_proportion_to_what_is_free() {
    log_in_proportion(1, 10_000);
}

#[test]
fn large_commits_leave_the_log_in_proportion_to_what_is_free() {
    log_in_proportion(100, 1_500);
    log_in_proportion(400, 500);
}

#[test]
fn aborted_and_spilled_transactions_leave_nothing_behind() {
    let mut options = OpenOptions::new();
    options.memory_limit(200_000);
    let engine = Engine::new(&options);
    let fill = |tx: &OpenTables, from: u64, count: u64| {
        let mut table = table(tx, "a");
        for i in from..from + count {
            table.insert(&key(i.wrapping_mul(0x9e37_79b9) % 100_003), &[7; 150]).unwrap();
        }
        table.insert(b"large", &vec![7; 300_000]).unwrap();
    };
    let tx = engine.begin();
    fill(&tx, 0, 5_000);
    engine.commit(tx, false);
    let before = (engine.pager.page_count(), engine.compare());
    for i in 0..20 {
        let tx = engine.begin();
        fill(&tx, 5_000 + 100 * i, 5_000);
        assert!(tx.txn().lock().written_pages > 0, "it has spilled");
        drop(tx);
        assert_eq!((engine.pager.page_count(), engine.compare()), before);
    }
    engine.check();
    // Everything goes again: nothing but the log and the header pages is left, wherever it was.
    let tx = engine.begin();
    fill(&tx, 0, 9_000);
    engine.commit(tx, false);
    let tx = engine.begin();
    tx.drop_table("a", Location::caller()).unwrap();
    engine.commit(tx, false);
    for _ in 0..3 {
        let tx = engine.begin();
        tx.touch().unwrap();
        engine.commit(tx, false);
    }
    let (log_pages, free, pending) = engine.compare();
    let in_use = engine.pager.page_count() - free - pending;
    assert_eq!(in_use, 3 + log_pages as u64);
    engine.check();
}

/// The end of a file whose large table is gone, where small commits were put while a snapshot had the table.
#[test]
fn small_commits_do_not_keep_the_end_of_the_file() {
    let engine = Engine::new(&OpenOptions::new());
    let fill = |name: &str, count: u64| {
        let tx = engine.begin();
        {
            let mut table = table(&tx, name);
            for i in 0..count {
                table.insert(&key(i.wrapping_mul(0x9e37_79b9_7f4a_7c15)), &[7; 150]).unwrap();
            }
        }
        engine.commit(tx, false);
    };
    fill("small", 20_000);
    let small = engine.pager.page_count();
    fill("large", 100_000);
    let reader = engine.pager.begin_read().unwrap();
    let tx = engine.begin();
    tx.drop_table("large", Location::caller()).unwrap();
    engine.commit(tx, false);
    (1..6).for_each(|i| fill("touched", i));
    drop(reader);
    (1..4).for_each(|i| fill("touched", i));
    let end = engine.pager.page_count();
    println!("{small} pages, now {end}");
    assert!(end <= small + 100, "{small} pages, now {end}");
    engine.check();
}
