//! Goal: a full leaf gives cells to a neighbour or to a new leaf as the rules of the tree want it, without
//! being laid out anew, and leaves what is not simple to those who do that.
//! Method: trees whose leaves are known, one insertion, and a look at every leaf; the same insertions done in
//! the general way must hold the same entries.

use super::*;
use crate::btree::balance::{self, Below, Edit};
use crate::btree::path::{self, Path};
use crate::btree::{full, verify};
use crate::page::{Cell, inline_fixed};

/// The entries of each leaf under a root of level 1.
fn leaves(pages: &Double, root: &TreeRoot) -> Vec<Vec<Vec<u8>>> {
    let page = pages.page(&root.child, root.level).unwrap();
    let leaf = |i| pages.page(&page.child(i), 0).unwrap();
    (0..page.len()).map(|i| (0..leaf(i).len()).map(|j| leaf(i).key(j)).collect()).collect()
}

fn counts(pages: &Double, root: &TreeRoot) -> Vec<usize> {
    leaves(pages, root).iter().map(Vec::len).collect()
}

const VALUE: [u8; 150] = [7; 150];

/// A key of 24 bytes. In a leaf of them no two share their first byte: it has no prefix.
fn key(first: u8) -> Vec<u8> {
    [&[first][..], &[b'k'; 23]].concat()
}

/// Entry `i` of leaf `leaf` of a [`tree`]; between two of them is room for two more keys.
fn nth_key(leaf: u8, i: u8) -> Vec<u8> {
    key(10 + leaf * 80 + i * 3)
}

/// A root over leaves with these numbers of entries, 22 at most: then they are full.
fn tree(pages: &mut Double, entries: &[u8]) -> TreeRoot {
    let (mut root, mut finger) = (TreeRoot::default(), Finger::default());
    // Ascending insertion leaves full leaves. None of them is merged when entries go.
    for (leaf, _) in (0..).zip(entries) {
        for i in 0..22 {
            insert(pages, &mut root, &mut finger, &nth_key(leaf, i), &VALUE).unwrap();
        }
    }
    for (leaf, count) in (0..).zip(entries) {
        for i in *count..22 {
            assert!(remove(pages, &mut root, &nth_key(leaf, i)).unwrap());
        }
    }
    assert_eq!(counts(pages, &root), entries.iter().map(|n| usize::from(*n)).collect::<Vec<_>>());
    root
}

/// Inserts by the ways of this module alone; whether they did it.
fn insert_full(pages: &mut Double, root: &mut TreeRoot, key: &[u8], value: &[u8]) -> bool {
    with_cell(pages, root, key, value, |pages, root, path, at, cell| {
        full::insert(pages, root, path, at, cell).unwrap()
    })
}

/// Inserts in the general way.
fn insert_generally(pages: &mut Double, root: &mut TreeRoot, key: &[u8], value: &[u8]) {
    with_cell(pages, root, key, value, |pages, root, path, at, cell| {
        let edit = Edit { at, remove: 0, cells: std::slice::from_ref(cell) };
        balance::apply(pages, root, path, path.leaf(), &edit, Below { count: 1, flags: 0 }).unwrap();
    });
}

fn with_cell<R>(
    pages: &mut Double,
    root: &mut TreeRoot,
    key: &[u8],
    value: &[u8],
    insert: impl FnOnce(&mut Double, &mut TreeRoot, &mut Path, usize, &Cell<'_>) -> R,
) -> R {
    let fixed = inline_fixed(value.len());
    let cell = Cell { prefix: &[], suffix: key, fixed: &fixed, tail: value, extended: false };
    let mut path = Path::new();
    path::descend(pages, root, key, &mut path).unwrap();
    let at = Page::new(pages.bytes(path.leaf_page())).search(0, key).unwrap_err();
    insert(pages, root, &mut path, at, &cell)
}

/// Inserts a key both ways into the same tree; the numbers of entries in the leaves after the short one.
#[track_caller]
fn both_ways(entries: &[u8], key: &[u8]) -> Vec<usize> {
    let (mut pages, mut other) = (Double::new(4096), Double::new(4096));
    let (mut root, mut other_root) = (tree(&mut pages, entries), tree(&mut other, entries));
    assert!(insert_full(&mut pages, &mut root, key, &VALUE), "left to the general way");
    insert_generally(&mut other, &mut other_root, key, &VALUE);
    assert_eq!(leaves(&pages, &root).concat(), leaves(&other, &other_root).concat());
    assert_eq!(get(&pages, &root, key).unwrap(), Some(&VALUE[..]));
    let after = counts(&pages, &root);
    assert_eq!(root.child.count, after.iter().sum::<usize>() as u64);
    pages.freeze(&mut root);
    check_rules(&pages, &root);
    after
}

#[test]
fn a_full_leaf_shares_evenly_with_its_emptier_neighbour() {
    // The new key comes first, in the middle, and last in its leaf.
    for new in [vec![90], key(90 + 28), key(90 + 21 * 3 + 1)] {
        let after = both_ways(&[22, 22, 12], &new);
        assert!([[22, 18, 17], [22, 17, 18]].iter().any(|counts| after == counts), "{after:?}");
        let after = both_ways(&[12, 22, 22], &new);
        assert!([[18, 17, 22], [17, 18, 22]].iter().any(|counts| after == counts), "{after:?}");
    }
}

#[test]
fn a_full_leaf_between_full_ones_becomes_two() {
    for new in [vec![90], key(90 + 28), key(90 + 21 * 3 + 1)] {
        let after = both_ways(&[22, 22, 22], &new);
        assert!([[22, 11, 12, 22], [22, 12, 11, 22]].iter().any(|counts| after == counts), "{after:?}");
    }
    // A neighbour with room for two is not worth sharing with.
    let after = both_ways(&[20, 22, 21], &key(90 + 28));
    assert!([[20, 11, 12, 21], [20, 12, 11, 21]].iter().any(|counts| after == counts), "{after:?}");
}

#[test]
fn at_the_edges_of_the_tree_full_leaves_stay_full() {
    assert_eq!(both_ways(&[12, 22], &key(250)), [12, 22, 1]);
    assert_eq!(both_ways(&[22, 12], &key(5)), [1, 22, 12]);
}

#[test]
fn a_neighbour_with_a_longer_prefix_gets_a_shorter_one() {
    let mut pages = Double::new(4096);
    let (mut root, mut finger) = (TreeRoot::default(), Finger::default());
    let key = |a: &str, i: u64| format!("{a}/{i:020}").into_bytes();
    for (a, count) in [("aa", 22), ("ab", 22), ("ac", 22)] {
        for i in 0..count {
            insert(&mut pages, &mut root, &mut finger, &key(a, i * 10), &VALUE).unwrap();
        }
    }
    // What is left of each leaf is laid out once more, so that its prefix is as long as can be.
    let parent = path::dirty_root(&mut pages, &mut root).unwrap();
    for slot in 0..Page::new(pages.bytes(parent)).len() {
        let leaf = path::dirty_child(&mut pages, parent, slot).unwrap();
        let (bytes, scratch) = pages.bytes_mut(leaf);
        let page = Page::new(bytes);
        let shared = page.key(0).iter().zip(page.key(page.len() - 1)).take_while(|(a, b)| **a == *b).count();
        let len = page.len();
        PageMut::new(bytes).keep(0..len, shared, scratch);
    }
    let before: Vec<_> = leaves(&pages, &root).concat();
    let mut removed = 0;
    for i in (0..22).rev().take(12) {
        removed += usize::from(remove(&mut pages, &mut root, &key("ac", i * 10)).unwrap());
    }
    assert_eq!(removed, 12);
    let mut added = 0;
    for i in 0..40 {
        insert(&mut pages, &mut root, &mut finger, &key("ab", i * 10 + 5), &VALUE).unwrap();
        added += 1;
    }
    assert_eq!(leaves(&pages, &root).concat().len(), before.len() - removed + added);
    pages.freeze(&mut root);
    check_rules(&pages, &root);
}

#[test]
#[cfg_attr(miri, ignore = "tens of thousands of entries take Miri hours")]
fn no_pattern_of_removals_leaves_pages_emptier_than_a_quarter() {
    // Every other leaf keeps as much as rules out a look at its neighbours, the others almost nothing.
    let mut pages = Double::new(4096);
    let (mut root, mut finger) = (TreeRoot::default(), Finger::default());
    for i in 0..40_000 {
        insert(&mut pages, &mut root, &mut finger, &ordered(i), &VALUE).unwrap();
    }
    finger.forget();
    for i in 0..40_000u64 {
        let (leaf, entry) = (i / 24, i % 24);
        let keeps = if leaf % 2 == 0 { 13 } else { 1 };
        if entry >= keeps {
            assert!(remove(&mut pages, &mut root, &ordered(i)).unwrap());
        }
    }
    pages.freeze(&mut root);
    check_rules(&pages, &root);
    let mut census = verify::Census::new(pages.next);
    let tree = verify::verify(&pages, &root, verify::Depth::Check, &mut census);
    let fill = tree.used_bytes as f64 / (tree.leaf_pages + tree.branch_pages) as f64 / 4096.0;
    assert!(fill > 0.25, "{fill}");
}
