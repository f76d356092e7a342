//! Reads: they change nothing, and what they read is summed up. All but `Cold` ones scan everything first,
//! untimed, so that page tables and caches are warm.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};

use super::{Work, content, numbers, random_gets};
use crate::data::Checksum;
use crate::engine::{Durability, Engine, Reader, Session};
use crate::job::{Cost, Outcome};
use crate::system;

/// What a process has read before it is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Warmth {
    /// Everything.
    Warm,
    /// Nothing, but the system's page cache has the file.
    Cold,
    /// Nothing, and neither has the system.
    Evicted,
}

/// Opens, warms up, measures `body`, which returns how much it did, and closes.
pub(super) fn reading<E: Engine>(
    work: &Work<'_>,
    warmth: Warmth,
    body: impl FnOnce(&E, &mut Checksum) -> Result<u64>,
) -> Result<Outcome> {
    if warmth == Warmth::Evicted {
        system::evict_files(&work.job.dir)?;
    }
    let engine: E = work.open(Durability::Durable)?;
    if warmth == Warmth::Warm {
        content(&engine)?;
    }
    let mut checksum = Checksum::default();
    let meter = work.meter()?;
    let units = body(&engine, &mut checksum)?;
    let mut outcome = work.outcome(units, meter.stop()?);
    outcome.checksum = Some(checksum.value());
    engine.close()?;
    Ok(outcome)
}

/// Random gets in one transaction.
pub(super) fn get<E: Engine>(work: &Work<'_>, count: u64, warmth: Warmth) -> Result<Outcome> {
    reading::<E>(work, warmth, |engine, checksum| {
        let mut random = work.random(0);
        engine.session()?.read(|reader| random_gets(work, reader, &mut random, count, checksum))?;
        Ok(count)
    })
}

pub(super) fn absent<E: Engine>(work: &Work<'_>) -> Result<Outcome> {
    let count = work.job.sizes.gets;
    reading::<E>(work, Warmth::Warm, |engine, checksum| {
        engine.session()?.read(|reader| {
            for index in 0..count {
                let key = work.keys.key(numbers::ABSENT + index);
                ensure!(!reader.get(key.as_ref(), |value| checksum.add(value))?, "an absent key is there");
            }
            Ok(count)
        })
    })
}

/// A transaction for each get.
pub(super) fn get_txn<E: Engine>(work: &Work<'_>) -> Result<Outcome> {
    let count = work.job.sizes.gets;
    reading::<E>(work, Warmth::Warm, |engine, checksum| {
        let mut session = engine.session()?;
        let mut random = work.random(0);
        for _ in 0..count {
            session.read(|reader| random_gets(work, reader, &mut random, 1, checksum))?;
        }
        Ok(count)
    })
}

/// Eight random keys at a time, in one transaction.
pub(super) fn get_many<E: Engine>(work: &Work<'_>) -> Result<Outcome> {
    let count = work.job.sizes.gets / 8 * 8;
    reading::<E>(work, Warmth::Warm, |engine, checksum| {
        let mut random = work.random(0);
        engine.session()?.read(|reader| {
            for _ in 0..count / 8 {
                let keys: [_; 8] = std::array::from_fn(|_| work.keys.key(random.below(work.entries)));
                let found = reader.get_many(&keys, |value| checksum.add(value))?;
                ensure!(found == 8, "{} keys of 8 that were loaded are not there", 8 - found);
            }
            Ok(count)
        })
    })
}

/// Ten entries from a random one on. Near the end there are fewer, for all engines as many.
pub(super) fn range<E: Engine>(work: &Work<'_>) -> Result<Outcome> {
    let count = work.job.sizes.ranges;
    reading::<E>(work, Warmth::Warm, |engine, checksum| {
        let mut random = work.random(0);
        engine.session()?.read(|reader| {
            for _ in 0..count {
                let key = work.keys.key(random.below(work.entries));
                let seen = reader.range(key.as_ref(), 10, |key, value| {
                    checksum.add(key);
                    checksum.add(value);
                })?;
                ensure!(seen > 0, "a key that was loaded is not there");
            }
            Ok(count)
        })
    })
}

/// All entries, a few times over.
pub(super) fn scan<E: Engine>(work: &Work<'_>) -> Result<Outcome> {
    let scans = work.job.sizes.scans;
    reading::<E>(work, Warmth::Warm, |engine, checksum| {
        engine.session()?.read(|reader| {
            for _ in 0..scans {
                let seen = reader.scan(|key, value| {
                    checksum.add(key);
                    checksum.add(value);
                })?;
                ensure!(seen == work.entries, "a scan saw {seen} entries of {}", work.entries);
            }
            Ok(scans * work.entries)
        })
    })
}

/// Two threads with half of the gets each, which start together.
pub(super) fn threads<E: Engine>(work: &Work<'_>) -> Result<Outcome> {
    const THREADS: u64 = 2;
    let each = work.job.sizes.gets / THREADS;
    reading::<E>(work, Warmth::Warm, |engine, checksum| {
        let barrier = Barrier::new(2);
        let one = |thread: u64| -> Result<Checksum> {
            let (mut random, mut checksum) = (work.random(thread), Checksum::default());
            let mut session = engine.session()?;
            barrier.wait();
            session.read(|reader| random_gets(work, reader, &mut random, each, &mut checksum))?;
            Ok(checksum)
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || one(thread))).collect();
            for thread in threads {
                checksum.join(thread.join().map_err(|_| anyhow!("a reading thread panicked"))??);
            }
            Ok(each * THREADS)
        })
    })
}

/// Opens a database that was closed in good order, and gets one key. The median of several.
pub(super) fn open<E: Engine>(work: &Work<'_>) -> Result<Outcome> {
    let mut checksum = Checksum::default();
    let mut times: Vec<Duration> = Vec::new();
    for index in 0..work.job.sizes.opens {
        let key = work.keys.key(index * 7919 % work.entries);
        let start = Instant::now();
        let engine: E = work.open(Durability::Durable)?;
        let mut session = engine.session()?;
        let found = session.read(|reader| reader.get(key.as_ref(), |value| checksum.add(value)))?;
        times.push(start.elapsed());
        ensure!(found, "a key that was loaded is not there");
        drop(session);
        engine.close()?;
    }
    times.sort_unstable();
    let cost = Cost { seconds: times[times.len() / 2].as_secs_f64(), ..Cost::default() };
    Ok(Outcome { checksum: Some(checksum.value()), ..work.outcome(1, cost) })
}
