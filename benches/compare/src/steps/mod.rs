//! The work itself, written once for all engines. Each function runs in a process of its own: it opens the
//! database, does what is measured between `Meter::start` and `stop`, and leaves the rest to
//! [`Work::finish`].

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::catalog::{Set, Step};
use crate::data::{Checksum, Keys, Random, Values};
use crate::engine::{Durability, Engine, Options, Reader, Session};
use crate::job::{Cost, Job, Outcome};
use crate::meter::{Meter, allocated_bytes};
use crate::system;

mod large;
mod load;
mod pin;
mod read;
mod write;

/// Numbers of entries that a load does not make, for each step its own. Nobody inserts the absent ones.
mod numbers {
    pub(super) const SINGLES: u64 = 1 << 40;
    pub(super) const BATCHES: u64 = 2 << 40;
    pub(super) const BUFFERED: u64 = 3 << 40;
    pub(super) const THREADS: u64 = 4 << 40;
    pub(super) const ABSENT: u64 = 9 << 40;
}

/// Versions of values that replace others, for each step its own.
mod versions {
    pub(super) const MIXED: u64 = 1;
    pub(super) const PINNING: u64 = 2;
    pub(super) const LARGE: u64 = 3;
    pub(super) const AGING: u64 = 4;
    pub(super) const AGED: u64 = 5;
    pub(super) const LIMITED: u64 = 6;
}

pub(crate) fn run<E: Engine>(job: &Job) -> Result<Outcome> {
    let work = Work::new(job);
    let sizes = &job.sizes;
    match job.step {
        Step::Load | Step::LoadSorted | Step::LoadAppend => load::load::<E>(&work),
        Step::Open => read::open::<E>(&work),
        Step::GetCold => read::get::<E>(&work, sizes.cold_gets, read::Warmth::Cold),
        Step::Get => read::get::<E>(&work, sizes.gets, read::Warmth::Warm),
        Step::GetAbsent => read::absent::<E>(&work),
        Step::GetTxn => read::get_txn::<E>(&work),
        Step::GetMany => read::get_many::<E>(&work),
        Step::Range10 => read::range::<E>(&work),
        Step::Scan => read::scan::<E>(&work),
        Step::GetThreads => read::threads::<E>(&work),
        Step::Single => write::singles::<E>(&work, Durability::Durable),
        Step::BufferedSingle => write::singles::<E>(&work, Durability::Buffered),
        Step::Batch => write::batches::<E>(&work),
        Step::MixedDurable => write::mixed::<E>(&work, Durability::Durable),
        Step::MixedBuffered => write::mixed::<E>(&work, Durability::Buffered),
        Step::Threads => write::threads::<E>(&work),
        Step::Remove => write::remove::<E>(&work),
        Step::PinFree | Step::PinAfter => pin::overwrite::<E>(&work),
        Step::PinHeld => pin::overwrite_pinned::<E>(&work),
        Step::LargeWrite => large::write::<E>(&work),
        Step::LargeRead => large::read::<E>(&work),
        Step::LargeOverwrite => large::overwrite::<E>(&work),
        Step::Age => write::overwrites::<E>(&work, &write::AGING),
        Step::AgedBatch => write::overwrites::<E>(&work, &write::AGED_BATCHES),
        Step::AgedSingle => write::overwrites::<E>(&work, &write::AGED_SINGLES),
        Step::LimitedGet => read::get::<E>(&work, sizes.limited_gets, read::Warmth::Evicted),
        Step::LimitedPlainGet => read::get::<E>(&work, sizes.limited_plain_gets, read::Warmth::Evicted),
        Step::LimitedBatch => write::overwrites::<E>(&work, &write::LIMITED),
    }
}

/// What every step needs.
struct Work<'j> {
    job: &'j Job,
    keys: Keys,
    values: Values,
    /// Entries of the set after its load.
    entries: u64,
}

impl Work<'_> {
    fn new(job: &Job) -> Work<'_> {
        let value_bytes = job.set.value_bytes(&job.sizes);
        Work {
            job,
            keys: Keys::new(job.set.keys(), job.seed),
            values: Values::new(crate::data::to_usize(value_bytes), job.seed),
            entries: job.set.entries(&job.sizes),
        }
    }

    /// The number of the first new entry of this pass of a step.
    fn first_new(&self, of_step: u64) -> u64 {
        of_step + (u64::from(self.job.pass) << 32)
    }

    /// Random numbers of this pass of the step, the same for all engines.
    fn random(&self, stream: u64) -> Random {
        let place = (u64::from(self.job.pass) << 56) ^ (stream << 48) ^ ((self.job.step as u64 + 1) << 32);
        Random::new(self.job.seed ^ place)
    }

    fn open<E: Engine>(&self, durability: Durability) -> Result<E> {
        let step = self.job.step;
        let options = Options {
            durability,
            cache_bytes: step.is_limited().then_some(self.job.sizes.limit_bytes / 4),
            large_values: self.job.set == Set::Large,
            larger_than_memory: step.is_limited() && step != Step::LimitedPlainGet,
        };
        E::open(&self.job.dir, &options)
    }

    fn meter(&self) -> Result<Meter> {
        Meter::start(&self.job.dir)
    }

    /// An outcome with what every step has.
    fn outcome(&self, units: u64, cost: Cost) -> Outcome {
        Outcome { units, cost, ..Outcome::default() }
    }

    /// Adds what is told by the whole database after it was changed, and closes it.
    fn finish<E: Engine>(&self, engine: E, size_before: u64, outcome: &mut Outcome) -> Result<()> {
        let dir = &self.job.dir;
        let live = engine.live_bytes()?;
        if !self.job.step.is_limited() {
            outcome.content = Some(content(&engine)?);
        }
        let open_size = allocated_bytes(dir)?;
        let start = Instant::now();
        engine.close()?;
        outcome.close_seconds = Some(start.elapsed().as_secs_f64());
        let closed_size = allocated_bytes(dir)?;
        outcome.size_bytes = Some(closed_size);
        let most = open_size.max(closed_size);
        outcome.growth_bytes = Some(i64::try_from(most)? - i64::try_from(size_before)?);
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let ratio = |live: u64| most as f64 / live as f64;
        outcome.size_to_live = live.map(ratio);
        // The next engine shall not wait for what this one has left to the system.
        system::sync_files(dir)
    }
}

/// The checksum of everything in the database.
fn content<E: Engine>(engine: &E) -> Result<u64> {
    let mut checksum = Checksum::default();
    engine.session()?.read(|reader| {
        reader.scan(|key, value| {
            checksum.add(key);
            checksum.add(value);
        })
    })?;
    Ok(checksum.value())
}

/// Gets the keys of `count` entries that were loaded, chosen at random.
#[inline]
fn random_gets<R: Reader>(
    work: &Work<'_>,
    reader: &mut R,
    random: &mut Random,
    count: u64,
    checksum: &mut Checksum,
) -> Result<()> {
    for _ in 0..count {
        let key = work.keys.key(random.below(work.entries));
        ensure!(reader.get(key.as_ref(), |value| checksum.add(value))?, "a key that was loaded is not there");
    }
    Ok(())
}
