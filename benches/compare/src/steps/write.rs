//! Writes: single inserts, batches, several threads, reads and writes in turn, overwrites, removals.

use std::sync::Barrier;

use anyhow::{Result, anyhow};

use super::{Work, numbers, random_gets, versions};
use crate::data::Checksum;
use crate::engine::{Durability, Engine, Session, Writer};
use crate::job::{Outcome, Sizes};
use crate::meter::{Latencies, allocated_bytes};
use crate::system;

/// Opens, measures `body`, which returns how many units it did, and finishes.
fn writing<E: Engine>(
    work: &Work<'_>,
    durability: Durability,
    body: impl FnOnce(&E, &mut Outcome) -> Result<u64>,
) -> Result<Outcome> {
    let engine: E = work.open(durability)?;
    let size = allocated_bytes(&work.job.dir)?;
    let mut outcome = Outcome::default();
    let meter = work.meter()?;
    outcome.units = body(&engine, &mut outcome)?;
    outcome.cost = meter.stop()?;
    work.finish(engine, size, &mut outcome)?;
    Ok(outcome)
}

/// New keys, a transaction for each.
pub(super) fn singles<E: Engine>(work: &Work<'_>, durability: Durability) -> Result<Outcome> {
    let (first, count) = match durability {
        Durability::Durable => (numbers::SINGLES, work.job.sizes.singles),
        Durability::Buffered => (numbers::BUFFERED, work.job.sizes.buffered_singles),
    };
    let first = work.first_new(first);
    writing::<E>(work, durability, |engine, outcome| {
        let mut session = engine.session()?;
        let mut latencies = Latencies::with_capacity(count);
        for index in first..first + count {
            let key = work.keys.key(index);
            latencies
                .time(|| session.write(|writer| writer.put(key.as_ref(), work.values.value(index, 0))))?;
        }
        outcome.latency = latencies.percentiles();
        Ok(count)
    })
}

/// New keys, many in a transaction.
pub(super) fn batches<E: Engine>(work: &Work<'_>) -> Result<Outcome> {
    let Sizes { batches, batch, .. } = work.job.sizes;
    writing::<E>(work, Durability::Durable, |engine, outcome| {
        let mut session = engine.session()?;
        let mut latencies = Latencies::with_capacity(batches);
        let start = work.first_new(numbers::BATCHES);
        for first in (0..batches).map(|number| start + number * batch) {
            latencies.time(|| {
                session.write(|writer| {
                    (first..first + batch).try_for_each(|index| {
                        writer.put(work.keys.key(index).as_ref(), work.values.value(index, 0))
                    })
                })
            })?;
        }
        outcome.latency = latencies.percentiles();
        Ok(batches * batch)
    })
}

/// New keys, a transaction for each, from several threads.
pub(super) fn threads<E: Engine>(work: &Work<'_>) -> Result<Outcome> {
    let threads = work.job.sizes.threads;
    let each = work.job.sizes.singles / threads;
    writing::<E>(work, Durability::Durable, |engine, outcome| {
        let barrier = Barrier::new(crate::data::to_usize(threads));
        let one = |thread: u64| -> Result<Latencies> {
            let mut session = engine.session()?;
            let mut latencies = Latencies::with_capacity(each);
            let first = work.first_new(numbers::THREADS) + thread * each;
            barrier.wait();
            for index in first..first + each {
                let key = work.keys.key(index);
                latencies
                    .time(|| session.write(|writer| writer.put(key.as_ref(), work.values.value(index, 0))))?;
            }
            Ok(latencies)
        };
        let mut all = Latencies::default();
        std::thread::scope(|scope| -> Result<()> {
            let one = &one;
            let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || one(thread))).collect();
            for thread in threads {
                all.join(thread.join().map_err(|_| anyhow!("a writing thread panicked"))??);
            }
            Ok(())
        })?;
        outcome.latency = all.percentiles();
        Ok(threads * each)
    })
}

/// 95 gets in a read transaction and 5 overwrites in a write transaction, in turn.
pub(super) fn mixed<E: Engine>(work: &Work<'_>, durability: Durability) -> Result<Outcome> {
    let turns = match durability {
        Durability::Durable => work.job.sizes.mixed_durable,
        Durability::Buffered => work.job.sizes.mixed_buffered,
    };
    writing::<E>(work, durability, |engine, outcome| {
        let mut session = engine.session()?;
        let (mut random, mut checksum) = (work.random(0), Checksum::default());
        for _ in 0..turns {
            session.read(|reader| random_gets(work, reader, &mut random, 95, &mut checksum))?;
            session.write(|writer| {
                (0..5).try_for_each(|_| {
                    let index = random.below(work.entries);
                    writer.put(work.keys.key(index).as_ref(), work.values.value(index, versions::MIXED))
                })
            })?;
        }
        outcome.checksum = Some(checksum.value());
        Ok(turns * 100)
    })
}

/// Every second entry of the load, which is a random half, in one durable transaction.
pub(super) fn remove<E: Engine>(work: &Work<'_>) -> Result<Outcome> {
    writing::<E>(work, Durability::Durable, |engine, _| {
        engine.session()?.write(|writer| {
            (0..work.entries / 2).try_for_each(|index| writer.remove(work.keys.key(2 * index).as_ref()))
        })?;
        Ok(work.entries / 2)
    })
}

/// Overwrites of random entries.
pub(super) struct Overwrites {
    durability: Durability,
    version: u64,
    /// How many transactions, and how many overwrites in each.
    counts: fn(&Sizes) -> (u64, u64),
}

pub(super) const AGING: Overwrites = Overwrites {
    durability: Durability::Buffered,
    version: versions::AGING,
    counts: |sizes| (sizes.aging / sizes.batch, sizes.batch),
};
pub(super) const AGED_BATCHES: Overwrites = Overwrites {
    durability: Durability::Durable,
    version: versions::AGED,
    counts: |sizes| (sizes.batches, sizes.batch),
};
pub(super) const AGED_SINGLES: Overwrites = Overwrites {
    durability: Durability::Durable,
    version: versions::AGED + 1,
    counts: |sizes| (sizes.singles, 1),
};
pub(super) const LIMITED: Overwrites = Overwrites {
    durability: Durability::Durable,
    version: versions::LIMITED,
    counts: |sizes| (sizes.limited_batches, sizes.batch),
};

pub(super) fn overwrites<E: Engine>(work: &Work<'_>, what: &Overwrites) -> Result<Outcome> {
    let (transactions, each) = (what.counts)(&work.job.sizes);
    if work.job.step.is_limited() {
        system::evict_files(&work.job.dir)?;
    }
    writing::<E>(work, what.durability, |engine, outcome| {
        let mut session = engine.session()?;
        let mut random = work.random(0);
        let mut latencies = Latencies::with_capacity(transactions);
        for _ in 0..transactions {
            latencies.time(|| {
                session.write(|writer| {
                    (0..each).try_for_each(|_| {
                        let index = random.below(work.entries);
                        writer.put(work.keys.key(index).as_ref(), work.values.value(index, what.version))
                    })
                })
            })?;
        }
        outcome.latency = latencies.percentiles();
        Ok(transactions * each)
    })
}
