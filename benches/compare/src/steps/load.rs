//! Loads: all entries in one transaction, in random order or in that of the keys.

use anyhow::Result;

use super::Work;
use crate::catalog::Step;
use crate::data::Key;
use crate::engine::{Durability, Engine, Session, Writer};
use crate::job::Outcome;
use crate::meter::MemoryWatch;

pub(super) fn load<E: Engine>(work: &Work<'_>) -> Result<Outcome> {
    let step = work.job.step;
    // The keys are hashes of their numbers: the order of the numbers is a random order of the keys.
    let sorted: Vec<(Key, u64)> = match step {
        Step::Load => Vec::new(),
        _ => work.keys.sorted(work.entries),
    };
    let engine: E = work.open(Durability::Durable)?;
    let mut session = engine.session()?;
    let memory = MemoryWatch::start();
    let meter = work.meter()?;
    session.write(|writer| {
        match step {
            Step::LoadAppend => {
                for (key, index) in &sorted {
                    writer.append(key.as_ref(), work.values.value(*index, 0))?;
                }
            }
            Step::LoadSorted => {
                for (key, index) in &sorted {
                    writer.put(key.as_ref(), work.values.value(*index, 0))?;
                }
            }
            _ => {
                for index in 0..work.entries {
                    writer.put(work.keys.key(index).as_ref(), work.values.value(index, 0))?;
                }
            }
        }
        Ok(())
    })?;
    let mut outcome = work.outcome(work.entries, meter.stop()?);
    outcome.memory = Some(memory.stop()?);
    drop(session);
    work.finish(engine, 0, &mut outcome)?;
    Ok(outcome)
}
