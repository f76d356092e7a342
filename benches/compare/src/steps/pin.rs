//! Overwrites with and beside a long reader: how fast they are, and how much the files grow.

use std::sync::mpsc;

use anyhow::{Result, anyhow, ensure};

use super::{Work, content, versions};
use crate::data::Checksum;
use crate::engine::{Durability, Engine, Reader, Session, Writer};
use crate::job::{Cost, Outcome};
use crate::meter::allocated_bytes;

/// Nobody reads.
pub(super) fn overwrite<E: Engine>(work: &Work<'_>) -> Result<Outcome> {
    let engine: E = work.open(Durability::Buffered)?;
    let size = allocated_bytes(&work.job.dir)?;
    let (units, cost) = batches(work, &engine)?;
    let mut outcome = work.outcome(units, cost);
    work.finish(engine, size, &mut outcome)?;
    Ok(outcome)
}

/// Another thread has a snapshot from before the first overwrite until after the last one, and must find the
/// same in it.
pub(super) fn overwrite_pinned<E: Engine>(work: &Work<'_>) -> Result<Outcome> {
    let engine: E = work.open(Durability::Buffered)?;
    let size = allocated_bytes(&work.job.dir)?;
    let mut outcome = std::thread::scope(|scope| {
        let (begun, wait_begun) = mpsc::channel::<()>();
        let (done, wait_done) = mpsc::channel::<()>();
        let shared = &engine;
        let reader = scope.spawn(move || -> Result<u64> {
            shared.session()?.read(|reader| {
                let before = sum(reader)?;
                begun.send(())?;
                // The sender goes when the work is done, or has failed.
                let _ = wait_done.recv();
                let after = sum(reader)?;
                ensure!(before == after, "a snapshot has changed under its reader");
                Ok(after)
            })
        });
        // If this fails, the reader has, and says why.
        let work_done = wait_begun.recv().map(|()| batches(work, shared));
        drop(done);
        let checksum = reader.join().map_err(|_| anyhow!("the long reader panicked"))??;
        let (units, cost) = work_done??;
        anyhow::Ok(Outcome { checksum: Some(checksum), ..work.outcome(units, cost) })
    })?;
    ensure!(Some(content(&engine)?) != outcome.checksum, "nothing was overwritten");
    work.finish(engine, size, &mut outcome)?;
    Ok(outcome)
}

fn sum<R: Reader>(reader: &mut R) -> Result<u64> {
    let mut checksum = Checksum::default();
    reader.scan(|key, value| {
        checksum.add(key);
        checksum.add(value);
    })?;
    Ok(checksum.value())
}

/// Overwrites of random entries in many transactions: their number, and the cost.
fn batches<E: Engine>(work: &Work<'_>, engine: &E) -> Result<(u64, Cost)> {
    let (count, each) = (work.job.sizes.pin_batches, work.job.sizes.batch);
    let mut session = engine.session()?;
    let mut random = work.random(0);
    let version = versions::PINNING + (work.job.step as u64) * 100;
    let meter = work.meter()?;
    for _ in 0..count {
        session.write(|writer| {
            (0..each).try_for_each(|_| {
                let index = random.below(work.entries);
                writer.put(work.keys.key(index).as_ref(), work.values.value(index, version))
            })
        })?;
    }
    Ok((count * each, meter.stop()?))
}
