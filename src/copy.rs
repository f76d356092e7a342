//! Copies of one snapshot, taken beside readers and the writer: a database of its own, in a file or a stream.
//!
//! A plain copy has the pages of the snapshot in their places (`pager/copy.rs`). A compact one is loaded
//! anew, table by table, in the order of the keys.

use std::io::{self, Write};
use std::ops::Bound;
use std::path::Path;

use crate::btree::{self, Census, Depth};
use crate::catalog;
use crate::database::Database;
use crate::error::{Error, Result};
use crate::inspect::Progress;
use crate::options::{Durability, OpenOptions};
use crate::pager::{CopyPlan, ReadSnapshot, Sink};
use crate::storage::Storage;
use crate::transaction::ReadTransaction;

/// A compact copy commits after so many bytes, so that it needs no more memory.
const BATCH_BYTES: usize = 64 << 20;

/// A copy of one snapshot, to be written: see [`ReadTransaction::copy`].
pub struct SnapshotCopy<'tx> {
    tx: &'tx ReadTransaction,
    compact: bool,
    replace: bool,
    progress: Option<&'tx mut dyn FnMut(Progress)>,
}

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyReport {
    /// The transaction whose state the copy has.
    pub txn: u64,
    /// Bytes of the copy. In a file, pages that are free take no room where the file system can leave them
    /// out.
    pub bytes: u64,
    /// Pages of the snapshot that were copied; with [`SnapshotCopy::compact`] those of the new file.
    pub pages: u64,
}

impl ReadTransaction {
    /// A copy of this snapshot: a database of its own, as if it had been closed at this transaction.
    ///
    /// Waits for nobody, and nobody waits for it; but as long as the snapshot lives, the pages that it can
    /// see are not reused. Every page is checked before it is copied.
    ///
    /// ```
    /// # use folio::{Database, Table};
    /// # const WORDS: Table<&str, u64> = Table::new("words");
    /// # let db = Database::in_memory()?;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("backup.folio");
    /// db.write(|tx| tx.open(WORDS)?.insert("folio", 1))?;
    /// let report = db.begin_read()?.copy().to_file(&path)?;
    /// assert_eq!(report.bytes, std::fs::metadata(&path).unwrap().len());
    /// # Ok::<(), folio::Error>(())
    /// ```
    pub fn copy(&self) -> SnapshotCopy<'_> {
        SnapshotCopy { tx: self, compact: false, replace: false, progress: None }
    }
}

impl std::fmt::Debug for SnapshotCopy<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let SnapshotCopy { tx, compact, replace, .. } = self;
        f.debug_struct("SnapshotCopy")
            .field("txn", &tx.txn())
            .field("compact", compact)
            .field("replace", replace)
            .finish_non_exhaustive()
    }
}

impl<'tx> SnapshotCopy<'tx> {
    /// Whether the tables are written anew, packed, in a database with another id. Default: no, the pages are
    /// copied as they are, which is faster.
    pub fn compact(mut self, yes: bool) -> Self {
        self.compact = yes;
        self
    }

    /// Whether the copy may take the place of a file that is there. Default: no. A database that somebody has
    /// open by the time the copy is written is not replaced; nobody notices who opens it in that very moment.
    pub fn replace(mut self, yes: bool) -> Self {
        self.replace = yes;
        self
    }

    /// Says now and then how far it is.
    pub fn progress(mut self, tell: &'tx mut dyn FnMut(Progress)) -> Self {
        self.progress = Some(tell);
        self
    }

    /// Writes the copy to a file, whole or not at all: it is written without a name, synced, named, and the
    /// directory synced. Where the file system has no files without a name, it has another one in the same
    /// directory meanwhile, `.folio-new-<process id>-<number>`, and a process that is killed leaves that. Who
    /// may read the file that is copied may read the copy, unless the umask says otherwise.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] unless it may [`replace`](Self::replace); [`Error::Locked`] if it would
    /// replace a database that somebody has open; [`Error::Corrupted`] if a page of the snapshot is damaged;
    /// [`Error::Io`], a full disk among them; [`Error::Forked`].
    pub fn to_file(self, path: impl AsRef<Path>) -> Result<CopyReport> {
        let path = path.as_ref();
        self.tx.snapshot().check_process()?;
        let (compact, replace, page_size) = (self.compact, self.replace, self.tx.snapshot().page_size());
        let mode = self.tx.snapshot().mode()?;
        let write = |storage: Storage| {
            if compact {
                return self.write_compact(Database::new_alone(page_size, storage)?);
            }
            self.write_plain(&mut FileSink { storage })
        };
        let report = Storage::write_file(path, replace, compact, mode, write)?;
        let file = std::fs::metadata(path).map_err(|error| Error::io("stat", path, error))?;
        Ok(CopyReport { bytes: file.len(), ..report })
    }

    /// Writes the copy to a stream, which gets zeros for pages that are free. A compact one is made in the
    /// directory for temporary files first.
    ///
    /// # Errors
    /// As [`to_file`](Self::to_file); an [`Error::Io`] of the call `write` is one of the stream's.
    pub fn to_writer(self, out: &mut dyn Write) -> Result<CopyReport> {
        self.tx.snapshot().check_process()?;
        if !self.compact {
            return self.write_plain(&mut StreamSink { out, at: 0 });
        }
        let db = Database::new_alone(self.tx.snapshot().page_size(), Storage::temporary()?)?;
        let made = self.write_compact(db.clone())?;
        let report = db.begin_read()?.copy().to_writer(out)?;
        Ok(CopyReport { txn: made.txn, ..report })
    }

    fn write_plain(self, sink: &mut dyn Sink) -> Result<CopyReport> {
        let mut nobody = |_: Progress| {};
        let tell = self.progress.unwrap_or(&mut nobody);
        let plan = plan(self.tx.snapshot(), tell)?;
        // Each page is read twice: it was checked, now it is copied.
        let (pages, mut done) = (plan.pages(), 0);
        plan.write(sink, &mut |more| {
            done += more;
            tell(Progress { done: pages + done, total: 2 * pages });
        })?;
        Ok(CopyReport { txn: self.tx.txn(), bytes: plan.len(), pages })
    }

    /// Loads every table into `db`, which nobody else knows, and closes it.
    fn write_compact(self, db: Database) -> Result<CopyReport> {
        let mut nobody = |_: Progress| {};
        let tell = self.progress.unwrap_or(&mut nobody);
        // A copy has checksums of its own, under which damage would pass for what was meant.
        let checked = verified(self.tx.snapshot(), tell)?.pages;
        let tables = self.tx.tables()?;
        let total = tables.iter().map(|table| table.entries).sum::<u64>().max(1);
        let mut done = 0_u64;
        for table in tables {
            let source = self.tx.open_raw(&table.name)?;
            let mut entries = source.range((Bound::Unbounded, Bound::Unbounded))?;
            let mut more = true;
            while more {
                let mut tx = db.begin_write()?;
                tx.set_durability(Durability::Buffered);
                let mut target = tx.create_raw(&table.name, &table.key_type, &table.value_type)?;
                let mut bytes = 0;
                more = false;
                for entry in entries.by_ref() {
                    let (key, value) = entry?;
                    target.append(&key, value)?;
                    bytes += key.len() + value.len();
                    done += 1;
                    if bytes > BATCH_BYTES {
                        more = true;
                        break;
                    }
                }
                drop(target);
                tx.commit()?;
                let copied = u128::from(checked) * u128::from(done) / u128::from(total);
                let copied = u64::try_from(copied).unwrap_or(checked);
                tell(Progress { done: checked + copied, total: 2 * checked });
            }
        }
        // What the commits between have left.
        db.compact()?;
        let pages = db.usage()?.pages;
        let bytes = pages * u64::from(self.tx.snapshot().page_size());
        db.close()?;
        Ok(CopyReport { txn: self.tx.txn(), bytes, pages })
    }
}

/// Checks every page of the snapshot, and plans the copy of them.
fn plan<'s>(snapshot: &'s ReadSnapshot, tell: &mut dyn FnMut(Progress)) -> Result<CopyPlan<'s>> {
    let mut census = verified(snapshot, tell)?;
    snapshot.header_pages().into_iter().for_each(|page| census.disclaim(page));
    snapshot.plan_copy(census.claimed_runs())
}

/// Checks every page of the snapshot, long values too: the first fault is an error.
fn verified(snapshot: &ReadSnapshot, tell: &mut dyn FnMut(Progress)) -> Result<Census> {
    let pages = snapshot.pages();
    let root = *pages.root();
    let mut census = Census::new(root.page_count);
    // What reaches a header page is damaged.
    for page in snapshot.header_pages() {
        census.claim(page, 1, "the header page");
    }
    let mut trees = vec![root.catalog, root.system];
    trees.extend(catalog::list(pages, &root.catalog)?.into_iter().map(|(_, record)| record.root));
    for tree in trees {
        btree::verify(pages, &tree, Depth::Check, &mut census);
        tell(Progress { done: census.pages, total: 2 * root.page_count });
        if let Some((page, what)) = census.faults.first() {
            let page = page.unwrap_or(0);
            return Err(Error::corrupted(page, "structure of the snapshot", "sound", what));
        }
    }
    Ok(census)
}

/// A file in which what is left out has no blocks.
struct FileSink {
    storage: Storage,
}

impl Sink for FileSink {
    fn put(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.storage.write_at(&[bytes], offset)
    }

    fn end(&mut self, len: u64) -> Result<()> {
        self.storage.truncate(len)
    }
}

/// A stream, in which what is left out is zeros.
struct StreamSink<'w> {
    out: &'w mut dyn Write,
    at: u64,
}

impl StreamSink<'_> {
    fn fault(error: io::Error) -> Error {
        Error::io("write", Path::new("(stream)"), error)
    }

    fn fill(&mut self, to: u64) -> Result<()> {
        let gap = to.saturating_sub(self.at);
        io::copy(&mut io::Read::take(io::repeat(0), gap), self.out).map_err(Self::fault)?;
        self.at += gap;
        Ok(())
    }
}

impl Sink for StreamSink<'_> {
    fn put(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.fill(offset)?;
        self.out.write_all(bytes).map_err(Self::fault)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn end(&mut self, len: u64) -> Result<()> {
        self.fill(len)?;
        self.out.flush().map_err(Self::fault)
    }
}

impl Database {
    /// An empty database in a storage that nobody else knows.
    fn new_alone(page_size: u32, storage: Storage) -> Result<Database> {
        let mut options = OpenOptions::new();
        // It is filled once, from front to back.
        options.page_size(page_size).free_ratio(0.0);
        Database::create_alone(&options, storage)
    }
}
