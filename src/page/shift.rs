//! Cells of a leaf that move to another page as they are: by their slots, without lists of them.

use std::ops::Range;

use super::build::{worth, write_header};
use super::edit::PageMut;
use super::slotted::{Cell, Page, Slot, head, slots_at};
use super::{HEADER_LEN, SLOT_LEN, to_u16};

/// Makes `out` a page of the cells `range` of `from`, under a prefix of `prefix_len` bytes that their keys
/// share. They fit. In a branch, the prefix stays as it is.
pub(crate) fn build_part(out: &mut [u8], from: Page<'_>, range: Range<usize>, prefix_len: usize) {
    debug_assert!(from.is_leaf() || prefix_len == from.prefix_len());
    write_header(out, from.level(), range.len(), prefix_len);
    let prefix = from.prefix();
    let slots_at = slots_at(prefix_len);
    let room = &mut out[HEADER_LEN..slots_at];
    room.fill(0);
    match prefix.get(..prefix_len) {
        Some(prefix) => room[..prefix_len].copy_from_slice(prefix),
        None => {
            room[..prefix.len()].copy_from_slice(prefix);
            let more = &from.suffix(range.start)[..prefix_len - prefix.len()];
            room[prefix.len()..prefix_len].copy_from_slice(more);
        }
    }
    let len = out.len();
    let cells_at = copy_cells(out, len, slots_at, from, range, prefix_len);
    PageMut::new(out).set_cells_at(cells_at);
}

/// Copies the cells `range` of `from` to a page whose keys have a prefix of `prefix_len` bytes: slots from
/// `slot_at` up, cells from `end` down. Where the cells begin then.
fn copy_cells(
    out: &mut [u8],
    end: usize,
    slot_at: usize,
    from: Page<'_>,
    range: Range<usize>,
    prefix_len: usize,
) -> usize {
    let prefix = from.prefix();
    let (mut at, mut slot_at) = (end, slot_at);
    for i in range {
        let slot = from.slot(i);
        let offset = usize::from(slot.offset);
        let cell = &from.bytes()[offset..offset + from.cell_len(i)];
        let slot = if prefix_len == prefix.len() {
            at -= cell.len();
            out[at..at + cell.len()].copy_from_slice(cell);
            Slot { offset: to_u16(at), ..slot }
        } else {
            let (fixed, rest) = cell.split_at(from.key_at());
            let more = prefix.get(prefix_len..).unwrap_or(&[]);
            let rest = &rest[prefix_len.saturating_sub(prefix.len())..];
            at -= fixed.len() + more.len() + rest.len();
            let mut to = at;
            for part in [fixed, more, rest] {
                out[to..to + part.len()].copy_from_slice(part);
                to += part.len();
            }
            let key = at + fixed.len();
            let key_len = slot.key_len() + prefix.len() - prefix_len;
            Slot { head: head(&out[key..key + key_len]), offset: to_u16(at), key: slot.with_key_len(key_len) }
        };
        out[slot_at..slot_at + SLOT_LEN].copy_from_slice(&slot.encode());
        slot_at += SLOT_LEN;
    }
    at
}

/// The length of the prefix that suits a leaf of `count` cells whose keys share `shared` bytes.
pub(crate) fn prefix_between(shared: usize, count: usize) -> usize {
    if count < 2 { 0 } else { worth(true, shared, count) }
}

impl<'a> Page<'a> {
    /// Whether `key` is greater than every key of the page.
    #[inline]
    pub(crate) fn ends_below(self, key: &[u8]) -> bool {
        match (self.len().checked_sub(1), key.strip_prefix(self.prefix())) {
            (None, _) => true,
            (Some(last), Some(rest)) => self.suffix(last) < rest,
            (Some(_), None) => self.prefix() < key,
        }
    }

    /// Bytes that cell `i` takes with its slot.
    pub(crate) fn cost(self, i: usize) -> usize {
        SLOT_LEN + self.cell_len(i)
    }

    /// Bytes that `cell`, whose key is whole and has the page's prefix, would take with its slot.
    pub(crate) fn cost_here(self, cell: &Cell<'_>) -> usize {
        SLOT_LEN + cell.fixed.len() + cell.suffix.len() - self.prefix_len() + cell.tail.len()
    }

    /// Bytes of the page that are in use.
    pub(crate) fn used_len(self) -> usize {
        self.bytes().len() - self.free_len().min(self.bytes().len())
    }

    /// Bytes that all cells take with their slots.
    pub(crate) fn total_cost(self) -> usize {
        self.bytes().len().saturating_sub(self.free_len() + self.slots_at())
    }

    /// Whether cell `i` is extended.
    pub(crate) fn is_extended(self, i: usize) -> bool {
        self.slot(i).is_extended()
    }
}

/// Bytes of a page of `count` cells under a prefix of `prefix_len` bytes; without one they would cost `cost`.
pub(crate) fn len_under(prefix_len: usize, count: usize, cost: usize) -> usize {
    slots_at(prefix_len) + cost - count * prefix_len
}

impl PageMut<'_> {
    /// Inserts `cell`, whose key is whole, as number `i` if its key has the page's prefix and there is room;
    /// whether it did.
    pub(crate) fn try_insert(&mut self, i: usize, cell: &Cell<'_>, scratch: &mut Vec<u8>) -> bool {
        let page = self.view();
        let fits = cell.suffix.starts_with(page.prefix()) && page.cost_here(cell) <= page.free_len();
        if fits {
            self.insert(i, cell, scratch);
        }
        fits
    }

    /// Keeps the cells `range` of a leaf, under a prefix of `prefix_len` bytes that their keys share, and
    /// leaves no holes.
    pub(crate) fn keep(&mut self, range: Range<usize>, prefix_len: usize, scratch: &mut Vec<u8>) {
        scratch.clear();
        scratch.extend_from_slice(self.view().bytes());
        build_part(self.bytes, Page::new(scratch), range, prefix_len);
    }

    /// Takes in the cells `range` of another leaf as number `i` and so on: their keys have the page's prefix,
    /// and there is room for them.
    pub(crate) fn take_cells(
        &mut self,
        i: usize,
        from: Page<'_>,
        range: Range<usize>,
        scratch: &mut Vec<u8>,
    ) {
        let page = self.view();
        let prefix_len = page.prefix_len();
        let more = range.len() * SLOT_LEN;
        let grown = range.len() * from.prefix_len();
        let wanted = range.clone().map(|i| from.cost(i)).sum::<usize>() + grown - range.len() * prefix_len;
        if page.slots_end() + wanted > page.cells_at() {
            self.keep(0..self.view().len(), prefix_len, scratch);
        }
        let page = self.view();
        let (slots_at, slots_end, len) = (page.slots_at(), page.slots_end(), page.len());
        let (slot_at, cells_at) = (slots_at + i * SLOT_LEN, page.cells_at());
        self.bytes.copy_within(slot_at..slots_end, slot_at + more);
        self.set_len(len + range.len());
        let cells_at = copy_cells(self.bytes, cells_at, slot_at, from, range, prefix_len);
        self.set_cells_at(cells_at);
    }
}
