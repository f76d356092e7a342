//! Pages: what edits make of one is what they make of a map, and any bytes are read without a panic.

use std::collections::BTreeMap;

use super::Bytes;
use super::image::unpack;
use super::seal::u64_at;
use crate::page::decode::{DecodedPage, HeadPage, Layout, MetaPage};
use crate::page::{
    Cell, Child, Expected, FreeLogPage, HeadRecord, KIND_LEAF, Leaf, LeafValue, LogLink, META_LEN, Meta,
    Page, PageId, PageMut, Root, Seed, TableRecord, TxnId, build, build_part, cell_cost, check, check_unused,
    finalize, init, inline_fixed, packed_len, prefix_between, separator_len, shared_bytes,
};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

const PAGE: usize = 4096;
const BIRTH: TxnId = TxnId(5);
const ID: PageId = PageId(9);

fn seed() -> Seed {
    Seed::of(&[7; 16])
}

/// Edits a page as the input says, or takes the input for one.
///
/// # Panics
/// If something panics that must not, or a page is not what its model is.
pub fn page(input: &[u8]) {
    match input.split_first() {
        Some((0..128, edits)) => edit(edits),
        Some((_, bytes)) => read(bytes),
        None => {}
    }
}

/// A leaf, what it holds, and its neighbour on the right.
struct Leaves {
    pages: [Vec<u8>; 2],
    models: [Model; 2],
    scratch: Vec<u8>,
}

fn edit(edits: &[u8]) {
    let mut bytes = Bytes::new(edits);
    let mut leaves = Leaves { pages: [new(), new()], models: Default::default(), scratch: Vec::new() };
    while !bytes.is_empty() {
        leaves.step(&mut bytes);
    }
    leaves.check();
    leaves.branch();
}

fn new() -> Vec<u8> {
    let mut page = vec![0xAA; PAGE];
    init(&mut page, KIND_LEAF, 0);
    page
}

/// Keys that share prefixes and heads, with zeros that heads cannot tell from padding.
fn key(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let [shape, len] = bytes.array();
    let prefix = [&b""[..], b"k", b"key/", b"key/long/prefix/", &[0; 5]][usize::from(shape) % 5];
    let letters = [0, 0, 1, b'a', b'b', 255];
    let rest = bytes.take(usize::from(len) % 9).iter().map(|byte| letters[usize::from(*byte) % 6]);
    let mut key: Vec<u8> = prefix.iter().copied().chain(rest).collect();
    if shape >= 250 {
        key.resize(900, shape);
    }
    key
}

impl Leaves {
    fn step(&mut self, bytes: &mut Bytes<'_>) {
        let kind = bytes.u8();
        match kind % 16 {
            0..8 => self.insert(key(bytes), bytes.u16()),
            8..11 => self.remove(key(bytes)),
            11 => self.overwrite(key(bytes), bytes.u8()),
            12 => self.rebuild(),
            13 => self.split(bytes.u8().into(), bytes.u8().into()),
            14 => self.join(),
            _ => self.check(),
        }
    }

    fn insert(&mut self, key: Vec<u8>, len: u16) {
        let value = vec![len.to_le_bytes()[0]; usize::from(len % 400)];
        let fixed = inline_fixed(value.len());
        let cell = leaf_cell(&key, &fixed, &value);
        let mut page = PageMut::new(&mut self.pages[0]);
        match page.view().search(0, &key) {
            // A new key; and one that is greater than all in the neighbour would be out of order.
            Err(i) if self.models[1].keys().next().is_none_or(|first| key < *first) => {
                if page.try_insert(i, &cell, &mut self.scratch) {
                    self.models[0].insert(key, value);
                }
            }
            found => assert_eq!(found.is_ok(), self.models[0].contains_key(&key)),
        }
    }

    fn remove(&mut self, key: Vec<u8>) {
        let mut page = PageMut::new(&mut self.pages[0]);
        let found = page.view().search(0, &key);
        assert_eq!(found.is_ok(), self.models[0].remove(&key).is_some());
        if let Ok(i) = found {
            page.remove(i);
        }
    }

    fn overwrite(&mut self, key: Vec<u8>, byte: u8) {
        let mut page = PageMut::new(&mut self.pages[0]);
        if let Some(value) = self.models[0].get_mut(&key) {
            let i = page.view().search(0, &key).unwrap();
            value.fill(byte);
            page.overwrite_tail(i, 0, value);
        }
    }

    /// The same page from its cells, under the prefix that suits them.
    fn rebuild(&mut self) {
        let old = self.pages[0].clone();
        let cells: Vec<_> = Page::new(&old).cells(0..Page::new(&old).len()).collect();
        if packed_len(0, &cells) <= PAGE {
            build(&mut self.pages[0], 0, &cells);
        }
    }

    /// The keys from number `at` on go to the neighbour, which has none, under a prefix of their own.
    fn split(&mut self, at: usize, shorter: usize) {
        if !self.models[1].is_empty() || self.models[0].is_empty() {
            return;
        }
        let at = at % (self.models[0].len() + 1);
        let len = self.models[0].len();
        let right: Model = self.models[0].iter().skip(at).map(|(k, v)| (k.clone(), v.clone())).collect();
        self.models[0].retain(|key, _| !right.contains_key(key));
        self.models[1] = right;
        let [left, right] = &mut self.pages;
        let longest = |model: &Model| match (model.first_key_value(), model.last_key_value()) {
            (Some((first, _)), Some((last, _))) => shared_bytes(first, last),
            _ => 0,
        };
        let prefix = prefix_between(longest(&self.models[1]), self.models[1].len());
        let prefix = prefix.saturating_sub(shorter % 4);
        let whole = left.clone();
        if Page::new(&whole).total_cost() + len * Page::new(&whole).prefix().len() + 64 < PAGE {
            build_part(right, Page::new(&whole), at..len, prefix);
        } else {
            let old = Page::new(&whole).prefix().len();
            build_part(right, Page::new(&whole), at..len, old);
        }
        let old = Page::new(&whole).prefix().len();
        PageMut::new(left).keep(0..at, old, &mut self.scratch);
    }

    /// The neighbour's cells come back, if there is room for them.
    fn join(&mut self) {
        let [left, right] = &mut self.pages;
        let (to, from) = (Page::new(left), Page::new(right));
        let shares = self.models[1].keys().all(|key| key.starts_with(to.prefix()));
        let grown = from.len() * from.prefix().len();
        if shares && to.free_len() >= from.total_cost() + grown {
            let (at, count) = (to.len(), from.len());
            PageMut::new(left).take_cells(at, Page::new(right), 0..count, &mut self.scratch);
            let back = std::mem::take(&mut self.models[1]);
            self.models[0].extend(back);
            *right = new();
        }
    }

    /// As it would go to the disk.
    fn check(&mut self) {
        for (page, model) in self.pages.iter().zip(&self.models) {
            same(page, model);
            let mut page = page.clone();
            finalize(&mut page, ID, BIRTH, seed(), &mut self.scratch);
            if !model.is_empty() {
                check(&page, &expected(model.len() as u64, 0)).unwrap();
                check_unused(&page, ID).unwrap();
            }
            same(&page, model);
        }
    }

    /// A branch whose separators tell the keys apart leads to where each key is.
    fn branch(&self) {
        let keys: Vec<_> = self.models.iter().flat_map(|model| model.keys()).collect();
        let cell = |key| leaf_cell(key, &[], &[]);
        let separators: Vec<&[u8]> = keys
            .windows(2)
            .map(|pair| &pair[1][..separator_len(&cell(pair[0]), &cell(pair[1]))])
            .take(100)
            .collect();
        let children: Vec<_> = (0..=separators.len() as u64)
            .map(|i| Child { word: 40 + i, birth: TxnId(3), count: 1 + i }.encode())
            .collect();
        let first = Cell { prefix: b"not stored", ..leaf_cell(&[], &children[0], &[]) };
        let rest = separators.iter().zip(&children[1..]).map(|(key, child)| leaf_cell(key, child, &[]));
        let cells: Vec<_> = std::iter::once(first).chain(rest).collect();
        if packed_len(1, &cells) > PAGE || cells.iter().map(cell_cost).sum::<usize>() > PAGE {
            return;
        }
        let mut page = vec![0; PAGE];
        build(&mut page, 1, &cells);
        finalize(&mut page, ID, BIRTH, seed(), &mut Vec::new());
        let below = (1..=children.len() as u64).sum();
        check(&page, &expected(below, 1)).unwrap();
        for (i, key) in keys.iter().take(children.len()).enumerate() {
            assert_eq!(Page::new(&page).child_index(key), i);
            assert_eq!(Page::new(&page).child_of(key), Page::new(&page).child(i));
        }
    }
}

fn leaf_cell<'a>(key: &'a [u8], fixed: &'a [u8], value: &'a [u8]) -> Cell<'a> {
    Cell { prefix: &[], suffix: key, fixed, tail: value, extended: false }
}

fn expected(count: u64, level: u8) -> Expected {
    Expected { id: ID, birth: BIRTH, level, count, page_count: 1 << 20, seed: seed() }
}

fn same(page: &[u8], model: &Model) {
    let page = Page::new(page);
    assert_eq!(page.len(), model.len());
    for (i, (key, value)) in model.iter().enumerate() {
        assert_eq!(&page.key(i), key);
        assert_eq!(page.value(i), LeafValue::Inline(value));
        assert_eq!(page.find(key), Some(LeafValue::Inline(value)));
    }
}

/// Any bytes: nothing panics; and a page that passes the check is in order.
fn read(bytes: &[u8]) {
    let mut page = unpack(bytes);
    page.resize(PAGE, 0);
    views(&page);
    let (id, birth) = (u64_at(&page, 8), u64_at(&page, 16));
    seed().seal(&mut page);
    let view = Page::new(&page);
    let children = (0..view.len()).map(|i| view.child(i).count);
    let below = if view.is_leaf() { view.len() as u64 } else { children.fold(0, u64::saturating_add) };
    let expected = Expected {
        id: PageId(id),
        birth: TxnId(birth),
        level: view.level(),
        count: below,
        page_count: 1 << 30,
        seed: seed(),
    };
    let layout = Layout { page_size: 4096, database_id: Some([7; 16]), page_count: Some(1 << 30) };
    let decoded = DecodedPage::new(&page, id, &layout);
    let _ = (decoded.fields(&page), decoded.used_bytes(4096), MetaPage::new(&page), HeadPage::new(&page));
    if check(&page, &expected).is_ok() {
        in_order(view);
        assert!(decoded.faults.is_empty() || id == 0, "{:?}", decoded.faults);
    }
    let _ = check_unused(&page, PageId(id));
    let log = FreeLogPage::decode(&page, LogLink { page: PageId(id), birth: TxnId(birth) }, seed());
    if let Ok(log) = log {
        let mut again = vec![0xAA; PAGE];
        log.encode(&mut again, PageId(id), TxnId(birth), seed());
        assert!(again == page, "a page of the log has one encoding");
    }
    meta(&mut page);
}

fn in_order(page: Page<'_>) {
    let first = if page.is_leaf() { 0 } else { 1 };
    let keys: Vec<_> = (first..page.len()).map(|i| page.key(i)).collect();
    assert!(keys.is_sorted_by(|a, b| a < b));
    for (i, key) in keys.iter().enumerate() {
        assert_eq!(page.search(first, key), Ok(first + i));
        if page.is_leaf() {
            assert_eq!(page.find(key), Some(page.value(i)));
        } else {
            assert_eq!(page.child_index(key), first + i);
        }
    }
}

fn views(bytes: &[u8]) {
    let page = Page::new(bytes);
    for key in [&b""[..], b"k", b"key/a", bytes.get(32..40).unwrap_or(b"")] {
        let _ = (page.search(0, key), page.search(1, key), page.find(key), page.child_of(key));
        let _ = (page.child_index(key), page.ends_below(key), page.candidate(key));
    }
    for i in [0, 1, 2, 300, 511, usize::from(u16::MAX)] {
        let _ = (page.cell(i), page.value(i), page.child(i), page.key(i), page.child_word(i));
        let _ = (page.leaf_entry(i), page.suffix(i), Leaf::new(page).entry(i));
    }
    let _ = (page.free_len(), page.used_len(), page.total_cost(), page.cells(0..page.len()).count());
    let _ = Root::decode(bytes).encode();
    if let Ok(record) = TableRecord::decode(bytes, ID) {
        let _ = record.text(ID).map(|record| assert_eq!(record.encode(), bytes));
    }
}

/// A meta page or a head record, its checksum made right.
fn meta(page: &mut [u8]) {
    let sum = crc32fast::hash(&page[..META_LEN - 4]);
    page[META_LEN - 4..META_LEN].copy_from_slice(&sum.to_le_bytes());
    if let Ok(meta) = Meta::decode(page, 0) {
        let again = Meta::decode(&meta.encode(), 0).unwrap();
        assert_eq!(again, meta);
    }
    let sum = crc32fast::hash(&page[..508]);
    page[508..512].copy_from_slice(&sum.to_le_bytes());
    if let Some(record) = HeadRecord::decode(page) {
        assert_eq!(HeadRecord::decode(&record.encode()), Some(record));
    }
}
