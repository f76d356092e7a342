//! Goal: transactions of several threads are whole and in some order, and share their syncs.
//! Method: writers keep a sum as it is, readers add it up; commits that wait for one sync are counted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::explore::formatted;
use super::ops::Setup;
use super::version::sound;
use crate::storage::sim::{Rng, SimDisk};
use crate::{Database, Durability, Result, WriteTransaction};

const ACCOUNTS: u64 = 200;
const TOTAL: u64 = ACCOUNTS * 1000;

/// A value that shows whether it is whole: a number, and bytes that follow from it.
fn value(amount: u64) -> Vec<u8> {
    let len = usize::try_from(8 + amount * 37 % 500).unwrap();
    (0..len).map(|i| amount.rotate_left(u32::try_from(i * 8).unwrap()).to_le_bytes()[0]).collect()
}

fn amount(bytes: &[u8]) -> u64 {
    let digits = (0..8).map(|i| u64::from(bytes[(8 - i) % 8]) << (8 * i));
    let amount = digits.sum();
    assert!(bytes == value(amount), "a value in pieces");
    amount
}

fn accounts(tx: &WriteTransaction) -> Result<crate::RawTableMut<'_>> {
    tx.create_raw("accounts", "u64", "[u8]")
}

fn transfer(db: &Database, rng: &mut Rng) -> Result<()> {
    let mut tx = db.begin_write()?;
    let background = Durability::Background { within: Duration::from_micros(rng.below(2_000)) };
    let levels = [Durability::Immediate, Durability::Buffered, background];
    tx.set_durability(levels[rng.index(3)]);
    {
        let mut table = accounts(&tx)?;
        for _ in 0..1 + rng.below(8) {
            let (from, to) = (rng.below(ACCOUNTS).to_le_bytes(), rng.below(ACCOUNTS).to_le_bytes());
            let has = amount(table.get(&from)?.expect("an account"));
            let moved = rng.below(has + 1);
            table.insert(&from, &value(has - moved))?;
            let has = amount(table.get(&to)?.expect("an account"));
            table.insert(&to, &value(has + moved))?;
        }
    }
    tx.commit().map(|_| ())
}

fn total(db: &Database) -> Result<u64> {
    db.read(|tx| {
        let table = tx.open_raw("accounts")?;
        let mut sums = [0; 2];
        for sum in &mut sums {
            for entry in table.range((std::ops::Bound::Unbounded, std::ops::Bound::Unbounded))? {
                *sum += amount(entry?.1);
            }
        }
        assert_eq!(sums[0], sums[1]);
        Ok(sums[0])
    })
}

#[test]
fn readers_see_whole_transactions() {
    let slow = SimDisk::with_content(formatted(&Setup::PLAIN)).unwrap();
    slow.slow_syncs(20);
    let tight = Setup { reserve: Some(1), free_ratio: 0.0, ..Setup::PLAIN };
    for db in [
        Setup::PLAIN.options().in_memory(),
        tight.options().in_memory(),
        // Here what readers see lies behind what the next writer builds on.
        Database::over(&tight.options(), slow.storage().unwrap()),
    ] {
        let db = db.unwrap();
        db.write(|tx| {
            let mut table = accounts(tx)?;
            (0..ACCOUNTS).try_for_each(|i| table.insert(&i.to_le_bytes(), &value(1000)).map(|_| ()))
        })
        .unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        while !done.load(Ordering::Relaxed) {
                            assert_eq!(total(&db).unwrap(), TOTAL);
                        }
                    })
                })
                .collect();
            let writers: Vec<_> = (0..2)
                .map(|seed| {
                    let db = &db;
                    scope.spawn(move || {
                        let mut rng = Rng::new(seed);
                        (0..400).for_each(|_| transfer(db, &mut rng).unwrap());
                    })
                })
                .collect();
            let ended: Vec<_> = writers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
            done.store(true, Ordering::Relaxed);
            ended.into_iter().for_each(|writer| writer.unwrap());
            readers.into_iter().for_each(|reader| reader.join().unwrap());
        });
        assert_eq!(total(&db).unwrap(), TOTAL);
        sound(&db).unwrap();
    }
}

fn put(db: &Database, thread: u8, i: u64, durability: Durability) -> Result<()> {
    let mut tx = db.begin_write()?;
    tx.set_durability(durability);
    let key = [&[thread][..], &i.to_le_bytes()].concat();
    tx.create_raw("log", "[u8]", "[u8]")?.insert(&key, &value(i))?;
    tx.commit().map(|_| ())
}

#[test]
fn commits_that_wait_share_one_sync() {
    let disk = SimDisk::with_content(formatted(&Setup::PLAIN)).unwrap();
    let db = Database::over(&Setup::PLAIN.options(), disk.storage().unwrap()).unwrap();
    put(&db, 9, 0, Durability::Immediate).unwrap();
    let before = disk.counters().syncs;
    let held = disk.hold_syncs();
    let next = db.begin_write().unwrap().txn();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let db = &db;
            scope.spawn(move || put(db, thread, 1, Durability::Immediate).unwrap());
        }
        // Until all four are the head, one after another; nobody has been answered yet.
        while db.try_begin_write().map_or(0, |tx| tx.txn()) < next + 4 {
            std::thread::yield_now();
        }
        // Nor what is built on them, even if it would not wait for the disk by itself.
        let db = &db;
        scope.spawn(move || put(db, 4, 1, Durability::Buffered).unwrap());
        while db.try_begin_write().map_or(0, |tx| tx.txn()) < next + 5 {
            std::thread::yield_now();
        }
        assert_eq!(
            db.begin_read().unwrap().open_raw("log").unwrap().len(),
            1,
            "none is visible before it is durable"
        );
        drop(held);
    });
    assert_eq!(db.begin_read().unwrap().open_raw("log").unwrap().len(), 6);
    // The first to come had itself alone; those that came meanwhile had one for all.
    let syncs = disk.counters().syncs - before;
    assert!(syncs <= 2, "{syncs} syncs for five commits");
    assert_eq!(db.stats().unwrap().durable_txn, next + 4);
}

#[test]
fn a_thread_reads_its_own_writes() {
    let disk = SimDisk::with_content(formatted(&Setup::PLAIN)).unwrap();
    disk.slow_syncs(20);
    let db = Database::over(&Setup::PLAIN.options(), disk.storage().unwrap()).unwrap();
    let work = |thread: u8| {
        let mut rng = Rng::new(u64::from(thread));
        for i in 0..200 {
            let level = [Durability::Immediate, Durability::Immediate, Durability::Buffered][rng.index(3)];
            put(&db, thread, i, level).unwrap();
            let key = [&[thread][..], &i.to_le_bytes()].concat();
            let tx = db.begin_read().unwrap();
            assert!(tx.open_raw("log").unwrap().contains(&key).unwrap(), "{thread} does not see its {i}");
        }
    };
    std::thread::scope(|scope| (0..4).for_each(|thread| drop(scope.spawn(move || work(thread)))));
}
