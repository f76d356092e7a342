//! What a page must be before anything in it is believed: done once, when a process first touches it.

use super::checksum::Seed;
use super::leaf::{EXTENDED_OVERFLOW, OverflowRef};
use super::slotted::{BRANCH_KEY_AT, EXTENDED_TAIL, LEAF_KEY_AT, Page, Slot, head};
use super::{Child, get_u16, key_len_max, run_pages};
use super::{HAS_OVERFLOW, HEADER_LEN, KIND_BRANCH, KIND_LEAF, LEVELS_MAX, PAGE_ID_MASK, PageId, TxnId};
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
    #[cold]
    #[inline(never)]
    fn fault(&self, what: &'static str, expected: impl ToString, found: impl ToString) -> Error {
        Error::corrupted(self.id.0, what, expected, found)
    }

    #[inline]
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
    let below = if page.is_leaf() {
        check_cells::<true>(page, expected)?
    } else {
        check_cells::<false>(page, expected)?
    };
    expected.equal("number of entries", expected.count, below)
}

/// Header fields: slots and cells lie where they can lie.
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
    Ok(())
}

/// Slots and cells: each cell lies where it can lie, and together they are as long as their part of the page;
/// heads say what their keys say, keys ascend, and none is longer than can be. Returns the entries below.
///
/// All in one pass, and what is wrong is put into words elsewhere: this is most of what a first touch costs.
fn check_cells<const LEAF: bool>(page: Page<'_>, expected: &Expected) -> Result<u64> {
    let (bytes, cells_at, (prefix, slots)) = (page.bytes(), page.cells_at(), page.prefix_and_slots());
    let key_at = if LEAF { LEAF_KEY_AT } else { BRANCH_KEY_AT };
    let longest = key_len_max(bytes.len());
    let (mut total, mut below) = (0, 0u64);
    // Less than any head: the first key is behind nothing.
    let (mut last_head, mut last) = (-1, &[][..]);
    for (i, slot) in slots.iter().enumerate() {
        let slot = Slot::decode(*slot);
        let offset = usize::from(slot.offset);
        let tail_len = match (LEAF, slot.is_extended()) {
            (true, false) => usize::from(get_u16(bytes, offset)),
            (true, true) => check_kind(bytes, offset, expected)?,
            (false, false) => 0,
            (false, true) => return Err(expected.fault("extended branch cell", false, true)),
        };
        let end = offset + key_at + slot.key_len() + tail_len;
        let Some(cell) = bytes.get(offset..end).filter(|_| offset >= cells_at) else {
            return Err(outside(page, slot, end, expected));
        };
        total += cell.len();
        let (fixed, rest) = cell.split_at(key_at);
        let (suffix, tail) = rest.split_at(slot.key_len());
        if !LEAF {
            let count = check_child(&Child::decode(fixed), expected)?;
            below = below
                .checked_add(count)
                .ok_or_else(|| expected.fault("number of entries", "less than 2^64 below a branch", count))?;
        } else if slot.is_extended() {
            check_run(&OverflowRef::decode(tail), bytes.len(), expected)?;
        }
        if head(suffix) != slot.head {
            return Err(expected.fault("key head", head(suffix), slot.head));
        }
        if !LEAF && i == 0 {
            expected.equal("length of the first separator", 0, suffix.len())?;
            continue;
        }
        if prefix.len() + suffix.len() > longest {
            return Err(too_long(prefix.len() + suffix.len(), longest, expected));
        }
        let this_head = i64::from(slot.head);
        if this_head <= last_head && (this_head < last_head || suffix <= last) {
            return Err(expected.fault("order of keys", "ascending", format!("not so at cell {i}")));
        }
        (last_head, last) = (this_head, suffix);
    }
    if !LEAF && slots.len() > 1 && prefix.is_empty() && page.suffix(1).is_empty() {
        return Err(expected.fault("second separator", "at least one byte", "none"));
    }
    expected.equal("length of cells", bytes.len() - cells_at, total)?;
    Ok(if LEAF { slots.len() as u64 } else { below })
}

#[cold]
#[inline(never)]
fn outside(page: Page<'_>, slot: Slot, end: usize, expected: &Expected) -> Error {
    let bounds = format!("a cell from {} to {}", page.cells_at(), page.bytes().len());
    expected.fault("slot offset", bounds, format!("one from {} to {end}", slot.offset))
}

#[cold]
#[inline(never)]
fn too_long(found: usize, longest: usize, expected: &Expected) -> Error {
    expected.fault("key length", format!("at most {longest}"), found)
}

/// The kind of an extended cell: known. Returns how many bytes such a cell has behind the key.
fn check_kind(bytes: &[u8], offset: usize, expected: &Expected) -> Result<usize> {
    let (kind, reserved) = match bytes.get(offset..) {
        Some([kind, reserved, ..]) => (*kind, *reserved),
        // Found to be outside the page when the length is known.
        _ => (EXTENDED_OVERFLOW, 0),
    };
    if kind != EXTENDED_OVERFLOW {
        return Err(Error::Unsupported { what: "cell kind", found: u64::from(kind) });
    }
    expected.equal("reserved byte of a cell", 0, reserved)?;
    Ok(EXTENDED_TAIL)
}

fn check_run(run: &OverflowRef, page_size: usize, expected: &Expected) -> Result<()> {
    let pages = run_pages(u64::from(run.len), page_size);
    check_reference(expected, run.word & !PAGE_ID_MASK, run.page(), pages, run.birth)
}

/// Returns the number of entries below the child.
#[inline]
fn check_child(child: &Child, expected: &Expected) -> Result<u64> {
    let flags = child.word & !PAGE_ID_MASK & !HAS_OVERFLOW;
    check_reference(expected, flags, child.page(), 1, child.birth)?;
    if child.count == 0 {
        return Err(expected.fault("entries below a child", "at least 1", 0));
    }
    Ok(child.count)
}

/// A reference to other pages: no unknown flags, inside the file, not younger than the page it stands in.
#[inline]
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
