//! `Database`: opening, transactions, and work on the whole file.

#![expect(unsafe_code, reason = "opening a mapped file has a contract that only the caller can keep")]

mod compaction;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use compaction::Compaction;

use crate::error::{Error, Result};
use crate::inspect::{self, CheckReport, CompactReport, Progress, Recovery, Stats, Usage};
use crate::instance::{Identity, Instance, register, registered};
use crate::options::OpenOptions;
use crate::page::{TxnId, is_page_size};
use crate::pager::{Config, Pager, WriterGuard, format, open};
use crate::reader::Reader;
use crate::storage::{Access, Storage};
use crate::transaction::{ReadTransaction, WriteTransaction};

/// An open database. Cheap to clone; all clones are the same database, and the last one closes it.
///
/// ```
/// use folio::{Database, Table};
///
/// const WORDS: Table<&str, u64> = Table::new("words");
///
/// let db = Database::in_memory()?;
/// db.write(|tx| tx.open(WORDS)?.insert("folio", 1))?;
/// assert_eq!(db.begin_read()?.open(WORDS)?.get("folio")?, Some(1));
/// # Ok::<(), folio::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Database {
    instance: Arc<Instance>,
}

impl Database {
    /// Options for opening a database.
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Opens the database at `path` for reading and writing.
    ///
    /// # Safety
    /// As [`OpenOptions::open`].
    ///
    /// # Errors
    /// As [`OpenOptions::open`]; [`Error::NotFound`] if there is no such file.
    pub unsafe fn open(path: impl AsRef<Path>) -> Result<Database> {
        // SAFETY: the caller keeps the same contract.
        unsafe { Database::options().open(path) }
    }

    /// Creates a database at `path`, where nothing is yet.
    ///
    /// # Safety
    /// As [`OpenOptions::open`].
    ///
    /// # Errors
    /// As [`OpenOptions::open`]; [`Error::AlreadyExists`] if there is something.
    pub unsafe fn create(path: impl AsRef<Path>) -> Result<Database> {
        // SAFETY: the caller keeps the same contract.
        unsafe { Database::options().create_new(true).open(path) }
    }

    /// A database in memory, which ends with its last handle and transaction.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn in_memory() -> Result<Database> {
        Database::options().in_memory()
    }

    /// A database in a file without a name, in the directory for temporary files.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn temporary() -> Result<Database> {
        Database::options().temporary()
    }

    pub(crate) fn open_path(options: &OpenOptions, path: &Path) -> Result<Database> {
        options.check()?;
        let access = if options.read_only { Access::ReadOnly } else { Access::ReadWrite };
        let open = || Storage::open(path, access);
        let first = if options.create_new { create(options, path) } else { open() };
        let storage = match first {
            Err(Error::NotFound { .. }) if options.create => match create(options, path) {
                // Somebody else was faster: theirs is as good.
                Err(Error::AlreadyExists { .. }) => open()?,
                result => result?,
            },
            result => result?,
        };
        let identity = Identity::of(&storage)?;
        if let Some(instance) = registered(identity) {
            return Ok(Database { instance });
        }
        let Database { instance } = Self::open_storage(options, storage)?;
        Ok(Database { instance: register(identity, instance) })
    }

    pub(crate) fn open_unlocked(options: &OpenOptions, path: &Path) -> Result<Database> {
        options.check()?;
        Ok(Self::of(options, open(Storage::open_unlocked(path)?, None, Config::new(options))?))
    }

    fn open_storage(options: &OpenOptions, storage: Storage) -> Result<Database> {
        let lock = match storage.access() {
            _ if storage.has_meeting() => None,
            Access::ReadWrite => Some(storage.lock_exclusive()?),
            Access::ReadOnly => Some(storage.lock_shared()?),
        };
        Ok(Self::of(options, open(storage, lock, Config::new(options))?))
    }

    pub(crate) fn open_nameless(options: &OpenOptions, place: Nameless) -> Result<Database> {
        options.check()?;
        let storage = match place {
            Nameless::Memory => Storage::memory()?,
            Nameless::File => Storage::temporary()?,
        };
        Self::create_alone(options, storage)
    }

    /// An empty database in a storage that nobody else has open.
    pub(crate) fn create_alone(options: &OpenOptions, storage: Storage) -> Result<Database> {
        format(&storage, options.page_size as usize)?;
        Ok(Self::of(options, open(storage, None, Config::new(options))?))
    }

    fn of(options: &OpenOptions, pager: Arc<Pager>) -> Database {
        log_opening(&pager);
        Database { instance: Arc::new(Instance::new(pager, options.warn_pinned.clone())) }
    }

    fn pager(&self) -> &Arc<Pager> {
        self.instance.pager()
    }

    /// The pager, for whoever is going to wait for a lock.
    fn pager_here(&self) -> Result<&Arc<Pager>> {
        self.pager().check_process()?;
        Ok(self.pager())
    }

    /// A database over a storage that is one already, or is empty.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn over(options: &OpenOptions, storage: Storage) -> Result<Database> {
        if storage.len()? == 0 {
            format(&storage, options.page_size as usize)?;
        }
        Self::open_storage(options, storage)
    }

    /// Begins a read transaction: a snapshot of what is committed. Waits for nobody.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Truncated`] where the file had to be mapped anew; [`Error::Forked`].
    #[inline]
    pub fn begin_read(&self) -> Result<ReadTransaction> {
        self.pager().begin_read().map(ReadTransaction::new)
    }

    /// Begins a write transaction. Waits for the one that is running.
    ///
    /// # Errors
    /// [`Error::ReadOnly`]; [`Error::WritingEnded`]; [`Error::Forked`]; [`Error::Truncated`]; [`Error::Io`].
    pub fn begin_write(&self) -> Result<WriteTransaction> {
        self.begin(self.pager_here()?.lock_writer()?)
    }

    /// Begins a write transaction if none is running.
    ///
    /// # Errors
    /// [`Error::WriterBusy`], and as [`begin_write`](Self::begin_write).
    pub fn try_begin_write(&self) -> Result<WriteTransaction> {
        self.begin(self.pager_here()?.try_lock_writer()?)
    }

    /// Begins a write transaction; waits no longer than `limit` for the one that is running.
    ///
    /// # Errors
    /// [`Error::WriterBusy`], and as [`begin_write`](Self::begin_write).
    pub fn begin_write_timeout(&self, limit: Duration) -> Result<WriteTransaction> {
        self.begin(self.pager_here()?.lock_writer_for(limit)?)
    }

    fn begin(&self, writer: WriterGuard) -> Result<WriteTransaction> {
        let txn = self.pager().begin_write(writer)?;
        Ok(WriteTransaction::new(Arc::clone(&self.instance), txn))
    }

    /// Runs `f` in a read transaction.
    ///
    /// # Errors
    /// As [`begin_read`](Self::begin_read), and what `f` returns; [`Error::aborted`] wraps an error of your
    /// own.
    pub fn read<R>(&self, f: impl FnOnce(&ReadTransaction) -> Result<R>) -> Result<R> {
        f(&self.begin_read()?)
    }

    /// Runs `f` in a write transaction: commits if it returns `Ok`, changes nothing if it returns `Err`.
    ///
    /// # Errors
    /// As [`begin_write`](Self::begin_write) and [`WriteTransaction::commit`], and what `f` returns;
    /// [`Error::aborted`] wraps an error of your own.
    pub fn write<R>(&self, f: impl FnOnce(&WriteTransaction) -> Result<R>) -> Result<R> {
        let tx = self.begin_write()?;
        let result = f(&tx)?;
        tx.commit()?;
        Ok(result)
    }

    /// Makes every commit so far durable: one sync, or none if there is nothing to do.
    ///
    /// # Errors
    /// [`Error::ReadOnly`]; [`Error::OutcomeUnknown`].
    pub fn sync(&self) -> Result<()> {
        self.pager().sync_all()
    }

    /// The number of the newest transaction that is durable: it and all before it survive a loss of power.
    /// In a forked child 0, since the database is not open there.
    pub fn durable(&self) -> u64 {
        self.pager().durable()
    }

    /// Returns when transaction `txn` is durable, and every one before it. Waits for the sync that is under
    /// way, if that covers it; else makes one, together with everybody who waits for the same.
    ///
    /// ```
    /// use folio::{Database, Durability, Table};
    ///
    /// const WORDS: Table<&str, u64> = Table::new("words");
    ///
    /// let db = Database::in_memory()?;
    /// let mut tx = db.begin_write()?;
    /// tx.set_durability(Durability::Buffered);
    /// tx.open(WORDS)?.insert("folio", 1)?;
    /// let commit = tx.commit()?;
    /// // Readers see it. Before anybody is told that it is safe:
    /// db.wait_durable(commit.txn)?;
    /// assert!(db.durable() >= commit.txn);
    /// # Ok::<(), folio::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotCommitted`] if there is no such transaction yet; [`Error::ReadOnly`];
    /// [`Error::OutcomeUnknown`] if the sync failed, this one or one before, of the background among them:
    /// the transaction may be on the disk or not.
    pub fn wait_durable(&self, txn: u64) -> Result<()> {
        let newest = self.pager_here()?.newest().0;
        if txn > newest {
            return Err(Error::NotCommitted { txn, newest });
        }
        self.pager().sync_to(TxnId(txn))
    }

    /// Waits until a commit after transaction `after` is visible, made in this process or in another, but no
    /// longer than `limit`. The number of the newest visible transaction: it is not greater than `after` if
    /// the time is over.
    ///
    /// ```
    /// use std::time::Duration;
    /// # use folio::{Database, Table};
    /// # const WORDS: Table<&str, u64> = Table::new("words");
    /// # let db = Database::in_memory()?;
    ///
    /// let seen = db.begin_read()?.txn();
    /// let writer = std::thread::spawn({
    ///     let db = db.clone();
    ///     move || db.write(|tx| tx.open(WORDS)?.insert("folio", 1))
    /// });
    /// while db.wait_for_commit(seen, Duration::from_secs(1))? == seen {}
    /// assert_eq!(db.begin_read()?.open(WORDS)?.get("folio")?, Some(1));
    /// # writer.join().unwrap()?;
    /// # Ok::<(), folio::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn wait_for_commit(&self, after: u64, limit: Duration) -> Result<u64> {
        Ok(self.pager().wait_for(TxnId(after), limit)?.0)
    }

    /// What the database consists of. O(pages).
    ///
    /// # Errors
    /// [`Error::Corrupted`]: [`check`](Self::check) says more. [`Error::Io`].
    pub fn stats(&self) -> Result<Stats> {
        inspect::stats(self.pager())
    }

    /// How much of the file is in use, and by whom. Counts no pages and fails as [`readers`](Self::readers).
    pub fn usage(&self) -> Result<Usage> {
        inspect::usage(self.pager())
    }

    /// Everybody who has a read transaction open, in this process and in others, the oldest first: who keeps
    /// the file from reusing its pages? O(reader slots + extents of free space).
    ///
    /// ```
    /// # let db = folio::Database::in_memory()?;
    /// let tx = db.begin_read()?;
    /// let readers = db.readers()?;
    /// assert_eq!((readers.len(), readers[0].txn), (1, tx.txn()));
    /// # Ok::<(), folio::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Corrupted`]; [`Error::Forked`].
    pub fn readers(&self) -> Result<Vec<Reader>> {
        inspect::readers(self.pager())
    }

    /// Checks the whole file as readers see it: every page is in use once, free or pending, and every page,
    /// key, count, birth and checksum is what it must be. O(bytes of the file).
    ///
    /// # Errors
    /// [`Error::Io`]. What is wrong with the content is in the report.
    pub fn check(&self) -> Result<CheckReport> {
        self.check_with(&mut |_| {})
    }

    /// [`check`](Self::check), saying now and then how far it is.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_with(&self, progress: &mut dyn FnMut(Progress)) -> Result<CheckReport> {
        inspect::check(self.pager(), self.begin_read()?.snapshot(), progress)
    }

    /// Makes the file smaller: fills pages up, moves them to the beginning, and gives the end back to the
    /// file system. Works in steps, beside readers and between other write transactions. Pages that a live
    /// snapshot needs stay where they are.
    ///
    /// # Errors
    /// As [`begin_write`](Self::begin_write) and [`WriteTransaction::commit`]. What was done until then
    /// stays.
    pub fn compact(&self) -> Result<CompactReport> {
        self.compact_with(&mut |_| {})
    }

    /// [`compact`](Self::compact), saying after each step how far it is.
    ///
    /// # Errors
    /// As [`compact`](Self::compact).
    pub fn compact_with(&self, progress: &mut dyn FnMut(Progress)) -> Result<CompactReport> {
        let bytes_before = self.pager().storage().len()?;
        let mut work = Compaction { db: self, progress, steps: 0, moved: 0 };
        work.repack()?;
        work.relocate()?;
        let (steps, pages_moved) = (work.steps, work.moved);
        self.pager().cut()?;
        Ok(CompactReport { bytes_before, bytes_after: self.pager().storage().len()?, pages_moved, steps })
    }

    /// Closes the database in good order: everything is durable, and opening it again finds nothing to do.
    /// Where other clones live, it only makes everything durable. Dropping the last handle does the same, but
    /// cannot say what went wrong.
    ///
    /// # Errors
    /// [`Error::OutcomeUnknown`]; [`Error::WritingEnded`].
    pub fn close(self) -> Result<()> {
        match Arc::try_unwrap(self.instance) {
            Ok(instance) => instance.close(),
            Err(shared) => match shared.pager().sync_all() {
                // There is nothing that it could have to sync.
                Err(Error::ReadOnly) => Ok(()),
                result => result,
            },
        }
    }
}

/// Says what opening found: more loudly where a person might want to act.
fn log_opening(pager: &Pager) {
    let (found, path) = (inspect::recovery(pager), pager.storage().path().display());
    let level = match found {
        Recovery::Clean | Recovery::Joined => log::Level::Debug,
        Recovery::Recovered { bad_meta: true, .. } => log::Level::Warn,
        Recovery::Recovered { .. } => log::Level::Info,
    };
    match found {
        Recovery::Joined => log::log!(level, "{path}: {found}"),
        _ => log::log!(level, "{path}: the last end was {found}"),
    }
    if let Err(error @ Error::WritingEnded { .. }) = pager.check_writable() {
        log::error!("{path}: {error}");
    }
}

/// Where a database without a name lies.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Nameless {
    /// In memory.
    Memory,
    /// In the directory for temporary files.
    File,
}

/// Creates the file, whole or not at all.
fn create(options: &OpenOptions, path: &Path) -> Result<Storage> {
    if options.read_only {
        return Err(Error::ReadOnly);
    }
    Storage::create(path, |storage| format(storage, options.page_size as usize))
}

impl OpenOptions {
    /// Whether the options can be used.
    fn check(&self) -> Result<()> {
        let fault = |option, value: String, reason| Err(Error::InvalidOption { option, value, reason });
        if !is_page_size(u64::from(self.page_size)) {
            let reason = "it must be a power of two from 4096 to 65536";
            return fault("page_size", self.page_size.to_string(), reason);
        }
        if !(0.0..=4.0).contains(&self.free_ratio) {
            return fault("free_ratio", self.free_ratio.to_string(), "it must be from 0.0 to 4.0");
        }
        Ok(())
    }
}
