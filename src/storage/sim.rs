//! A simulated disk: the engine's real code runs on it, and a crash can be had at any point of what happened.
//!
//! - The file is one in memory. It stands for the page cache: reads, mappings and locks work for real.
//! - Every write, change of length and sync goes into a log, in order. [`SimDisk::crash`] makes a new disk of
//!   a prefix of it, with what a power cut at that point might leave; `replay` says what that is.
//! - Any call can be made to fail: [`SimDisk::inject`].
//! - Nothing here depends on time or chance, except as far as several threads write at once: a seed gives the
//!   same disk again.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::{Mutex, RwLock, RwLockWriteGuard};

use crate::error::{Error, Result};
use crate::storage::probe::{Call, Probe};
use crate::storage::replay::Replay;
use crate::storage::{Access, Reach, Storage, file};

/// A disk with one file on it. Cloning shares it.
#[derive(Debug, Clone)]
pub(crate) struct SimDisk {
    recorder: Arc<Recorder>,
}

/// One thing that happened to the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// Bytes were written.
    Write { offset: u64, bytes: Vec<u8> },
    /// Zeros were written to make the file grow.
    Zeros { offset: u64, len: u64 },
    /// The file got another length.
    Truncate { len: u64 },
    /// A sync of everything below `end` (`None`: of everything) has begun.
    SyncBegin { sync: u64, end: Option<u64> },
    /// The sync of this number has ended.
    SyncEnd { sync: u64, ok: bool },
}

/// How much of what no sync has made durable a crash leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Nothing. The length is the durable one.
    None,
    /// All of it.
    All,
    /// What happened before a random point, and nothing after it.
    Prefix,
    /// Of each block of 4 KiB any version, each for itself: the durable one, the newest, or one in between.
    Random,
    /// As `Random`, and one of these blocks has sectors of 512 bytes of two versions.
    Torn,
    /// The growth of the file alone: its length is the durable one; or the new one, and there are zeros where
    /// the file has grown.
    Growth,
}

impl Loss {
    pub(crate) const EACH: [Loss; 6] =
        [Loss::None, Loss::All, Loss::Prefix, Loss::Random, Loss::Torn, Loss::Growth];
}

/// A failure to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    call: Option<Call>,
    /// How many such calls come first.
    skip: u64,
    errno: i32,
    partial: usize,
    forever: bool,
}

impl Fault {
    /// The `nth` call of this kind (`None`: of any kind) from now on, counted from 1, fails with `errno`. A
    /// write with `errno` 0 does not fail: it is a short one.
    pub(crate) fn new(call: Option<Call>, nth: u64, errno: i32) -> Fault {
        assert!(nth > 0, "calls are counted from 1");
        Fault { call, skip: nth - 1, errno, partial: 0, forever: false }
    }

    /// If it is a write that fails, so many bytes of it are written nevertheless.
    pub(crate) fn partial(self, bytes: usize) -> Fault {
        Fault { partial: bytes, ..self }
    }

    /// All such calls after it fail too.
    pub(crate) fn forever(self) -> Fault {
        Fault { forever: true, ..self }
    }
}

/// What was done so far, failed calls included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub(crate) struct Counters {
    pub(crate) reads: u64,
    pub(crate) writes: u64,
    /// Writes of zeros that make the file grow. Not among `writes`.
    pub(crate) grows: u64,
    pub(crate) truncates: u64,
    pub(crate) syncs: u64,
    pub(crate) maps: u64,
    pub(crate) locks: u64,
    /// Bytes of `writes` and `grows`, as far as they were written.
    pub(crate) bytes_written: u64,
}

impl Counters {
    /// How often that call was made.
    pub(crate) fn of(&self, call: Call) -> u64 {
        match call {
            Call::Read => self.reads,
            Call::Write => self.writes,
            Call::Grow => self.grows,
            Call::Truncate => self.truncates,
            Call::Sync => self.syncs,
            Call::Map => self.maps,
            Call::Lock => self.locks,
        }
    }
}

impl SimDisk {
    /// A disk with an empty file.
    pub(crate) fn new() -> Result<SimDisk> {
        SimDisk::with_content(Vec::new())
    }

    /// A disk whose file has this content, all of it durable.
    pub(crate) fn with_content(content: Vec<u8>) -> Result<SimDisk> {
        let file = SPARE_FILES.with_borrow_mut(Vec::pop).map_or_else(file::memory, Ok)?;
        file.set_len(content.len() as u64).map_err(|error| failed("ftruncate", error))?;
        file.write_all_at(&content, 0).map_err(|error| failed("pwrite", error))?;
        let recorder = Recorder {
            file: Some(file),
            content,
            gate: RwLock::new(()),
            sync_turns: AtomicU32::new(0),
            state: Mutex::default(),
        };
        Ok(SimDisk { recorder: Arc::new(recorder) })
    }

    /// Opens the file. Each call is an open of its own: their locks exclude each other.
    pub(crate) fn storage(&self) -> Result<Storage> {
        self.storage_with(Access::ReadWrite)
    }

    /// As [`storage`](SimDisk::storage), possibly for reading only.
    pub(crate) fn storage_with(&self, access: Access) -> Result<Storage> {
        let file = self.reopen(access).map_err(|error| failed("open", error))?;
        let probe = Probe { recorder: Some(Arc::clone(&self.recorder)) };
        Ok(Storage::new(file, SIMULATED.into(), access, Reach::Simulation, probe))
    }

    fn reopen(&self, access: Access) -> io::Result<File> {
        let file = self.recorder.file.as_ref().expect("there until the drop");
        if cfg!(target_os = "linux") {
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            return OpenOptions::new().read(true).write(access == Access::ReadWrite).open(path);
        }
        // Without /proc a nameless file cannot be opened again: these handles share their locks.
        file.try_clone()
    }

    /// What the file holds now, as a program sees it.
    pub(crate) fn content(&self) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        let mut file = self.reopen(Access::ReadOnly).map_err(|error| failed("open", error))?;
        file.read_to_end(&mut content).map_err(|error| failed("read", error))?;
        Ok(content)
    }

    /// How many events there are: the crash points are `0..=event_count()`.
    pub(crate) fn event_count(&self) -> usize {
        self.recorder.state.lock().events.len()
    }

    /// A copy of the log.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.recorder.state.lock().events.clone()
    }

    /// A disk as it may be found after a power cut when the first `point` events had happened. This one goes
    /// on.
    ///
    /// Points in rising order cost only what happened between them, besides the copy of the file.
    ///
    /// # Panics
    /// If there are fewer events.
    pub(crate) fn crash(&self, point: usize, loss: Loss, seed: u64) -> Result<SimDisk> {
        let mut state = self.recorder.state.lock();
        let State { events, replay, .. } = &mut *state;
        if replay.as_ref().is_some_and(|replay| replay.position() > point) {
            *replay = None;
        }
        let replay = replay.get_or_insert_with(|| Replay::new(self.recorder.content.clone()));
        replay.advance(events, point);
        let buffer = SPARE_CONTENTS.with_borrow_mut(Vec::pop).unwrap_or_default();
        let content = replay.after_crash(events, loss, &mut Rng::new(seed), buffer);
        drop(state);
        SimDisk::with_content(content)
    }

    /// Lets a call to come fail. Several faults count each for itself; the one injected first wins.
    pub(crate) fn inject(&self, fault: Fault) {
        self.recorder.state.lock().faults.push(fault);
    }

    /// Takes all faults back.
    pub(crate) fn clear_faults(&self) {
        self.recorder.state.lock().faults.clear();
    }

    /// Lets no sync end as long as the guard lives.
    pub(crate) fn hold_syncs(&self) -> RwLockWriteGuard<'_, ()> {
        self.recorder.gate.write()
    }

    /// Lets other threads run so many times while a sync does.
    pub(crate) fn slow_syncs(&self, turns: u32) {
        // Relaxed: set before other threads begin.
        self.recorder.sync_turns.store(turns, Ordering::Relaxed);
    }

    /// What was done through all opens of this disk.
    pub(crate) fn counters(&self) -> Counters {
        self.recorder.state.lock().counters
    }
}

/// Writes down what happens to one file, and lets calls fail.
#[derive(Debug)]
pub(super) struct Recorder {
    /// There until the drop.
    file: Option<File>,
    /// What the log begins with.
    content: Vec<u8>,
    /// Held by whoever lets no sync end.
    gate: RwLock<()>,
    sync_turns: AtomicU32,
    /// Held while a write is done, so that the log has the order in which the file changed.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    events: Vec<Event>,
    /// Some prefix of `events`, applied. Most disks are never asked for a crash.
    replay: Option<Replay>,
    faults: Vec<Fault>,
    counters: Counters,
    syncs_begun: u64,
}

thread_local! {
    /// What is left of disks that nobody has any more: their files, closed and unlocked, and their memory.
    /// Most of the time of a crash would go into giving that back to the kernel and getting it again.
    static SPARE_FILES: RefCell<Vec<File>> = const { RefCell::new(Vec::new()) };
    static SPARE_CONTENTS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

impl Drop for Recorder {
    fn drop(&mut self) {
        /// As many as are in use at once.
        const SPARES: usize = 4;
        let content = std::mem::take(&mut self.content);
        // While a thread ends there is no place for them any more.
        let _ = SPARE_FILES.try_with(|spare| spare.borrow_mut().extend(self.file.take()));
        let _ = SPARE_FILES.try_with(|spare| spare.borrow_mut().truncate(SPARES));
        let _ = SPARE_CONTENTS.try_with(|spare| spare.borrow_mut().push(content));
        let _ = SPARE_CONTENTS.try_with(|spare| spare.borrow_mut().truncate(SPARES));
    }
}

impl Recorder {
    pub(super) fn pass<R>(&self, call: Call, real: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        match self.state.lock().trip(call) {
            Some(fault) => Err(fault.error()),
            None => real(),
        }
    }

    pub(super) fn write(
        &self,
        call: Call,
        bufs: &[IoSlice<'_>],
        offset: u64,
        mut real: impl FnMut(&[IoSlice<'_>], u64) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut state = self.state.lock();
        let fault = state.trip(call);
        let mut bytes = bufs.concat_bytes();
        if let Some(fault) = fault {
            bytes.truncate(fault.partial);
        }
        let done = if bytes.is_empty() { 0 } else { real(&[IoSlice::new(&bytes)], offset)? };
        bytes.truncate(done);
        state.counters.bytes_written += done as u64;
        if done > 0 {
            let event = match call {
                Call::Grow => Event::Zeros { offset, len: done as u64 },
                _ => Event::Write { offset, bytes },
            };
            state.events.push(event);
        }
        match fault {
            Some(fault) if fault.errno != 0 => Err(fault.error()),
            _ => Ok(done),
        }
    }

    /// `call` is `Truncate`, or `Grow` if the file gets longer.
    pub(super) fn set_len(
        &self,
        call: Call,
        len: u64,
        real: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let mut state = self.state.lock();
        if let Some(fault) = state.trip(call) {
            return Err(fault.error());
        }
        real()?;
        state.events.push(Event::Truncate { len });
        Ok(())
    }

    pub(super) fn sync(&self, end: Option<u64>, real: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let (sync, fault) = {
            let mut state = self.state.lock();
            let sync = state.syncs_begun;
            state.syncs_begun += 1;
            state.events.push(Event::SyncBegin { sync, end });
            (sync, state.trip(Call::Sync))
        };
        // The lock is free here: others write while a sync runs.
        drop(self.gate.read());
        (0..self.sync_turns.load(Ordering::Relaxed)).for_each(|_| std::thread::yield_now());
        let result = match fault {
            Some(fault) => Err(fault.error()),
            None => real(),
        };
        self.state.lock().events.push(Event::SyncEnd { sync, ok: result.is_ok() });
        result
    }
}

impl State {
    /// Counts the call, and says whether it shall fail.
    fn trip(&mut self, call: Call) -> Option<Fault> {
        let counters = &mut self.counters;
        *match call {
            Call::Read => &mut counters.reads,
            Call::Write => &mut counters.writes,
            Call::Grow => &mut counters.grows,
            Call::Truncate => &mut counters.truncates,
            Call::Sync => &mut counters.syncs,
            Call::Map => &mut counters.maps,
            Call::Lock => &mut counters.locks,
        } += 1;
        let mut tripped = None;
        self.faults.retain_mut(|fault| {
            if fault.call.is_some_and(|wanted| wanted != call) {
                return true;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                return true;
            }
            tripped = tripped.or(Some(*fault));
            fault.forever
        });
        tripped
    }
}

impl Fault {
    fn error(self) -> io::Error {
        io::Error::from_raw_os_error(self.errno)
    }
}

/// The bytes of several slices in a row.
trait ConcatBytes {
    fn concat_bytes(&self) -> Vec<u8>;
}

impl ConcatBytes for [IoSlice<'_>] {
    fn concat_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.iter().map(|buf| buf.len()).sum());
        for buf in self {
            bytes.extend_from_slice(buf);
        }
        bytes
    }
}

/// Random numbers that a seed determines (xorshift64*, started by splitmix64): for tests, not for secrets.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    /// Every seed is good, also 0, and neighbours give unrelated sequences.
    pub(crate) fn new(seed: u64) -> Rng {
        let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        // Zero is the one state that xorshift never leaves.
        Rng((z ^ (z >> 31)).max(1))
    }

    /// The next number, any of 64 bits but 0 before the multiplication.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `end`, which is not 0. The bias is below `end / 2^64`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        assert!(end > 0, "there is no number below 0");
        self.next() % end
    }

    /// An index below `end`, which is not 0.
    pub(crate) fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).expect("below a usize")
    }
}

/// What stands for the path of a simulated file.
const SIMULATED: &str = "(simulated)";

fn failed(call: &'static str, error: io::Error) -> Error {
    Error::io(call, SIMULATED.as_ref(), error)
}
