//! Versions and space. Knows pages, not keys.
//!
//! # Who guards what
//! - `writer`: the free space, the file's length, the next transaction's number. Held by a write transaction.
//! - `group`: who leads, of the threads that wait for a sync. Held for moments.
//! - `leader`: the meta pages. Held while a meta page is written and synced.
//! - `heads`: which commit is the head, what readers get, and the head record. Held for moments.
//! - `view`: the current mapping. Held for moments.
//!
//! Locks are taken in this order: writer, group, leader, heads, view. A commit gives the writer lock back
//! before it waits for the leader's, so that the next transaction begins while the disk works.

mod allocate;
mod arena;
mod bits;
mod checked;
mod commit;
mod copy;
mod examine;
mod extents;
mod free_log;
mod free_map;
mod gather;
mod group;
mod head;
mod ids;
mod pages;
mod pending;
mod recovery;
mod shared;
mod snapshot;
mod space;
mod survey;
mod sync;
#[cfg(test)]
mod tests;
mod txn;
mod walk;
mod write_set;
mod writer;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

pub(crate) use bits::Bits;
pub(crate) use commit::{Commit, Committed};
pub(crate) use copy::{CopyPlan, Sink};
pub(crate) use examine::examine;
pub use examine::{Examination, HeadState, MetaState};
pub(crate) use gather::Gathering;
pub(crate) use pages::{Pages, PagesMut};
pub(crate) use recovery::{Recovered, format, open};
pub use shared::LockWords;
pub(crate) use shared::Reading;
pub(crate) use snapshot::{ReadSnapshot, Snapshot};
pub(crate) use space::{Placement, holder};
pub(crate) use txn::Txn;
pub(crate) use write_set::WriteSet;
pub(crate) use writer::WriterGuard;

use crate::error::{Error, Result};
use crate::options::{Advice, OpenOptions};
use crate::page::{TxnId, header_pages};
use crate::storage::{Access, Storage, coarse_ms};
use group::Group;
use snapshot::{Base, View};
use sync::{Heads, Leader};
use writer::Writer;

/// Address space that is reserved at least, so that a file can grow without being mapped anew.
const RESERVE_MIN: u64 = 64 << 30;

/// Readers look at the file's length no more often than this.
const LEN_CHECK_MS: u64 = 100;

/// The options that matter once the database is open.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(super) memory_limit: usize,
    pub(super) two_phase: bool,
    advice: Advice,
    reserve: Option<u64>,
    checkpoint_after: Option<u64>,
    free_ratio: f64,
    pub(super) refuse_pinned: Option<u64>,
}

impl Config {
    pub(crate) fn new(options: &OpenOptions) -> Config {
        Config {
            memory_limit: options.memory_limit,
            two_phase: options.two_phase,
            advice: options.advice,
            reserve: options.reserve,
            checkpoint_after: options.checkpoint_after,
            free_ratio: options.free_ratio,
            refuse_pinned: options.refuse_pinned,
        }
    }

    /// Bytes to map of a file of `len` bytes.
    fn reserve(&self, len: u64) -> u64 {
        self.reserve.unwrap_or_else(|| len.saturating_mul(8).max(RESERVE_MIN))
    }

    /// Bytes that buffered commits may pin in a file of `len` bytes before they are synced.
    fn checkpoint_bytes(&self, len: u64) -> u64 {
        self.checkpoint_after.unwrap_or_else(|| (len / 8).max(64 << 20))
    }

    /// Pages that a file with so many live ones may have before fragments are used.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a policy, not an account: the ratio is from 0 to 4, and a page more or less does not matter"
    )]
    fn most_pages(&self, live: u64) -> u64 {
        live + (live as f64 * self.free_ratio) as u64
    }
}

/// An open database, below its tables.
#[derive(Debug)]
pub(crate) struct Pager {
    // Constant after open.
    pub(super) base: Arc<Base>,
    pub(super) config: Config,
    /// Known from the first write on: to ask the system takes a tenth of an opening.
    boot_id: OnceLock<[u8; 16]>,
    recovered: Recovered,
    /// Why nothing can be written any more, once it is so.
    ended: OnceLock<String>,
    /// When a reader last looked at the file's length.
    len_checked_ms: AtomicU64,
    // Each guards itself: see the module.
    writer: Arc<Mutex<Writer>>,
    group: Group,
    leader: Mutex<Leader>,
    heads: Mutex<Heads>,
    view: RwLock<Arc<View>>,
}

impl Pager {
    /// Begins a read transaction: pins the visible root. Now and then it looks whether somebody has cut the
    /// file: reading behind its end would be a signal.
    #[inline]
    pub(crate) fn begin_read(&self) -> Result<ReadSnapshot> {
        self.check_process()?;
        let now = coarse_ms();
        // Relaxed: that two threads look at once does no harm.
        if now.saturating_sub(self.len_checked_ms.load(Ordering::Relaxed)) >= LEN_CHECK_MS {
            self.len_checked_ms.store(now, Ordering::Relaxed);
            self.check_len()?;
        }
        ReadSnapshot::begin(&self.base, now, |pages| self.view(pages))
    }

    /// The system's boot.
    fn boot_id(&self) -> Result<[u8; 16]> {
        match self.boot_id.get() {
            Some(id) => Ok(*id),
            None => recovery::boot_id().map(|id| *self.boot_id.get_or_init(|| id)),
        }
    }

    /// Begins a write transaction with the writer lock.
    pub(crate) fn begin_write(self: &Arc<Pager>, mut writer: WriterGuard) -> Result<Txn> {
        self.check_writable()?;
        let len = self.check_len()?;
        self.catch_up(&mut writer, len)?;
        let head = self.head();
        self.cut_file(&mut writer, &head)?;
        // The transaction reads the head through the current mapping, which nobody may have looked behind
        // yet.
        self.view(head.root.page_count)?;
        Ok(Txn::new(Arc::clone(self), writer))
    }

    /// What opening found.
    pub(crate) fn recovered(&self) -> Recovered {
        self.recovered
    }

    pub(crate) fn page_size(&self) -> usize {
        self.base.page_size
    }

    pub(crate) fn storage(&self) -> &Storage {
        &self.base.storage
    }

    /// Pages of the newest commit's file.
    pub(crate) fn page_count(&self) -> u64 {
        self.head().root.page_count
    }

    /// Pages of the newest commit that are not free or pending, and some for the next commit. O(extents).
    pub(crate) fn live_pages(&self) -> Result<u64> {
        let snapshot = self.begin_read()?;
        let unused: u64 = snapshot.survey()?.extents.iter().map(|extent| extent.len).sum();
        Ok(snapshot.pages().root().page_count - unused)
    }

    /// Gives the end of the file that is free back to the file system, if no snapshot can look there.
    pub(crate) fn cut(&self) -> Result<()> {
        let mut writer = self.lock_writer()?;
        // Another process may have committed since, and use what was behind the end.
        self.catch_up(&mut writer, self.base.storage.len()?)?;
        self.cut_file(&mut writer, &self.head())
    }

    /// Waits until a transaction after `after` is visible, or `limit` is over; which one is visible then.
    pub(crate) fn wait_for(&self, after: TxnId, limit: Duration) -> Result<TxnId> {
        self.check_process()?;
        Ok(self.base.shared.wait_for(after, Instant::now().checked_add(limit)))
    }

    /// Who reads what, in all processes that live.
    pub(crate) fn readers(&self) -> Result<Vec<Reading>> {
        self.check_process()?;
        self.base.shared.readers()
    }

    /// The durable transaction's number; 0 in a forked child, which cannot know it.
    pub(crate) fn durable(&self) -> u64 {
        if self.check_process().is_ok() { self.base.shared.durable().0 } else { 0 }
    }

    /// The pages of the meta pages and the head record.
    pub(crate) fn header_pages(&self) -> [u64; 3] {
        header_pages(self.base.page_size)
    }

    /// A mapping with room for `pages` pages; a new one if the current has not.
    pub(super) fn view(&self, pages: u64) -> Result<Arc<View>> {
        let current = Arc::clone(&self.view.read());
        if current.capacity() >= pages {
            return Ok(current);
        }
        // Before the lock: this takes that on the heads.
        self.check_len()?;
        let mut view = self.view.write();
        if view.capacity() < pages {
            *view = Arc::new(map(&self.base, &self.config)?);
        }
        Ok(Arc::clone(&view))
    }

    /// The file holds the pages that readers see: else somebody else has cut it. Its length.
    fn check_len(&self) -> Result<u64> {
        loop {
            let root = self.base.shared.visible();
            let expected = root.page_count * self.base.page_size as u64;
            let found = self.base.storage.len()?;
            if found >= expected {
                return Ok(found);
            }
            // The writer may have cut it between the two looks; then readers see a shorter root by now.
            if self.base.shared.visible().txn == root.txn {
                let path = self.base.storage.path().to_owned();
                return Err(Error::Truncated { path, expected, found });
            }
        }
    }

    /// Whether this is the process that opened the database. In a forked child, locks may be held for ever by
    /// threads that are not there.
    #[inline]
    pub(crate) fn check_process(&self) -> Result<()> {
        self.base.storage.check_process()
    }

    /// Whether writing is still possible, or why not.
    pub(crate) fn check_writable(&self) -> Result<()> {
        self.check_process()?;
        if self.base.storage.access() == Access::ReadOnly {
            return Err(Error::ReadOnly);
        }
        let reason = match self.ended.get() {
            Some(reason) => reason.clone(),
            None if self.base.shared.has_ended() => "another process could not write or sync".to_owned(),
            None => return Ok(()),
        };
        Err(Error::WritingEnded { reason })
    }

    /// After a failed write or sync: what the disk holds is unknown, and nothing more is written, by anybody.
    pub(super) fn end_writing(&self, error: &Error) {
        self.refuse_writing(error);
        self.base.shared.set_ended();
    }

    /// Nothing is written by this process.
    pub(super) fn refuse_writing(&self, error: &Error) {
        // The first reason is the one to tell of.
        let _ = self.ended.set(error.to_string());
    }
}

/// Maps the file.
fn map(base: &Arc<Base>, config: &Config) -> Result<View> {
    let advice = match config.advice {
        Advice::Normal => crate::storage::Advice::Normal,
        Advice::Random => crate::storage::Advice::Random,
        Advice::Sequential => crate::storage::Advice::Sequential,
        Advice::WillNeed => crate::storage::Advice::WillNeed,
        Advice::HugePages => crate::storage::Advice::HugePages,
    };
    let mapping = base.storage.map(config.reserve(base.storage.len()?), advice)?;
    Ok(View::new(Arc::clone(base), mapping))
}
