//! Reading through the mapping: a root, and the pages that it leads to.
//!
//! The one place that makes slices of the mapping. That this is sound rests on two rules kept elsewhere: a
//! page that a pinned root needs is never written (`space.rs`: reclamation is a matter of memory safety), and
//! the file is never cut below a pinned root's page count (`writer.rs`).

#![expect(unsafe_code, reason = "the only maker of slices of the mapping: docs/ARCHITECTURE.md, Safety")]

use std::sync::Arc;

use super::Pages;
use super::checked::{Checked, Role};
use super::shared::{Shared, SlotIndex};
use crate::error::{Error, Result};
use crate::page::{self, Child, Expected, OverflowRef, Page, PageId, Root, Seed, TxnId, index, run_pages};
use crate::prefetch::prefetch;
use crate::storage::{Lock, Mapping, Storage};

/// A value that is longer is checked by the whole-file check alone: 1 MiB takes 25 us when its bytes are hot,
/// 150 when they are not.
const CHECKED_VALUE_MAX: u32 = 1 << 20;

/// What a search looks at first: the header, and the slots or the beginning of them.
pub(super) const SEARCHED_FIRST: usize = 256;

/// What an open database is as long as anything of it is in use: the file, its lock, and who reads it.
#[derive(Debug)]
pub(crate) struct Base {
    pub(super) storage: Storage,
    /// Held until the last snapshot is gone.
    pub(super) _lock: Option<Lock>,
    pub(super) shared: Shared,
    pub(super) page_size: usize,
    pub(super) seed: Seed,
    /// What meta pages say and never changes while the file is open: the id, and the features that who does
    /// not know them may read (`read_only_compatible`), and ignore (`compatible`).
    pub(super) database_id: [u8; 16],
    pub(super) read_only_compatible: u64,
    pub(super) compatible: u64,
}

/// A mapping of the file, and what has been checked of it.
#[derive(Debug)]
pub(crate) struct View {
    pub(super) base: Arc<Base>,
    pub(super) mapping: Mapping,
    checked: Checked,
    /// As the base has it, nearer.
    page_size: usize,
}

impl View {
    pub(super) fn new(base: Arc<Base>, mapping: Mapping) -> View {
        let checked = Checked::new(mapping.capacity() / base.page_size as u64);
        View { page_size: base.page_size, base, mapping, checked }
    }

    /// Pages that the mapping has room for.
    pub(super) fn capacity(&self) -> u64 {
        self.mapping.capacity() / self.base.page_size as u64
    }

    /// This process has just written these pages, born at `birth`: what it would find when it checked them is
    /// what it has put there.
    pub(super) fn trust(&self, pages: &[(PageId, u8)], birth: TxnId) {
        pages.iter().for_each(|(id, level)| self.checked.set(*id, birth, Role::Tree(*level)));
    }

    /// This process has just written something else than pages of a tree there. As a rule nothing is
    /// remembered of such places; where a damaged file calls a page free that is not, it is.
    pub(super) fn forget(&self, id: PageId, pages: u64) {
        self.checked.forget(id, pages);
    }

    /// The bytes of `pages` pages from `id` on.
    ///
    /// # Safety
    /// The pages belong to a root that is pinned while the slice lives, or were written by the caller's own
    /// write transaction; and they are below that root's page count.
    unsafe fn bytes(&self, id: PageId, pages: u64) -> &[u8] {
        let size = self.page_size;
        // SAFETY: the pages are below the page count of a pinned root, and the file is not cut there; nobody
        // writes pages of a pinned root: the contract of this function.
        unsafe { self.mapping.bytes(id.0 * size as u64, index(pages) * size) }
    }
}

/// The pages of one root. Whoever holds it sees to it that the root stays pinned.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(super) view: Arc<View>,
    pub(super) root: Root,
    /// Pages that may be referred to: those below the root's end, and in a write transaction those that it
    /// wrote.
    pub(super) end: u64,
}

impl Snapshot {
    /// # Safety
    /// The root is pinned as long as the snapshot lives, and the file holds its pages.
    pub(super) unsafe fn new(view: Arc<View>, root: Root) -> Snapshot {
        Snapshot { end: root.page_count.min(view.capacity()), view, root }
    }

    /// The pages of the head, for the one who holds the writer lock: as long as that is held, nobody moves
    /// the head on, and the head is pinned.
    pub(super) fn of_head(view: Arc<View>, root: Root) -> Snapshot {
        // SAFETY: the head is pinned while the writer lock is held, which callers do; the file holds its
        // pages.
        unsafe { Snapshot::new(view, root) }
    }

    /// Takes in pages up to `end` that the same write transaction wrote, through `view`, which maps them.
    pub(super) fn extend(&mut self, view: Arc<View>, end: u64) {
        self.end = end.min(view.capacity());
        self.view = view;
    }

    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    /// Whether page numbers and births mean the same here and there.
    pub(crate) fn is_of_same_file(&self, other: &Snapshot) -> bool {
        Arc::ptr_eq(&self.view.base, &other.view.base)
    }

    /// The end of the pages that something born at `birth` can lie in: only what the write transaction itself
    /// has written can lie behind the root's.
    #[inline]
    fn end_of(&self, birth: TxnId) -> u64 {
        if birth > self.root.txn { self.end } else { self.end.min(self.root.page_count) }
    }

    /// The pages from `id` on, born at `birth`, if they are there.
    #[inline]
    fn pages(&self, id: PageId, pages: u64, birth: TxnId) -> Result<&[u8]> {
        let end = self.end_of(birth);
        if id.0 == 0 || pages == 0 || id.0.checked_add(pages).is_none_or(|last| last > end) {
            return Err(outside(id, pages, end));
        }
        // SAFETY: the root is pinned and the pages are below its end: the contract of `new` and the line
        // above.
        Ok(unsafe { self.view.bytes(id, pages) })
    }

    #[cold]
    #[inline(never)]
    fn check_page(&self, bytes: &[u8], child: &Child, level: u8) -> Result<()> {
        let (id, birth, count) = (child.page(), child.birth, child.count);
        let seed = self.view.base.seed;
        page::check(bytes, &Expected { id, birth, level, count, page_count: self.end_of(birth), seed })?;
        self.view.checked.set(id, birth, Role::Tree(level));
        Ok(())
    }

    fn run_bytes(&self, run: &OverflowRef) -> Result<&[u8]> {
        let pages = run_pages(u64::from(run.len), self.page_size());
        Ok(self.pages(run.page(), pages, run.birth)?.get(..run.len as usize).unwrap_or(&[]))
    }

    fn check_run(&self, bytes: &[u8], run: &OverflowRef) -> Result<()> {
        let sum = self.view.base.seed.sum(bytes);
        if sum != run.sum {
            return Err(Error::corrupted(run.page().0, "checksum of a value", run.sum, sum));
        }
        self.view.checked.set(run.page(), run.birth, Role::Run);
        Ok(())
    }

    /// Bytes of such a page.
    pub(super) fn raw_len(&self) -> usize {
        self.view.base.page_size
    }

    /// The bytes of neighbouring pages of the root, unchecked.
    pub(super) fn raw_pages(&self, id: PageId, pages: u64) -> Result<&[u8]> {
        self.pages(id, pages, self.root.txn)
    }

    /// The bytes of a page of another kind than the tree's, unchecked.
    pub(super) fn raw(&self, id: PageId) -> Result<&[u8]> {
        self.pages(id, 1, self.root.txn)
    }
}

#[cold]
#[inline(never)]
fn outside(id: PageId, pages: u64, end: u64) -> Error {
    let found = format!("{pages} pages from {id}");
    Error::corrupted(id.0, "page reference", format!("below {end}"), found)
}

impl Pages for Snapshot {
    fn page_size(&self) -> usize {
        self.view.base.page_size
    }

    #[inline]
    fn newest(&self) -> TxnId {
        self.root.txn
    }

    #[inline(always)]
    fn page(&self, child: &Child, level: u8) -> Result<Page<'_>> {
        let bytes = self.pages(child.page(), 1, child.birth)?;
        prefetch::<SEARCHED_FIRST>(bytes);
        if !self.view.checked.is(child.page(), child.birth, Role::Tree(level)) {
            self.check_page(bytes, child, level)?;
        }
        Ok(Page::new(bytes))
    }

    #[inline]
    fn ask_for(&self, child: &Child) {
        if let Ok(bytes) = self.pages(child.page(), 1, child.birth) {
            prefetch::<SEARCHED_FIRST>(bytes);
        }
    }

    fn recheck(&self, child: &Child, level: u8) -> Result<Page<'_>> {
        let bytes = self.pages(child.page(), 1, child.birth)?;
        self.check_page(bytes, child, level)?;
        Ok(Page::new(bytes))
    }

    fn run(&self, run: &OverflowRef) -> Result<&[u8]> {
        let bytes = self.run_bytes(run)?;
        if run.len <= CHECKED_VALUE_MAX && !self.view.checked.is(run.page(), run.birth, Role::Run) {
            self.check_run(bytes, run)?;
        }
        Ok(bytes)
    }

    fn recheck_run(&self, run: &OverflowRef) -> Result<&[u8]> {
        let bytes = self.run_bytes(run)?;
        self.check_run(bytes, run)?;
        let pages = run_pages(u64::from(run.len), self.page_size());
        let behind = self.pages(run.page(), pages, run.birth)?.get(bytes.len()..).unwrap_or(&[]);
        if behind.iter().any(|byte| *byte != 0) {
            let last = run.page().0 + pages - 1;
            return Err(Error::corrupted(last, "unused bytes behind a value", "zeros", "other bytes"));
        }
        Ok(bytes)
    }
}

/// A snapshot with the reader slot that pins it.
#[derive(Debug)]
pub(crate) struct ReadSnapshot {
    snapshot: Snapshot,
    slot: SlotIndex,
}

impl ReadSnapshot {
    /// What pins it.
    pub(super) fn slot(&self) -> &SlotIndex {
        &self.slot
    }

    /// Pins the visible root; `now` is the time, `view` gives a mapping with room for so many pages.
    #[inline]
    pub(super) fn begin(
        base: &Base,
        now: u64,
        view: impl FnOnce(u64) -> Result<Arc<View>>,
    ) -> Result<ReadSnapshot> {
        let slot = base.shared.claim(now)?;
        let root = base.shared.pin(&slot);
        match view(root.page_count) {
            Ok(view) => {
                // SAFETY: the slot pins the root until `drop`, which ends the snapshot first; the file held
                // the root's pages when it became visible and is not cut below a pinned root.
                let snapshot = unsafe { Snapshot::new(view, root) };
                Ok(ReadSnapshot { snapshot, slot })
            }
            Err(error) => {
                base.shared.end_read(&slot);
                Err(error)
            }
        }
    }

    pub(crate) fn pages(&self) -> &Snapshot {
        &self.snapshot
    }

    /// As [`Pager::check_process`](super::Pager::check_process): a forked child has no such mapping.
    pub(crate) fn check_process(&self) -> Result<()> {
        self.snapshot.view.base.storage.check_process()
    }
}

impl Drop for ReadSnapshot {
    fn drop(&mut self) {
        // A forked child's copy would release the slot that its parent's snapshot needs.
        if self.check_process().is_ok() {
            self.snapshot.view.base.shared.end_read(&self.slot);
        }
    }
}
