//! Mutations that know what a file is made of. After most of them, checksums are made right.

use super::image::{FILE_MAX, pack, unpack};
use super::seal::{Layout, newest_meta, put, relink, seal, u16_at, u32_at, u64_at};
use crate::page::{HEAD_AT, META_AT, header_pages, index};
use crate::storage::sim::Rng;

/// Changes the packed file in `data[..size]` to another one of at most `max_size` bytes, and returns its
/// length. `bytes` changes some bytes without changing their number.
pub fn mutate(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    bytes: &mut dyn FnMut(&mut [u8]),
) -> usize {
    let mut rng = Rng::new(seed.into());
    let mut file = unpack(&data[..size]);
    for _ in 0..=rng.below(4) {
        change(&mut file, &mut rng, bytes);
    }
    if rng.below(4) == 0 {
        relink(&mut file);
    }
    if rng.below(8) > 0 {
        seal(&mut file);
    }
    keep(&file, data, size, max_size)
}

/// Puts some pages of one packed file into another, and returns the length of the packed result in `out`.
pub fn cross_over(one: &[u8], other: &[u8], out: &mut [u8], seed: u32) -> usize {
    let mut rng = Rng::new(seed.into());
    let (mut file, other) = (unpack(one), unpack(other));
    let layout = Layout::of(&file);
    for _ in 0..1 + rng.below(4) {
        let page = rng.below(layout.pages.max(1) as u64);
        if let Some(at) = layout.at(page) {
            put(&mut file, at, other.get(at..at + layout.page_size).unwrap_or(&[]));
        }
    }
    seal(&mut file);
    let packed = pack(&file);
    let len = packed.len().min(out.len());
    out[..len].copy_from_slice(&packed[..len]);
    len
}

/// What does not fit is given up, and the input stays as it was.
fn keep(file: &[u8], data: &mut [u8], size: usize, max_size: usize) -> usize {
    let packed = pack(file);
    if packed.len() > max_size.min(data.len()) {
        return size;
    }
    data[..packed.len()].copy_from_slice(&packed);
    packed.len()
}

fn change(file: &mut Vec<u8>, rng: &mut Rng, bytes: &mut dyn FnMut(&mut [u8])) {
    let layout = Layout::of(file);
    let pages = layout.with_header(file);
    if pages.is_empty() || rng.below(40) == 0 {
        return anywhere(file, rng, bytes);
    }
    let page = pages[rng.index(pages.len())];
    let other = pages[rng.index(pages.len())];
    let Some(at) = layout.at(page) else { return };
    match rng.below(12) {
        0 => field(file, at, rng, &[(4, 1), (5, 1), (6, 2), (8, 8), (16, 8), (24, 2), (26, 2), (28, 4)]),
        1 | 2 => slot(&mut file[at..at + layout.page_size], &layout, rng),
        3..=5 => cell(file, &layout, at, other, rng),
        6 => log(file, &layout, at, rng),
        7 | 8 => root(file, &layout, other, rng),
        9 => copy(file, &layout, page, other, rng),
        10 => bytes(used(&mut file[at..at + layout.page_size], rng)),
        _ => length(file, &layout, rng),
    }
}

/// Bytes at any place of the header pages.
fn anywhere(file: &mut [u8], rng: &mut Rng, bytes: &mut dyn FnMut(&mut [u8])) {
    let at = [META_AT[0], META_AT[1], HEAD_AT][rng.index(3)];
    let at = index(at).min(file.len());
    let len = (file.len() - at).min(300);
    bytes(&mut file[at..at + len]);
}

/// A part of the page that is in use: its front or its cells.
fn used<'p>(page: &'p mut [u8], rng: &mut Rng) -> &'p mut [u8] {
    let cells = (u32_at(page, 28) as usize).clamp(32, page.len());
    let slots = (32 + usize::from(u16_at(page, 24)) + 8 * usize::from(u16_at(page, 6))).min(cells);
    if rng.below(2) == 0 { &mut page[..slots] } else { &mut page[cells..] }
}

/// One of these fields, given by offset and length, gets another number.
fn field(file: &mut [u8], at: usize, rng: &mut Rng, fields: &[(usize, usize)]) {
    let (offset, len) = fields[rng.index(fields.len())];
    let mut old = [0; 8];
    if let Some(bytes) = file.get(at + offset..at + offset + len) {
        old[..len].copy_from_slice(bytes);
    }
    let new = number(u64::from_le_bytes(old), rng).to_le_bytes();
    put(file, at + offset, &new[..len]);
}

/// A number near the old one, at an edge, or any.
fn number(old: u64, rng: &mut Rng) -> u64 {
    const EDGES: [u64; 12] =
        [0, 1, 2, 31, 32, 0x7FFF, 0x8000, 0xFFFF, 1 << 16, (1 << 48) - 1, 1 << 63, u64::MAX];
    match rng.below(8) {
        0 => rng.next(),
        1 | 2 => EDGES[rng.index(EDGES.len())],
        3 => old ^ (1 << rng.below(64)),
        4 => rng.below(64),
        _ => old.wrapping_add(rng.below(9)).wrapping_sub(4),
    }
}

/// A slot is changed, copied or swapped with another one.
fn slot(page: &mut [u8], layout: &Layout, rng: &mut Rng) {
    let slots = (32 + usize::from(u16_at(page, 24))).next_multiple_of(8);
    let count = layout.cells(page).len();
    if count == 0 {
        return;
    }
    let (one, other) = (slots + 8 * rng.index(count), slots + 8 * rng.index(count));
    let (a, b) = (u64_at(page, one).to_le_bytes(), u64_at(page, other).to_le_bytes());
    match rng.below(4) {
        0 => {
            put(page, one, &b);
            put(page, other, &a);
        }
        1 => put(page, one, &b),
        _ => field(page, one, rng, &[(0, 4), (4, 2), (6, 2)]),
    }
}

/// What stands in a cell: a child, an overflow reference, a table record's root, the length of a value.
fn cell(file: &mut [u8], layout: &Layout, at: usize, other: u64, rng: &mut Rng) {
    let page = &file[at..at + layout.page_size];
    let (is_branch, cells) = (page[4] == 2, layout.cells(page));
    if cells.is_empty() {
        return;
    }
    let (cell, key, extended) = cells[rng.index(cells.len())];
    let (cell, behind) = (at + cell, at + cell + 2 + key);
    let redirects = rng.below(3) == 0;
    let target = layout.page(file, other);
    let (birth, count, level) = (u64_at(target, 16), u64::from(u16_at(target, 6)), target[5]);
    match (is_branch, extended) {
        (true, _) if redirects => {
            put(file, cell, &other.to_le_bytes());
            put(file, cell + 8, &birth.to_le_bytes());
            put(file, cell + 16, &count.to_le_bytes());
        }
        (true, _) => field(file, cell, rng, &[(0, 8), (6, 1), (8, 8), (16, 8)]),
        (false, true) => field(file, cell, rng, &[(0, 1), (1, 1)]),
        (false, false) if redirects => {
            // If it is a table record, its root is another page now.
            put(file, behind, &other.to_le_bytes());
            put(file, behind + 8, &birth.to_le_bytes());
            put(file, behind + 16, &count.to_le_bytes());
            put(file, behind + 24, &[level]);
        }
        (false, false) => {
            let record = [(0, 8), (6, 1), (8, 8), (16, 8), (24, 1), (32, 1), (34, 2), (38, 2), (40, 2)];
            field(file, behind, rng, &record);
        }
    }
    if extended && rng.below(2) == 0 {
        field(file, behind, rng, &[(0, 8), (6, 1), (8, 4), (12, 8), (20, 4)]);
    }
    if !is_branch && rng.below(6) == 0 {
        field(file, cell, rng, &[(0, 2)]);
    }
}

/// A record of the free-space log, or its link.
fn log(file: &mut [u8], layout: &Layout, at: usize, rng: &mut Rng) {
    let log = layout.with_header(file).into_iter().find(|page| layout.page(file, *page)[4] == 3);
    let at = log.and_then(|page| layout.at(page)).unwrap_or(at);
    let records = usize::from(u16_at(file, at + 6)).clamp(1, 600);
    match rng.below(6) {
        0 => field(file, at, rng, &[(6, 2), (32, 8), (40, 8)]),
        1 => {
            // One record more.
            let count = u16_at(file, at + 6).wrapping_add(1);
            put(file, at + 6, &count.to_le_bytes());
            let pages = rng.below(layout.pages.max(1) as u64) | (1 + rng.below(3)) << 48;
            for (i, number) in [pages, rng.below(3), rng.below(9)].into_iter().enumerate() {
                put(file, at + 48 + 24 * usize::from(count.wrapping_sub(1)) + 8 * i, &number.to_le_bytes());
            }
        }
        _ => {
            let record = at + 48 + 24 * rng.index(records);
            field(file, record, rng, &[(0, 8), (6, 2), (8, 8), (16, 8)]);
        }
    }
}

/// What a meta page or the head record says.
fn root(file: &mut [u8], layout: &Layout, other: u64, rng: &mut Rng) {
    let meta = if rng.below(4) > 0 { newest_meta(file) } else { index(META_AT[rng.index(2)]) };
    let base = if rng.below(6) == 0 { index(HEAD_AT) + 32 } else { meta + 104 };
    let target = layout.page(file, other);
    let (birth, count, level) = (u64_at(target, 16), u64::from(u16_at(target, 6)), target[5]);
    match rng.below(8) {
        0 | 1 => {
            let tree = base + [16, 48, 80][rng.index(3)];
            put(file, tree, &other.to_le_bytes());
            put(file, tree + 8, &birth.to_le_bytes());
            put(file, tree + 16, &count.to_le_bytes());
            put(file, tree + 24, &[level]);
        }
        2..=4 => {
            let words: Vec<(usize, usize)> = (0..14).map(|word| (8 * word, 8)).collect();
            field(file, base, rng, &words);
        }
        5 => {
            // As if it had not been closed in order.
            put(file, meta + 216, &[u8::try_from(rng.below(3)).unwrap_or(0)]);
            field(file, meta, rng, &[(72, 8), (80, 8), (220, 4), (256, 8), (260, 4), (262, 2)]);
        }
        6 => field(file, meta, rng, &[(8, 4), (12, 4), (16, 8), (24, 8), (32, 8), (40, 8), (72, 8), (80, 8)]),
        _ => field(file, meta, rng, &[(216, 4), (220, 4), (224, 4), (256, 8), (264, 4), (268, 8)]),
    }
}

/// A page takes the content of another, or they change places.
fn copy(file: &mut [u8], layout: &Layout, page: u64, other: u64, rng: &mut Rng) {
    let (one, two) = (layout.page(file, page).to_vec(), layout.page(file, other).to_vec());
    let (Some(at), Some(other_at)) = (layout.at(page), layout.at(other)) else { return };
    put(file, at, &two);
    if rng.below(2) == 0 {
        put(file, other_at, &one);
    }
    if rng.below(4) > 0 {
        put(file, at + 8, &page.to_le_bytes());
        put(file, other_at + 8, &other.to_le_bytes());
    }
}

/// The file gets longer or shorter, or a range of it zero.
fn length(file: &mut Vec<u8>, layout: &Layout, rng: &mut Rng) {
    let header_end = index(header_pages(layout.page_size)[2]) * layout.page_size;
    match rng.below(4) {
        0 => file.truncate(header_end.max(rng.index(file.len().max(1)))),
        1 => file.truncate(rng.index(file.len().max(1))),
        2 => file.resize((file.len() + rng.index(3) * layout.page_size).min(FILE_MAX), 0),
        _ => {
            let from = rng.index(file.len().max(1));
            let to = (from + rng.index(2 * layout.page_size)).min(file.len());
            file[from..to].fill(0);
        }
    }
}
