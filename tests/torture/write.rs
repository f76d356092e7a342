//! The writer: transactions of the workload from several threads, beside readers, and the acknowledgements.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use folio::{Database, Durability};

use crate::args::{self, Args, End, Failure};
use crate::kernel;
use crate::workload::{self, Rng};

/// The file of acknowledgements: `N D` for a durable commit, `N B` for one that is not, `closed` at the end;
/// `! text` for a fault that a reader saw, `? text` for an error that it got. Who cuts the power adds
/// `cut N`: what is behind byte N came too late. A line is in the file when `add` returns.
#[derive(Debug)]
pub(crate) struct Acks {
    file: File,
    any: AtomicBool,
}

impl Acks {
    pub(crate) fn append_to(path: &Path) -> Result<Acks, Failure> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Acks { file, any: AtomicBool::new(false) })
    }

    pub(crate) fn add(&self, line: &str) -> Result<(), Failure> {
        let line = format!("{line}\n");
        // One call, so that lines of several threads do not mix. What cannot be said must not be done.
        let done = (&self.file).write(line.as_bytes())?;
        if done != line.len() {
            return Err(Failure::Error("the acknowledgements have no room".to_owned()));
        }
        // Relaxed: only who comes first counts.
        if !self.any.swap(true, Ordering::Relaxed) {
            println!("ready");
        }
        Ok(())
    }

    pub(crate) fn commit(&self, n: u64, durable: bool) -> Result<(), Failure> {
        self.add(&format!("{n} {}", if durable { 'D' } else { 'B' }))
    }
}

struct Writer<'w> {
    db: &'w Database,
    acks: &'w Acks,
    levels: &'w [Durability],
    seed: u64,
    /// Commits that are still to be made, by all threads together.
    left: &'w AtomicU64,
    /// Whether some commits ask for two phases.
    two_phase: bool,
    compact: bool,
}

impl Writer<'_> {
    fn work(&self, thread: u64) -> Result<(), Failure> {
        let mut rng = Rng::new(self.seed.wrapping_add(thread << 32));
        while self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
        {
            if self.compact && thread == 0 && rng.below(200) == 0 {
                self.db.compact()?;
            }
            let mut tx = self.db.begin_write()?;
            if rng.below(30) == 0 {
                // Never committed; the next one does the same.
                workload::apply(&tx, self.seed)?;
                drop(tx);
                tx = self.db.begin_write()?;
            }
            let n = workload::apply(&tx, self.seed)?;
            let level = *rng.pick(self.levels);
            tx.set_durability(level);
            if self.two_phase {
                tx.set_two_phase(rng.below(2) == 0);
            }
            let info = tx.commit()?;
            if level == Durability::Immediate && !info.durable {
                self.acks.add(&format!("! {n} is immediate and not durable"))?;
            }
            self.acks.commit(n, info.durable)?;
            if rng.below(60) == 0 {
                self.db.sync()?;
                self.acks.commit(n, true)?;
            }
        }
        Ok(())
    }
}

fn read(db: &Database, acks: &Acks, done: &AtomicBool) -> Result<(), Failure> {
    let mut last = 0;
    while !done.load(Ordering::Relaxed) {
        let tx = db.begin_read()?;
        let version = workload::version(&tx)?;
        if version < last {
            acks.add(&format!("! a reader saw {version} after {last}"))?;
        }
        last = version;
        // Twice, while others write.
        for _ in 0..2 {
            if let Some(fault) = workload::sum_fault(&tx)? {
                acks.add(&format!("! {fault}"))?;
            }
        }
    }
    Ok(())
}

/// Writes out single pages in no order, as a kernel short of memory does.
fn scatter(path: &Path, seed: u64) {
    let mut rng = Rng::new(seed);
    let Ok(file) = File::open(path) else { return };
    while let Ok(len) = file.metadata().map(|metadata| metadata.len()) {
        let pages = 1 << rng.below(5);
        // The header pages more often than others.
        let page = if rng.below(8) == 0 { 16 * rng.below(3) } else { rng.below(len / 4096 + 1) };
        if kernel::write_out(&file, page * 4096, pages * 4096).is_err() {
            return;
        }
        std::thread::yield_now();
    }
}

/// See the help.
pub(crate) fn run(args: &mut Args) -> Result<(), Failure> {
    let (path, acks_path) = (args.path("DB")?, args.path("ACKS")?);
    let mut options = args.open_options()?;
    let seed = args.number("seed")?.unwrap_or(1);
    let commits = args.number("commits")?.unwrap_or(u64::MAX);
    let (threads, readers) = (args.number("threads")?.unwrap_or(1), args.number("readers")?.unwrap_or(0));
    let levels = args.levels()?;
    let two_phase = args.text("two-phase");
    let (compact, nosync, scattered) = (args.yes("compact")?, args.yes("nosync")?, args.yes("scatter")?);
    let end = args.end()?;
    args.finish()?;

    options.create(true).two_phase(two_phase.as_deref() == Some("yes"));
    let acks = Acks::append_to(&acks_path)?;
    let db = args::open(&options, &path)?;
    if scattered {
        let path = path.clone();
        // Ends with the process.
        drop(std::thread::spawn(move || scatter(&path, seed)));
    }
    if nosync {
        kernel::take_out_syncs()?;
    }
    let left = AtomicU64::new(commits);
    let two_phase = two_phase.as_deref() == Some("some");
    let writer = Writer { db: &db, acks: &acks, levels: &levels, seed, left: &left, two_phase, compact };
    let failed = several(&writer, threads, readers);
    match (failed, end) {
        (Some(failure), _) => Err(failure),
        (None, End::Close) => {
            db.close()?;
            acks.add("closed")
        }
        (None, End::Kill) => End::Kill.of(db),
    }
}

/// Runs the threads; why one of them failed.
fn several(writer: &Writer<'_>, threads: u64, readers: u64) -> Option<Failure> {
    if threads == 1 && readers == 0 {
        // In this thread: who counts its system calls finds them all here.
        return writer.work(0).err();
    }
    let done = AtomicBool::new(false);
    let failed = |end: std::thread::Result<Result<(), Failure>>| match end {
        Ok(result) => result.err(),
        Err(_) => Some(Failure::Error("a thread panicked".to_owned())),
    };
    std::thread::scope(|scope| {
        let readers: Vec<_> =
            (0..readers).map(|_| scope.spawn(|| read(writer.db, writer.acks, &done))).collect();
        let writers: Vec<_> = (0..threads).map(|thread| scope.spawn(move || writer.work(thread))).collect();
        let failure = writers.into_iter().filter_map(|thread| failed(thread.join())).last();
        done.store(true, Ordering::Relaxed);
        for reader in readers {
            if let Some(failure) = failed(reader.join())
                && let Err(failure) = writer.acks.add(&format!("? a reader failed: {failure}"))
            {
                return Some(failure);
            }
        }
        failure
    })
}
