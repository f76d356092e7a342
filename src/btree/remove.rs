//! Removal of one entry, and of ranges by dropping whole subtrees.

use std::ops::Bound;

use super::balance::{collapse_root, drop_if_empty, settle, settle_path};
use super::cursor::{Bounds, lower_slot, upper_slot};
use super::path::{self, Frame};
use crate::error::{Error, Result};
use crate::page::{Child, LeafValue, Page, PageMut, TreeRoot};
use crate::pager::{Bits, PagesMut};

/// Removes `key`; whether it was there. O(log n), and nothing is changed when it was not.
pub(crate) fn remove<P: PagesMut>(pages: &mut P, root: &mut TreeRoot, key: &[u8]) -> Result<bool> {
    if root.is_empty() {
        return Ok(false);
    }
    let Some(found) = path::find(pages, root, key)? else {
        return Ok(false);
    };
    let path = path::dirty_path(pages, root, found)?;
    let Frame { page: index, slot } = path.frame(path.leaf());
    drop_value(pages, index, slot);
    PageMut::new(pages.bytes_mut(index).0).remove(slot);
    path::add_below(pages, root, path.above(path.leaf()), -1, 0);
    settle_path(pages, root, &path)?;
    Ok(true)
}

/// Removes every entry; how many there were. O(branch pages), or O(pages) where overflow runs lie in leaves.
pub(crate) fn clear<P: PagesMut>(pages: &mut P, root: &mut TreeRoot) -> Result<u64> {
    if root.is_empty() {
        return Ok(0);
    }
    let count = root.child.count;
    drop_subtree(pages, &root.child, root.level, &mut Bits::default())?;
    *root = TreeRoot::default();
    Ok(count)
}

/// Removes the entries in `bounds`; how many. O(log n + pages removed / fan-out): leaves inside the range are
/// freed unread, unless overflow runs lie in them.
pub(crate) fn remove_range<P: PagesMut>(
    pages: &mut P,
    root: &mut TreeRoot,
    bounds: &Bounds<'_>,
) -> Result<u64> {
    if root.is_empty() || super::cursor::is_inverted(bounds) {
        return Ok(0);
    }
    if let (Bound::Unbounded, Bound::Unbounded) = bounds {
        return clear(pages, root);
    }
    let index = path::dirty_root(pages, root)?;
    let removed = cut(pages, index, bounds, &mut Bits::default())?;
    root.child.count = root.child.count.wrapping_sub(removed);
    collapse_root(pages, root)?;
    Ok(removed)
}

/// Removes the entries in `bounds` from the subtree of a heap page; how many.
fn cut<P: PagesMut>(pages: &mut P, index: usize, bounds: &Bounds<'_>, dropped: &mut Bits) -> Result<u64> {
    let page = Page::new(pages.bytes(index));
    if page.is_leaf() {
        let (from, to) = (lower_slot(page, bounds.0), upper_slot(page, bounds.1));
        for slot in (from..to).rev() {
            drop_value(pages, index, slot);
            PageMut::new(pages.bytes_mut(index).0).remove(slot);
        }
        return Ok(to.saturating_sub(from) as u64);
    }
    let first = child_of_bound(page, bounds.0, 0);
    let last = child_of_bound(page, bounds.1, page.len() - 1);
    let mut removed = 0u64;
    if first == last {
        removed = removed.saturating_add(cut_child(pages, index, first, bounds, dropped)?);
        settle(pages, index, first)?;
        return Ok(removed);
    }
    // The children at the ends keep a part, or go like those between them where the range is open.
    let (mut from, mut to) = (first, last + 1);
    if bounds.0 != Bound::Unbounded {
        removed =
            removed.saturating_add(cut_child(pages, index, first, &(bounds.0, Bound::Unbounded), dropped)?);
        from += 1;
    }
    if bounds.1 != Bound::Unbounded {
        removed =
            removed.saturating_add(cut_child(pages, index, last, &(Bound::Unbounded, bounds.1), dropped)?);
        to -= 1;
    }
    for slot in (from..to).rev() {
        let page = Page::new(pages.bytes(index));
        let (child, level) = (page.child(slot), page.level() - 1);
        drop_subtree(pages, &child, level, dropped)?;
        removed = removed.saturating_add(child.count);
        PageMut::new(pages.bytes_mut(index).0).remove_child(slot);
    }
    settle_cut(pages, index, from)?;
    Ok(removed)
}

/// Settles the two children on either side of a cut; `right` is the number of the one behind it. Empty ones
/// go first: merging wants cells on both sides.
fn settle_cut<P: PagesMut>(pages: &mut P, index: usize, mut right: usize) -> Result<()> {
    for slot in [Some(right), right.checked_sub(1)].into_iter().flatten() {
        if drop_if_empty(pages, index, slot) && slot < right {
            right -= 1;
        }
    }
    for slot in [Some(right), right.checked_sub(1)].into_iter().flatten() {
        if slot < Page::new(pages.bytes(index)).len() {
            settle(pages, index, slot)?;
        }
    }
    Ok(())
}

/// The child in which `bound` lies.
fn child_of_bound(page: Page<'_>, bound: Bound<&[u8]>, open: usize) -> usize {
    match bound {
        Bound::Included(key) | Bound::Excluded(key) => page.child_index(key),
        Bound::Unbounded => open,
    }
}

fn cut_child<P: PagesMut>(
    pages: &mut P,
    index: usize,
    slot: usize,
    bounds: &Bounds<'_>,
    dropped: &mut Bits,
) -> Result<u64> {
    let child = path::dirty_child(pages, index, slot)?;
    let removed = cut(pages, child, bounds, dropped)?;
    let less = i64::try_from(removed).map_err(|_| {
        let page = Page::new(pages.bytes(index)).id().0;
        Error::corrupted(page, "number of entries", "less than 2^63", removed)
    })?;
    PageMut::new(pages.bytes_mut(index).0).add_below(slot, -less, 0);
    Ok(removed)
}

/// Frees every page of a subtree. Leaves are not read, unless an overflow run lies below.
///
/// Pages that are read go to `dropped`, and none is read twice: in a damaged file a page may be a child of
/// many branches.
fn drop_subtree<P: PagesMut>(pages: &mut P, child: &Child, level: u8, dropped: &mut Bits) -> Result<()> {
    if level == 0 && !child.has_overflow() {
        pages.drop_page(child);
        return Ok(());
    }
    let page = pages.page(child, level)?;
    if child.dirty().is_none() && !dropped.claim(child.page().0, 1) {
        let expected = "a page that nothing else has";
        return Err(Error::corrupted(child.page().0, "page reference", expected, child.page()));
    }
    if level == 0 {
        let run = |i| match page.value(i) {
            LeafValue::Overflow(run) => Some(run),
            LeafValue::Inline(_) => None,
        };
        let runs: Vec<_> = (0..page.len()).filter_map(run).collect();
        runs.iter().for_each(|run| pages.drop_run(run));
    } else {
        let children: Vec<_> = (0..page.len()).map(|i| page.child(i)).collect();
        for child in &children {
            drop_subtree(pages, child, level - 1, dropped)?;
        }
    }
    pages.drop_page(child);
    Ok(())
}

/// Frees what entry `slot` of a heap leaf has outside the leaf.
fn drop_value<P: PagesMut>(pages: &mut P, index: usize, slot: usize) {
    if let LeafValue::Overflow(run) = Page::new(pages.bytes(index)).value(slot) {
        pages.drop_run(&run);
    }
}
