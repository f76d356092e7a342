//! The pages from the root to a leaf, all on the heap, and the way down.

use super::order::{Key, check_between};
use crate::error::Result;
use crate::page::{Child, DIRTY, HAS_OVERFLOW, LEVELS_MAX, Page, PageMut, TreeRoot};
use crate::pager::{Pages, PagesMut};

/// One page of a path and the slot that was taken in it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Frame {
    /// The index of the heap page.
    pub(super) page: usize,
    pub(super) slot: usize,
}

/// From the root, number 0, to a leaf.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path {
    frames: [Frame; LEVELS_MAX],
    len: usize,
}

impl Path {
    pub(super) fn new() -> Path {
        Path { frames: [Frame::default(); LEVELS_MAX], len: 0 }
    }

    pub(super) fn push(&mut self, frame: Frame) {
        self.frames[self.len] = frame;
        self.len += 1;
    }

    /// Puts a new root above the path.
    pub(super) fn push_root(&mut self, frame: Frame) {
        self.frames.copy_within(0..self.len, 1);
        self.frames[0] = frame;
        self.len += 1;
    }

    pub(super) fn frame(&self, depth: usize) -> Frame {
        self.frames[..self.len][depth]
    }

    /// The frames above `depth`.
    pub(super) fn above(&self, depth: usize) -> &[Frame] {
        &self.frames[..depth]
    }

    /// The index of the leaf.
    pub(super) fn leaf_page(&self) -> usize {
        self.frame(self.leaf()).page
    }

    /// Whether it leads to the last leaf of the tree.
    pub(super) fn is_last<P: PagesMut>(&self, pages: &P) -> bool {
        let is_last = |frame: &Frame| frame.slot + 1 == Page::new(pages.bytes(frame.page)).len();
        self.above(self.leaf()).iter().rev().all(is_last)
    }

    /// How deep the leaf is.
    pub(super) fn leaf(&self) -> usize {
        self.len - 1
    }
}

/// A child on the heap.
pub(super) fn heap_child(index: usize, count: u64, flags: u64) -> Child {
    Child { word: DIRTY | index as u64 | (flags & HAS_OVERFLOW), birth: Default::default(), count }
}

/// Makes the root page dirty; its index.
pub(super) fn dirty_root<P: PagesMut>(pages: &mut P, root: &mut TreeRoot) -> Result<usize> {
    if let Some(index) = root.child.dirty() {
        return Ok(index);
    }
    let index = pages.dirty(&root.child, root.level)?;
    root.child = heap_child(index, root.child.count, root.child.word);
    Ok(index)
}

/// Makes child `slot` of heap page `parent` dirty; its index.
pub(super) fn dirty_child<P: PagesMut>(pages: &mut P, parent: usize, slot: usize) -> Result<usize> {
    let page = Page::new(pages.bytes(parent));
    let (child, level) = (page.child(slot), page.level());
    if let Some(index) = child.dirty() {
        return Ok(index);
    }
    let separator = |slot: usize| (slot > 0 && slot < page.len()).then(|| Key::of(page, slot));
    check_between(separator(slot), pages.page(&child, level - 1)?, separator(slot + 1))?;
    let index = pages.dirty(&child, level - 1)?;
    let child = heap_child(index, child.count, child.word);
    PageMut::new(pages.bytes_mut(parent).0).set_child(slot, &child);
    Ok(index)
}

/// The path to the leaf that has or would have `key`, all of it dirty. The leaf's slot is left at 0.
pub(super) fn descend<P: PagesMut>(
    pages: &mut P,
    root: &mut TreeRoot,
    key: &[u8],
    path: &mut Path,
) -> Result<()> {
    path.len = 0;
    let mut index = dirty_root(pages, root)?;
    for _ in 0..root.level {
        let slot = Page::new(pages.bytes(index)).child_index(key);
        path.push(Frame { page: index, slot });
        index = dirty_child(pages, index, slot)?;
    }
    path.push(Frame { page: index, slot: 0 });
    Ok(())
}

/// The slots to take from the root to `key`, and whether it is there. Makes nothing dirty.
pub(super) fn find<P: Pages>(pages: &P, root: &TreeRoot, key: &[u8]) -> Result<Option<Path>> {
    let mut path = Path::new();
    let (mut child, mut level) = (root.child, root.level);
    loop {
        let page = pages.page(&child, level)?;
        if level == 0 {
            let found = page.search(0, key).ok();
            return Ok(found.map(|slot| {
                path.push(Frame { page: 0, slot });
                path
            }));
        }
        let slot = page.child_index(key);
        path.push(Frame { page: 0, slot });
        child = page.child(slot);
        level -= 1;
    }
}

/// Makes the pages of a path that [`find`] gave dirty.
pub(super) fn dirty_path<P: PagesMut>(pages: &mut P, root: &mut TreeRoot, found: Path) -> Result<Path> {
    let mut path = found;
    path.frames[0].page = dirty_root(pages, root)?;
    for depth in 1..path.len {
        let Frame { page, slot } = path.frames[depth - 1];
        path.frames[depth].page = dirty_child(pages, page, slot)?;
    }
    Ok(path)
}

/// Tells the pages above `depth`, and the root, that entries came or went below them.
pub(super) fn add_below<P: PagesMut>(
    pages: &mut P,
    root: &mut TreeRoot,
    above: &[Frame],
    count: i64,
    flags: u64,
) {
    for frame in above {
        PageMut::new(pages.bytes_mut(frame.page).0).add_below(frame.slot, count, flags);
    }
    root.child.count = root.child.count.wrapping_add_signed(count);
    root.child.word |= flags & HAS_OVERFLOW;
}
