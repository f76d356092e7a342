//! What the tables of one write transaction share: the writer lock, and the pages it was given.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::Pager;
use super::extents::Extents;
use super::head::{Head, Written};
use super::snapshot::{Snapshot, View};
use super::space::{Placement, Runs};
use super::write_set::{Bytes, Sealed};
use super::writer::WriterGuard;
use crate::error::Result;
use crate::page::{Extent, PageId, RECORD_PAGES_MAX, TxnId, index, record_sum, run_pages};

/// The pages of a large commit are written so many bytes at a time, aligned. The page cache keeps a file in
/// units as large as the writes that first filled it, and walks through a whole unit with each write into it.
const PIECE: u64 = 64 << 10;

/// A commit that is synced sends so many pages to the disk at a time while it writes the next.
const WRITEBACK_PAGES: u64 = 256;

/// A write transaction as its tables see it. Dropped without [`commit`](super::commit), it is aborted.
pub(crate) struct Txn {
    pub(super) pager: Arc<Pager>,
    pub(super) writer: WriterGuard,
    pub(super) head: Arc<Head>,
    id: TxnId,
    /// The roots that were pinned when the transaction began; ascending.
    pub(super) pins: Vec<TxnId>,
    /// Whether a page may have been written: then the id is used up, and the space in memory is not the
    /// head's.
    started: bool,
    pub(super) placement: Placement,
    /// Taken from what the free-space log calls free.
    pub(super) taken: Runs,
    /// Given to this transaction and not needed after all.
    pub(super) own_free: Extents,
    /// Whether pages among `own_free` may have been written.
    pub(super) own_written: bool,
    /// Whether a page may have been written twice. Its birth does not tell the two apart: after a crash
    /// nobody may rely on births alone.
    pub(super) rewrote: bool,
    /// Pages of the file, with those that the transaction has added.
    pub(super) end: u64,
    /// Pages that the transaction frees, as far as it is known, and those that the log needs to say so: if it
    /// takes no more, it may use the reserve.
    pub(super) frees: u64,
    /// Pages that it writes anew for no other reason than that their places become free.
    pub(super) taken_along: u64,
    /// The checksums of what was written, for the commit record; none when there is too much.
    pub(super) sums: Option<Vec<Written>>,
    pub(super) written_pages: u64,
    pub(super) written_runs: u64,
    pub(super) heap_bytes: Arc<AtomicUsize>,
}

impl Txn {
    /// Begins on the head root, with the writer lock held.
    pub(super) fn new(pager: Arc<Pager>, writer: WriterGuard) -> Txn {
        let head = pager.head();
        let id = TxnId(pager.base.shared.next_id());
        let pins = pager.base.shared.pins();
        Txn {
            id,
            pins,
            started: false,
            placement: Placement::LongRuns,
            taken: Runs::new(),
            own_free: Extents::default(),
            own_written: false,
            rewrote: false,
            end: head.root.page_count,
            frees: 0,
            taken_along: 0,
            sums: Some(Vec::new()),
            written_pages: 0,
            written_runs: 0,
            heap_bytes: Arc::default(),
            pager,
            writer,
            head,
        }
    }

    pub(crate) fn id(&self) -> TxnId {
        self.id
    }

    pub(crate) fn pager(&self) -> &Arc<Pager> {
        &self.pager
    }

    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    pub(crate) fn set_placement(&mut self, placement: Placement) {
        self.placement = placement;
    }

    pub(super) fn heap_bytes(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.heap_bytes)
    }

    pub(super) fn memory_limit(&self) -> usize {
        self.pager.config.memory_limit
    }

    pub(super) fn page_size(&self) -> usize {
        self.pager.base.page_size
    }

    /// Before the first page: the id is used up, and the head's free space is known.
    pub(super) fn start(&mut self) -> Result<()> {
        if self.started {
            return Ok(());
        }
        self.pager.check_writable()?;
        self.pager.raise_ceiling(self.id)?;
        self.pager.base.shared.set_next_id(self.id.0 + 1);
        self.started = true;
        self.pager.load_space(&mut self.writer, &self.head, &self.pins)?;
        self.writer.space.release(&self.pins);
        Ok(())
    }

    /// Pages that this transaction was given and does not need.
    pub(super) fn give_back(&mut self, extents: impl IntoIterator<Item = Extent>) {
        extents.into_iter().for_each(|extent| self.own_free.add(extent.start, extent.len));
    }

    /// Pages that this transaction has written and freed again.
    pub(super) fn give_back_written(&mut self, extents: impl IntoIterator<Item = Extent>) {
        for extent in extents {
            self.own_written = true;
            // What is free again may be overwritten while this commit is the newest durable one.
            if let Some(sums) = &mut self.sums {
                sums.retain(|written| !(extent.start..extent.end()).contains(&written.page));
            }
            self.own_free.add(extent.start, extent.len);
        }
    }

    /// After all writes: the file is as long as its pages are many. Pages at its end that were given out and
    /// not used after all may never have been written.
    pub(super) fn fill_end(&mut self, page_count: u64) -> Result<()> {
        if self.writer.is_filled {
            return Ok(());
        }
        let page_size = self.page_size() as u64;
        let (len, end) = (self.pager.base.storage.len()?, page_count * page_size);
        if len < end {
            self.written(|pager| pager.base.storage.extend_zeroed(len, end))?;
        }
        self.writer.file_is(len.max(end) / page_size);
        Ok(())
    }

    /// Writes a value to a place of its own; where, and what is needed to read it there.
    pub(super) fn write_run(&mut self, value: &[u8]) -> Result<(u64, Arc<View>, u64)> {
        let page_size = self.page_size();
        let pages = run_pages(value.len() as u64, page_size);
        let start = self.allocate_run(pages)?;
        let padding = vec![0; index(pages) * page_size - value.len()];
        let offset = start * page_size as u64;
        self.written(|pager| pager.base.storage.write_at(&[value, &padding], offset))?;
        self.pager.view.read().forget(PageId(start), pages);
        self.written_pages += pages;
        self.written_runs += 1;
        self.keep_sums(start, pages, value, &padding);
        let view = self.pager.view(self.end.min(start + pages))?;
        Ok((start, view, self.end))
    }

    fn keep_sums(&mut self, start: u64, pages: u64, value: &[u8], padding: &[u8]) {
        let (page_size, seed, birth) = (self.page_size(), self.pager.base.seed, self.id);
        if self.written_pages > RECORD_PAGES_MAX || self.pager.config.two_phase {
            self.sums = None;
        }
        let Some(sums) = &mut self.sums else { return };
        for page in 0..pages {
            let from = index(page) * page_size;
            let sum = match value.get(from..from + page_size) {
                Some(bytes) => record_sum(seed, bytes),
                None => record_sum(seed, &[&value[from..], padding].concat()),
            };
            sums.push(Written { page: start + page, birth, sum });
        }
    }

    /// Writes sealed pages to their places. If they are synced next, the disk begins while the last are
    /// written.
    pub(super) fn write(&mut self, sealed: &mut Sealed, sync_follows: bool) -> Result<()> {
        let page_size = self.page_size() as u64;
        sealed.pages.sort_unstable_by_key(|(id, _)| *id);
        let pages: u64 = sealed.pages.iter().map(|(_, at)| sealed.bytes(at).len() as u64 / page_size).sum();
        self.written_pages += pages;
        let is_head_known =
            self.head.written.is_some() || self.pager.base.shared.durable() >= self.head.root.txn;
        if self.written_pages > RECORD_PAGES_MAX || self.pager.config.two_phase || !is_head_known {
            self.sums = None;
        }
        // A small commit is written in one go: it lies where the file was written before.
        let piece = if pages < WRITEBACK_PAGES { u64::MAX } else { (PIECE / page_size).max(1) };
        let (mut from, mut begun, mut waiting, mut last) = (0, 0, 0, 0);
        while from < sealed.pages.len() {
            let start = sealed.pages[from].0;
            let mut end = start;
            let all = sealed.pages[from..].iter().map(|(id, at)| (*id, sealed.bytes(at)));
            let run = all.take_while(|(id, bytes)| {
                let next = *id == end && (end == start || !end.is_multiple_of(piece));
                end = if next { end + bytes.len() as u64 / page_size } else { end };
                next
            });
            let bufs: Vec<&[u8]> = run.map(|(_, bytes)| bytes).collect();
            self.written(|pager| pager.base.storage.write_at(&bufs, start * page_size))?;
            self.written_runs += u64::from(start != last);
            (from, last) = (from + bufs.len(), end);
            waiting += end - start;
            if sync_follows && waiting >= WRITEBACK_PAGES {
                let storage = &self.pager.base.storage;
                storage.start_writeback(begun * page_size, (end - begun) * page_size);
                (begun, waiting) = (end, 0);
            }
        }
        let view = self.pager.view.read();
        view.trust(&sealed.levels, self.id);
        for (id, at) in sealed.pages.iter().filter(|(_, at)| matches!(at, Bytes::Own(_))) {
            view.forget(PageId(*id), sealed.bytes(at).len() as u64 / page_size);
        }
        drop(view);
        let (seed, birth) = (self.pager.base.seed, self.id);
        if let Some(sums) = &mut self.sums {
            sums.reserve_exact(index(pages));
            for (id, at) in &sealed.pages {
                let each = sealed.bytes(at).chunks_exact(index(page_size)).map(|page| record_sum(seed, page));
                sums.extend(each.zip(*id..).map(|(sum, page)| Written { page, birth, sum }));
            }
        }
        Ok(())
    }

    /// Writes what outgrew the memory; what is needed to read it there. Such a transaction has no commit
    /// record.
    pub(super) fn spill(&mut self, sealed: &mut Sealed) -> Result<(Arc<View>, u64)> {
        self.sums = None;
        self.write(sealed, false)?;
        Ok((self.pager.view(self.end)?, self.end))
    }

    /// A write to pages that no root has: a full disk fails this transaction, anything else ends writing.
    fn written(&mut self, write: impl FnOnce(&Pager) -> Result<()>) -> Result<()> {
        write(&self.pager).inspect_err(|error| {
            if !error.is_out_of_space() {
                self.pager.end_writing(error);
            }
        })
    }

    /// What was begun is done: the space in memory is the new head's.
    pub(super) fn finished(&mut self) {
        self.started = false;
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.pager.snapshot_of_head(&self.head)
    }
}

impl std::fmt::Debug for Txn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Txn { id, pins, started, end, written_pages, .. } = self;
        let mut debug = f.debug_struct("Txn");
        debug.field("id", id).field("pins", pins).field("started", started).field("end", end);
        debug.field("written_pages", written_pages).finish_non_exhaustive()
    }
}

impl Drop for Txn {
    fn drop(&mut self) {
        if self.started {
            // Pages were taken and perhaps written. The head's log still says what is free.
            self.writer.forget_space(&self.pager);
        }
    }
}
