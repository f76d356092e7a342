//! What the writer lock guards: the free space, the file's length, and the next transaction's number.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::lock_api::ArcMutexGuard;
use parking_lot::{Mutex, RawMutex};

use super::Pager;
use super::arena::Arena;
use super::free_log::{FreeLog, replay};
use super::head::Head;
use super::space::Space;
use crate::error::{Error, Result};
use crate::page::{Extent, TxnId};
use crate::storage::Lock;

/// The writer lock, held: among the threads of this process, and among processes.
pub(crate) struct WriterGuard {
    // Let go of first, or the next thread would find it held by its own process.
    _among_processes: Option<Lock>,
    among_threads: ArcMutexGuard<RawMutex, Writer>,
}

impl Deref for WriterGuard {
    type Target = Writer;

    fn deref(&self) -> &Writer {
        &self.among_threads
    }
}

impl DerefMut for WriterGuard {
    fn deref_mut(&mut self) -> &mut Writer {
        &mut self.among_threads
    }
}

/// The file grows by a sixteenth of itself, but not by less or more than this.
const GROWTH_MIN: u64 = 256 << 10;
const GROWTH_MAX: u64 = 16 << 20;

/// What new pages at the end of the file are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Small commits, which want to find blocks that were written before: else they wait for the file system
    /// to say that they are now.
    Commits,
    /// Whoever asks writes them at once.
    Written,
    /// Nobody may ever write them.
    Reserve,
}

/// Who waits for another process no longer than so long looks this often.
const RETRY: Duration = Duration::from_micros(500);

/// See the module.
#[derive(Debug)]
pub(crate) struct Writer {
    /// Pages of the file, with blocks behind them.
    pub(super) file_pages: u64,
    /// The blocks from this page on have never been written. Whoever commits there would wait for the file
    /// system to say that they are now.
    fresh_from: u64,
    /// Bytes of zeros that are written next time.
    zeros_step: u64,
    /// Whether the file is that long already. Else the transaction is about to write its end.
    pub(super) is_filled: bool,
    /// Whether `space` and `log` are the head's.
    loaded: bool,
    pub(super) space: Space,
    pub(super) log: FreeLog,
    /// Memory for the pages of the next transactions: to be given it by the system each time, and to give it
    /// back, takes longer than a small one does.
    arenas: Vec<Arena>,
}

/// Arenas that are kept: one for the catalog, the others for tables.
const ARENAS_MAX: usize = 4;
/// Chunks that they keep in all beside their first: 2,304 pages, which batches of 1,000 entries need.
const FURTHER_CHUNKS_MAX: usize = 9;

impl Writer {
    pub(super) fn new(file_pages: u64) -> Writer {
        Writer {
            file_pages,
            fresh_from: file_pages,
            zeros_step: GROWTH_MIN,
            is_filled: true,
            loaded: false,
            space: Space::default(),
            log: FreeLog::default(),
            arenas: Vec::new(),
        }
    }

    /// Memory for the pages of one tree.
    pub(super) fn arena(&mut self, page_size: usize) -> Arena {
        self.arenas.pop().unwrap_or_else(|| Arena::new(page_size))
    }

    /// Keeps the memory of a transaction that has ended.
    pub(super) fn keep(&mut self, arenas: impl IntoIterator<Item = Arena>) {
        for arena in arenas.into_iter().take(ARENAS_MAX - self.arenas.len()) {
            let further: usize = self.arenas.iter().map(Arena::further_chunks).sum();
            self.arenas.extend(arena.emptied(FURTHER_CHUNKS_MAX.saturating_sub(further)));
        }
    }

    /// Pages that the file grows by at once.
    pub(super) fn growth_step(&self, page_size: usize) -> u64 {
        let bytes = (self.file_pages * page_size as u64 / 16).clamp(GROWTH_MIN, GROWTH_MAX);
        bytes / page_size as u64
    }

    /// Pages that the file would have after growing to `pages`.
    pub(super) fn grown(&self, pages: u64, page_size: usize) -> u64 {
        pages.max(self.file_pages + self.growth_step(page_size))
    }

    /// Whether there are so many pages that were written before.
    pub(super) fn has_room(&self, pages: u64) -> bool {
        pages <= self.fresh_from
    }

    /// Makes the file at least `pages` long, with blocks behind all of it. Nobody needs what is in the pages
    /// from `end` on.
    pub(super) fn ensure_file(&mut self, pager: &Pager, end: u64, pages: u64, need: Need) -> Result<()> {
        let page_size = pager.base.page_size;
        let result = match need {
            Need::Commits => self.ensure_zeros(pager, end, pages),
            Need::Written => {
                let all = pages + self.growth_step(page_size);
                self.ensure_blocks(pager, pages, all).map(|_| self.fresh_from = self.fresh_from.max(pages))
            }
            Need::Reserve => {
                let (before, all) = ((self.file_pages, self.is_filled), self.grown(pages, page_size));
                match self.ensure_blocks(pager, pages, all) {
                    Ok(false) => {
                        (self.file_pages, self.is_filled) = before;
                        self.ensure_zeros(pager, end, pages)
                    }
                    result => result.map(drop),
                }
            }
        };
        result.inspect_err(|error| {
            if !error.is_out_of_space() {
                pager.end_writing(error);
            }
        })
    }

    /// Writes zeros where blocks have never been written, some more each time: who commits once and goes does
    /// not pay for a thousand commits.
    fn ensure_zeros(&mut self, pager: &Pager, end: u64, pages: u64) -> Result<()> {
        let from = end.max(self.fresh_from);
        if pages <= from {
            return Ok(());
        }
        let (page_size, storage) = (pager.base.page_size as u64, &pager.base.storage);
        let step = (self.zeros_step.max(GROWTH_MIN) / page_size).min(self.growth_step(pager.base.page_size));
        let extend = |to: u64| storage.extend_zeroed(from * page_size, to * page_size).map(|()| to);
        // The file itself grows only if it has to.
        let all = if pages <= self.file_pages { (from + step).min(self.file_pages) } else { from + step };
        let to = match extend(pages.max(all)) {
            // There may be room for what is needed, if not for a whole step.
            Err(error) if error.is_out_of_space() && pages < all => extend(pages),
            result => result,
        }?;
        // Off the commit path: the zeros go to the disk now, so that no sync has to wait for them.
        storage.start_writeback(from * page_size, (to - from) * page_size);
        (self.file_pages, self.fresh_from) = (self.file_pages.max(to), to);
        self.zeros_step = (2 * step * page_size).min(GROWTH_MAX);
        Ok(())
    }

    /// Blocks that nobody has written; whether the system can give such. Else writing makes the file longer.
    /// The file gets `all` pages if there is room for so many, but at least `pages`.
    fn ensure_blocks(&mut self, pager: &Pager, pages: u64, all: u64) -> Result<bool> {
        if pages <= self.file_pages {
            return Ok(true);
        }
        let (page_size, storage) = (pager.base.page_size as u64, &pager.base.storage);
        let from = self.file_pages;
        let extend = |to: u64| storage.extend(from * page_size, to * page_size).map(|done| (to, done));
        let (to, is_done) = match extend(all) {
            Err(error) if error.is_out_of_space() => extend(pages),
            result => result,
        }?;
        (self.file_pages, self.is_filled) = if is_done { (to, self.is_filled) } else { (pages, false) };
        Ok(is_done)
    }

    /// The file has been found to have so many pages.
    pub(super) fn file_is(&mut self, pages: u64) {
        if self.file_pages != pages {
            self.fresh_from = pages;
        }
        (self.file_pages, self.is_filled) = (pages, true);
    }

    /// After a failure or an abort: what is in memory may not be what the head's log says.
    pub(super) fn forget_space(&mut self, pager: &Pager) {
        self.loaded = false;
        self.space = Space::default();
        self.log = FreeLog::default();
        if let Ok(len) = pager.base.storage.len() {
            self.file_is(len / pager.base.page_size as u64);
        }
    }
}

impl Pager {
    /// Waits for the writer lock, in turn.
    pub(crate) fn lock_writer(&self) -> Result<WriterGuard> {
        let among_threads = self.writer.lock_arc();
        let among_processes = if self.is_public() { Some(self.lock_among_processes()?) } else { None };
        Ok(WriterGuard { _among_processes: among_processes, among_threads })
    }

    /// Who has to wait says so, and waits at a second lock for its turn; others do not take the lock past it,
    /// however often they come by.
    fn lock_among_processes(&self) -> Result<Lock> {
        if let Some(lock) = self.try_lock_among_processes()? {
            return Ok(lock);
        }
        let shared = &self.base.shared;
        let _first_in_line = shared.meeting().writers()?;
        shared.set_somebody_waits(true);
        let lock = self.base.storage.wait_exclusive();
        shared.set_somebody_waits(false);
        lock
    }

    fn try_lock_among_processes(&self) -> Result<Option<Lock>> {
        let shared = &self.base.shared;
        if shared.somebody_waits() {
            // If nobody is in line, who said so was killed.
            let Some(_line) = shared.meeting().try_writers()? else { return Ok(None) };
            shared.set_somebody_waits(false);
        }
        match self.base.storage.lock_exclusive() {
            Ok(lock) => Ok(Some(lock)),
            Err(Error::Locked { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The writer lock if it is free.
    pub(crate) fn try_lock_writer(&self) -> Result<WriterGuard> {
        self.lock_writer_for(Duration::ZERO)
    }

    /// Waits for the writer lock no longer than `limit`. Does not queue among processes.
    pub(crate) fn lock_writer_for(&self, limit: Duration) -> Result<WriterGuard> {
        let until = Instant::now().checked_add(limit);
        let among_threads = self.writer.try_lock_arc_for(limit).ok_or(Error::WriterBusy)?;
        if !self.is_public() {
            return Ok(WriterGuard { _among_processes: None, among_threads });
        }
        loop {
            let among_processes = self.try_lock_among_processes()?;
            if among_processes.is_some() {
                return Ok(WriterGuard { _among_processes: among_processes, among_threads });
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Err(Error::WriterBusy);
            }
            // The kernel has no such wait with an end.
            std::thread::sleep(RETRY);
        }
    }

    fn is_public(&self) -> bool {
        self.base.shared.meeting().is_public()
    }

    /// What other processes may have done since this one had the writer lock. The file has `len` bytes now.
    pub(super) fn catch_up(&self, writer: &mut Writer, len: u64) -> Result<()> {
        if !self.is_public() {
            return Ok(());
        }
        self.base.shared.clear_dead_readers()?;
        writer.file_is(len / self.base.page_size as u64);
        let root = self.base.shared.head();
        let mut heads = self.heads.lock();
        self.repair_head_record(&root)?;
        if heads.head.root.txn != root.txn {
            heads.head = Arc::new(self.head_of_others(root));
            drop(heads);
            writer.forget_space(self);
        }
        Ok(())
    }

    /// Reads the head's free space if it is not in memory. O(extents), once.
    pub(super) fn load_space(&self, writer: &mut Writer, head: &Head, pins: &[TxnId]) -> Result<()> {
        if writer.loaded {
            return Ok(());
        }
        let snapshot = self.snapshot_of_head(head);
        let (log, records) = FreeLog::read(&snapshot)?;
        let mut space = Space::default();
        for extent in replay(&records, head.root.page_count)? {
            self.check_extent(&extent)?;
            space.add(extent, pins);
        }
        for page in log.pages() {
            if space.contains(page.0) {
                return Err(Error::corrupted(page.0, "free-space record", "a page that is not in use", page));
            }
        }
        (writer.space, writer.log, writer.loaded) = (space, log, true);
        Ok(())
    }

    /// The header pages are never free.
    fn check_extent(&self, extent: &Extent) -> Result<()> {
        let inside = |page: &u64| (extent.start..extent.end()).contains(page);
        match self.header_pages().iter().find(|page| inside(page)) {
            None => Ok(()),
            Some(page) => {
                let found = format!("{} pages from {}", extent.len, extent.start);
                Err(Error::corrupted(*page, "free-space record", "no header page", found))
            }
        }
    }

    /// Cuts the file behind its last page when nobody can look there any more: every pinned root is at or
    /// after the durable commit that lowered the page count.
    pub(super) fn cut_file(&self, writer: &mut Writer, head: &Head) -> Result<()> {
        if self.base.shared.lowered().is_none() || !self.can_cut() {
            return Ok(());
        }
        self.cut_behind(writer, head)
    }

    /// Whether nobody can look behind the head's last page.
    pub(super) fn can_cut(&self) -> bool {
        let Some(lowered) = self.base.shared.lowered() else { return true };
        self.base.shared.durable() >= lowered && self.base.shared.pins().iter().all(|pin| *pin >= lowered)
    }

    /// Cuts the file behind its last page, but not below what an empty database has.
    pub(super) fn cut_behind(&self, writer: &mut Writer, head: &Head) -> Result<()> {
        let page_size = self.base.page_size as u64;
        let pages = head.root.page_count.max(GROWTH_MIN / page_size);
        if writer.file_pages > pages {
            self.base.storage.truncate(pages * page_size)?;
            writer.file_is(pages);
        }
        self.base.shared.set_lowered(None);
        Ok(())
    }

    pub(super) fn writer_mutex(writer: Writer) -> Arc<Mutex<Writer>> {
        Arc::new(Mutex::new(writer))
    }
}
