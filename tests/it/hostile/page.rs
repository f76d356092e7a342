//! One leaf or branch page, decoded and checked by itself as docs/FORMAT.md says.

use super::bytes::{NUMBER, u16_at, u32_at, u64_at};
use super::format::Checked;

/// What a parent says of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) number: u64,
    /// From bit 48 on.
    pub(super) flags: u64,
    pub(super) birth: u64,
    pub(super) count: u64,
}

impl Reference {
    pub(super) fn of(bytes: &[u8]) -> Reference {
        let word = u64_at(bytes, 0);
        Reference {
            number: word & NUMBER,
            flags: word >> 48,
            birth: u64_at(bytes, 8),
            count: u64_at(bytes, 16),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Cell<'f> {
    pub(super) key: Vec<u8>,
    pub(super) fixed: &'f [u8],
    pub(super) tail: &'f [u8],
    /// Where the tail begins in the page.
    pub(super) tail_at: usize,
    pub(super) extended: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Decoded<'f> {
    pub(super) is_leaf: bool,
    pub(super) prefix: usize,
    pub(super) used: usize,
    pub(super) cells: Vec<Cell<'f>>,
}

/// Where the slots begin.
pub(super) fn slots_at(prefix: usize) -> usize {
    (32 + prefix).div_ceil(8) * 8
}

/// Takes a page apart whose header names a level and a kind that fit together. `all` is what the whole-file
/// check looks at, else what is looked at on first touch.
pub(super) fn decode(page: &[u8], all: bool) -> Checked<Decoded<'_>> {
    let is_leaf = page[4] == 1;
    let (count, prefix_len, begin) = (u16_at(page, 6), u16_at(page, 24), u32_at(page, 28) as usize);
    if count == 0 || u16_at(page, 26) != 0 {
        return Err("number of cells, or holes".to_owned());
    }
    let slots = slots_at(prefix_len);
    if slots + count * 8 > begin || begin > page.len() {
        return Err("slots and cells overlap".to_owned());
    }
    let padding = &page[32 + prefix_len..slots];
    let unused = if all { &page[slots + count * 8..begin] } else { &[] };
    if padding.iter().chain(unused).any(|byte| *byte != 0) {
        return Err("bytes that are zero".to_owned());
    }
    let prefix = &page[32..32 + prefix_len];
    let (mut cells, mut places) = (Vec::new(), Vec::new());
    for i in 0..count {
        let (cell, from, to) = cell(page, prefix, slots + i * 8, i == 0 && !is_leaf)?;
        if from < begin || to > page.len() {
            return Err("a cell outside".to_owned());
        }
        places.push((from, to));
        cells.push(cell);
    }
    if places.iter().map(|(from, to)| to - from).sum::<usize>() != page.len() - begin {
        return Err("length of the cells".to_owned());
    }
    places.sort_unstable();
    if all && places.windows(2).any(|pair| pair[0].1 != pair[1].0) {
        return Err("cells do not lie side by side".to_owned());
    }
    let longest = (page.len() - 128) / 2;
    let keyed = &cells[usize::from(!is_leaf)..];
    if keyed.iter().any(|cell| cell.key.len() > longest || !is_leaf && cell.key.is_empty()) {
        return Err("length of a key".to_owned());
    }
    if keyed.windows(2).any(|pair| pair[0].key >= pair[1].key) {
        return Err("order of keys".to_owned());
    }
    let used = slots + count * 8 + page.len() - begin;
    Ok(Decoded { is_leaf, prefix: prefix_len, used, cells })
}

/// A cell, and where it begins and ends.
fn cell<'f>(
    page: &'f [u8],
    prefix: &[u8],
    slot: usize,
    is_first_of_branch: bool,
) -> Checked<(Cell<'f>, usize, usize)> {
    let is_leaf = page[4] == 1;
    let (head, from, key) = (u32_at(page, slot), u16_at(page, slot + 4), u16_at(page, slot + 6));
    let (extended, key) = (key & 0x8000 != 0, key & 0x7FFF);
    let fixed = if is_leaf { 2 } else { 24 };
    let part = |from: usize, len: usize| page.get(from..from + len).ok_or("a cell outside".to_owned());
    let fixed_bytes = part(from, fixed)?;
    let tail_len = match (is_leaf, extended) {
        (false, true) => return Err("an extended branch cell".to_owned()),
        (false, false) => 0,
        (true, false) => u16_at(fixed_bytes, 0),
        (true, true) if fixed_bytes == [1, 0] => 24,
        (true, true) => return Err("kind of a cell".to_owned()),
    };
    let suffix = part(from + fixed, key)?;
    let tail_at = from + fixed + key;
    let tail = part(tail_at, tail_len)?;
    let mut four = [0; 4];
    four[..key.min(4)].copy_from_slice(&suffix[..key.min(4)]);
    // The head is the number whose digits these bytes are, the first the highest.
    if four.iter().fold(0u32, |head, byte| head << 8 | u32::from(*byte)) != head {
        return Err("head of a slot".to_owned());
    }
    if is_first_of_branch && key != 0 {
        return Err("the first cell of a branch".to_owned());
    }
    let key = if is_first_of_branch { Vec::new() } else { [prefix, suffix].concat() };
    Ok((Cell { key, fixed: fixed_bytes, tail, tail_at, extended }, from, tail_at + tail_len))
}

/// Whether two neighbours should be one page.
pub(super) fn fit_together(
    left: &Decoded<'_>,
    right: &Decoded<'_>,
    between: &[u8],
    page_size: usize,
) -> bool {
    if left.used > page_size / 2 || right.used > page_size / 2 {
        return false;
    }
    let fixed = if left.is_leaf { 2 } else { 24 };
    let first = usize::from(!left.is_leaf);
    let keyed = left.cells[first..].iter().chain(&right.cells[first..]);
    let mut keys: Vec<(&[u8], usize)> = keyed.map(|cell| (&*cell.key, cell.tail.len())).collect();
    let size = |prefix: usize, keys: &[(&[u8], usize)]| {
        let cells = keys.iter().map(|(key, tail)| 8 + fixed + key.len() - prefix + tail).sum::<usize>();
        slots_at(prefix) + cells
    };
    let with_theirs = size(left.prefix.min(right.prefix), &keys) + 2 * 32 * first;
    if !left.is_leaf {
        keys.push((between, 0));
    }
    let shared = |a: &[u8], b: &[u8]| a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let mut p = keys[0].0.len();
    for (key, _) in &keys {
        p = p.min(shared(keys[0].0, key));
    }
    let n = keys.len();
    let saves = n * p > p.div_ceil(8) * 8 && (!left.is_leaf || p >= 3 || n * p >= 128);
    let with_its_own = size(if saves { p } else { 0 }, &keys) + 32 * first;
    let limit = page_size / 4 * 3;
    with_theirs <= limit && with_its_own <= limit
}
