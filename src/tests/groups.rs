//! Goal: whenever the power fails among several writers, at whatever levels, what each was told stays true:
//! its commits are whole, in order, and there as far as promised; and writing goes on.
//! Method: threads that commit, wait and sync on a simulated disk whose syncs take their time. Then crashes
//! at random points, some of them twice.
//!
//! The seed decides what is done, not when: threads and the background sync run as they do.
//! `FOLIO_GROUP_STATES` says how many states are looked at, `FOLIO_GROUP_SEED` with which seed to begin.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::Duration;

use super::crash::number;
use super::explore::{Place, formatted, leave};
use super::ops::Setup;
use super::seen::Seen;
use super::version::sound;
use crate::storage::sim::{Loss, Rng, SimDisk};
use crate::{CommitInfo, Database, Durability, Error, Result};

const THREADS: u8 = 4;
const COMMITS: u64 = 40;

/// Crash states of each seed.
const EACH: u64 = 400;

/// What a long enough run meets. How many commits share a sync is up to the threads, but not whether any do.
const WANTED: [&str; 9] = [
    "one-phase syncs",
    "two-phase syncs",
    "groups of several commits",
    "recoveries",
    "fallbacks to the older meta page",
    "head records adopted",
    "second crashes while recovering",
    "second crashes after it",
    "commits after a crash",
];

/// Thread and number of a commit.
type Key = (u8, u64);

/// Something that a thread was told when the log had `at` events: this commit and all before it are there.
struct Told {
    key: Key,
    at: usize,
    /// Not only the end of the process leaves it, but also that of the power.
    durable: bool,
}

/// The value of a commit, by which pieces of it are known: of very different lengths.
fn value(key: Key) -> Vec<u8> {
    let number = u64::from(key.0) << 32 | key.1;
    let len = if key.1 % 13 == 12 { 70_000 } else { 8 + usize::try_from(number * 37 % 500).unwrap() };
    let mut value = Vec::with_capacity(len + 8);
    (0..=len as u64 / 8).for_each(|i| value.extend_from_slice(&(number + i).to_le_bytes()));
    value.truncate(len);
    value
}

fn put(db: &Database, key: Key, durability: Durability, two_phase: bool) -> Result<CommitInfo> {
    let mut tx = db.begin_write()?;
    tx.set_durability(durability);
    tx.set_two_phase(two_phase);
    tx.create_raw("log", "[u8]", "[u8]")?.insert(&bytes(key), &value(key))?;
    tx.commit()
}

fn bytes(key: Key) -> Vec<u8> {
    [&[key.0][..], &key.1.to_le_bytes()].concat()
}

/// One thread's work. Seeds go from mostly waiting for the disk to mostly not.
fn write(db: &Database, disk: &SimDisk, seed: u64, thread: u8) -> (Vec<Told>, Vec<u64>) {
    let mut rng = Rng::new(seed * 8 + u64::from(thread));
    let (mut told, mut txns) = (Vec::new(), Vec::new());
    for i in 0..COMMITS {
        let key = (thread, i);
        let waits = rng.below(3) >= seed / 2 % 4;
        let background = Durability::Background { within: Duration::from_micros(rng.below(3_000)) };
        let level = [background, Durability::Buffered][rng.index(2)];
        let level = if waits { Durability::Immediate } else { level };
        let info = put(db, key, level, rng.below(8) == 0).unwrap();
        txns.push(info.txn);
        told.push(Told { key, at: disk.event_count(), durable: waits || info.durable });
        match rng.below(12) {
            0 => db.sync().unwrap(),
            1 => db.wait_durable(info.txn).unwrap(),
            _ => {}
        }
        // What is said to be durable without waiting for it.
        let durable = db.durable();
        if let Some(i) = txns.partition_point(|txn| *txn <= durable).checked_sub(1) {
            told.push(Told { key: (thread, i as u64), at: disk.event_count(), durable: true });
        }
    }
    (told, txns)
}

fn several_writers(disk: &SimDisk, setup: &Setup, seed: u64) -> (Vec<Told>, Vec<u64>) {
    let db = Database::over(&setup.options(), disk.storage().unwrap()).unwrap();
    let (told, txns): (Vec<_>, Vec<_>) = std::thread::scope(|scope| {
        let db = &db;
        let start = |thread| scope.spawn(move || write(db, disk, seed, thread));
        let writers: Vec<_> = (0..THREADS).map(start).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).unzip()
    });
    let mut txns = txns.concat();
    txns.sort_unstable();
    (told.into_iter().flatten().collect(), txns)
}

/// The commits that are there, each whole.
fn there(db: &Database) -> BTreeSet<Key> {
    sound(db).unwrap();
    let tx = db.begin_read().unwrap();
    let table = match tx.open_raw("log") {
        Ok(table) => table,
        Err(Error::NoSuchTable { .. }) => return BTreeSet::new(),
        Err(error) => panic!("{error}"),
    };
    let entries = table.range((Bound::Unbounded, Bound::Unbounded)).unwrap().map(|entry| {
        let (key, found) = entry.unwrap();
        let (thread, number) = key.split_first().unwrap();
        let key = (*thread, u64::from_le_bytes(number.try_into().unwrap()));
        assert!(*found == value(key), "{key:?} in pieces");
        key
    });
    entries.collect()
}

/// Looks at crashes of one run.
struct Explorer<'r> {
    told: &'r [Told],
    setup: &'r Setup,
    rng: Rng,
    seen: Seen,
}

impl Explorer<'_> {
    fn open(&mut self, image: &SimDisk) -> Database {
        let db = Database::over(&self.setup.options(), image.storage().unwrap()).unwrap();
        self.seen.opened(&db);
        db
    }

    /// What was promised is there, and each thread's commits without a gap.
    fn check(&self, found: &BTreeSet<Key>, point: usize, loss: Loss) {
        for Told { key, at, durable } in self.told {
            let promised = *at <= point && (*durable || loss == Loss::All);
            assert!(
                !promised || found.contains(key),
                "{key:?} was promised at {at}, lost at {point} {loss:?}"
            );
        }
        let gap = found.iter().find(|(thread, i)| *i > 0 && !found.contains(&(*thread, i - 1)));
        assert_eq!(gap, None, "without the one before");
    }

    fn state(&mut self, disk: &SimDisk, point: usize, loss: Loss) {
        let image = disk.crash(point, loss, self.rng.next()).unwrap();
        let db = self.open(&image);
        let found = there(&db);
        self.check(&found, point, loss);
        let opened = image.event_count();
        match self.rng.below(4) {
            0 => self.go_on(&image, db, found),
            1 => {
                leave(&image, db);
                let second = self.rng.index(opened + 1);
                let again_loss = self.loss();
                let again = image.crash(second, again_loss, self.rng.next()).unwrap();
                let db = self.open(&again);
                let found_again = there(&db);
                self.check(&found_again, point, loss);
                // What was shown once stays.
                assert!(second < opened || found_again == found, "{found:?} became {found_again:?}");
                let after = second == opened;
                let when = if after { "second crashes after it" } else { "second crashes while recovering" };
                self.seen.count(when, 1);
                self.go_on(&again, db, found_again);
            }
            _ => leave(&image, db),
        }
    }

    fn loss(&mut self) -> Loss {
        Loss::EACH[self.rng.index(Loss::EACH.len())]
    }

    /// Writing goes on, and what is acknowledged now survives the next crash.
    fn go_on(&mut self, image: &SimDisk, db: Database, mut found: BTreeSet<Key>) {
        for i in 0..2 {
            put(&db, (THREADS, i), Durability::Immediate, self.rng.below(4) == 0).unwrap();
            found.insert((THREADS, i));
        }
        assert_eq!(there(&db), found);
        self.seen.count("commits after a crash", 1);
        let loss = self.loss();
        let after = image.crash(image.event_count(), loss, self.rng.next()).unwrap();
        leave(image, db);
        let db = self.open(&after);
        assert_eq!(there(&db), found);
        leave(&after, db);
    }
}

#[test]
fn crashes_among_several_writers() {
    let (first, states) = (number("FOLIO_GROUP_SEED", 0), number("FOLIO_GROUP_STATES", 8 * EACH));
    let mut seen = Seen::default();
    for seed in first..first + states.div_ceil(EACH) {
        let place = format!("seed {seed}");
        let _place = Place(&place);
        let setup = Setup { checkpoint_after: Some(128 << 10), two_phase: seed % 2 == 1, ..Setup::PLAIN };
        let disk = SimDisk::with_content(formatted(&setup)).unwrap();
        disk.slow_syncs([5, 50, 500][usize::try_from(seed % 3).unwrap()]);
        let (told, txns) = several_writers(&disk, &setup, seed);
        let mut explorer =
            Explorer { told: &told, setup: &setup, rng: Rng::new(seed), seen: Seen::default() };
        explorer.seen.syncs(&disk, &txns);
        let points = disk.event_count() + 1;
        for point in 0..points {
            for loss in Loss::EACH {
                if explorer.rng.below((points * Loss::EACH.len()) as u64) < EACH {
                    explorer.state(&disk, point, loss);
                }
            }
        }
        seen.add(&explorer.seen);
    }
    println!("crashes among {THREADS} writers, seeds {first} to {}", first + states.div_ceil(EACH) - 1);
    seen.report(if states >= 8 * EACH { &WANTED } else { &[] });
}
