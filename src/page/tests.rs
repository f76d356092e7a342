//! Goal: what the codecs write they read back, any other bytes are refused or read without a panic.
//! Method: random cells through `build`, `PageMut` and `finalize` against a sorted `Vec`; every byte of a
//! finished page flipped once; views over arbitrary bytes, and over pages changed before they were sealed.

use proptest::prelude::*;
use proptest::sample::Index;

use super::decode::tests::{check_agreement, check_damaged_metas, check_head};
use super::*;

const SEED: [u8; 16] = [7; 16];

/// Keys that share prefixes and heads, with zeros that heads cannot tell from padding.
fn keys() -> impl Strategy<Value = Vec<u8>> {
    let letters = prop::sample::select(vec![0u8, 0, 1, b'a', b'b', 255]);
    (prop::sample::select(vec!["", "k", "key/", "key/long/prefix/"]), prop::collection::vec(letters, 0..9))
        .prop_map(|(prefix, rest)| [prefix.as_bytes(), &rest].concat())
}

fn entries() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    let value = prop::collection::vec(any::<u8>(), 0..40);
    prop::collection::btree_map(keys(), value, 1..60).prop_map(|map| map.into_iter().collect())
}

fn leaf_cell<'a>(key: &'a [u8], fixed: &'a [u8], value: &'a [u8]) -> Cell<'a> {
    Cell { prefix: &[], suffix: key, fixed, tail: value, extended: false }
}

fn expected(count: u64, level: u8) -> Expected {
    let seed = Seed::of(&SEED);
    Expected { id: PageId(9), birth: TxnId(5), level, count, page_count: 100, seed }
}

fn build_leaf(entries: &[(Vec<u8>, Vec<u8>)], page_size: usize) -> Vec<u8> {
    let fixed: Vec<_> = entries.iter().map(|(_, v)| inline_fixed(v.len())).collect();
    let cells: Vec<_> = entries.iter().zip(&fixed).map(|((k, v), f)| leaf_cell(k, f, v)).collect();
    let mut page = vec![0xAA; page_size];
    assert!(packed_len(0, &cells) <= page_size);
    build(&mut page, 0, &cells);
    assert_eq!(Page::new(&page).free_len(), page_size - packed_len(0, &cells));
    page
}

fn check_leaf(page: Page<'_>, entries: &[(Vec<u8>, Vec<u8>)]) {
    assert_eq!(page.len(), entries.len());
    for (i, (key, value)) in entries.iter().enumerate() {
        assert_eq!(&page.key(i), key);
        assert_eq!(page.value(i), LeafValue::Inline(value));
        assert_eq!(page.search(0, key), Ok(i));
    }
}

fn finished(mut page: Vec<u8>) -> Vec<u8> {
    finalize(&mut page, PageId(9), TxnId(5), Seed::of(&SEED), &mut Vec::new());
    page
}

proptest! {
    #[test]
    fn a_built_leaf_reads_back(entries in entries(), probes in prop::collection::vec(keys(), 20)) {
        let page = finished(build_leaf(&entries, 8192));
        prop_assert!(check(&page, &expected(entries.len() as u64, 0)).is_ok());
        prop_assert!(check_unused(&page, PageId(9)).is_ok());
        let page = Page::new(&page);
        check_leaf(page, &entries);
        for probe in probes {
            let found = entries.binary_search_by(|(k, _)| k.cmp(&probe));
            prop_assert_eq!(page.search(0, &probe), found);
        }
    }

    #[test]
    fn cells_that_move_are_the_same_under_any_prefix(
        entries in entries(),
        cut in any::<prop::sample::Index>(),
        prefixes in prop::array::uniform3(any::<prop::sample::Index>()),
        moves_left in any::<bool>(),
    ) {
        let cut = cut.index(entries.len() + 1);
        // Any prefix that the keys share will do, whatever the page had.
        let prefix = |entries: &[(Vec<u8>, Vec<u8>)], i: usize| match entries {
            [first, .., last] => prefixes[i].index(shared_bytes(&first.0, &last.0) + 1),
            _ => 0,
        };
        let (left, right) = entries.split_at(cut);
        let (first, last) = (0..cut, cut..entries.len());
        let (stays, goes) = if moves_left { (last, first) } else { (first, last) };
        let mut from = build_leaf(&entries, 8192);
        let (mut to, mut scratch) = (vec![0xAA; 8192], Vec::new());
        let (gone, kept) = if moves_left { (left, right) } else { (right, left) };
        build_part(&mut to, Page::new(&from), goes.clone(), prefix(gone, 0));
        check_leaf(Page::new(&to), gone);
        if !gone.is_empty() {
            prop_assert!(check(&finished(to.clone()), &expected(gone.len() as u64, 0)).is_ok());
        }
        // And back: to what the page has kept, under a prefix that both share.
        let whole = from.clone();
        PageMut::new(&mut from).keep(stays, prefix(kept, 1).min(prefix(&entries, 2)), &mut scratch);
        check_leaf(Page::new(&from), kept);
        if Page::new(&from).free_len() >= Page::new(&whole).total_cost() {
            let at = if moves_left { 0 } else { kept.len() };
            PageMut::new(&mut from).take_cells(at, Page::new(&to), 0..gone.len(), &mut scratch);
            check_leaf(Page::new(&from), &entries);
            prop_assert!(check(&finished(from), &expected(entries.len() as u64, 0)).is_ok());
        }
    }

    #[test]
    fn an_edited_leaf_reads_back(
        entries in entries(),
        edits in prop::collection::vec((keys(), any::<bool>(), 0usize..40), 0..80),
    ) {
        let mut model = entries.clone();
        let mut bytes = build_leaf(&entries, 8192);
        let mut scratch = Vec::new();
        for (key, remove, len) in edits {
            let mut page = PageMut::new(&mut bytes);
            let found = page.view().search(0, &key);
            prop_assert_eq!(found, model.binary_search_by(|(k, _)| k.cmp(&key)));
            let value = vec![7; len];
            let fixed = inline_fixed(len);
            let cell = leaf_cell(&key, &fixed, &value);
            match found {
                Ok(i) if remove => { page.remove(i); model.remove(i); }
                Err(i) if !remove && page.fits(&cell) => {
                    page.insert(i, &cell, &mut scratch);
                    model.insert(i, (key, value));
                }
                _ => {}
            }
            check_leaf(page.view(), &model);
        }
        if !model.is_empty() {
            let page = finished(bytes);
            prop_assert!(check(&page, &expected(model.len() as u64, 0)).is_ok());
            prop_assert!(check_unused(&page, PageId(9)).is_ok());
            check_leaf(Page::new(&page), &model);
        }
    }

    #[test]
    fn a_branch_finds_the_child(
        separators in prop::collection::btree_set(keys(), 1..40),
        probes in prop::collection::vec(keys(), 20),
    ) {
        let separators: Vec<Vec<u8>> = separators.into_iter().filter(|s| !s.is_empty()).collect();
        let child = |i: usize| Child { word: 40 + i as u64, birth: TxnId(3), count: 1 + i as u64 };
        let fixed: Vec<_> = (0..=separators.len()).map(|i| child(i).encode()).collect();
        let first = Cell { prefix: b"not stored", suffix: &[], fixed: &fixed[0], tail: &[], extended: false };
        let rest = separators.iter().zip(&fixed[1..]).map(|(s, f)| leaf_cell(s, f, &[]));
        let cells: Vec<_> = std::iter::once(first).chain(rest).collect();
        let mut page = vec![0; 8192];
        build(&mut page, 1, &cells);
        let page = finished(page);
        let below = (0..=separators.len()).map(|i| child(i).count).sum();
        prop_assert!(check(&page, &expected(below, 1)).is_ok());
        let page = Page::new(&page);
        for probe in probes {
            let right = separators.partition_point(|s| *s <= probe);
            prop_assert_eq!(page.child_index(&probe), right);
            prop_assert_eq!(page.child(right), child(right));
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 4096),
        level in 0u8..3,
        key in keys(),
        i in 0usize..300,
        prefix in 0u8..40,
    ) {
        bytes[5] = level;
        (bytes[7], bytes[24], bytes[25]) = (0, prefix, 0);
        let page = Page::new(&bytes);
        let _ = (page.search(0, &key), page.child_index(&key), page.value(i), page.child(i), page.key(i));
        let _ = (page.cell(i), page.free_len(), page.suffix(i));
        bytes[4] = if level == 0 { KIND_LEAF } else { KIND_BRANCH };
        put_u64(&mut bytes, 8, 9);
        put_u64(&mut bytes, 16, 5);
        Seed::of(&SEED).seal(&mut bytes);
        prop_assert!(check(&bytes, &expected(1, level)).is_err());
        let link = LogLink { page: PageId(9), birth: TxnId(5) };
        bytes[4] = KIND_FREE_LOG;
        Seed::of(&SEED).seal(&mut bytes);
        let _ = check_unused(&bytes, PageId(9));
        let _ = FreeLogPage::decode(&bytes, link, Seed::of(&SEED));
        let _ = TableRecord::decode(&bytes, PageId(1));
    }

    /// A checksum says that a page is what was written. That what was written can be read, the rest of the
    /// check has to say: here the checksum is always right.
    #[test]
    fn what_passes_the_check_is_in_order_whatever_was_written(
        entries in entries(),
        changes in prop::collection::vec((any::<Index>(), any::<Index>(), -2i8..3), 0..3),
        swaps in prop::collection::vec(any::<[Index; 2]>(), 0..2),
        is_leaf in any::<bool>(),
    ) {
        let child = Child { word: 40, birth: TxnId(3), count: 2 }.encode();
        let lens: Vec<_> = entries.iter().map(|(_, value)| inline_fixed(value.len())).collect();
        let fixed = |i: usize| if is_leaf { &lens[i][..] } else { &child[..] };
        let mut cells: Vec<_> =
            entries.iter().enumerate().map(|(i, (key, value))| leaf_cell(key, fixed(i), value)).collect();
        if !is_leaf {
            cells.iter_mut().for_each(|cell| cell.tail = &[]);
            cells[0].suffix = &[];
        }
        let (level, below) = if is_leaf { (0, entries.len()) } else { (1, 2 * entries.len()) };
        let mut page = vec![0; 8192];
        build(&mut page, level, &cells);
        let mut page = finished(page);
        let (slots_at, slots_end) = (Page::new(&page).slots_at(), Page::new(&page).slots_end());
        for [a, b] in swaps {
            let (a, b) = (a.index(entries.len()), b.index(entries.len()));
            (0..SLOT_LEN).for_each(|i| page.swap(slots_at + a * SLOT_LEN + i, slots_at + b * SLOT_LEN + i));
        }
        for (part, place, by) in changes {
            // Most bytes are values' or unused: a third of the changes each are for header, slots and cells.
            let cells_at = Page::new(&page).cells_at().min(8191);
            let part = part.get(&[24..slots_at, slots_at..slots_end, cells_at..8192]).clone();
            let at = part.start + place.index(part.len().max(1));
            page[at] = page[at].wrapping_add_signed(by);
        }
        Seed::of(&SEED).seal(&mut page);
        check_agreement(&page);
        if check(&page, &expected(below as u64, level)).is_ok() {
            let first = usize::from(!is_leaf);
            let view = Page::new(&page);
            prop_assert_eq!(view.len(), entries.len());
            let keys: Vec<_> = (first..view.len()).map(|i| view.key(i)).collect();
            prop_assert!(keys.is_sorted_by(|a, b| a < b), "{:?}", keys);
            for (i, key) in keys.iter().enumerate() {
                prop_assert_eq!(view.search(first, key), Ok(first + i));
            }
            for i in 0..view.len() {
                let end = usize::from(view.slot(i).offset) + view.cell_len(i);
                prop_assert!(end <= page.len(), "cell {} ends at {}", i, end);
            }
            let total: usize = (0..view.len()).map(|i| view.cell_len(i)).sum();
            prop_assert_eq!(total, page.len() - view.cells_at());
        }
    }

    #[test]
    fn separators_are_short_and_separate(a in keys(), b in keys()) {
        prop_assume!(a != b);
        let (a, b) = if a < b { (a, b) } else { (b, a) };
        let len = separator_len(&leaf_cell(&a, &[0; 2], &[]), &leaf_cell(&b, &[0; 2], &[]));
        prop_assert!(b[..len] > a[..]);
        prop_assert!(b[..len - 1] <= a[..]);
    }

    #[test]
    fn free_log_pages_read_back(
        extents in prop::collection::vec((1u64..1 << 40, 1u64..200_000, 0u64..50, 0u64..50), 0..40),
    ) {
        let extent = |&(start, len, birth, life)| {
            Extent { start, len, birth: TxnId(birth), death: TxnId(birth + life) }
        };
        let records: Vec<Extent> = extents.iter().map(extent).flat_map(Extent::pieces).collect();
        let older = LogLink { page: PageId(3), birth: TxnId(4) };
        let page = FreeLogPage { older, records };
        let mut bytes = vec![0xAA; 4096];
        page.encode(&mut bytes, PageId(9), TxnId(5), Seed::of(&SEED));
        let link = LogLink { page: PageId(9), birth: TxnId(5) };
        prop_assert_eq!(FreeLogPage::decode(&bytes, link, Seed::of(&SEED)).unwrap(), page);
    }
}

#[test]
#[cfg_attr(miri, ignore = "thousands of checksums take Miri an hour")]
fn every_flipped_bit_is_found() {
    let entries: Vec<_> = (0..40u8).map(|i| (vec![b'k', i], vec![i; 20])).collect();
    let page = finished(build_leaf(&entries, 4096));
    for bit in 0..page.len() * 8 {
        let mut damaged = page.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(check(&damaged, &expected(40, 0)).is_err(), "bit {bit}");
    }
    for wrong in [
        Expected { id: PageId(8), ..expected(40, 0) },
        Expected { birth: TxnId(6), ..expected(40, 0) },
        Expected { level: 1, ..expected(40, 0) },
        expected(41, 0),
        Expected { seed: Seed::of(&[1; 16]), ..expected(40, 0) },
    ] {
        assert!(check(&page, &wrong).is_err(), "{wrong:?}");
    }
}

fn a_meta() -> Meta {
    let tree = |page| TreeRoot { child: Child { word: page, birth: TxnId(4), count: 6 }, level: 2 };
    let free = FreeRoot { page: PageId(7), birth: TxnId(8), pages: 9 };
    let root = Root { txn: TxnId(10), page_count: 64, catalog: tree(11), system: tree(0), free };
    let run = |start| RecordRun { start, len: 5, sum: 77 };
    Meta {
        page_size: 4096,
        database_id: [1; 16],
        lineage_id: [2; 16],
        sequence: 3,
        ceiling: 1 << 24,
        boot_id: [4; 16],
        root,
        clean: true,
        compatible: 0,
        read_only_compatible: 0,
        record: CommitRecord { runs: (1..200).map(|i| run(i * 8)).collect() },
    }
}

#[test]
#[cfg_attr(miri, ignore = "thousands of checksums take Miri an hour")]
fn a_meta_page_reads_back_and_every_flipped_bit_is_found() {
    let meta = a_meta();
    let bytes = meta.encode();
    assert_eq!(bytes.len(), META_LEN);
    assert_eq!(Meta::decode(&bytes, 0).unwrap(), meta);
    check_damaged_metas(&bytes);
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(Meta::decode(&damaged, 0).is_err(), "bit {bit}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "thousands of checksums take Miri an hour")]
fn a_head_record_reads_back_and_every_flipped_bit_is_found() {
    let head = HeadRecord { base_sums: [5, 6], boot_id: [6; 16], root: a_meta().root };
    let bytes = head.encode();
    assert_eq!(HeadRecord::decode(&bytes), Some(head));
    check_head(&bytes);
    for bit in 0..32 * 8 + ROOT_BITS {
        let mut damaged = bytes;
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(HeadRecord::decode(&damaged), None, "bit {bit}");
        check_head(&damaged);
    }
}

const ROOT_BITS: usize = 112 * 8;

#[test]
fn limits_follow_from_the_page_size() {
    assert_eq!([4096, 8192, 65536].map(key_len_max), [1984, 4032, 32704]);
    assert!(is_inline(24, 1998, 4096) && !is_inline(24, 1999, 4096));
    assert_eq!(header_pages(4096), [0, 16, 32]);
    assert_eq!(header_pages(65536), [0, 1, 2]);
}
