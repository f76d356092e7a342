//! Whole pages from lists of cells: how long they would be, and the page itself.
//!
//! A cell list names keys in parts, so that splits and merges copy every byte once and never assemble a key.
//! In a branch the first cell's key is not stored (every key of the page is at least that) and takes no part
//! in the common prefix.

use super::slotted::{BRANCH_KEY_AT, Cell, EXTENDED, LEAF_KEY_AT, Page, Slot, head, slots_at};
use super::{KIND_BRANCH, KIND_LEAF, SLOT_LEN, put_u16, put_u32, to_u16};

/// Bytes that a cell takes with its slot when the page has no prefix.
pub(crate) fn cell_cost(cell: &Cell<'_>) -> usize {
    SLOT_LEN + cell.fixed.len() + cell.key_len() + cell.tail.len()
}

/// The cells of a page that have a key of their own.
fn keyed<'c, 'a>(level: u8, cells: &'c [Cell<'a>]) -> &'c [Cell<'a>] {
    if level == 0 { cells } else { cells.get(1..).unwrap_or(&[]) }
}

/// The length of the prefix that suits a page of these cells, whose keys are in order.
fn prefix_of(level: u8, cells: &[Cell<'_>]) -> usize {
    match keyed(level, cells) {
        [first, .., last] => worth(level == 0, shared_len(first, last), keyed(level, cells).len()),
        _ => 0,
    }
}

/// A common prefix, or none where the padding behind it takes more than it saves.
///
/// Nor where it saves next to nothing in a leaf, as one or two bytes of long entries: keys in one piece need
/// no heap when a range yields them, and a scan of random keys takes 0.8 of the time.
pub(super) fn worth(is_leaf: bool, shared: usize, keyed_count: usize) -> usize {
    let saved = shared * keyed_count;
    let saves = saved > slots_at(shared) - slots_at(0);
    let is_short = is_leaf && shared <= 2 && saved < 128;
    if saves && !is_short { shared } else { 0 }
}

/// How many bytes two keys share at their beginning.
pub(crate) fn shared_len(a: &Cell<'_>, b: &Cell<'_>) -> usize {
    if std::ptr::eq(a.prefix, b.prefix) {
        return a.prefix.len() + shared_bytes(a.suffix, b.suffix);
    }
    let bytes = |cell: &Cell<'_>| cell.prefix.iter().chain(cell.suffix).copied().collect::<Vec<u8>>();
    shared_bytes(&bytes(a), &bytes(b))
}

/// How many bytes two strings share at their beginning.
pub(crate) fn shared_bytes(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// How much of the key of `right` tells it from `left`, its predecessor: the shortest separator.
pub(crate) fn separator_len(left: &Cell<'_>, right: &Cell<'_>) -> usize {
    shared_len(left, right) + 1
}

/// Bytes of a page that holds `cells` and nothing else, its prefix as long as it can be.
pub(crate) fn packed_len(level: u8, cells: &[Cell<'_>]) -> usize {
    let cost: usize = cells.iter().map(cell_cost).sum();
    let unkeyed = if level == 0 { 0 } else { cells.first().map_or(0, Cell::key_len) };
    let count = keyed(level, cells).len();
    slots_at(prefix_of(level, cells)) + cost - unkeyed - count * prefix_of(level, cells)
}

/// [`packed_len`] from its parts: what the keys share, how many cells have one, and what all cells cost.
pub(crate) fn packed_len_of(is_leaf: bool, shared: usize, keyed_count: usize, cost: usize) -> usize {
    let prefix_len = worth(is_leaf, shared, keyed_count);
    slots_at(prefix_len) + cost - keyed_count * prefix_len
}

/// Writes a page of `cells`, which fit ([`packed_len`]), into `out`. What lies between slots and cells is
/// left as it was: [`super::finalize`] clears it.
pub(crate) fn build(out: &mut [u8], level: u8, cells: &[Cell<'_>]) {
    let prefix_len = prefix_of(level, cells);
    let unkeyed = cells.len() - keyed(level, cells).len();
    write_header(out, level, cells.len(), prefix_len);
    if let Some(cell) = keyed(level, cells).first() {
        write_prefix(out, cell, prefix_len);
    }
    let mut slot_at = slots_at(prefix_len);
    let packed = packed_len(level, cells);
    assert!(packed <= out.len(), "the caller has seen that the cells fit");
    let total = packed - slot_at - cells.len() * SLOT_LEN;
    let mut at = out.len() - total;
    put_u32(out, 28, u32::try_from(at).expect("a page has at most 65,536 bytes"));
    for (i, cell) in cells.iter().enumerate() {
        let skip = if i < unkeyed { cell.key_len() } else { prefix_len };
        let (slot, end) = write_cell(out, at, cell, skip);
        out[slot_at..slot_at + SLOT_LEN].copy_from_slice(&slot.encode());
        (slot_at, at) = (slot_at + SLOT_LEN, end);
    }
    debug_assert_eq!(at, out.len());
}

pub(super) fn write_header(out: &mut [u8], level: u8, count: usize, prefix_len: usize) {
    out[..super::HEADER_LEN].fill(0);
    out[4] = if level == 0 { KIND_LEAF } else { KIND_BRANCH };
    out[5] = level;
    put_u16(out, 6, to_u16(count));
    put_u16(out, 24, to_u16(prefix_len));
}

fn write_prefix(out: &mut [u8], cell: &Cell<'_>, prefix_len: usize) {
    let prefix = cell.prefix.iter().chain(cell.suffix).take(prefix_len);
    let room = out[super::HEADER_LEN..slots_at(prefix_len)].iter_mut();
    let padded = prefix.copied().chain(std::iter::repeat(0));
    room.zip(padded).for_each(|(to, from)| *to = from);
}

/// Writes one cell at `at` without the first `skip` bytes of its key; its slot, and where the cell ends.
#[inline]
pub(super) fn write_cell(out: &mut [u8], at: usize, cell: &Cell<'_>, skip: usize) -> (Slot, usize) {
    let (a, b) = cell.key_from(skip);
    debug_assert!(cell.fixed.len() == LEAF_KEY_AT || cell.fixed.len() == BRANCH_KEY_AT);
    let mut end = at;
    for part in [cell.fixed, a, b, cell.tail] {
        out[end..end + part.len()].copy_from_slice(part);
        end += part.len();
    }
    // Not from what was just written: reading that back as one word waits until it has left the core.
    let head = match (a, b) {
        ([], key) | (key @ [_, _, _, _, ..], _) | (key, []) => head(key),
        _ => head(&[a, b].concat()),
    };
    let key = to_u16(a.len() + b.len()) | if cell.extended { EXTENDED } else { 0 };
    let slot = Slot { head, offset: to_u16(at), key };
    (slot, end)
}

/// Bytes that the cells of `page` cost when it has no prefix: what [`packed_len_of`] wants.
fn cost_of(page: Page<'_>) -> usize {
    let keyed = page.len().saturating_sub(usize::from(!page.is_leaf()));
    let used = page.bytes().len().saturating_sub(page.free_len());
    used.saturating_sub(page.slots_at()) + keyed * page.prefix_len()
}

/// The first cell that has a key.
fn first_keyed(page: Page<'_>) -> Option<Cell<'_>> {
    let first = usize::from(!page.is_leaf());
    (page.len() > first).then(|| page.cell(first))
}

fn last_keyed(page: Page<'_>) -> Option<Cell<'_>> {
    let first = usize::from(!page.is_leaf());
    (page.len() > first).then(|| page.cell(page.len() - 1))
}

/// [`packed_len`] of one page's cells: what is left of it when its prefix is as long as it can be.
pub(crate) fn packed_page_len(page: Page<'_>) -> usize {
    let keyed = page.len().saturating_sub(usize::from(!page.is_leaf()));
    let prefix = match (first_keyed(page), last_keyed(page)) {
        (Some(first), Some(last)) => shared_len(&first, &last),
        _ => 0,
    };
    packed_len_of(page.is_leaf(), prefix, keyed, cost_of(page))
}

/// [`packed_len`] of the cells of two neighbours together; `separator` is what the parent has for the right
/// one. O(1): the costs are known from the headers.
pub(crate) fn merged_len(left: Page<'_>, right: Page<'_>, separator: &[u8]) -> usize {
    let cost = cost_of(left) + cost_of(right);
    let keyed = (left.len() + right.len()).saturating_sub(usize::from(!left.is_leaf()));
    let between = Cell { prefix: &[], suffix: separator, fixed: &[], tail: &[], extended: false };
    let (first, last) = if left.is_leaf() {
        (first_keyed(left).or(first_keyed(right)), last_keyed(right).or(last_keyed(left)))
    } else {
        (first_keyed(left).or(Some(between)), last_keyed(right).or(Some(between)))
    };
    let prefix = match (first, last) {
        (Some(first), Some(last)) => shared_len(&first, &last),
        _ => 0,
    };
    let pulled_down = if left.is_leaf() { 0 } else { separator.len() };
    packed_len_of(left.is_leaf(), prefix, keyed, cost + pulled_down)
}
