//! The pages that a write transaction changes of one tree: copies on the heap, without page numbers.
//!
//! The parent's cell names a copy by its index here, so that finding it takes no look-up. Page numbers are
//! given out when the whole is sealed, at commit or when the transaction outgrows its memory: then their
//! number is known, and they lie in long runs in the order of keys.
//!
//! Each tree has a write set of its own, so that what is read from one table stays where it is while another
//! changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::arena::Arena;
use super::ids::Ids;
use super::snapshot::{SEARCHED_FIRST, Snapshot};
use super::txn::Txn;
use super::{Pages, PagesMut};
use crate::error::{Error, Result};
use crate::page::{
    self, Child, DIRTY, Extent, HAS_OVERFLOW, LeafValue, OverflowRef, PAGE_ID_MASK, Page, PageId, PageMut,
    TreeRoot, TxnId, index, run_pages,
};
use crate::prefetch::prefetch;

/// A value of so many bytes gets its place in the file when it is inserted, and is written there from the
/// caller's buffer.
const WRITTEN_AT_ONCE: usize = 64 << 10;
/// Buffers that are kept for reuse.
const SPARE_MAX: usize = 64;

/// See the module.
#[derive(Debug)]
pub(crate) struct WriteSet {
    txn: Arc<Mutex<Txn>>,
    id: TxnId,
    /// The head root that the transaction builds on, and what it has written since.
    snapshot: Snapshot,
    pages: Arena,
    /// Values that lie outside their leaf and have no place in the file yet, in whole pages.
    runs: Vec<Option<Box<[u8]>>>,
    run_pages: u64,
    freed: Vec<Extent>,
    /// See [`has_written`](WriteSet::has_written).
    written: bool,
    spare: Vec<Box<[u8]>>,
    scratch: Vec<u8>,
    /// Bytes of heap copies in the whole transaction, and how many there may be.
    heap_bytes: Arc<AtomicUsize>,
    memory_limit: usize,
}

/// Pages with their numbers, fit for the disk.
#[derive(Debug, Default)]
pub(super) struct Sealed {
    /// First page and bytes, whole pages.
    pub(super) pages: Vec<(u64, Bytes)>,
    /// Where the heap pages of each tree are.
    pub(super) arenas: Vec<Arena>,
    /// Which of them are pages of a tree, and at which level.
    pub(super) levels: Vec<(PageId, u8)>,
}

/// Where the bytes of sealed pages are.
#[derive(Debug)]
pub(super) enum Bytes {
    /// A page of one of the arenas.
    Heap(usize, usize),
    Own(Box<[u8]>),
}

impl Sealed {
    pub(super) fn bytes<'s>(&'s self, bytes: &'s Bytes) -> &'s [u8] {
        match bytes {
            Bytes::Heap(arena, index) => self.arenas.get(*arena).and_then(|arena| arena.get(*index)),
            Bytes::Own(bytes) => Some(&**bytes),
        }
        .expect("sealed pages stay where they are")
    }
}

impl WriteSet {
    /// No changes yet to a tree of the transaction's head root.
    pub(crate) fn new(txn: Arc<Mutex<Txn>>) -> WriteSet {
        let (id, snapshot, heap_bytes, memory_limit, pages) = {
            let mut txn = txn.lock();
            let snapshot = txn.snapshot();
            let pages = txn.writer.arena(snapshot.page_size());
            (txn.id(), snapshot, txn.heap_bytes(), txn.memory_limit(), pages)
        };
        WriteSet {
            txn,
            id,
            pages,
            snapshot,
            runs: Vec::new(),
            run_pages: 0,
            freed: Vec::new(),
            written: false,
            spare: Vec::new(),
            scratch: Vec::new(),
            heap_bytes,
            memory_limit,
        }
    }

    /// Pages that have no number yet.
    pub(crate) fn unsealed_pages(&self) -> u64 {
        self.pages.len() as u64 + self.run_pages
    }

    /// How many of them are branches. O(pages).
    pub(super) fn unsealed_branches(&self) -> u64 {
        self.pages.iter().filter(|page| !Page::new(page).is_leaf()).count() as u64
    }

    /// What the transaction has freed of the head root so far.
    pub(super) fn freed(&self) -> &[Extent] {
        &self.freed
    }

    /// Whether pages of the tree have got their place already: then the tree must be committed, changed or
    /// not, or they were neither in use nor free.
    pub(crate) fn has_written(&self) -> bool {
        self.written
    }

    /// Takes that out.
    pub(super) fn take_freed(&mut self) -> Vec<Extent> {
        std::mem::take(&mut self.freed)
    }

    /// Gives every heap page of the tree a number from `ids` and moves it to `sealed`.
    pub(super) fn seal(
        &mut self,
        root: &mut TreeRoot,
        txn: &mut Txn,
        ids: &mut Ids,
        sealed: &mut Sealed,
    ) -> Result<()> {
        let unsealed = self.unsealed_pages();
        let before = sealed.pages.len();
        root.child = self.seal_page(root.child, txn, ids, sealed)?;
        debug_assert!(
            self.run_pages == 0 && sealed.pages.len() - before <= index(unsealed),
            "every heap page is in the tree"
        );
        let arena = self.pages.take();
        self.heap_bytes.fetch_sub(arena.len() * self.page_size(), Ordering::Relaxed);
        sealed.arenas.push(arena);
        Ok(())
    }

    /// Children first: a parent names their places.
    fn seal_page(
        &mut self,
        child: Child,
        txn: &mut Txn,
        ids: &mut Ids,
        sealed: &mut Sealed,
    ) -> Result<Child> {
        let Some(at) = child.dirty() else { return Ok(child) };
        let page = Page::new(self.bytes(at));
        let level = page.level();
        if !page.is_leaf() {
            for i in 0..page.len() {
                let page = Page::new(self.bytes(at));
                if page.child_word(i) & DIRTY != 0 {
                    let below = page.child(i);
                    let below = self.seal_page(below, txn, ids, sealed)?;
                    PageMut::new(self.bytes_mut(at).0).set_child(i, &below);
                }
            }
        } else if child.has_overflow() {
            self.seal_runs(at, txn, ids, sealed)?;
        }
        let id = if level == 0 { ids.next_page(txn) } else { ids.next_branch(txn) }?;
        let (seed, birth) = (self.snapshot.view.base.seed, self.id);
        let (bytes, scratch) = self.bytes_mut(at);
        page::finalize(bytes, id, birth, seed, scratch);
        sealed.levels.push((id, level));
        sealed.pages.push((id.0, Bytes::Heap(sealed.arenas.len(), at)));
        Ok(Child { word: id.0 | child.word & HAS_OVERFLOW, birth, count: child.count })
    }

    /// Gives the values of a leaf that have no place in the file one.
    fn seal_runs(&mut self, leaf: usize, txn: &mut Txn, ids: &mut Ids, sealed: &mut Sealed) -> Result<()> {
        for i in 0..Page::new(self.bytes(leaf)).len() {
            let LeafValue::Overflow(run) = Page::new(self.bytes(leaf)).value(i) else { continue };
            if run.word & DIRTY == 0 {
                continue;
            }
            let Some(bytes) = self.release_run(&run) else { continue };
            let pages = run_pages(u64::from(run.len), self.page_size());
            let id = ids.next_run(pages, txn)?;
            let run = OverflowRef { word: id.0, ..run };
            PageMut::new(self.bytes_mut(leaf).0).overwrite_tail(i, 0, &run.encode());
            sealed.pages.push((id.0, Bytes::Own(bytes)));
        }
        Ok(())
    }

    /// Writes all but the root to its final place if the transaction has outgrown its memory; whether it did.
    ///
    /// A page that changes again afterwards is copied again, and its place is free for this transaction at
    /// once.
    #[inline]
    pub(crate) fn spill_if_needed(&mut self, root: &mut TreeRoot) -> Result<bool> {
        // Relaxed: one thread has the transaction.
        if self.heap_bytes.load(Ordering::Relaxed) <= self.memory_limit {
            return Ok(false);
        }
        // A small share is not worth writing: another table has the pages.
        let own = index(self.unsealed_pages()) * self.page_size();
        if own < self.memory_limit / 8 || self.pages.len() < 2 {
            return Ok(false);
        }
        self.spill(root).map(|()| true)
    }

    fn spill(&mut self, root: &mut TreeRoot) -> Result<()> {
        let txn = Arc::clone(&self.txn);
        let mut txn = txn.lock();
        txn.give_back_written(self.freed.extract_if(.., |extent| extent.birth == self.id));
        let Some(root_index) = root.child.dirty() else { return Ok(()) };
        let mut ids = txn.allocate(self.unsealed_pages() - 1, self.unsealed_branches())?;
        let mut sealed = Sealed::default();
        for i in 0..Page::new(self.bytes(root_index)).len() {
            if root.level == 0 {
                break;
            }
            let below = Page::new(self.bytes(root_index)).child(i);
            let below = self.seal_page(below, &mut txn, &mut ids, &mut sealed)?;
            PageMut::new(self.bytes_mut(root_index).0).set_child(i, &below);
        }
        txn.give_back(ids.finish());
        self.written = true;
        sealed.arenas.push(self.pages.take());
        let spilled = txn.spill(&mut sealed);
        self.pages = sealed.arenas.pop().expect("pushed above");
        let (view, end) = spilled?;
        self.snapshot.extend(view, end);
        // The memory goes too: it is another table's turn to need it.
        let old = self.pages.take();
        let index = self.pages.make();
        let from = old.get(root_index).ok_or_else(|| Self::lost(root_index))?;
        self.bytes_mut(index).0.copy_from_slice(from);
        self.heap_bytes.fetch_sub((old.len() - 1) * self.page_size(), Ordering::Relaxed);
        root.child.word = DIRTY | index as u64 | root.child.word & HAS_OVERFLOW;
        Ok(())
    }

    /// Gives heap page `index` back; whether there was one.
    fn release(&mut self, index: usize) -> bool {
        let was_live = self.pages.release(index);
        if was_live {
            self.heap_bytes.fetch_sub(self.page_size(), Ordering::Relaxed);
        }
        was_live
    }

    fn release_run(&mut self, run: &OverflowRef) -> Option<Box<[u8]>> {
        let bytes = self.runs.get_mut(index(run.word & PAGE_ID_MASK))?.take()?;
        self.run_pages -= run_pages(u64::from(run.len), self.page_size());
        self.heap_bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
        Some(bytes)
    }

    fn free(&mut self, start: u64, len: u64, birth: TxnId) {
        self.freed.push(Extent { start, len, birth, death: self.id });
    }

    /// An index that no heap page has: something refers to a page that is gone.
    fn lost(index: usize) -> Error {
        Error::corrupted(0, "index of a heap page", "a page of this transaction", index)
    }

    /// A page that was checked once is still the one that its parent names. Who writes to a damaged file may
    /// have been given a page as free that something else needs.
    fn check_same(page: Page<'_>, child: &Child, level: u8) -> Result<()> {
        if (page.id(), page.birth(), page.level()) == (child.page(), child.birth, level) {
            return Ok(());
        }
        let expected = format!("page {} of transaction {}", child.page(), child.birth);
        let found = format!("page {} of transaction {}", page.id(), page.birth());
        Err(Error::corrupted(child.page().0, "content of the page", expected, found))
    }

    fn keep_run(&mut self, value: &[u8]) -> OverflowRef {
        let pages = run_pages(value.len() as u64, self.page_size());
        let mut bytes = Vec::with_capacity(index(pages) * self.page_size());
        bytes.extend_from_slice(value);
        bytes.resize(index(pages) * self.page_size(), 0);
        self.run_pages += pages;
        self.heap_bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        self.runs.push(Some(bytes.into()));
        self.run_ref(DIRTY | (self.runs.len() as u64 - 1), value)
    }

    fn run_ref(&self, word: u64, value: &[u8]) -> OverflowRef {
        let len = u32::try_from(value.len()).expect("checked before insertion");
        OverflowRef { word, len, birth: self.id, sum: self.snapshot.view.base.seed.sum(value) }
    }
}

impl Pages for WriteSet {
    fn page_size(&self) -> usize {
        self.snapshot.page_size()
    }

    fn newest(&self) -> TxnId {
        self.snapshot.newest()
    }

    #[inline]
    fn page(&self, child: &Child, level: u8) -> Result<Page<'_>> {
        match child.dirty() {
            None => self.snapshot.page(child, level),
            Some(index) => self.pages.get(index).map(Page::new).ok_or_else(|| Self::lost(index)),
        }
    }

    #[inline]
    fn ask_for(&self, child: &Child) {
        match child.dirty() {
            None => self.snapshot.ask_for(child),
            Some(index) => {
                if let Some(bytes) = self.pages.get(index) {
                    prefetch::<SEARCHED_FIRST>(bytes);
                }
            }
        }
    }

    fn run(&self, run: &OverflowRef) -> Result<&[u8]> {
        if run.word & DIRTY == 0 {
            return self.snapshot.run(run);
        }
        let at = index(run.word & PAGE_ID_MASK);
        match self.runs.get(at) {
            Some(Some(bytes)) => Ok(bytes.get(..run.len as usize).unwrap_or(bytes)),
            _ => Err(Self::lost(at)),
        }
    }

    fn recheck_run(&self, run: &OverflowRef) -> Result<&[u8]> {
        if run.word & DIRTY == 0 { self.snapshot.recheck_run(run) } else { self.run(run) }
    }
}

impl PagesMut for WriteSet {
    fn dirty(&mut self, child: &Child, level: u8) -> Result<usize> {
        if let Some(index) = child.dirty() {
            return Ok(index);
        }
        let page = self.snapshot.page(child, level)?;
        Self::check_same(page, child, level)?;
        let index = self.pages.make();
        let Some(copy) = self.pages.get_mut(index) else { return Err(Self::lost(index)) };
        copy.copy_from_slice(page.bytes());
        self.heap_bytes.fetch_add(self.page_size(), Ordering::Relaxed);
        self.free(child.page().0, 1, child.birth);
        Ok(index)
    }

    #[inline]
    fn bytes(&self, index: usize) -> &[u8] {
        self.pages.get(index).expect("indexes come from this write set")
    }

    #[inline]
    fn bytes_mut(&mut self, index: usize) -> (&mut [u8], &mut Vec<u8>) {
        (self.pages.get_mut(index).expect("indexes come from this write set"), &mut self.scratch)
    }

    fn pair_mut(&mut self, a: usize, b: usize) -> (&mut [u8], &mut [u8], &mut Vec<u8>) {
        let (a, b) = self.pages.pair_mut(a, b).expect("indexes come from this write set");
        (a, b, &mut self.scratch)
    }

    fn buffer(&mut self) -> Box<[u8]> {
        self.spare.pop().unwrap_or_else(|| vec![0; self.page_size()].into())
    }

    fn recycle(&mut self, buffer: Box<[u8]>) {
        if self.spare.len() < SPARE_MAX {
            self.spare.push(buffer);
        }
    }

    fn new_page(&mut self) -> usize {
        self.heap_bytes.fetch_add(self.page_size(), Ordering::Relaxed);
        self.pages.make()
    }

    fn take(&mut self, child: &Child, level: u8) -> Result<Box<[u8]>> {
        let mut buffer = self.buffer();
        let page = self.page(child, level)?;
        if child.dirty().is_none() {
            Self::check_same(page, child, level)?;
        }
        buffer.copy_from_slice(page.bytes());
        self.drop_page(child);
        Ok(buffer)
    }

    fn drop_page(&mut self, child: &Child) {
        match child.dirty() {
            Some(index) => drop(self.release(index)),
            None => self.free(child.page().0, 1, child.birth),
        }
    }

    fn put_run(&mut self, value: &[u8]) -> Result<OverflowRef> {
        if value.len() < WRITTEN_AT_ONCE {
            return Ok(self.keep_run(value));
        }
        let txn = Arc::clone(&self.txn);
        let mut txn = txn.lock();
        txn.give_back_written(self.freed.extract_if(.., |extent| extent.birth == self.id));
        self.written = true;
        let (start, view, end) = txn.write_run(value)?;
        self.snapshot.extend(view, end);
        Ok(self.run_ref(start, value))
    }

    fn drop_run(&mut self, run: &OverflowRef) {
        if run.word & DIRTY != 0 {
            self.release_run(run);
        } else {
            let pages = run_pages(u64::from(run.len), self.page_size());
            self.free(run.page().0, pages, run.birth);
        }
    }
}

impl Drop for WriteSet {
    fn drop(&mut self) {
        let runs: usize = self.runs.iter().flatten().map(|bytes| bytes.len()).sum();
        self.heap_bytes.fetch_sub(self.pages.len() * self.page_size() + runs, Ordering::Relaxed);
    }
}
