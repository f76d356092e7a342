//! Goal: a tree is a sorted map, and keeps its rules after every operation.
//! Method: random operations on a double (heap pages, frozen now and then so that pages are clean and checked
//! at first touch) against a `BTreeMap`, with the whole-tree check after each step.

mod compact;
mod diff;
mod full;

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use proptest::prelude::*;

use super::verify::{Census, Depth, verify};
use super::*;
use crate::page::{
    Child, Expected, OverflowRef, Page, PageId, PageMut, Seed, TxnId, check, finalize, index, key_len_max,
    run_pages,
};
use crate::pager::PagesMut;

/// Pages in memory: some on the heap, some finished.
struct Double {
    page_size: usize,
    heap: Vec<Option<Box<[u8]>>>,
    clean: HashMap<u64, Box<[u8]>>,
    runs: HashMap<u64, Vec<u8>>,
    next: u64,
    txn: u64,
    scratch: Vec<u8>,
    /// Whether pages and values that are out of use stay, for those who look at older trees.
    keeps: bool,
}

const SEED: [u8; 16] = [1; 16];

impl Double {
    fn new(page_size: usize) -> Double {
        let (heap, clean, runs) = Default::default();
        Double { page_size, heap, clean, runs, next: 1, txn: 1, scratch: Vec::new(), keeps: false }
    }

    fn expected(&self, child: &Child, level: u8) -> Expected {
        let (id, birth, count) = (child.page(), child.birth, child.count);
        Expected { id, birth, level, count, page_count: self.next, seed: Seed::of(&SEED) }
    }

    /// Finishes every heap page below `root`, as a commit does.
    fn freeze(&mut self, root: &mut TreeRoot) {
        if !root.is_empty() {
            root.child = self.freeze_page(root.child);
        }
        assert!(self.heap.iter().all(Option::is_none), "a heap page that no tree refers to");
        self.txn += 1;
    }

    fn freeze_page(&mut self, child: Child) -> Child {
        let Some(heap) = child.dirty() else { return child };
        let mut bytes = self.heap[heap].take().unwrap();
        let page = Page::new(&bytes);
        if !page.is_leaf() {
            for i in 0..page.len() {
                let below = self.freeze_page(Page::new(&bytes).child(i));
                PageMut::new(&mut bytes).set_child(i, &below);
            }
        }
        let id = self.next;
        self.next += 1;
        finalize(&mut bytes, PageId(id), TxnId(self.txn), Seed::of(&SEED), &mut self.scratch);
        self.clean.insert(id, bytes);
        Child {
            word: id | (child.word & crate::page::HAS_OVERFLOW),
            birth: TxnId(self.txn),
            count: child.count,
        }
    }
}

impl Pages for Double {
    fn page_size(&self) -> usize {
        self.page_size
    }

    fn page(&self, child: &Child, level: u8) -> Result<Page<'_>> {
        if let Some(heap) = child.dirty() {
            return Ok(Page::new(self.bytes(heap)));
        }
        let bytes = &self.clean[&child.page().0];
        // Miri takes a second for a checksum.
        if !cfg!(miri) {
            check(bytes, &self.expected(child, level))?;
        }
        Ok(Page::new(bytes))
    }

    fn recheck_run(&self, run: &OverflowRef) -> Result<&[u8]> {
        self.run(run)
    }

    fn run(&self, run: &OverflowRef) -> Result<&[u8]> {
        Ok(&self.runs[&run.page().0])
    }
}

impl PagesMut for Double {
    fn dirty(&mut self, child: &Child, level: u8) -> Result<usize> {
        let bytes = self.take(child, level)?;
        Ok(self.adopt(bytes))
    }

    fn bytes(&self, index: usize) -> &[u8] {
        self.heap[index].as_ref().unwrap()
    }

    fn bytes_mut(&mut self, index: usize) -> (&mut [u8], &mut Vec<u8>) {
        (self.heap[index].as_mut().unwrap(), &mut self.scratch)
    }

    fn pair_mut(&mut self, a: usize, b: usize) -> (&mut [u8], &mut [u8], &mut Vec<u8>) {
        let [a, b] = self.heap.get_disjoint_mut([a, b]).unwrap();
        (a.as_mut().unwrap(), b.as_mut().unwrap(), &mut self.scratch)
    }

    fn buffer(&mut self) -> Box<[u8]> {
        vec![0xEE; self.page_size].into()
    }

    fn recycle(&mut self, _: Box<[u8]>) {}

    fn new_page(&mut self) -> usize {
        self.heap.push(Some(vec![0xEE; self.page_size].into()));
        self.heap.len() - 1
    }

    fn take(&mut self, child: &Child, level: u8) -> Result<Box<[u8]>> {
        if let Some(heap) = child.dirty() {
            return Ok(self.heap[heap].take().unwrap());
        }
        let copy = self.page(child, level)?.bytes().into();
        self.drop_page(child);
        Ok(copy)
    }

    fn drop_page(&mut self, child: &Child) {
        match child.dirty() {
            Some(heap) => drop(self.heap[heap].take().unwrap()),
            None if self.keeps => assert!(self.clean.contains_key(&child.page().0)),
            None => drop(self.clean.remove(&child.page().0).unwrap()),
        }
    }

    fn put_run(&mut self, value: &[u8]) -> Result<OverflowRef> {
        let word = self.next;
        self.next += run_pages(value.len() as u64, self.page_size);
        self.runs.insert(word, value.to_vec());
        let len = u32::try_from(value.len()).unwrap();
        Ok(OverflowRef { word, len, birth: TxnId(self.txn), sum: 0 })
    }

    fn drop_run(&mut self, run: &OverflowRef) {
        match self.keeps {
            true => assert!(self.runs.contains_key(&run.page().0)),
            false => drop(self.runs.remove(&run.page().0).unwrap()),
        }
    }
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Everything a tree can be asked, against the model.
fn check_tree(pages: &Double, root: &TreeRoot, model: &Model) {
    assert_eq!(root.child.count, model.len() as u64);
    let all = (Bound::Unbounded, Bound::Unbounded);
    let mut range = Range::new(pages, root, &all);
    for (key, value) in model {
        let entry = range.next_entry().unwrap().unwrap();
        let (k, v) = (entry.key(), entry.value);
        assert_eq!((&*k, v), (&key[..], &value[..]));
        assert_eq!(get(pages, root, key).unwrap(), Some(&value[..]));
    }
    assert!(range.next_entry().is_none());
    let mut range = Range::new(pages, root, &all);
    for (key, _) in model.iter().rev() {
        assert_eq!(&*range.next_back_entry().unwrap().unwrap().key(), &key[..]);
    }
    assert!(range.next_back_entry().is_none());
}

/// The rules of the tree, on a frozen copy of its pages.
fn check_rules(pages: &Double, root: &TreeRoot) {
    let mut census = Census::new(pages.next);
    verify(pages, root, Depth::Check, &mut census);
    assert_eq!(census.faults, []);
    assert_eq!(pages.clean.len() as u64 + run_count(pages), census.pages, "pages that no tree refers to");
}

fn run_count(pages: &Double) -> u64 {
    pages.runs.values().map(|run| run_pages(run.len() as u64, pages.page_size)).sum()
}

#[derive(Debug, Clone)]
enum Op {
    Insert(Vec<u8>, usize),
    /// Only if the key comes behind all others.
    Append(Vec<u8>, usize),
    Remove(usize),
    RemoveRange(Bound<Vec<u8>>, Bound<Vec<u8>>),
    Ascending(u8, usize),
    Freeze,
    Ask(Vec<u8>, Vec<u8>),
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    let short = prop::collection::vec(prop::sample::select(vec![0u8, 1, b'a', b'b', 255]), 0..6);
    let prefix = prop::sample::select(vec!["", "k/", "a/long/prefix/of/keys/"]);
    let long = prop_oneof![9 => Just(0usize), 1 => 0usize..1950];
    (prefix, short, long).prop_map(|(prefix, rest, pad)| {
        let mut key = [prefix.as_bytes(), &rest].concat();
        key.extend(std::iter::repeat_n(b'p', pad));
        key
    })
}

fn bound() -> impl Strategy<Value = Bound<Vec<u8>>> {
    prop_oneof![key().prop_map(Bound::Included), key().prop_map(Bound::Excluded), Just(Bound::Unbounded)]
}

fn op() -> impl Strategy<Value = Op> {
    let value_len = prop_oneof![5 => 0usize..300, 2 => 300usize..2100, 1 => 2100usize..9000];
    prop_oneof![
        12 => (key(), value_len.clone()).prop_map(|(key, len)| Op::Insert(key, len)),
        4 => (key(), value_len).prop_map(|(key, len)| Op::Append(key, len)),
        6 => (0usize..10_000).prop_map(Op::Remove),
        1 => (bound(), bound()).prop_map(|(from, to)| Op::RemoveRange(from, to)),
        1 => (any::<u8>(), 1usize..200).prop_map(|(from, count)| Op::Ascending(from, count)),
        2 => Just(Op::Freeze),
        2 => (key(), key()).prop_map(|(a, b)| Op::Ask(a, b)),
    ]
}

fn run(page_size: usize, ops: Vec<Op>) {
    let mut pages = Double::new(page_size);
    let (mut root, mut model) = (TreeRoot::default(), Model::new());
    let mut finger = Finger::default();
    for op in ops {
        if !matches!(op, Op::Insert(..) | Op::Append(..) | Op::Ascending(..) | Op::Ask(..)) {
            finger.forget();
        }
        match op {
            Op::Insert(key, len) => {
                let value = vec![(model.len() % 251).try_into().unwrap(); len];
                let replaced = insert(&mut pages, &mut root, &mut finger, &key, &value).unwrap();
                assert_eq!(replaced, model.insert(key, value).is_some());
            }
            Op::Append(key, len) => {
                let is_behind = finger.is_behind(&pages, &root, &key).unwrap();
                assert_eq!(is_behind, model.last_key_value().is_none_or(|(last, _)| *last < key));
                if is_behind {
                    let value = vec![(model.len() % 251).try_into().unwrap(); len];
                    assert!(!insert(&mut pages, &mut root, &mut finger, &key, &value).unwrap());
                    model.insert(key, value);
                }
            }
            Op::Remove(i) => {
                let key = model.keys().nth(i % model.len().max(1)).cloned().unwrap_or_default();
                let removed = remove(&mut pages, &mut root, &key).unwrap();
                assert_eq!(removed, model.remove(&key).is_some());
            }
            Op::RemoveRange(from, to) => {
                let bounds = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
                let count = count(&pages, &root, &bounds).unwrap();
                assert_eq!(remove_range(&mut pages, &mut root, &bounds).unwrap(), count);
                let before = model.len();
                if !cursor::is_inverted(&bounds) {
                    let keys: Vec<_> = model.range((from, to)).map(|(key, _)| key.clone()).collect();
                    keys.iter().for_each(|key| drop(model.remove(key)));
                }
                assert_eq!(count, (before - model.len()) as u64);
            }
            Op::Ascending(from, count) => {
                for i in 0..count {
                    let key = format!("k/{from}/{i:06}").into_bytes();
                    insert(&mut pages, &mut root, &mut finger, &key, b"ascending").unwrap();
                    model.insert(key, b"ascending".to_vec());
                }
            }
            Op::Freeze => {
                pages.freeze(&mut root);
                check_rules(&pages, &root);
            }
            Op::Ask(a, b) => ask(&pages, &root, &model, &a, &b),
        }
    }
    check_tree(&pages, &root, &model);
    pages.freeze(&mut root);
    check_rules(&pages, &root);
    check_tree(&pages, &root, &model);
    for key in model.keys() {
        assert!(remove(&mut pages, &mut root, key).unwrap());
    }
    assert!(root.is_empty());
    pages.freeze(&mut root);
    assert!(pages.clean.is_empty() && pages.runs.is_empty(), "pages left of an empty tree");
}

/// Positions and both ends of a range.
fn ask(pages: &Double, root: &TreeRoot, model: &Model, a: &[u8], b: &[u8]) {
    assert_eq!(get(pages, root, a).unwrap(), model.get(a).map(Vec::as_slice));
    let rank_a = model.keys().take_while(|key| key.as_slice() < a).count();
    assert_eq!(rank(pages, root, a).unwrap(), rank_a as u64);
    let at = |i: usize| model.iter().nth(i).map(|(k, v)| (k.clone(), v.clone()));
    let got = nth(pages, root, rank_a as u64).unwrap().map(|e| (e.key().into_owned(), e.value.to_vec()));
    assert_eq!(got, at(rank_a));
    let bounds = (Bound::Excluded(a), Bound::Included(b));
    let in_range = |key: &&Vec<u8>| key.as_slice() > a && key.as_slice() <= b;
    let mut expected: std::collections::VecDeque<_> = model.keys().filter(in_range).collect();
    assert_eq!(count(pages, root, &bounds).unwrap(), expected.len() as u64);
    let mut range = Range::new(pages, root, &bounds);
    for turn in 0.. {
        let (got, wanted) = match turn % 3 {
            0 => (range.next_back_entry(), expected.pop_back()),
            _ => (range.next_entry(), expected.pop_front()),
        };
        assert_eq!(got.map(|entry| entry.unwrap().key().into_owned()).as_ref(), wanted);
        if wanted.is_none() {
            break;
        }
    }
}

/// Operations of a test.
const OPS_MAX: usize = if cfg!(miri) { 30 } else { 300 };

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4096, ..ProptestConfig::default() })]

    #[test]
    fn a_tree_is_a_sorted_map(ops in prop::collection::vec(op(), 1..OPS_MAX)) {
        run(4096, ops);
    }

    #[test]
    #[cfg_attr(miri, ignore = "large pages take Miri too long")]
    fn a_tree_of_large_pages_is_a_sorted_map(ops in prop::collection::vec(op(), 1..OPS_MAX)) {
        run(65536, ops);
    }
}

/// A key that orders as the number does.
#[expect(clippy::big_endian_bytes, reason = "the order of bytes is the order of big-endian numbers")]
fn ordered(key: u64) -> [u8; 8] {
    key.to_be_bytes()
}

fn filled(pages: &mut Double, keys: impl Iterator<Item = u64>) -> TreeRoot {
    let (mut root, mut finger) = (TreeRoot::default(), Finger::default());
    for key in keys {
        insert(pages, &mut root, &mut finger, &ordered(key), &[7; 100]).unwrap();
    }
    pages.freeze(&mut root);
    root
}

fn fill_of(pages: &Double, root: &TreeRoot) -> f64 {
    let mut census = Census::new(pages.next);
    let tree = verify(pages, root, Depth::Check, &mut census);
    assert_eq!(census.faults, []);
    tree.used_bytes as f64 / ((tree.leaf_pages + tree.branch_pages) * pages.page_size as u64) as f64
}

#[test]
#[cfg_attr(miri, ignore = "tens of thousands of entries take Miri hours")]
fn ascending_and_descending_inserts_leave_full_pages() {
    let mut pages = Double::new(4096);
    let root = filled(&mut pages, 0..20_000);
    assert!(fill_of(&pages, &root) > 0.97, "{}", fill_of(&pages, &root));
    let mut pages = Double::new(4096);
    let root = filled(&mut pages, (0..20_000).rev());
    assert!(fill_of(&pages, &root) > 0.97, "{}", fill_of(&pages, &root));
}

#[test]
#[cfg_attr(miri, ignore = "tens of thousands of entries take Miri hours")]
fn random_inserts_fill_four_fifths() {
    let mut pages = Double::new(4096);
    let root = filled(&mut pages, (0..50_000).map(|i: u64| i.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
    let fill = fill_of(&pages, &root);
    assert!(fill > 0.78, "{fill}");
}

#[test]
#[cfg_attr(miri, ignore = "tens of thousands of entries take Miri hours")]
fn dropping_a_range_reads_no_leaf_inside_it() {
    let mut pages = Double::new(4096);
    let mut root = filled(&mut pages, 0..20_000);
    let (from, to) = (ordered(100), ordered(19_900));
    // The first and the last leaf of the range may be read, so the damage stays away from them.
    let mut damaged = 0;
    for page in pages.clean.values_mut() {
        let leaf = Page::new(page);
        if leaf.is_leaf() && leaf.key(0)[..] > ordered(200)[..] && leaf.key(0)[..] < ordered(19_800)[..] {
            page[100] ^= 1;
            damaged += 1;
        }
    }
    assert!(damaged > 400);
    let bounds = (Bound::Included(&from[..]), Bound::Excluded(&to[..]));
    assert_eq!(remove_range(&mut pages, &mut root, &bounds).unwrap(), 19_800);
    pages.freeze(&mut root);
    check_rules(&pages, &root);
    assert_eq!(root.child.count, 200);
}

#[test]
fn keys_of_every_length_up_to_the_limit_fit_and_longer_ones_are_refused() {
    for page_size in [4096, 8192, 16384, 65536] {
        let mut pages = Double::new(page_size);
        let (mut root, longest) = (TreeRoot::default(), key_len_max(page_size));
        for i in 0..60u8 {
            let mut key = vec![i % 7; longest];
            key[index(u64::from(i) * 13)] = i;
            key[longest - 1] = i;
            insert(&mut pages, &mut root, &mut Finger::default(), &key, &vec![i; usize::from(i) * 40])
                .unwrap();
        }
        insert(&mut pages, &mut root, &mut Finger::default(), b"", b"the empty key").unwrap();
        pages.freeze(&mut root);
        check_rules(&pages, &root);
        assert_eq!(get(&pages, &root, b"").unwrap(), Some(&b"the empty key"[..]));
        let error =
            insert(&mut pages, &mut root, &mut Finger::default(), &vec![0; longest + 1], b"").unwrap_err();
        assert!(
            matches!(error, crate::Error::KeyTooLong { len, max } if len == longest + 1 && max == longest)
        );
    }
}

#[test]
#[cfg_attr(miri, ignore = "tens of thousands of entries take Miri hours")]
fn a_split_cuts_a_table_evenly() {
    let mut pages = Double::new(4096);
    let root = filled(&mut pages, 0..10_000);
    let keys = split(&pages, &root, 4).unwrap();
    assert_eq!(keys, [2_500, 5_000, 7_500].map(|k| ordered(k).to_vec()));
    assert!(split(&pages, &TreeRoot::default(), 4).unwrap().is_empty());
}
