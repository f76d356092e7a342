//! Changes to a page on the heap, and what makes it fit for the disk.

use super::build::write_cell;
use super::slotted::Page;
use super::{
    Cell, Child, HEADER_LEN, PageId, SLOT_LEN, Seed, TxnId, get_u32, get_u64, put_u16, put_u32, put_u64,
    to_u16,
};

/// A leaf or branch page on the heap.
pub(crate) struct PageMut<'a> {
    pub(super) bytes: &'a mut [u8],
}

/// Makes `bytes` an empty page of `kind`.
pub(crate) fn init(bytes: &mut [u8], kind: u8, level: u8) {
    bytes[..HEADER_LEN].fill(0);
    bytes[4] = kind;
    bytes[5] = level;
    put_u32(bytes, 28, u32::try_from(bytes.len()).expect("a page has at most 65,536 bytes"));
}

impl<'a> PageMut<'a> {
    pub(crate) fn new(bytes: &'a mut [u8]) -> PageMut<'a> {
        PageMut { bytes }
    }

    pub(crate) fn view(&self) -> Page<'_> {
        Page::new(self.bytes)
    }

    /// Whether `cell` can be inserted as the page is: its key has the page's prefix, and there is room.
    #[cfg(test)]
    pub(super) fn fits(&self, cell: &Cell<'_>) -> bool {
        let page = self.view();
        let prefix = page.prefix();
        let has_prefix = if cell.prefix.is_empty() {
            cell.suffix.starts_with(prefix)
        } else {
            cell.prefix.iter().chain(cell.suffix).take(prefix.len()).eq(prefix)
        };
        has_prefix && page.free_len() + prefix.len() >= super::build::cell_cost(cell)
    }

    /// Inserts `cell` as number `i`: its key has the page's prefix, and there is room for it. O(n) in the
    /// cells behind it.
    pub(crate) fn insert(&mut self, i: usize, cell: &Cell<'_>, scratch: &mut Vec<u8>) {
        let page = self.view();
        let skip = page.prefix().len();
        let cell_len = super::build::cell_cost(cell) - SLOT_LEN - skip;
        if page.cells_at() < page.slots_end() + SLOT_LEN + cell_len {
            self.compact(scratch);
        }
        let page = self.view();
        let (slots_at, slots_end, count) = (page.slots_at(), page.slots_end(), page.len());
        let at = page.cells_at() - cell_len;
        let (slot, _) = write_cell(self.bytes, at, cell, skip);
        let slot_at = slots_at + i * SLOT_LEN;
        self.bytes.copy_within(slot_at..slots_end, slot_at + SLOT_LEN);
        self.bytes[slot_at..slot_at + SLOT_LEN].copy_from_slice(&slot.encode());
        self.set_len(count + 1);
        self.set_cells_at(at);
    }

    /// Removes cell `i` of a leaf, or of a branch where `i` is not its first. O(n) in the cells behind it.
    pub(crate) fn remove(&mut self, i: usize) {
        let page = self.view();
        let (slot_at, slots_end) = (page.slots_at() + i * SLOT_LEN, page.slots_end());
        let (offset, cell_len, count) = (usize::from(page.slot(i).offset), page.cell_len(i), page.len());
        let (cells_at, dead) = (page.cells_at(), page.dead());
        self.bytes.copy_within(slot_at + SLOT_LEN..slots_end, slot_at);
        self.set_len(count - 1);
        if offset == cells_at {
            self.set_cells_at(cells_at + cell_len);
        } else {
            self.set_dead(dead + cell_len);
        }
    }

    /// Removes child `i` of a branch. The second child takes the place of a first that goes: the first cell
    /// of a branch has no separator.
    pub(crate) fn remove_child(&mut self, i: usize) {
        if i == 0 && self.view().len() > 1 {
            let second = self.view().child(1);
            self.set_child(0, &second);
            self.remove(1);
        } else {
            self.remove(i);
        }
    }

    /// Replaces child `i` of a branch, its separator staying as it is.
    pub(crate) fn set_child(&mut self, i: usize, child: &Child) {
        let at = usize::from(self.view().slot(i).offset);
        let fixed = child.encode();
        self.bytes[at..at + fixed.len()].copy_from_slice(&fixed);
    }

    /// Changes what child `i` of a branch has below it.
    pub(crate) fn add_below(&mut self, i: usize, count: i64, flags: u64) {
        // Not by way of a whole child: every insertion does this at each level.
        let at = usize::from(self.view().slot(i).offset);
        let below = get_u64(self.bytes, at + 16).wrapping_add_signed(count);
        put_u64(self.bytes, at + 16, below);
        if flags != 0 {
            let word = get_u64(self.bytes, at) | flags;
            put_u64(self.bytes, at, word);
        }
    }

    /// Overwrites what stands behind the key of leaf cell `i` with as many bytes from `from` on.
    pub(crate) fn overwrite_tail(&mut self, i: usize, from: usize, bytes: &[u8]) {
        let page = self.view();
        let cell = page.cell(i);
        debug_assert!(from + bytes.len() <= cell.tail.len());
        let at = usize::from(page.slot(i).offset) + cell.fixed.len() + cell.suffix.len() + from;
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Closes the holes between cells.
    fn compact(&mut self, scratch: &mut Vec<u8>) {
        let page = self.view();
        self.keep(0..page.len(), page.prefix_len(), scratch);
    }

    pub(super) fn set_len(&mut self, count: usize) {
        put_u16(self.bytes, 6, to_u16(count));
    }

    fn set_dead(&mut self, dead: usize) {
        put_u16(self.bytes, 26, to_u16(dead));
    }

    pub(super) fn set_cells_at(&mut self, at: usize) {
        put_u32(self.bytes, 28, u32::try_from(at).expect("a page has at most 65,536 bytes"));
    }
}

/// Makes a leaf or branch page fit for the disk: no holes, zeros where nothing stands, its place, its birth
/// and its checksum, which is returned.
pub(crate) fn finalize(bytes: &mut [u8], id: PageId, birth: TxnId, seed: Seed, scratch: &mut Vec<u8>) -> u32 {
    let mut page = PageMut::new(bytes);
    if page.view().dead() > 0 {
        page.compact(scratch);
    }
    let view = page.view();
    let (from, to) = (view.slots_end(), view.cells_at());
    bytes[from..to].fill(0);
    put_u64(bytes, 8, id.0);
    put_u64(bytes, 16, birth.0);
    debug_assert_eq!(get_u32(bytes, 28) as usize, to);
    seed.seal(bytes)
}
