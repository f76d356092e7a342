//! Goal: a page taken apart says what the engine would say of it, and no bytes make that fail.
//! Method: the engine's own check beside it, over pages that other tests have built and damaged behind a
//! right checksum, over every flipped bit of a meta page and a head record, and over any bytes.

use proptest::prelude::*;

use super::*;
use crate::page::{
    Expected, FreeLogPage, HeadRecord, LogLink, Meta, Page, PageId, TxnId, check, check_unused, put_u32,
    put_u64,
};

const ID: [u8; 16] = [7; 16];

fn layout(page_size: usize) -> Layout {
    Layout { page_size: u32::try_from(page_size).unwrap(), database_id: Some(ID), page_count: Some(100) }
}

/// Page 9 has faults exactly if the engine does not believe it, whoever refers to it.
pub(in crate::page) fn check_agreement(bytes: &[u8]) {
    let decoded = DecodedPage::new(bytes, 9, &layout(bytes.len()));
    let count = match &decoded.body {
        PageBody::Leaf { cells, .. } => cells.len() as u64,
        PageBody::Branch { cells, .. } => {
            cells.iter().filter_map(|c| c.child).fold(0, |sum, child| child.count.saturating_add(sum))
        }
        other => panic!("{other:?}"),
    };
    let (page, seed) = (Page::new(bytes), Seed::of(&ID));
    let (birth, level) = (page.birth(), page.level());
    let expected = Expected { id: PageId(9), birth, level, count, page_count: 100, seed };
    let engine = check(bytes, &expected).and_then(|()| check_unused(bytes, PageId(9)));
    assert_eq!(engine.is_ok(), decoded.faults.is_empty(), "{engine:?}, {:?}", decoded.faults);
    if engine.is_ok() {
        check_content(page, &decoded);
    }
}

/// What is found in a sound page is what the engine reads there.
fn check_content(page: Page<'_>, decoded: &DecodedPage<'_>) {
    use crate::page::LeafValue;
    let bytes = page.bytes();
    assert_eq!(
        decoded.used_bytes(u32::try_from(bytes.len()).unwrap()) as usize,
        bytes.len() - page.free_len()
    );
    match &decoded.body {
        PageBody::Leaf { prefix, cells } => {
            assert_eq!((*prefix, cells.len()), (page.prefix(), page.len()));
            for (i, cell) in cells.iter().enumerate() {
                assert_eq!(cell.suffix, page.suffix(i));
                match (cell.content, page.value(i)) {
                    (LeafContent::Inline(a), LeafValue::Inline(b)) => assert_eq!(a, b),
                    (LeafContent::Overflow(a), LeafValue::Overflow(b)) => {
                        assert_eq!(
                            (a.page, a.len, a.birth, a.checksum),
                            (b.page().0, b.len, b.birth.0, b.sum)
                        );
                    }
                    (a, b) => panic!("{a:?}, {b:?}"),
                }
            }
        }
        PageBody::Branch { prefix, cells } => {
            assert_eq!((*prefix, cells.len()), (page.prefix(), page.len()));
            for (i, cell) in cells.iter().enumerate() {
                let (a, b) = (cell.child.unwrap(), page.child(i));
                assert_eq!((a.page, a.birth, a.count), (b.page().0, b.birth.0, b.count));
                assert_eq!((a.has_overflow, cell.suffix), (b.has_overflow(), page.suffix(i)));
            }
        }
        other => panic!("{other:?}"),
    }
}

/// A meta page has faults exactly if opening would leave it aside.
pub(in crate::page) fn check_meta(bytes: &[u8]) {
    let (decoded, engine) = (MetaPage::new(bytes), Meta::decode(bytes, 0));
    assert_eq!(engine.is_ok(), decoded.is_known(), "{engine:?}, {:?}", decoded.faults);
    let Ok(meta) = engine else { return };
    assert_eq!(
        (decoded.page_size, decoded.sequence, decoded.ceiling),
        (meta.page_size, meta.sequence, meta.ceiling)
    );
    assert_eq!((decoded.database_id, decoded.lineage_id), (meta.database_id, meta.lineage_id));
    assert_eq!((decoded.boot_id, decoded.is_clean), (meta.boot_id, meta.clean));
    let runs = decoded.record.iter().map(|run| (run.start, run.pages, run.sum));
    assert!(runs.eq(meta.record.runs.iter().map(|run| (run.start, run.len, run.sum))));
    let (a, b) = (decoded.root, meta.root);
    assert_eq!((a.txn, a.page_count, a.free_page), (b.txn.0, b.page_count, b.free.page.0));
    assert_eq!((a.free_birth, a.free_pages), (b.free.birth.0, b.free.pages));
    for (a, b) in [(a.catalog, b.catalog), (a.system, b.system)] {
        assert_eq!((a.page, a.birth), (b.child.page().0, b.child.birth.0));
        assert_eq!((a.count, a.level), (b.child.count, b.level));
    }
    // The fields and the commit record are side by side, but for what must be zero.
    let mut end = 0;
    for field in &decoded.fields {
        assert!(field.at >= end, "{field:?}");
        end = field.at + field.len;
    }
    assert_eq!(end, bytes.len());
}

/// The same with every bit flipped, behind a right checksum as well.
pub(in crate::page) fn check_damaged_metas(bytes: &[u8]) {
    check_meta(bytes);
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        check_meta(&damaged);
        let sum = crc32fast::hash(&damaged[..4092]);
        put_u32(&mut damaged, 4092, sum);
        check_meta(&damaged);
    }
}

/// A head record is whole exactly if opening would look at it.
pub(in crate::page) fn check_head(bytes: &[u8]) {
    let (decoded, engine) = (HeadPage::new(bytes), HeadRecord::decode(bytes));
    assert_eq!(engine.is_some(), decoded.is_whole());
    let Some(head) = engine else { return };
    assert_eq!((decoded.bases, decoded.boot_id), (head.base_sums, head.boot_id));
    assert_eq!((decoded.root.txn, decoded.root.free_pages), (head.root.txn.0, head.root.free.pages));
}

proptest! {
    #[test]
    fn any_bytes_are_taken_apart(
        mut bytes in prop::collection::vec(any::<u8>(), 0..5000),
        header in prop::option::of((0u8..4, 0u8..3, 0u16..400, 0u16..60, 32u32..4100)),
        page_size in prop::sample::select(vec![4096, 8192, 65536]),
    ) {
        if let Some((kind, level, count, prefix, cells)) = header.filter(|_| bytes.len() >= 32) {
            (bytes[4], bytes[5]) = (kind, level);
            bytes[6..8].copy_from_slice(&count.to_le_bytes());
            put_u64(&mut bytes, 8, 9);
            bytes[24..26].copy_from_slice(&prefix.to_le_bytes());
            put_u32(&mut bytes, 28, cells);
            Seed::of(&ID).seal(&mut bytes);
        }
        let layout = Layout { page_count: None, ..layout(page_size) };
        for page in [0, 9, u64::MAX] {
            let decoded = DecodedPage::new(&bytes, page, &layout);
            let _ = (decoded.fields(&bytes), decoded.used_bytes(layout.page_size));
            prop_assert!(decoded.faults.len() <= 8 * bytes.len() + 8);
        }
        check_meta(&bytes);
        check_head(&bytes);
    }

    #[test]
    fn a_page_of_the_log_has_faults_if_the_engine_refuses_it(
        records in prop::collection::vec((0u64..50, 0u64..3, 0u64..6, 0u64..6), 0..20),
        change in prop::option::of((0usize..4096, 1u8..255)),
    ) {
        let extent = |&(start, len, birth, death)| {
            crate::page::Extent { start, len, birth: TxnId(birth), death: TxnId(death) }
        };
        let older = LogLink { page: PageId(3), birth: TxnId(4) };
        let page = FreeLogPage { older, records: records.iter().map(extent).collect() };
        let (mut bytes, seed) = (vec![0; 4096], Seed::of(&ID));
        page.encode(&mut bytes, PageId(9), TxnId(5), seed);
        if let Some((at, by)) = change {
            bytes[at] ^= by;
            seed.seal(&mut bytes);
        }
        let link = LogLink { page: PageId(9), birth: TxnId(get_u64(&bytes, 16)) };
        let engine = FreeLogPage::decode(&bytes, link, seed);
        let decoded = DecodedPage::new(&bytes, 9, &layout(4096));
        if let PageBody::FreeLog { records, .. } = &decoded.body {
            prop_assert_eq!(engine.is_ok(), decoded.faults.is_empty(), "{:?} {:?}", engine, decoded.faults);
            let found: Vec<_> = records.iter().map(|r| (r.start, r.birth, r.death)).collect();
            if let Ok(page) = engine {
                let expected = page.records.iter().map(|r| (r.start, r.birth.0, r.death.0));
                prop_assert!(expected.eq(found));
            }
        } else {
            prop_assert!(engine.is_err());
        }
    }
}
