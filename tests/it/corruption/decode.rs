//! Which page is what, read from the bytes alone as docs/FORMAT.md says. Believes everything: the file is
//! sound.

use std::collections::BTreeSet;

/// The pages of a file with pages of 4 KiB, by kind.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    pub(super) page_count: u64,
    pub(super) metas: Vec<u64>,
    pub(super) catalog_leaves: Vec<u64>,
    pub(super) branches: Vec<u64>,
    pub(super) leaves: Vec<u64>,
    /// Runs of overflow pages: the first page, and the bytes of the value.
    pub(super) runs: Vec<(u64, u64)>,
    pub(super) log: Vec<u64>,
    /// Everything that the root needs, and the meta pages.
    pub(super) reachable: BTreeSet<u64>,
}

pub(super) const PAGE: usize = 4096;
const META_AT: [usize; 2] = [0, 65_536];
pub(super) const HEAD_PAGE: u64 = 32;
/// The page number in a word; above it stand flags.
const NUMBER: u64 = (1 << 48) - 1;

pub(super) fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap()))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// Where page `number` begins.
pub(super) fn at(number: u64) -> usize {
    usize::try_from(number).unwrap() * PAGE
}

impl Kinds {
    /// Reads the newest root of a file that was closed in order.
    pub(super) fn of(file: &[u8]) -> Kinds {
        let meta = META_AT.into_iter().max_by_key(|meta| u64_at(file, meta + 72)).unwrap();
        assert_eq!(
            (u32_at(file, meta + 12), file[meta + 216] & 1),
            (4096, 1),
            "pages of 4 KiB, closed in order"
        );
        let root = &file[meta + 104..meta + 216];
        let metas = vec![0, 16];
        let mut kinds = Kinds {
            page_count: u64_at(root, 8),
            reachable: metas.iter().copied().collect(),
            metas,
            ..Kinds::default()
        };
        kinds.tree(file, &root[16..48], true);
        let (mut page, pages) = (u64_at(root, 80), u64_at(root, 96));
        for _ in 0..pages {
            assert_eq!(file[at(page) + 4], 3, "a page of the log");
            kinds.log.push(page);
            assert!(kinds.reachable.insert(page));
            page = u64_at(file, at(page) + 32) & NUMBER;
        }
        kinds
    }

    fn tree(&mut self, file: &[u8], root: &[u8], is_catalog: bool) {
        let page = u64_at(root, 0) & NUMBER;
        if page != 0 {
            self.page(file, page, is_catalog);
        }
    }

    fn page(&mut self, file: &[u8], number: u64, is_catalog: bool) {
        let page = &file[at(number)..at(number) + PAGE];
        assert!(self.reachable.insert(number), "page {number} is reached twice");
        assert_eq!(u64_at(page, 8), number);
        let is_leaf = page[4] == 1;
        match (is_leaf, is_catalog) {
            (true, true) => self.catalog_leaves.push(number),
            (true, false) => self.leaves.push(number),
            (false, _) => self.branches.push(number),
        }
        let slots = (32 + u16_at(page, 24)).div_ceil(8) * 8;
        for slot in (slots..).step_by(8).take(u16_at(page, 6)) {
            let (cell, key) = (&page[u16_at(page, slot + 4)..], u16_at(page, slot + 6));
            let (extended, key) = (key & 0x8000 != 0, key & 0x7FFF);
            if !is_leaf {
                self.page(file, u64_at(cell, 0) & NUMBER, is_catalog);
            } else if extended {
                let run = &cell[2 + key..];
                let (first, len) = (u64_at(run, 0), u64::from(u32_at(run, 8)));
                self.reachable.extend(first..first + len.div_ceil(PAGE as u64));
                self.runs.push((first, len));
            } else if is_catalog {
                self.tree(file, &cell[2 + key..], false);
            }
        }
    }
}
