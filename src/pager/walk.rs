//! Writing again what a sync may have failed to write: the system's memory may hold what the disk does not,
//! and call it clean.

use super::bits::Bits;
use crate::error::{Error, Result};
use crate::page::{
    self, Child, Expected, FreeLogPage, LeafValue, LogLink, OverflowRef, Page, PageId, Root, Seed,
    TableRecord, TreeRoot, TxnId, index, run_pages,
};
use crate::storage::Storage;

/// So many bytes of a value are read at a time.
const PIECE: u64 = 1 << 20;

/// The last page of the root, whatever it holds: after a failed sync the disk may have a shorter file than
/// the system shows, and the root would not fit into it.
pub(super) fn write_end_again(storage: &Storage, root: &Root, page_size: usize) -> Result<()> {
    let Some(last) = root.page_count.checked_sub(1) else { return Ok(()) };
    let bytes = read(storage, last, 1, page_size)?;
    storage.write_at(&[&bytes], last * page_size as u64)
}

/// Pages of the file, as the system has them.
pub(super) fn read(storage: &Storage, page: u64, pages: u64, page_size: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; index(pages) * page_size];
    storage.read_exact_at(&mut bytes, page * page_size as u64)?;
    Ok(bytes)
}

/// Verifies every page of `root` that is younger than the durable root, and writes it again.
pub(super) struct Walk<'s> {
    storage: &'s Storage,
    page_size: usize,
    seed: Seed,
    durable: TxnId,
    root: Root,
    /// Those that were read: none is read twice.
    seen: Bits,
    /// Pages that were read.
    pub(super) pages: u64,
    writable: bool,
    /// The first failure: after it nothing more is written.
    pub(super) written_again: Result<()>,
}

impl<'s> Walk<'s> {
    /// With `writable`, what it reads is written again.
    pub(super) fn new(
        storage: &'s Storage,
        page_size: usize,
        seed: Seed,
        durable: TxnId,
        root: Root,
        writable: bool,
    ) -> Walk<'s> {
        let (seen, written_again) = (Bits::default(), Ok(()));
        Walk { storage, page_size, seed, durable, root, seen, pages: 0, writable, written_again }
    }

    pub(super) fn everything(&mut self) -> Result<()> {
        let root = self.root;
        self.tree(&root.catalog, true)?;
        self.tree(&root.system, false)?;
        let mut link = LogLink { page: root.free.page, birth: root.free.birth };
        for _ in 0..root.free.pages {
            if link.birth <= self.durable {
                break;
            }
            self.claim(link.page, 1)?;
            let bytes = self.read(link.page.0, 1)?;
            link = FreeLogPage::decode(&bytes, link, self.seed)?.older;
        }
        Ok(())
    }

    /// Pages that belong to one owner are inside the file, and nobody else's.
    fn claim(&mut self, id: PageId, pages: u64) -> Result<()> {
        let end = self.root.page_count;
        if id.0.saturating_add(pages) > end {
            return Err(Error::corrupted(id.0, "page reference", format!("below {end}"), id));
        }
        if !self.seen.claim(id.0, pages) {
            return Err(Error::corrupted(id.0, "page reference", "a page that nothing else has", id));
        }
        Ok(())
    }

    /// Pages that were claimed.
    fn read(&mut self, id: u64, pages: u64) -> Result<Vec<u8>> {
        self.pages += pages;
        let bytes = read(self.storage, id, pages, self.page_size)?;
        // Byte for byte, so it does no harm if the commit turns out not to be whole: then nobody needs it.
        if self.writable && self.written_again.is_ok() {
            self.written_again = self.storage.write_at(&[&bytes], id * self.page_size as u64);
        }
        Ok(bytes)
    }

    /// A value, piece by piece: it may be of 4 GiB.
    fn run(&mut self, run: &OverflowRef) -> Result<()> {
        let (first, pages) = (run.page(), run_pages(u64::from(run.len), self.page_size));
        self.claim(first, pages)?;
        let (mut sum, mut rest, mut behind) = (self.seed, run.len as usize, false);
        let piece = (PIECE / self.page_size as u64).max(1);
        for page in (0..pages).step_by(index(piece)) {
            let bytes = self.read(first.0 + page, piece.min(pages - page))?;
            let (value, zeros) = bytes.split_at(rest.min(bytes.len()));
            sum = sum.behind(value);
            rest -= value.len();
            behind |= zeros.iter().any(|byte| *byte != 0);
        }
        // What lies behind the value was written with it: other bytes there are torn as well.
        let sum = sum.value();
        if sum != run.sum || behind {
            return Err(Error::corrupted(first.0, "checksum of a value", run.sum, sum));
        }
        Ok(())
    }

    fn tree(&mut self, root: &TreeRoot, is_catalog: bool) -> Result<()> {
        if root.is_empty() {
            return Ok(());
        }
        if root.child.birth > self.root.txn {
            let (page, bound) = (root.child.page().0, format!("at most {}", self.root.txn));
            return Err(Error::corrupted(page, "birth of a root page", bound, root.child.birth));
        }
        self.page(&root.child, root.level, is_catalog)
    }

    fn page(&mut self, child: &Child, level: u8, is_catalog: bool) -> Result<()> {
        if child.birth <= self.durable {
            return Ok(());
        }
        let (id, birth, count) = (child.page(), child.birth, child.count);
        self.claim(id, 1)?;
        let bytes = self.read(id.0, 1)?;
        let page_count = self.root.page_count;
        page::check(&bytes, &Expected { id, birth, level, count, page_count, seed: self.seed })?;
        let page = Page::new(&bytes);
        for i in 0..page.len() {
            if level > 0 {
                self.page(&page.child(i), level - 1, is_catalog)?;
                continue;
            }
            match page.value(i) {
                LeafValue::Overflow(run) if run.birth > self.durable => self.run(&run)?,
                LeafValue::Inline(record) if is_catalog => {
                    let table = TableRecord::decode(record, id)?;
                    self.tree(&table.root, false)?;
                }
                LeafValue::Inline(_) | LeafValue::Overflow(_) => {}
            }
        }
        Ok(())
    }
}
