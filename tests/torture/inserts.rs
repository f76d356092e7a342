//! Single inserts, for counting system calls and for the time that opening takes afterwards.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use folio::{Database, Durability, Table};

use crate::args::{self, Args, Failure};
use crate::workload::Rng;

/// Keys of 24 bytes in no order, values of 150: a million take about 220 MiB.
const ENTRIES: Table<&[u8], &[u8]> = Table::new("entries");

fn key(i: u64) -> [u8; 24] {
    let mut rng = Rng::new(i.wrapping_mul(0xA076_1D64_78BD_642F));
    let mut key = [0; 24];
    key.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&rng.next().to_le_bytes()));
    key
}

fn value(i: u64) -> [u8; 150] {
    let mut rng = Rng::new(!i);
    std::array::from_fn(|_| rng.next().to_le_bytes()[0])
}

/// See the help.
pub(crate) fn load(args: &mut Args) -> Result<(), Failure> {
    let path = args.path("DB")?;
    let entries = args.number("entries")?.unwrap_or(100_000_u64);
    args.finish()?;
    let db = args::open(Database::options().create_new(true), &path)?;
    let mut keys: Vec<_> = (0..entries).map(|i| (key(i), i)).collect();
    // Sorted, because a load in order is quicker; the order of the keys is that of no number.
    keys.sort_unstable();
    let tx = db.begin_write()?;
    {
        let mut table = tx.open(ENTRIES)?;
        for (key, i) in keys {
            table.insert(&key[..], &value(i)[..])?;
        }
    }
    tx.commit()?;
    Ok(db.close()?)
}

/// See the help.
pub(crate) fn run(args: &mut Args) -> Result<(), Failure> {
    let path = args.path("DB")?;
    let options = args.open_options()?;
    let commits = args.number("commits")?.unwrap_or(1_000_u64);
    let threads = args.number("threads")?.unwrap_or(1_u64);
    let batch = args.number("batch")?.unwrap_or(1_u64);
    let from = args.number("from")?.unwrap_or(1 << 40);
    let existing: Option<u64> = args.number("overwrite")?;
    let (levels, end) = (args.levels()?, args.end()?);
    args.finish()?;
    let db = args::open(&options, &path)?;
    let next = AtomicU64::new(0);
    let work = |thread: u64| -> Result<(), Failure> {
        let mut rng = Rng::new(from ^ thread << 48);
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= commits {
                return Ok(());
            }
            let mut tx = db.begin_write()?;
            {
                let mut table = tx.open(ENTRIES)?;
                for part in 0..batch {
                    let number = existing.map_or(from + i * batch + part, |entries| rng.below(entries));
                    table.insert(&key(number)[..], &value(number ^ i << 32)[..])?;
                }
            }
            tx.set_durability(*rng.pick(&levels));
            tx.commit()?;
        }
    };
    if threads == 1 {
        work(0)?;
    } else {
        let work = &work;
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, Result<(), Failure>>| {
                thread.join().unwrap_or_else(|_| Err(Failure::Error("a thread panicked".to_owned())))
            };
            threads.into_iter().try_for_each(join)
        })?;
    }
    end.of(db)
}

/// See the help.
pub(crate) fn open(args: &mut Args) -> Result<(), Failure> {
    let path = args.path("DB")?;
    args.finish()?;
    let start = Instant::now();
    let db = args::open(&Database::options(), &path)?;
    let opened = start.elapsed();
    // The first transaction reads the free space.
    let start = Instant::now();
    let mut tx = db.begin_write()?;
    tx.open(ENTRIES)?.insert(&[][..], &[][..])?;
    tx.set_durability(Durability::Immediate);
    tx.commit()?;
    let committed = start.elapsed();
    let start = Instant::now();
    db.close()?;
    let closed = start.elapsed();
    println!(
        "open {} us, first commit {} us, close {} us",
        opened.as_micros(),
        committed.as_micros(),
        closed.as_micros()
    );
    Ok(())
}
