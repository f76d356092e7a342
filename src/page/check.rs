//! What a page must be before anything in it is believed: done once, when a process first touches it.

use super::checksum::Seed;
use super::leaf::EXTENDED_OVERFLOW;
use super::slotted::{BRANCH_KEY_AT, LEAF_KEY_AT, Page, head};
use super::{HAS_OVERFLOW, HEADER_LEN, KIND_BRANCH, KIND_LEAF, LEVELS_MAX, PAGE_ID_MASK, PageId, TxnId};
use super::{LeafValue, key_len_max, run_pages};
use crate::error::{Error, Result};

/// What the parent says of a page, and what bounds the numbers in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    pub(crate) id: PageId,
    pub(crate) birth: TxnId,
    pub(crate) level: u8,
    pub(crate) count: u64,
    /// Pages of the file: every number in the page is smaller.
    pub(crate) page_count: u64,
    pub(crate) seed: Seed,
}

impl Expected {
    fn fault(&self, what: &'static str, expected: impl ToString, found: impl ToString) -> Error {
        Error::corrupted(self.id.0, what, expected, found)
    }

    fn equal<T: PartialEq + ToString>(&self, what: &'static str, expected: T, found: T) -> Result<()> {
        if expected == found { Ok(()) } else { Err(self.fault(what, expected, found)) }
    }
}

/// Checks a leaf or branch page in `bytes` against what its parent says: checksum, place, birth, level, every
/// offset in bounds, heads and order of keys, entries below. O(cells).
pub(crate) fn check(bytes: &[u8], expected: &Expected) -> Result<()> {
    let page = Page::new(bytes);
    expected.equal("checksum", page.sum(), expected.seed.page_sum(bytes))?;
    expected.equal("page number", expected.id.0, page.id().0)?;
    expected.equal("birth", expected.birth.0, page.birth().0)?;
    expected.equal("level", expected.level, page.level())?;
    let kind = if page.is_leaf() { KIND_LEAF } else { KIND_BRANCH };
    expected.equal("page kind", kind, page.kind())?;
    if usize::from(page.level()) >= LEVELS_MAX {
        return Err(expected.fault("level", format!("below {LEVELS_MAX}"), page.level()));
    }
    check_layout(page, expected)?;
    check_keys(page, expected)?;
    let below = if page.is_leaf() { check_values(page, expected)? } else { check_children(page, expected)? };
    expected.equal("number of entries", expected.count, below)
}

/// Header fields and slots: everything lies where it can lie, and nothing overlaps.
fn check_layout(page: Page<'_>, expected: &Expected) -> Result<()> {
    let len = page.bytes().len();
    expected.equal("length of holes", 0, page.dead())?;
    if page.len() == 0 {
        return Err(expected.fault("number of cells", "at least 1", 0));
    }
    if page.slots_end() > page.cells_at() || page.cells_at() > len {
        let found = format!("{} behind slots to {}", page.cells_at(), page.slots_end());
        return Err(expected.fault("start of cells", format!("at most {len}"), found));
    }
    if page.bytes()[HEADER_LEN + page.prefix_len()..page.slots_at()].iter().any(|b| *b != 0) {
        return Err(expected.fault("padding of the prefix", "zeros", "other bytes"));
    }
    let key_at = if page.is_leaf() { LEAF_KEY_AT } else { BRANCH_KEY_AT };
    let mut total = 0;
    for i in 0..page.len() {
        let slot = page.slot(i);
        let offset = usize::from(slot.offset);
        if page.is_leaf() && slot.is_extended() {
            // Before the length: another kind may have another.
            check_kind(page, i, expected)?;
        }
        if offset < page.cells_at() || offset + key_at > len || offset + page.cell_len(i) > len {
            let found = format!("{offset} with {} bytes", page.cell_len(i));
            let bounds = format!("a cell from {} to {len}", page.cells_at());
            return Err(expected.fault("slot offset", bounds, found));
        }
        total += page.cell_len(i);
    }
    expected.equal("length of cells", len - page.cells_at(), total)
}

fn check_kind(page: Page<'_>, i: usize, expected: &Expected) -> Result<()> {
    let fixed = page.cell(i).fixed;
    let kind = fixed.first().copied().unwrap_or(0);
    if kind != EXTENDED_OVERFLOW {
        return Err(Error::Unsupported { what: "cell kind", found: u64::from(kind) });
    }
    expected.equal("reserved byte of a cell", 0, fixed.get(1).copied().unwrap_or(0))
}

/// Heads say what their keys say, keys ascend, and none is longer than can be.
fn check_keys(page: Page<'_>, expected: &Expected) -> Result<()> {
    let first = usize::from(!page.is_leaf());
    if first == 1 {
        expected.equal("length of the first separator", 0, page.slot(0).key_len())?;
        expected.equal("head of the first separator", 0, page.slot(0).head)?;
        if page.len() > 1 && page.prefix_len() + page.suffix(1).len() == 0 {
            return Err(expected.fault("second separator", "at least one byte", "none"));
        }
    }
    let longest = key_len_max(page.bytes().len());
    for i in first..page.len() {
        let (slot, suffix) = (page.slot(i), page.suffix(i));
        expected.equal("key head", head(suffix), slot.head)?;
        if page.prefix_len() + suffix.len() > longest {
            let found = page.prefix_len() + suffix.len();
            return Err(expected.fault("key length", format!("at most {longest}"), found));
        }
        if i > first && page.suffix(i - 1) >= suffix {
            return Err(expected.fault("order of keys", "ascending", format!("not so at cell {i}")));
        }
    }
    Ok(())
}

fn check_values(page: Page<'_>, expected: &Expected) -> Result<u64> {
    for i in 0..page.len() {
        let cell = page.cell(i);
        if !cell.extended {
            continue;
        }
        if let LeafValue::Overflow(run) = page.value(i) {
            let pages = run_pages(u64::from(run.len), page.bytes().len());
            check_reference(expected, run.word & !PAGE_ID_MASK, run.page(), pages, run.birth)?;
        }
    }
    Ok(page.len() as u64)
}

fn check_children(page: Page<'_>, expected: &Expected) -> Result<u64> {
    let mut below = 0u64;
    for i in 0..page.len() {
        let slot = page.slot(i);
        expected.equal("extended branch cell", false, slot.is_extended())?;
        let child = page.child(i);
        let flags = child.word & !PAGE_ID_MASK & !HAS_OVERFLOW;
        check_reference(expected, flags, child.page(), 1, child.birth)?;
        if child.count == 0 {
            return Err(expected.fault("entries below a child", "at least 1", 0));
        }
        below = below.saturating_add(child.count);
    }
    Ok(below)
}

/// A reference to other pages: no unknown flags, inside the file, not younger than the page it stands in.
fn check_reference(expected: &Expected, flags: u64, page: PageId, pages: u64, birth: TxnId) -> Result<()> {
    expected.equal("flags of a page number", 0, flags)?;
    if page.0 == 0 || pages == 0 || page.0.saturating_add(pages) > expected.page_count {
        let bounds = format!("inside the file's {} pages", expected.page_count);
        return Err(expected.fault("page reference", bounds, format!("{pages} pages from {page}")));
    }
    if birth > expected.birth {
        return Err(expected.fault(
            "birth of a referenced page",
            format!("at most {}", expected.birth),
            birth,
        ));
    }
    Ok(())
}

/// What the checksum covers and no reader relies on: zeros between slots and cells, and cells side by side.
/// The whole-file check looks.
pub(crate) fn check_unused(bytes: &[u8], id: PageId) -> Result<()> {
    let page = Page::new(bytes);
    let unused = bytes.get(page.slots_end()..page.cells_at()).unwrap_or(&[]);
    if unused.iter().any(|b| *b != 0) {
        return Err(Error::corrupted(id.0, "unused part of the page", "zeros", "other bytes"));
    }
    let mut cells: Vec<_> = (0..page.len()).map(|i| (page.slot(i).offset, page.cell_len(i))).collect();
    cells.sort_unstable();
    let mut end = page.cells_at();
    for (offset, len) in cells {
        if usize::from(offset) != end {
            return Err(Error::corrupted(id.0, "cell", format!("one at {end}"), format!("one at {offset}")));
        }
        end += len;
    }
    Ok(())
}
