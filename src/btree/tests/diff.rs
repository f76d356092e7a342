//! Goal: the differences of two trees are those of the two maps, and cost the pages that differ, no others.
//! Method: random operations on a double that keeps every version, with long keys for deep trees and long
//! values, pages copied for nothing and everything taken out; then every pair of versions, both ways, whole
//! and in ranges. The cost is counted by a wrapper around the double.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;
use crate::page::Page;

const ALL: Bounds<'static> = (Bound::Unbounded, Bound::Unbounded);

/// Counts what is read through it.
struct Counted<'d> {
    pages: &'d Double,
    /// Branches and leaves.
    read: AtomicU64,
    runs: AtomicU64,
}

impl Counted<'_> {
    fn new(pages: &Double) -> Counted<'_> {
        Counted { pages, read: AtomicU64::new(0), runs: AtomicU64::new(0) }
    }

    /// Pages and values read since the last time.
    fn take(&self) -> (u64, u64) {
        (self.read.swap(0, Ordering::Relaxed), self.runs.swap(0, Ordering::Relaxed))
    }
}

impl Pages for Counted<'_> {
    fn page_size(&self) -> usize {
        self.pages.page_size()
    }

    fn page(&self, child: &Child, level: u8) -> Result<Page<'_>> {
        self.read.fetch_add(1, Ordering::Relaxed);
        self.pages.page(child, level)
    }

    fn recheck_run(&self, run: &OverflowRef) -> Result<&[u8]> {
        self.pages.recheck_run(run)
    }

    fn run(&self, run: &OverflowRef) -> Result<&[u8]> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.pages.run(run)
    }
}

type OwnedDifference = (Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>);

fn differences(
    pages: &dyn Pages,
    older: &TreeRoot,
    newer: &TreeRoot,
    origin: Origin,
    bounds: &Bounds<'_>,
) -> Vec<OwnedDifference> {
    let mut found = Vec::new();
    let mut all = Differences::new((pages, older), (pages, newer), origin, bounds);
    while let Some(difference) = all.next_difference() {
        let (key, before, after) = difference.unwrap();
        found.push((key.into_owned(), before.map(<[u8]>::to_vec), after.map(<[u8]>::to_vec)));
    }
    assert!(all.next_difference().is_none());
    found
}

fn expected(older: &Model, newer: &Model, bounds: &Bounds<'_>) -> Vec<OwnedDifference> {
    if cursor::is_inverted(bounds) {
        return Vec::new();
    }
    let mut keys: BTreeMap<&[u8], OwnedDifference> = BTreeMap::new();
    for (key, value) in older.range::<[u8], _>(*bounds) {
        keys.entry(key).or_insert_with(|| (key.clone(), None, None)).1 = Some(value.clone());
    }
    for (key, value) in newer.range::<[u8], _>(*bounds) {
        keys.entry(key).or_insert_with(|| (key.clone(), None, None)).2 = Some(value.clone());
    }
    keys.into_values().filter(|(_, before, after)| before != after).collect()
}

#[derive(Debug, Clone)]
enum Op {
    Insert(Vec<u8>, usize, u8),
    Remove(usize),
    RemoveRange(Bound<Vec<u8>>, Bound<Vec<u8>>),
    Ascending(u8, usize),
    /// Keys with long separators between them, so that a branch holds few: how many.
    Deep(u8, usize),
    /// Copies pages from the one of a key on, so many.
    Move(Vec<u8>, usize),
    /// As a table that is dropped and made anew.
    Clear,
    /// Inserts again what is there.
    Again(usize, usize),
    Commit,
}

/// Keys of which only few fit in a page, and short ones.
fn deep_key() -> impl Strategy<Value = Vec<u8>> {
    (key(), prop_oneof![3 => Just(0usize), 2 => 1200usize..1900], any::<u8>()).prop_map(
        |(mut key, pad, last)| {
            let pad = pad.saturating_sub(key.len());
            key.extend(std::iter::repeat_n(b'd', pad));
            key.push(last);
            key.truncate(key_len_max(4096));
            key
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    let value_len = prop_oneof![5 => 0usize..40, 2 => 300usize..2100, 1 => 2100usize..9000];
    let bound = || {
        prop_oneof![
            deep_key().prop_map(Bound::Included),
            Just(Bound::Unbounded),
            key().prop_map(Bound::Excluded)
        ]
    };
    prop_oneof![
        24 => (deep_key(), value_len, 0u8..3).prop_map(|(key, len, fill)| Op::Insert(key, len, fill)),
        8 => (0usize..10_000).prop_map(Op::Remove),
        1 => (bound(), bound()).prop_map(|(from, to)| Op::RemoveRange(from, to)),
        2 => (any::<u8>(), 1usize..150).prop_map(|(from, count)| Op::Ascending(from, count)),
        3 => (any::<u8>(), 1usize..60).prop_map(|(from, count)| Op::Deep(from, count)),
        1 => (key(), 1usize..40).prop_map(|(key, budget)| Op::Move(key, budget)),
        1 => Just(Op::Clear),
        2 => (0usize..10_000, 1usize..20).prop_map(|(from, count)| Op::Again(from, count)),
        5 => Just(Op::Commit),
    ]
}

/// The operations on a tree and its model; a pair of both at the beginning and for every commit.
fn versions(pages: &mut Double, ops: Vec<Op>) -> Vec<(TreeRoot, Model)> {
    let (mut root, mut model) = (TreeRoot::default(), Model::new());
    let mut versions = vec![(root, model.clone())];
    for op in ops {
        match op {
            Op::Insert(key, len, fill) => {
                insert(pages, &mut root, &mut Finger::default(), &key, &vec![fill; len]).unwrap();
                model.insert(key, vec![fill; len]);
            }
            Op::Remove(i) => {
                let key = model.keys().nth(i % model.len().max(1)).cloned().unwrap_or_default();
                remove(pages, &mut root, &key).unwrap();
                model.remove(&key);
            }
            Op::RemoveRange(from, to) => {
                let bounds = (cursor::as_ref(&from), cursor::as_ref(&to));
                remove_range(pages, &mut root, &bounds).unwrap();
                if !cursor::is_inverted(&bounds) {
                    let keys: Vec<_> = model.range::<[u8], _>(bounds).map(|(key, _)| key.clone()).collect();
                    keys.iter().for_each(|key| drop(model.remove(key)));
                }
            }
            Op::Ascending(from, count) => {
                for i in 0..count {
                    let key = format!("k/{}/{i:06}", from % 4).into_bytes();
                    insert(pages, &mut root, &mut Finger::default(), &key, &[from]).unwrap();
                    model.insert(key, vec![from]);
                }
            }
            Op::Deep(from, count) => {
                for i in 0..count {
                    let group = (usize::from(from % 4) * 60 + i) / 5;
                    let key = format!("{group:03}{}{}", "d".repeat(1800), i % 5).into_bytes();
                    insert(pages, &mut root, &mut Finger::default(), &key, &[from; 200]).unwrap();
                    model.insert(key, vec![from; 200]);
                }
            }
            Op::Move(key, budget) => drop(relocate(pages, &mut root, &key, 0, budget).unwrap()),
            Op::Clear => {
                clear(pages, &mut root).unwrap();
                model.clear();
            }
            Op::Again(from, count) => {
                let from = from % model.len().max(1);
                for (key, value) in model.iter().skip(from).take(count) {
                    insert(pages, &mut root, &mut Finger::default(), key, value).unwrap();
                }
            }
            Op::Commit => {
                pages.freeze(&mut root);
                versions.push((root, model.clone()));
            }
        }
    }
    pages.freeze(&mut root);
    versions.push((root, model));
    versions
}

fn check_pairs(ops: Vec<Op>, keys: &[Vec<u8>; 2]) {
    let mut pages = Double::new(4096);
    pages.keeps = true;
    let versions = versions(&mut pages, ops);
    let range = (Bound::Included(&keys[0][..]), Bound::Excluded(&keys[1][..]));
    let behind = (Bound::Excluded(&keys[0][..]), Bound::Unbounded);
    let before = (Bound::Unbounded, Bound::Included(&keys[1][..]));
    for (older, old) in &versions {
        for (newer, new) in &versions {
            for bounds in [ALL, range, behind, before] {
                let found = differences(&pages, older, newer, Origin::OneFile, &bounds);
                assert_eq!(found, expected(old, new, &bounds));
            }
            let found = differences(&pages, older, newer, Origin::TwoFiles, &ALL);
            assert_eq!(found, expected(old, new, &ALL));
            check_cost(&pages, older, newer);
        }
    }
}

/// A page that only one tree has costs itself, and a path where the sides have to find together again.
fn check_cost(pages: &Double, older: &TreeRoot, newer: &TreeRoot) {
    let own = own_pages(pages, older, newer) + own_pages(pages, newer, older);
    let counted = Counted::new(pages);
    differences(&counted, older, newer, Origin::OneFile, &ALL);
    let (read, path) = (counted.take().0, u64::from(older.level.max(newer.level)) + 1);
    assert!(read >= own && read <= own + own * path, "{own} pages differ, {read} were read");
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4096, ..ProptestConfig::default() })]

    #[test]
    #[cfg_attr(miri, ignore = "every page of many versions takes Miri too long")]
    fn the_differences_are_those_of_the_maps(
        ops in prop::collection::vec(op(), 1..90),
        keys in [deep_key(), deep_key()],
    ) {
        check_pairs(ops, &keys);
    }
}

/// A tree of 100,000 entries of about 100 bytes, and the double that keeps its versions.
fn large() -> (Double, TreeRoot) {
    let mut pages = Double::new(4096);
    pages.keeps = true;
    let root = filled(&mut pages, 0..100_000);
    (pages, root)
}

#[test]
#[cfg_attr(miri, ignore = "tens of thousands of entries take Miri hours")]
fn one_change_in_a_large_tree_costs_a_path_on_each_side() {
    let (mut pages, older) = large();
    for key in [0, 17, 54_321, 99_999] {
        let mut newer = older;
        insert(&mut pages, &mut newer, &mut Finger::default(), &ordered(key), &[8; 100]).unwrap();
        pages.freeze(&mut newer);
        let counted = Counted::new(&pages);
        let change = (ordered(key).to_vec(), Some(vec![7; 100]), Some(vec![8; 100]));
        assert_eq!(differences(&counted, &older, &newer, Origin::OneFile, &ALL), [change]);
        let paths = 2 * (u64::from(older.level) + 1);
        assert_eq!(counted.take(), (paths, 0), "a path in each tree, and nothing else");
    }
    let counted = Counted::new(&pages);
    assert_eq!(differences(&counted, &older, &older, Origin::OneFile, &ALL), []);
    assert_eq!(counted.take(), (0, 0), "the same tree is not looked at");
}

/// Pages of one tree that the other does not have.
fn own_pages(pages: &Double, root: &TreeRoot, other: &TreeRoot) -> u64 {
    fn collect(pages: &Double, child: &Child, level: u8, into: &mut std::collections::BTreeSet<u64>) {
        into.insert(child.page().0);
        let page = pages.page(child, level).unwrap();
        for i in 0..if level == 0 { 0 } else { page.len() } {
            collect(pages, &page.child(i), level - 1, into);
        }
    }
    let [own, others] = [root, other].map(|root| {
        let mut all = Default::default();
        if !root.is_empty() {
            collect(pages, &root.child, root.level, &mut all);
        }
        all
    });
    own.difference(&others).count() as u64
}

/// Whatever is done to the tree, hardly a page is read that both have.
#[test]
#[cfg_attr(miri, ignore = "tens of thousands of entries take Miri hours")]
fn the_cost_is_that_of_the_pages_that_differ() {
    let (mut pages, older) = large();
    type Change<'a> = (&'a str, &'a dyn Fn(&mut Double, &mut TreeRoot));
    let changes: [Change<'_>; 5] = [
        ("scattered inserts", &|pages, root| {
            for i in 0..300u64 {
                let key = [&ordered(i * 331)[..], b"new"].concat();
                insert(pages, root, &mut Finger::default(), &key, &[9; 700]).unwrap();
            }
        }),
        ("scattered removals", &|pages, root| {
            for i in (0..100_000).filter(|i| i / 40 % 50 == 0) {
                assert!(remove(pages, root, &ordered(i)).unwrap());
            }
        }),
        ("a range out at the front", &|pages, root| {
            let end = ordered(5_000);
            remove_range(pages, root, &(Bound::Unbounded, Bound::Excluded(&end[..]))).unwrap();
        }),
        ("ranges out in the middle", &|pages, root| {
            for i in 1..20u64 {
                let (from, to) = (ordered(i * 5_000), ordered(i * 5_000 + 137 * i));
                remove_range(pages, root, &(Bound::Included(&from[..]), Bound::Excluded(&to[..]))).unwrap();
            }
        }),
        ("many in at the end", &|pages, root| {
            for key in 100_000..180_000 {
                insert(pages, root, &mut Finger::default(), &ordered(key), &[7; 100]).unwrap();
            }
        }),
    ];
    for (what, change) in changes {
        let mut newer = older;
        change(&mut pages, &mut newer);
        pages.freeze(&mut newer);
        let own = own_pages(&pages, &older, &newer) + own_pages(&pages, &newer, &older);
        let counted = Counted::new(&pages);
        let found = differences(&counted, &older, &newer, Origin::OneFile, &ALL).len();
        let (read, _) = counted.take();
        println!("{what}: {found} changes, {own} pages differ, {read} read");
        assert!(read >= own && read <= own + own / 50 + 2, "{what}: {own} pages differ, {read} were read");
    }
}

#[test]
#[cfg_attr(miri, ignore = "tens of thousands of entries take Miri hours")]
fn a_tree_that_became_higher_or_lower_shares_its_leaves() {
    let mut pages = Double::new(4096);
    pages.keeps = true;
    let low = filled(&mut pages, 0..3_000);
    let (mut high, mut key) = (low, 3_000);
    while high.level == low.level {
        insert(&mut pages, &mut high, &mut Finger::default(), &ordered(key), &[7; 100]).unwrap();
        key += 1;
    }
    pages.freeze(&mut high);
    let own = own_pages(&pages, &low, &high) + own_pages(&pages, &high, &low);
    let counted = Counted::new(&pages);
    for (older, newer) in [(&low, &high), (&high, &low)] {
        let found = differences(&counted, older, newer, Origin::OneFile, &ALL);
        assert_eq!(found.len() as u64, key - 3_000);
        assert_eq!(counted.take().0, own, "pages that only one has, and no other");
    }
}

#[test]
#[cfg_attr(miri, ignore = "tens of thousands of entries take Miri hours")]
fn a_range_costs_the_paths_to_its_ends() {
    let (mut pages, older) = large();
    let mut newer = older;
    for key in (0..100_000).step_by(10) {
        insert(&mut pages, &mut newer, &mut Finger::default(), &ordered(key), &[8; 100]).unwrap();
    }
    pages.freeze(&mut newer);
    let (from, to) = (ordered(50_000), ordered(50_100));
    let counted = Counted::new(&pages);
    let bounds = (Bound::Included(&from[..]), Bound::Excluded(&to[..]));
    assert_eq!(differences(&counted, &older, &newer, Origin::OneFile, &bounds).len(), 10);
    let (read, _) = counted.take();
    let paths = 4 * (u64::from(older.level) + 1);
    assert!(read <= paths + 8, "{read} pages were read for a range of some four leaves");
}

#[test]
fn a_value_that_both_refer_to_is_not_read() {
    let mut pages = Double::new(4096);
    pages.keeps = true;
    let mut older = TreeRoot::default();
    for key in 0..10 {
        insert(&mut pages, &mut older, &mut Finger::default(), &ordered(key), &[1; 5000]).unwrap();
    }
    pages.freeze(&mut older);
    let mut newer = older;
    insert(&mut pages, &mut newer, &mut Finger::default(), &ordered(3), &[2; 5000]).unwrap();
    insert(&mut pages, &mut newer, &mut Finger::default(), &ordered(5), &[1; 5000]).unwrap();
    pages.freeze(&mut newer);
    let counted = Counted::new(&pages);
    let change = (ordered(3).to_vec(), Some(vec![1; 5000]), Some(vec![2; 5000]));
    assert_eq!(differences(&counted, &older, &newer, Origin::OneFile, &ALL), std::slice::from_ref(&change));
    assert_eq!(counted.take().1, 4, "both values of the two keys that were written");
    assert_eq!(differences(&counted, &older, &newer, Origin::TwoFiles, &ALL), [change]);
    assert_eq!(counted.take().1, 20);
}

#[test]
#[cfg_attr(miri, ignore = "tens of thousands of entries take Miri hours")]
fn a_damaged_page_is_said_once_and_ends_it() {
    let (mut pages, older) = large();
    let mut newer = older;
    for key in [10, 50_000, 90_000] {
        insert(&mut pages, &mut newer, &mut Finger::default(), &ordered(key), &[8; 100]).unwrap();
    }
    pages.freeze(&mut newer);
    let damaged = {
        let (mut child, mut level) = (newer.child, newer.level);
        while level > 0 {
            let page = pages.page(&child, level).unwrap();
            child = page.child(page.child_index(&ordered(50_000)));
            level -= 1;
        }
        child.page().0
    };
    pages.clean.get_mut(&damaged).unwrap()[200] ^= 1;
    let mut all = Differences::new((&pages, &older), (&pages, &newer), Origin::OneFile, &ALL);
    assert_eq!(all.next_difference().unwrap().unwrap().0[..], ordered(10)[..]);
    let error = all.next_difference().unwrap().unwrap_err();
    assert!(matches!(error, crate::Error::Corrupted { page, .. } if page == damaged), "{error}");
    assert!(all.next_difference().is_none() && all.next_difference().is_none());
}
