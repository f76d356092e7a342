//! Making a tree smaller: leaves that are not well filled are laid out anew, and pages that lie far behind
//! are copied, so that the commit gives them places nearer to the beginning of the file. Both in steps.

use std::ops::Range;

use super::balance::{Below, Edit, apply, settle, settle_path};
use super::group::Group;
use super::path::{self, Frame, Path};
use crate::error::Result;
use crate::page::{Cell, Child, LeafValue, Page, PageMut, TreeRoot};
use crate::pager::{Pages, PagesMut};

/// So many leaves are laid out together at most: a bound on the memory of a step.
const WINDOW: usize = 32;

/// How full leaves become: 19/20, so that the next insertion does not split them all.
fn packed_limit(page_size: usize) -> usize {
    page_size / 20 * 19
}

/// What the branch above some leaves looks like.
struct Above {
    /// The slots from the root to the branch.
    slots: Vec<usize>,
    /// The pages from the root to the branch, the branch last.
    pages: Vec<Child>,
    /// The first key behind the branch; none at the end of the tree.
    end: Option<Vec<u8>>,
}

/// Finds the branch above the leaf that has or would have `key`. The root has a level above 0.
fn above<P: Pages>(pages: &P, root: &TreeRoot, key: &[u8]) -> Result<Above> {
    let mut found = Above { slots: Vec::new(), pages: vec![root.child], end: None };
    let (mut child, mut level) = (root.child, root.level);
    while level > 1 {
        let page = pages.page(&child, level)?;
        let slot = page.child_index(key);
        if slot + 1 < page.len() {
            found.end = Some(page.key(slot + 1));
        }
        child = page.child(slot);
        level -= 1;
        found.slots.push(slot);
        found.pages.push(child);
    }
    Ok(found)
}

/// Makes the pages down to that branch dirty; the branch is the last of the path.
fn dirty_above<P: PagesMut>(pages: &mut P, root: &mut TreeRoot, slots: &[usize]) -> Result<Path> {
    let mut path = Path::new();
    let mut page = path::dirty_root(pages, root)?;
    for &slot in slots {
        path.push(Frame { page, slot });
        page = path::dirty_child(pages, page, slot)?;
    }
    path.push(Frame { page, slot: 0 });
    Ok(path)
}

/// Lays out leaves anew where that saves a page, from the one of key `from` on, until `budget` pages were.
/// The key to go on from, and how many pages were laid out.
pub(crate) fn repack<P: PagesMut>(
    pages: &mut P,
    root: &mut TreeRoot,
    from: &[u8],
    budget: usize,
) -> Result<(Option<Vec<u8>>, u64)> {
    let mut key = from.to_vec();
    let mut moved = 0;
    loop {
        if root.is_empty() || root.level == 0 {
            return Ok((None, moved));
        }
        let found = above(pages, root, &key)?;
        moved += repack_branch(pages, root, &key)?;
        match found.end {
            None => return Ok((None, moved)),
            Some(end) if moved >= budget as u64 => return Ok((Some(end), moved)),
            Some(end) => key = end,
        }
    }
}

/// Lays out the leaves below the branch of `key`, window by window from the right; how many pages.
fn repack_branch<P: PagesMut>(pages: &mut P, root: &mut TreeRoot, key: &[u8]) -> Result<u64> {
    let found = above(pages, root, key)?;
    let branch = pages.page(found.pages.last().unwrap_or(&root.child), 1)?;
    let mut moved = 0;
    let mut to = branch.len();
    while to > 1 {
        let window = to.saturating_sub(WINDOW)..to;
        to = window.start;
        if !saves_a_page(pages, root, key, window.clone())? {
            continue;
        }
        moved += window.len() as u64;
        repack_window(pages, root, key, window)?;
    }
    if moved > 0 {
        // The branch has fewer children now, and may fit together with a neighbour.
        let found = above(pages, root, key)?;
        let path = dirty_above(pages, root, &found.slots)?;
        settle_path(pages, root, &path)?;
    }
    Ok(moved)
}

fn saves_a_page<P: Pages>(pages: &P, root: &TreeRoot, key: &[u8], window: Range<usize>) -> Result<bool> {
    let found = above(pages, root, key)?;
    let branch = pages.page(found.pages.last().unwrap_or(&root.child), 1)?;
    if window.end > branch.len() {
        return Ok(false);
    }
    let mut used = 0;
    for slot in window.clone() {
        used += pages.page_size() - pages.page(&branch.child(slot), 0)?.free_len();
    }
    Ok(used.div_ceil(packed_limit(pages.page_size())) < window.len())
}

fn repack_window<P: PagesMut>(
    pages: &mut P,
    root: &mut TreeRoot,
    key: &[u8],
    window: Range<usize>,
) -> Result<()> {
    let found = above(pages, root, key)?;
    let mut path = dirty_above(pages, root, &found.slots)?;
    let depth = path.leaf();
    let branch = path.frame(depth).page;
    let group = Group::take_window(pages, branch, window.clone(), packed_limit(pages.page_size()))?;
    let laid_out = group.lay_out(pages, None);
    group.recycle(pages);
    let fixed = laid_out.encoded();
    let cells: Vec<Cell<'_>> = laid_out.cells(&fixed).collect();
    let edit = Edit { at: window.start, remove: window.len(), cells: &cells };
    apply(pages, root, &mut path, depth, &edit, Below::default())?;
    // The outer pages of the window have other neighbours than before.
    for slot in [window.start, window.start + cells.len() - 1] {
        let found = above(pages, root, key)?;
        let path = dirty_above(pages, root, &found.slots)?;
        let branch = path.frame(path.leaf()).page;
        if slot < Page::new(pages.bytes(branch)).len() {
            settle(pages, branch, slot)?;
        }
    }
    Ok(())
}

/// Copies pages that lie at or behind page `limit`, from key `from` on, until there are `budget`; a value
/// more than that is copied whole. The key to go on from, and how many pages.
pub(crate) fn relocate<P: PagesMut>(
    pages: &mut P,
    root: &mut TreeRoot,
    from: &[u8],
    limit: u64,
    budget: usize,
) -> Result<(Option<Vec<u8>>, u64)> {
    let mut step = Step { limit, from: from.to_vec(), room: budget as u64, moved: 0 };
    let end = loop {
        if root.is_empty() {
            break None;
        }
        if root.level == 0 {
            break step.only_leaf(pages, root)?;
        }
        let found = above(pages, root, &step.from)?;
        if let Some(next) = step.leaves(pages, root, &found)? {
            break Some(next);
        }
        match found.end {
            Some(end) if step.moved < step.room => step.from = end,
            end => break end,
        }
    };
    Ok((end, step.moved))
}

/// A step of moving pages to the beginning.
struct Step {
    limit: u64,
    /// Where it is: everything before this key is done.
    from: Vec<u8>,
    /// Pages that may be moved, and that were.
    room: u64,
    moved: u64,
}

impl Step {
    fn is_far(&self, child: &Child) -> bool {
        child.dirty().is_none() && child.page().0 >= self.limit
    }

    /// A tree that is one leaf. These functions say where to go on, unless all of it is done.
    fn only_leaf<P: PagesMut>(&mut self, pages: &mut P, root: &mut TreeRoot) -> Result<Option<Vec<u8>>> {
        let is_far = self.is_far(&root.child);
        if !is_far && !root.child.has_overflow() {
            return Ok(None);
        }
        let leaf = path::dirty_root(pages, root)?;
        self.moved += u64::from(is_far);
        self.runs(pages, leaf)
    }

    /// The leaves below one branch, and the pages above it.
    fn leaves<P: PagesMut>(
        &mut self,
        pages: &mut P,
        root: &mut TreeRoot,
        found: &Above,
    ) -> Result<Option<Vec<u8>>> {
        let far_above = found.pages.iter().filter(|child| self.is_far(child)).count() as u64;
        let branch = pages.page(found.pages.last().unwrap_or(&root.child), 1)?;
        let mut far = Vec::new();
        for slot in branch.child_index(&self.from)..branch.len() {
            let child = branch.child(slot);
            if self.is_far(&child) || child.has_overflow() && self.has_far_runs(pages, &child)? {
                far.push(slot);
            }
        }
        if far_above == 0 && far.is_empty() {
            return Ok(None);
        }
        let path = dirty_above(pages, root, &found.slots)?;
        let branch = path.frame(path.leaf()).page;
        self.moved += far_above;
        for (i, slot) in far.into_iter().enumerate() {
            if self.moved >= self.room && i > 0 {
                return Ok(Some(Page::new(pages.bytes(branch)).key(slot)));
            }
            let is_far = self.is_far(&Page::new(pages.bytes(branch)).child(slot));
            let leaf = path::dirty_child(pages, branch, slot)?;
            self.moved += u64::from(is_far);
            let next = self.runs(pages, leaf)?;
            if next.is_some() {
                return Ok(next);
            }
        }
        Ok(None)
    }

    fn has_far_runs<P: Pages>(&self, pages: &P, leaf: &Child) -> Result<bool> {
        let page = pages.page(leaf, 0)?;
        let is_far = |i| matches!(page.value(i), LeafValue::Overflow(run) if run.page().0 >= self.limit);
        Ok((0..page.len()).any(is_far))
    }

    /// The values of heap page `leaf`: at least one that lies far behind, if there is one. Each is checked: a
    /// copy has a checksum of its own, under which damage would pass for what was meant.
    fn runs<P: PagesMut>(&mut self, pages: &mut P, leaf: usize) -> Result<Option<Vec<u8>>> {
        let mut has_moved = false;
        let page = Page::new(pages.bytes(leaf));
        let begin = page.search(0, &self.from).unwrap_or_else(|i| i);
        for i in begin..page.len() {
            let page = Page::new(pages.bytes(leaf));
            let LeafValue::Overflow(run) = page.value(i) else { continue };
            if run.word & crate::page::DIRTY != 0 || run.page().0 < self.limit {
                continue;
            }
            if has_moved && self.moved >= self.room {
                return Ok(Some(page.key(i)));
            }
            let value = pages.recheck_run(&run)?.to_vec();
            self.moved += crate::page::run_pages(value.len() as u64, pages.page_size());
            has_moved = true;
            let copy = pages.put_run(&value)?;
            pages.drop_run(&run);
            PageMut::new(pages.bytes_mut(leaf).0).overwrite_tail(i, 0, &copy.encode());
        }
        Ok(None)
    }
}
