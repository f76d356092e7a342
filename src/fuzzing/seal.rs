//! Checksums made right again, so that a fuzzer gets behind them. The offsets are those of FORMAT.md.

use crate::page::{HEAD_AT, HEAD_LEN, META_AT, META_LEN, Seed, header_pages, index, record_sum, run_sum};

/// The boot id that stands for that of the system which is running.
pub(super) const THIS_BOOT: [u8; 16] = *b"this very boot!!";

const NUMBER: u64 = (1 << 48) - 1;

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u16::from_le_bytes(*b))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u32::from_le_bytes(*b))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u64::from_le_bytes(*b))
}

/// Writes as far as there is room.
pub(crate) fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    if let Some(room) = bytes.get_mut(at..).and_then(|rest| rest.get_mut(..new.len())) {
        room.copy_from_slice(new);
    }
}

/// How a file is laid out, as its meta pages say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) page_size: usize,
    pub(super) pages: usize,
    seed: Seed,
}

impl Layout {
    /// What the newer meta page says; a page size that is none counts as 4,096.
    pub(super) fn of(file: &[u8]) -> Layout {
        let meta = newest_meta(file);
        let page_size = u32_at(file, meta + 12) as usize;
        let page_size = if crate::page::is_page_size(page_size as u64) { page_size } else { 4096 };
        let id = file.get(meta + 40..).and_then(|bytes| bytes.first_chunk()).copied().unwrap_or_default();
        Layout { page_size, pages: file.len() / page_size, seed: Seed::of(&id) }
    }

    /// Where a page begins, if it is in the file.
    pub(super) fn at(&self, page: u64) -> Option<usize> {
        (page < self.pages as u64).then(|| index(page) * self.page_size)
    }

    pub(super) fn page<'f>(&self, file: &'f [u8], page: u64) -> &'f [u8] {
        self.at(page).and_then(|at| file.get(at..at + self.page_size)).unwrap_or(&[])
    }

    /// The pages that say that they are leaves, branches or pages of the log, and where they stand.
    pub(super) fn with_header(&self, file: &[u8]) -> Vec<u64> {
        let header = header_pages(self.page_size);
        let has_header = |page: &u64| {
            let bytes = self.page(file, *page);
            (1..=3).contains(&bytes[4]) && u64_at(bytes, 8).abs_diff(*page) < 64
        };
        (0..self.pages as u64).filter(|page| !header.contains(page)).filter(has_header).collect()
    }

    /// Where the cells of a page begin, with the lengths of their keys and whether they are extended.
    pub(super) fn cells(&self, page: &[u8]) -> Vec<(usize, usize, bool)> {
        let slots = (32 + usize::from(u16_at(page, 24))).next_multiple_of(8);
        let count = usize::from(u16_at(page, 6)).min(self.page_size / 8);
        let slots = (0..count).map(|i| slots + 8 * i).take_while(|at| at + 8 <= page.len());
        let cell = |at: usize| {
            let key = u16_at(page, at + 6);
            (usize::from(u16_at(page, at + 4)), usize::from(key & 0x7FFF), key & 0x8000 != 0)
        };
        slots.map(cell).collect()
    }
}

/// Where the meta page with the greater sequence is.
pub(crate) fn newest_meta(file: &[u8]) -> usize {
    let [first, second] = META_AT.map(index);
    if u64_at(file, second + 72) > u64_at(file, first + 72) { second } else { first }
}

/// Lets every parent say the births and the counts that its children have.
pub(super) fn relink(file: &mut [u8]) {
    let layout = Layout::of(file);
    let pages = layout.with_header(file);
    for level in 1..8 {
        for page in &pages {
            let Some(at) = layout.at(*page).filter(|at| file[at + 4..at + 6] == [2, level]) else { continue };
            for (cell, ..) in layout.cells(layout.page(file, *page)) {
                let child = layout.page(file, u64_at(layout.page(file, *page), cell) & NUMBER);
                let (birth, count) = (u64_at(child, 16), entries(&layout, child));
                put(&mut file[at..at + layout.page_size], cell + 8, &birth.to_le_bytes());
                put(&mut file[at..at + layout.page_size], cell + 16, &count.to_le_bytes());
            }
        }
    }
}

/// What a page says is below it.
fn entries(layout: &Layout, page: &[u8]) -> u64 {
    if page.get(4) != Some(&2) {
        return u16_at(page, 6).into();
    }
    let counts = layout.cells(page).into_iter().map(|(cell, ..)| u64_at(page, cell + 16));
    counts.fold(0, u64::wrapping_add)
}

/// Makes every checksum right: of values, pages, the log, commit records, meta pages and the head record.
pub(crate) fn seal(file: &mut [u8]) {
    let layout = Layout::of(file);
    for page in layout.with_header(file) {
        let Some(at) = layout.at(page) else { continue };
        if file[at + 4] == 1 {
            seal_values(file, &layout, at);
        }
        layout.seed.seal(&mut file[at..at + layout.page_size]);
    }
    for meta in META_AT.map(index) {
        if meta + META_LEN > file.len() {
            continue;
        }
        seal_record(file, &layout, meta);
        let sum = crc32fast::hash(&file[meta..meta + META_LEN - 4]);
        put(file, meta + META_LEN - 4, &sum.to_le_bytes());
    }
    let head = index(HEAD_AT);
    if u64_at(file, head) != 0 && head + HEAD_LEN <= file.len() {
        let base = u32_at(file, newest_meta(file) + META_LEN - 4);
        put(file, head + 8, &base.to_le_bytes());
        let sum = crc32fast::hash(&file[head..head + HEAD_LEN - 4]);
        put(file, head + HEAD_LEN - 4, &sum.to_le_bytes());
    }
}

/// The checksums of the values that a leaf refers to.
fn seal_values(file: &mut [u8], layout: &Layout, at: usize) {
    let page = &file[at..at + layout.page_size];
    let extended = layout.cells(page).into_iter().filter(|(.., extended)| *extended);
    let runs: Vec<usize> = extended.map(|(cell, key, _)| at + cell + 2 + key).collect();
    for run in runs {
        let Some(from) = layout.at(u64_at(file, run) & NUMBER) else { continue };
        if let Some(value) = file.get(from..from + u32_at(file, run + 8) as usize) {
            let sum = layout.seed.sum(value);
            put(file, run + 20, &sum.to_le_bytes());
        }
    }
}

/// The sums of a commit record.
fn seal_record(file: &mut [u8], layout: &Layout, meta: usize) {
    let runs = (u32_at(file, meta + 220) as usize).min(319);
    for run in (0..runs).map(|run| meta + 256 + 12 * run) {
        let word = u64_at(file, run);
        let pages = (word & NUMBER)..(word & NUMBER) + (word >> 48).min(layout.pages as u64);
        let sum = run_sum(pages.map(|page| record_sum(layout.seed, layout.page(file, page))));
        put(file, run + 8, &sum.to_le_bytes());
    }
}

/// Puts the id of the running system's boot where [`THIS_BOOT`] stands for it.
pub(super) fn put_boot_id(file: &mut [u8], boot_id: [u8; 16]) {
    let mut was_there = false;
    for at in [index(META_AT[0]) + 88, index(META_AT[1]) + 88, index(HEAD_AT) + 16] {
        if file.get(at..).is_some_and(|bytes| bytes.starts_with(&THIS_BOOT)) {
            put(file, at, &boot_id);
            was_there = true;
        }
    }
    if was_there {
        seal(file);
    }
}

/// The opposite of what is done before a file is opened: lets [`THIS_BOOT`] stand for the boot that a file
/// comes from.
pub fn mark_boot(file: &mut [u8]) {
    for at in [index(META_AT[0]) + 88, index(META_AT[1]) + 88, index(HEAD_AT) + 16] {
        if u64_at(file, at) != 0 {
            put(file, at, &THIS_BOOT);
        }
    }
    seal(file);
}
