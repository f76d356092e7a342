//! Large values: written in durable batches, read, a third of them overwritten. Units are MiB.

use anyhow::{Result, ensure};

use super::read::{Warmth, reading};
use super::{Work, versions};
use crate::engine::{Durability, Engine, Reader, Session, Writer};
use crate::job::Outcome;
use crate::meter::allocated_bytes;

fn mib(work: &Work<'_>, values: u64) -> u64 {
    (values * work.job.sizes.large_bytes) >> 20
}

pub(super) fn write<E: Engine>(work: &Work<'_>) -> Result<Outcome> {
    let all: Vec<u64> = (0..work.entries).collect();
    put::<E>(work, &all, 0)
}

pub(super) fn overwrite<E: Engine>(work: &Work<'_>) -> Result<Outcome> {
    let third: Vec<u64> = (0..work.entries).step_by(3).collect();
    put::<E>(work, &third, versions::LARGE)
}

fn put<E: Engine>(work: &Work<'_>, indexes: &[u64], version: u64) -> Result<Outcome> {
    let engine: E = work.open(Durability::Durable)?;
    let size = allocated_bytes(&work.job.dir)?;
    let mut session = engine.session()?;
    let meter = work.meter()?;
    for batch in indexes.chunks(crate::data::to_usize(work.job.sizes.large_batch)) {
        session.write(|writer| {
            batch.iter().try_for_each(|index| {
                writer.put(work.keys.key(*index).as_ref(), work.values.value(*index, version))
            })
        })?;
    }
    let mut outcome = work.outcome(mib(work, indexes.len() as u64), meter.stop()?);
    drop(session);
    work.finish(engine, size, &mut outcome)?;
    Ok(outcome)
}

/// Each value, in another order than they were written, a few times over.
pub(super) fn read<E: Engine>(work: &Work<'_>) -> Result<Outcome> {
    let gets = work.entries * work.job.sizes.scans;
    reading::<E>(work, Warmth::Warm, |engine, checksum| {
        engine.session()?.read(|reader| {
            for number in 0..gets {
                let key = work.keys.key(number * 7919 % work.entries);
                ensure!(reader.get(key.as_ref(), |value| checksum.add(value))?, "a value is not there");
            }
            Ok(mib(work, gets))
        })
    })
}
