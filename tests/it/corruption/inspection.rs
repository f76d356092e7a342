//! What the inspection says of a sound file is what docs/FORMAT.md says of it, and damage neither stops nor
//! misleads it.

use std::collections::BTreeSet;

use folio::inspect::{DecodedPage, LeafContent, PageBody, PageKind, PageMap, PageOwner, RawFile};

use super::decode::{Kinds, PAGE, at, u32_at};
use super::{Rng, Sound};
use crate::files::open_read_only;

/// The first pages of the records of a kind.
fn pages_of(map: &PageMap, is_wanted: impl Fn(PageKind, PageOwner) -> bool) -> BTreeSet<u64> {
    map.iter().filter(|record| is_wanted(record.kind, record.owner)).map(|record| record.page).collect()
}

fn set(pages: &[u64]) -> BTreeSet<u64> {
    pages.iter().copied().collect()
}

#[test]
fn the_map_of_a_sound_file_is_what_its_bytes_say() {
    let sound = Sound::new();
    let kinds: &Kinds = &sound.kinds;
    let db = open_read_only(&sound.path).unwrap();
    let map = db.begin_read().unwrap().page_map().unwrap();
    assert!(map.faults().is_empty(), "{:?}", map.faults());
    let is_catalog = |owner| owner == PageOwner::Catalog;
    assert_eq!(pages_of(&map, |kind, _| kind == PageKind::Meta), set(&kinds.metas));
    assert_eq!(pages_of(&map, |kind, _| kind == PageKind::FreeLog), set(&kinds.log));
    assert_eq!(pages_of(&map, |kind, _| kind == PageKind::Branch), set(&kinds.branches));
    let leaves =
        |catalog| pages_of(&map, |kind, owner| kind == PageKind::Leaf && is_catalog(owner) == catalog);
    assert_eq!((leaves(true), leaves(false)), (set(&kinds.catalog_leaves), set(&kinds.leaves)));
    let runs = map.iter().filter(|record| record.kind == PageKind::Overflow);
    let runs: BTreeSet<_> = runs.map(|record| (record.page, record.used_bytes)).collect();
    assert_eq!(runs, kinds.runs.iter().copied().collect());
    assert_eq!(map.iter().map(|record| record.pages).sum::<u64>(), kinds.page_count);
}

#[test]
fn every_page_of_a_sound_file_is_taken_apart_as_the_format_says() {
    let sound = Sound::new();
    let kinds: &Kinds = &sound.kinds;
    let file = RawFile::open(&sound.path).unwrap();
    let layout = file.layout().unwrap().unwrap();
    assert!(file.metas().unwrap().iter().all(|meta| meta.is_known()));
    let (mut bytes, mut runs, mut seen) = (Vec::new(), BTreeSet::new(), 0);
    for page in 0..kinds.page_count {
        file.read_page(page, &layout, &mut bytes).unwrap();
        assert_eq!(bytes, sound.bytes[at(page)..at(page) + PAGE]);
        let decoded = DecodedPage::new(&bytes, page, &layout);
        let is_leaf = kinds.leaves.contains(&page) || kinds.catalog_leaves.contains(&page);
        let (is_branch, is_log) = (kinds.branches.contains(&page), kinds.log.contains(&page));
        if !is_leaf && !is_branch && !is_log {
            continue;
        }
        seen += 1;
        assert!(decoded.faults.is_empty(), "{page}: {:?}", decoded.faults);
        match &decoded.body {
            PageBody::Leaf { cells, .. } if is_leaf => {
                for cell in cells {
                    if let LeafContent::Overflow(run) = cell.content {
                        runs.insert((run.page, u64::from(run.len)));
                        let mut value = Vec::new();
                        file.read_run(run.page, run.len, &layout, &mut value).unwrap();
                        assert_eq!(layout.value_sum(&value), Some(run.checksum));
                    }
                }
            }
            PageBody::Branch { .. } if is_branch => {}
            PageBody::FreeLog { .. } if is_log => {}
            other => panic!("page {page} is {other:?}"),
        }
    }
    assert_eq!(
        seen,
        kinds.leaves.len() + kinds.catalog_leaves.len() + kinds.branches.len() + kinds.log.len()
    );
    assert_eq!(runs, kinds.runs.iter().copied().collect());
}

#[test]
fn a_damaged_page_is_in_the_map_with_its_fault_and_the_walk_goes_on() {
    let sound = Sound::new();
    let kinds = &sound.kinds;
    let pages = [
        kinds.leaves[3],
        *kinds.branches.last().unwrap(),
        kinds.log[0],
        *kinds.log.last().unwrap(),
        kinds.catalog_leaves[1],
    ];
    let all = |kind: PageKind| move |found: PageKind, _: PageOwner| found == kind;
    for page in pages {
        sound.damaged(|bytes| bytes[at(page) + 100] ^= 4);
        let map = open_read_only(&sound.path).unwrap().begin_read().unwrap().page_map().unwrap();
        assert_eq!(pages_of(&map, all(PageKind::Damaged)), set(&[page]));
        assert_eq!(map.faults().iter().map(|fault| fault.page).collect::<Vec<_>>(), [Some(page)]);
        assert_eq!(map.iter().map(|record| record.pages).sum::<u64>(), kinds.page_count);
        let leaves = pages_of(&map, all(PageKind::Leaf)).len();
        assert!(leaves > kinds.leaves.len() / 4, "{leaves} of {}", kinds.leaves.len());
        // What only the damaged page leads to is unknown; what the log tells of is if all of it is read.
        let is_log = kinds.log.contains(&page);
        assert_eq!(pages_of(&map, all(PageKind::Free)).is_empty(), is_log);
        assert!(pages_of(&map, all(PageKind::Unknown)).is_empty() == (page == kinds.leaves[3]));
    }
}

/// The seed of the checksums of the file: a repaired checksum lets damage through to what is behind it.
fn repair(bytes: &mut [u8], page: u64) {
    let meta = if bytes.starts_with(b"\x89FOLIO") { 0 } else { at(16) };
    let mut hasher = Crc(u32::MAX);
    hasher.update(&bytes[meta + 40..meta + 56]);
    hasher.update(&bytes[at(page) + 4..at(page) + PAGE]);
    bytes[at(page)..at(page) + 4].copy_from_slice(&(!hasher.0).to_le_bytes());
}

/// CRC-32 as docs/FORMAT.md has it: the checksum with a seed is that of the database id and the bytes.
struct Crc(u32);

impl Crc {
    fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 ^= u32::from(*byte);
            for _ in 0..8 {
                self.0 = if self.0 & 1 == 1 { self.0 >> 1 ^ 0xEDB8_8320 } else { self.0 >> 1 };
            }
        }
    }
}

/// Faults that a page alone does not show: it is not the page, or not as full, as its parent says.
const OF_THE_PARENT: [&str; 3] = [": birth is", ": level is", ": number of entries is"];

#[test]
fn damage_behind_a_right_checksum_neither_stops_nor_misleads_the_inspection() {
    let sound = Sound::new();
    let (mut rng, mut with_faults, mut refused) = (Rng(11), 0, 0);
    let pages: Vec<u64> =
        [&sound.kinds.leaves, &sound.kinds.branches, &sound.kinds.catalog_leaves, &sound.kinds.log]
            .into_iter()
            .flatten()
            .copied()
            .collect();
    {
        let page = pages[0];
        let (mut bytes, old) = (sound.bytes.clone(), u32_at(&sound.bytes, at(page)));
        repair(&mut bytes, page);
        assert_eq!(u32_at(&bytes, at(page)), old, "a sound page needs no repair");
    }
    for _ in 0..300 {
        let page = pages[rng.below(pages.len())];
        sound.damaged(|bytes| {
            for _ in 0..1 + rng.below(4) {
                // Where the numbers are, mostly.
                let end = if rng.below(3) == 0 { PAGE } else { 200 };
                let (place, by) = (4 + rng.below(end - 4), rng.below(255) + 1);
                bytes[at(page) + place] ^= u8::try_from(by).unwrap();
            }
            repair(bytes, page);
        });
        let file = RawFile::open(&sound.path).unwrap();
        let layout = file.layout().unwrap().unwrap();
        let mut bytes = Vec::new();
        file.read_page(page, &layout, &mut bytes).unwrap();
        let decoded = DecodedPage::new(&bytes, page, &layout);
        with_faults += usize::from(!decoded.faults.is_empty());
        let db = open_read_only(&sound.path).unwrap();
        let tx = db.begin_read().unwrap();
        let map = tx.page_map().unwrap();
        let mut end = 0;
        for record in map.iter() {
            assert_eq!(record.page, end);
            end += record.pages;
        }
        assert_eq!(end, sound.kinds.page_count);
        let _ = tx.free_space();
        for table in map.tables() {
            let mut nodes = 0;
            let _ = tx.visit_tree(table, u32::MAX, &mut |_| nodes += 1);
            assert!(nodes <= 2 * sound.kinds.page_count, "{nodes} nodes");
        }
        // What the engine refuses is found here as well, unless it takes the parent to know.
        if map.get(page).is_some_and(|record| record.kind == PageKind::Damaged) {
            let by_parent = |what: &str| OF_THE_PARENT.iter().any(|of| what.contains(of));
            let known = map.faults().iter().any(|fault| by_parent(&fault.what));
            refused += 1;
            let found = decoded.header.is_none() || !decoded.faults.is_empty();
            assert!(known || found, "{:?}", map.faults());
        }
        let own = |record: folio::inspect::PageRecord| record.kind != PageKind::Damaged;
        if !decoded.faults.is_empty() && !sound.kinds.log.contains(&page) {
            let is_unused = |what: &str| what.starts_with("unused part") || what.starts_with("a cell begins");
            let only_unused = decoded.faults.iter().all(|fault| is_unused(&fault.what));
            assert!(only_unused || !map.get(page).is_some_and(own), "{:?}", decoded.faults);
        }
    }
    assert!(with_faults > 100, "{with_faults} of 300 pages have faults");
    assert!(refused > 100, "{refused} of 300 pages are refused");
}
