//! Splits, merges and the sharing of space between neighbours.
//!
//! One mechanism serves all three: the cells of a group of neighbours are laid out anew on as few pages as
//! they fill well, and the parent gets an [`Edit`] that replaces the group's cells. Sources are taken out of
//! the tree first, targets are fresh buffers: nothing is moved in place, and every byte is copied once.
//!
//! Invariant: after every operation no two neighbours under one parent fit together into [`merge_limit`]. A
//! group takes in a further neighbour rather than break it; where children of two branches become neighbours
//! (a *seam*), they are merged first if they must be.

use super::cuts::{Edge, fit_together, is_settled, merge_limit};
use super::group::{Group, ROUGH, edited};
use super::order::check_pair;
use super::path::{self, Frame, Path, add_below, heap_child};
use crate::error::{Error, Result};
use crate::page::{
    Cell, Child, KIND_BRANCH, LEVELS_MAX, Page, PageMut, TreeRoot, build, cell_cost, init, merged_len,
    packed_len, packed_page_len, prefix_between, shared_len,
};
use crate::pager::PagesMut;

/// A change to one page: `remove` cells from number `at` on give way to `cells`, whose keys are whole.
#[derive(Clone, Copy)]
pub(super) struct Edit<'e, 'c> {
    pub(super) at: usize,
    pub(super) remove: usize,
    pub(super) cells: &'e [Cell<'c>],
}

/// What an edit changes for the pages above.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Below {
    pub(super) count: i64,
    pub(super) flags: u64,
}

/// Applies `edit` to the page at `depth` of `path`, and whatever follows from it to the pages above.
///
/// The frames from `depth` on are stale afterwards where the page overflowed.
pub(super) fn apply<P: PagesMut>(
    pages: &mut P,
    root: &mut TreeRoot,
    path: &mut Path,
    depth: usize,
    edit: &Edit<'_, '_>,
    below: Below,
) -> Result<()> {
    let index = path.frame(depth).page;
    if edit_in_place(pages, index, edit) || rebuild(pages, index, edit) {
        add_below(pages, root, path.above(depth), below.count, below.flags);
        if depth < path.leaf() {
            // With other separators, shorter ones or some that share more with those of a neighbour, the
            // branch may fit together with that now.
            settle_above(pages, root, path, depth)?;
        }
        return Ok(());
    }
    let depth = if depth > 0 { depth } else { grow_root(pages, root, path)? + 1 };
    let Frame { page: parent, slot } = path.frame(depth - 1);
    let edge = edge_of(pages, path, depth, edit);
    let mut group = Group::take(pages, parent, slot, *edit)?;
    if edge.is_none() {
        group.take_emptier_neighbour(pages)?;
    }
    let laid_out = loop {
        let laid_out = group.lay_out(pages, edge);
        match group.takes_in_neighbour(pages, &laid_out)? {
            true => laid_out.discard(pages),
            false => break laid_out,
        }
    };
    let range = group.range.clone();
    group.recycle(pages);
    let fixed = laid_out.encoded();
    let cells: Vec<Cell<'_>> = laid_out.cells(&fixed).collect();
    let edit = Edit { at: range.start, remove: range.len(), cells: &cells };
    apply(pages, root, path, depth - 1, &edit, below)
}

/// Makes the edit on the page as it stands, if everything fits under the page's prefix.
fn edit_in_place<P: PagesMut>(pages: &mut P, index: usize, edit: &Edit<'_, '_>) -> bool {
    let page = Page::new(pages.bytes(index));
    // The first cell of a branch has no separator: replacing it replaces the child alone.
    let unkeyed = usize::from(!page.is_leaf() && edit.at == 0);
    if unkeyed > edit.remove.min(edit.cells.len()) {
        return false;
    }
    let keyed = &edit.cells[unkeyed..];
    let prefix = page.prefix();
    if !keyed.iter().all(|cell| cell.suffix.starts_with(prefix)) {
        return false;
    }
    let wanted: usize = keyed.iter().map(|cell| cell_cost(cell) - prefix.len()).sum();
    let removed = edit.at + unkeyed..edit.at + edit.remove;
    let given: usize = removed.clone().map(|i| cell_cost(&page.cell(i)) - prefix.len()).sum();
    if wanted > page.free_len() + given {
        return false;
    }
    let (bytes, scratch) = pages.bytes_mut(index);
    let mut page = PageMut::new(bytes);
    if let Some(first) = edit.cells.first().filter(|_| unkeyed == 1) {
        page.set_child(0, &Child::decode(first.fixed));
    }
    for _ in removed.clone() {
        page.remove(removed.start);
    }
    for (i, cell) in keyed.iter().enumerate() {
        page.insert(removed.start + i, cell, scratch);
    }
    true
}

/// Makes the edit by laying the page out anew, if everything fits under a prefix that suits it all.
fn rebuild<P: PagesMut>(pages: &mut P, index: usize, edit: &Edit<'_, '_>) -> bool {
    let page = Page::new(pages.bytes(index));
    let given: usize = (edit.at..edit.at + edit.remove).map(|i| cell_cost(&page.cell(i))).sum();
    let wanted: usize = edit.cells.iter().map(|cell| cell_cost(cell) - cell.key_len()).sum();
    // Most often it is plain from the lengths that nothing can help: most of a page is values.
    if packed_page_len(page) + wanted > page.bytes().len() + given + ROUGH {
        return false;
    }
    let mut target = pages.buffer();
    let page = Page::new(pages.bytes(index));
    let cells = edited(page, edit);
    let fits = packed_len(page.level(), &cells) <= target.len();
    if fits {
        build(&mut target, page.level(), &cells);
        pages.bytes_mut(index).0.copy_from_slice(&target);
    }
    pages.recycle(target);
    fits
}

/// Puts a branch with one child, the old root, above it; its depth, 0.
fn grow_root<P: PagesMut>(pages: &mut P, root: &mut TreeRoot, path: &mut Path) -> Result<usize> {
    if usize::from(root.level) + 1 >= LEVELS_MAX {
        return Err(Error::Full { what: "a tree has 32 levels at most" });
    }
    root.level += 1;
    let fixed = root.child.encode();
    let only = Cell { prefix: &[], suffix: &[], fixed: &fixed, tail: &[], extended: false };
    let mut buffer = pages.buffer();
    init(&mut buffer, KIND_BRANCH, root.level);
    build(&mut buffer, root.level, &[only]);
    let page = pages.adopt(buffer);
    root.child = heap_child(page, root.child.count, root.child.word);
    path.push_root(Frame { page, slot: 0 });
    Ok(0)
}

/// Whether the edit adds at the left or right edge of the whole tree: then keys are probably inserted in
/// order.
fn edge_of<P: PagesMut>(pages: &P, path: &Path, depth: usize, edit: &Edit<'_, '_>) -> Option<Edge> {
    let len = |frame: &Frame| Page::new(pages.bytes(frame.page)).len();
    let above = path.above(depth);
    if edit.at + edit.remove == len(&path.frame(depth)) && above.iter().all(|f| f.slot + 1 == len(f)) {
        return Some(Edge::Last);
    }
    if edit.at == 0 && above.iter().all(|f| f.slot == 0) {
        return Some(Edge::First);
    }
    None
}

/// Merges two neighbours at `level` if they fit together into 3/4 of a page; how their parent names the one
/// page they are then.
pub(super) fn merge_children<P: PagesMut>(
    pages: &mut P,
    left: &Child,
    right: &Child,
    separator: &[u8],
    level: u8,
) -> Result<Option<Child>> {
    let limit = merge_limit(pages.page_size());
    let (left_page, right_page) = (pages.page(left, level)?, pages.page(right, level)?);
    check_pair(left_page, Some(separator), right_page)?;
    if merged_len(left_page, right_page, separator) > limit {
        return Ok(None);
    }
    let group = Group::take_pair(pages, (left, right), separator, level)?;
    let child = group.merged(pages);
    group.recycle(pages);
    Ok(Some(child))
}

/// Puts right what the shrinking of child `slot` of heap page `parent` broke: an empty child goes, and pairs
/// that fit together are merged. Whether the parent changed.
pub(super) fn settle<P: PagesMut>(pages: &mut P, parent: usize, slot: usize) -> Result<bool> {
    if drop_if_empty(pages, parent, slot) {
        let len = Page::new(pages.bytes(parent)).len();
        if len > 1 {
            // The neighbours of the child that went are neighbours now.
            settle(pages, parent, slot.min(len - 1))?;
        }
        return Ok(true);
    }
    let mut slot = slot;
    let mut changed = false;
    loop {
        let page = Page::new(pages.bytes(parent));
        let own = pages.page(&page.child(slot), page.level() - 1)?;
        if is_settled(own) {
            return Ok(changed);
        }
        // The headers rule most merges out; no cells are looked at then.
        let may_merge = |other: usize| -> Result<bool> {
            Ok(fit_together(own, pages.page(&page.child(other), page.level() - 1)?))
        };
        let left = slot > 0 && may_merge(slot - 1)?;
        let right = slot + 1 < page.len() && may_merge(slot + 1)?;
        if left && merge_pair(pages, parent, slot - 1)? {
            slot -= 1;
        } else if !(right && merge_pair(pages, parent, slot)?) {
            return Ok(changed);
        }
        changed = true;
    }
}

/// Takes child `slot` of heap page `parent` out if nothing is left in it; whether it did.
pub(super) fn drop_if_empty<P: PagesMut>(pages: &mut P, parent: usize, slot: usize) -> bool {
    let page = Page::new(pages.bytes(parent));
    let child = page.child(slot);
    let is_empty = slot < page.len() && child.count == 0;
    if is_empty {
        pages.drop_page(&child);
        PageMut::new(pages.bytes_mut(parent).0).remove_child(slot);
    }
    is_empty
}

/// Merges children `slot` and `slot + 1` of heap page `parent` if they fit together; whether it did.
fn merge_pair<P: PagesMut>(pages: &mut P, parent: usize, slot: usize) -> Result<bool> {
    let page = Page::new(pages.bytes(parent));
    let (left, right, level) = (page.child(slot), page.child(slot + 1), page.level() - 1);
    let limit = merge_limit(pages.page_size());
    let merged = if level == 0 {
        let (left, right) = (pages.page(&left, 0)?, pages.page(&right, 0)?);
        check_pair(left, None, right)?;
        if merged_len(left, right, &[]) > limit {
            return Ok(false);
        }
        merge_leaves(pages, parent, slot)?
    } else {
        let separator = page.key(slot + 1);
        let Some(child) = merge_children(pages, &left, &right, &separator, level)? else {
            return Ok(false);
        };
        child
    };
    let mut page = PageMut::new(pages.bytes_mut(parent).0);
    page.set_child(slot, &merged);
    page.remove(slot + 1);
    Ok(true)
}

/// Moves the cells of leaf `slot + 1` of heap page `parent` to leaf `slot`: both fit there. How the parent
/// names that then.
fn merge_leaves<P: PagesMut>(pages: &mut P, parent: usize, slot: usize) -> Result<Child> {
    let (to, from) = (path::dirty_child(pages, parent, slot)?, path::dirty_child(pages, parent, slot + 1)?);
    let page = Page::new(pages.bytes(parent));
    let (left, right) = (page.child(slot), page.child(slot + 1));
    let (bytes, other, scratch) = pages.pair_mut(to, from);
    let (mut page, other) = (PageMut::new(bytes), Page::new(other));
    let (len, more) = (page.view().len(), other.len());
    let shared = shared_len(&page.view().cell(0), &other.cell(more - 1));
    page.keep(0..len, prefix_between(shared, len + more), scratch);
    page.take_cells(len, other, 0..more, scratch);
    pages.drop_page(&right);
    Ok(heap_child(to, left.count + right.count, left.word | right.word))
}

/// Settles the pages of a path from the leaf up, as far as they change, and then the root.
pub(super) fn settle_path<P: PagesMut>(pages: &mut P, root: &mut TreeRoot, path: &Path) -> Result<()> {
    settle_above(pages, root, path, path.leaf())
}

/// As [`settle_path`], from the page at `depth` up.
pub(super) fn settle_above<P: PagesMut>(
    pages: &mut P,
    root: &mut TreeRoot,
    path: &Path,
    depth: usize,
) -> Result<()> {
    for frame in path.above(depth).iter().rev() {
        if !settle(pages, frame.page, frame.slot)? {
            break;
        }
    }
    collapse_root(pages, root)
}

/// An empty tree has no page; a branch with one child is no root.
pub(super) fn collapse_root<P: PagesMut>(pages: &mut P, root: &mut TreeRoot) -> Result<()> {
    if root.child.count == 0 {
        pages.drop_page(&root.child);
        *root = TreeRoot::default();
        return Ok(());
    }
    while root.level > 0 {
        let page = pages.page(&root.child, root.level)?;
        if page.len() > 1 {
            break;
        }
        let only = page.child(0);
        pages.drop_page(&root.child);
        *root = TreeRoot { child: only, level: root.level - 1 };
    }
    Ok(())
}
