//! How a database is opened: [`OpenOptions`], and what is asked of a commit: [`Durability`].

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::database::{Database, Nameless};
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::reader::Reader;

/// When a commit is durable. Every level is atomic: a crash leaves whole commits, never a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Durability {
    /// `commit` returns when the transaction is on the disk. It survives a loss of power.
    #[default]
    Immediate,
    /// As [`Buffered`](Self::Buffered), and a thread of the database's own begins to sync it `within` the
    /// given time, so that a loss of power takes back no more than what was committed in about that time. One
    /// sync serves all commits so far. [`Database::wait_durable`] tells when it is done, or why not; if it
    /// failed, the next commit says so as well.
    Background {
        /// When the sync begins at the latest, counted from the return of `commit`.
        within: Duration,
    },
    /// `commit` returns when the transaction is in the system's memory. It survives the end of the process,
    /// and becomes durable with the next immediate commit, with a checkpoint, or at close.
    Buffered,
}

/// What the system is told about how the mapping is read (`madvise`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Advice {
    /// The system's own read-ahead.
    #[default]
    Normal,
    /// Pages are read in no order: no read-ahead.
    Random,
    /// Pages are read in order: more read-ahead.
    Sequential,
    /// The whole file is wanted soon: read it in now.
    WillNeed,
    /// Use huge pages where the file system can.
    HugePages,
}

/// Options for opening a database. Each has a sane default; none is a size that must be guessed.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    pub(crate) create: bool,
    pub(crate) create_new: bool,
    pub(crate) read_only: bool,
    pub(crate) page_size: u32,
    pub(crate) advice: Advice,
    pub(crate) memory_limit: usize,
    pub(crate) two_phase: bool,
    pub(crate) reserve: Option<u64>,
    pub(crate) checkpoint_after: Option<u64>,
    pub(crate) free_ratio: f64,
    pub(crate) warn_pinned: Option<PinWarning>,
    pub(crate) refuse_pinned: Option<u64>,
}

/// Whom to tell of a reader that pins more than so many bytes.
#[derive(Clone)]
pub(crate) struct PinWarning {
    pub(crate) bytes: u64,
    pub(crate) tell: Arc<dyn Fn(&Reader) + Send + Sync>,
}

impl fmt::Debug for PinWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinWarning").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions {
            create: false,
            create_new: false,
            read_only: false,
            page_size: 4096,
            advice: Advice::Normal,
            memory_limit: 256 << 20,
            two_phase: false,
            reserve: None,
            checkpoint_after: None,
            free_ratio: 0.5,
            warn_pinned: None,
            refuse_pinned: None,
        }
    }
}

impl OpenOptions {
    /// The defaults: the file must exist, and is opened for reading and writing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates the file if it does not exist. Default: no.
    pub fn create(&mut self, yes: bool) -> &mut Self {
        self.create = yes;
        self
    }

    /// Creates the file, which must not exist. Default: no.
    pub fn create_new(&mut self, yes: bool) -> &mut Self {
        self.create_new = yes;
        self
    }

    /// Opens for reading only, beside others who read and write. Default: no.
    pub fn read_only(&mut self, yes: bool) -> &mut Self {
        self.read_only = yes;
        self
    }

    /// Bytes of a page of a new database: a power of two from 4,096 to 65,536. Default: 4,096. An existing
    /// database keeps its own.
    pub fn page_size(&mut self, bytes: u32) -> &mut Self {
        self.page_size = bytes;
        self
    }

    /// How the mapping will be read. Default: [`Advice::Normal`].
    pub fn advice(&mut self, advice: Advice) -> &mut Self {
        self.advice = advice;
        self
    }

    /// Bytes of changed pages that a write transaction keeps in memory before it writes the cold ones to
    /// their final place. Default: 256 MiB. A soft limit: it is looked at between operations.
    pub fn memory_limit(&mut self, bytes: usize) -> &mut Self {
        self.memory_limit = bytes;
        self
    }

    /// Syncs twice per durable commit, so that nothing rests on a checksum. Default: no.
    pub fn two_phase(&mut self, yes: bool) -> &mut Self {
        self.two_phase = yes;
        self
    }

    /// Bytes of address space to reserve ahead of the file's end. Default: the larger of 64 GiB and eight
    /// times the file, less where the system says no.
    pub fn reserve(&mut self, bytes: u64) -> &mut Self {
        self.reserve = Some(bytes);
        self
    }

    /// Bytes that buffered commits may pin before the next commit waits until they are synced. A thread of
    /// the database's own begins with that when they pin half as much. Default: the larger of 64 MiB and an
    /// eighth of the file.
    pub fn checkpoint_after(&mut self, bytes: u64) -> &mut Self {
        self.checkpoint_after = Some(bytes);
        self
    }

    /// How much of the file may be free space, as a share of the live pages, before a commit takes free
    /// pages one by one instead of in long runs. From 0.0 to 4.0; default 0.5. Less makes a smaller file,
    /// more makes faster commits.
    pub fn free_ratio(&mut self, ratio: f64) -> &mut Self {
        self.free_ratio = ratio;
        self
    }

    /// Calls `tell` after a commit of this process that finds that a reader, in whatever process, keeps more
    /// than `bytes` from being used again; for each snapshot once, and again whenever that has doubled.
    /// Default: nobody is told. [`Database::readers`] tells at any time.
    pub fn warn_pinned(&mut self, bytes: u64, tell: impl Fn(&Reader) + Send + Sync + 'static) -> &mut Self {
        self.warn_pinned = Some(PinWarning { bytes, tell: Arc::new(tell) });
        self
    }

    /// Refuses to let the file grow as long as a reader, in whatever process, keeps more than `bytes` from
    /// being used again: what would need it fails with [`Error::PinLimit`], as it would on a full disk.
    /// Default: the file grows. A reader pins no more than what its snapshot sees, however long it lives.
    pub fn refuse_pinned(&mut self, bytes: u64) -> &mut Self {
        self.refuse_pinned = Some(bytes);
        self
    }

    /// Opens the database at `path`.
    ///
    /// # Safety
    /// While the database is open:
    /// - nobody but Folio writes to the file or to its lock file, or truncates them;
    /// - the file is on a local file system whose page cache is coherent with its mappings.
    ///
    /// # Processes
    /// Any number of processes may have the database open. They meet in the lock file, `path` with `-lock`
    /// behind it, which holds nothing that lasts. A file that this process has open already, by whatever
    /// name, is the same database: the options of its first opening hold. Whoever opens needs the right to
    /// write to the lock file, also for reading only: else see [`open_unlocked`](Self::open_unlocked).
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::AlreadyExists`], [`Error::NotAFile`], [`Error::FileSystem`],
    /// [`Error::NotADatabase`], [`Error::LockFileReplaced`], [`Error::NoLockFile`], [`Error::Locked`] (where
    /// the system has no locks for several processes), [`Error::Unsupported`], [`Error::Truncated`],
    /// [`Error::Corrupted`], [`Error::InvalidOption`], [`Error::Io`].
    #[expect(unsafe_code, reason = "the contract of a mapped file")]
    pub unsafe fn open(&self, path: impl AsRef<Path>) -> Result<Database> {
        Database::open_path(self, path.as_ref())
    }

    /// Opens the database at `path` for reading only and without a lock file, as a read-only medium or folder
    /// needs it. What is shown is the newest commit that the file holds by itself.
    ///
    /// # Safety
    /// As [`open`](Self::open); and nobody writes to the file while it is open, Folio in this process or
    /// another included: they would not know what is read here, and use its pages again.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`Error::Locked`] if somebody has it open now.
    #[expect(unsafe_code, reason = "the contract of a mapped file")]
    pub unsafe fn open_unlocked(&self, path: impl AsRef<Path>) -> Result<Database> {
        Database::open_unlocked(self, path.as_ref())
    }

    /// A database in memory with these options.
    ///
    /// # Errors
    /// [`Error::InvalidOption`], [`Error::Io`].
    pub fn in_memory(&self) -> Result<Database> {
        Database::open_nameless(self, Nameless::Memory)
    }

    /// A database in a file without a name with these options.
    ///
    /// # Errors
    /// [`Error::InvalidOption`], [`Error::Io`].
    pub fn temporary(&self) -> Result<Database> {
        Database::open_nameless(self, Nameless::File)
    }
}
