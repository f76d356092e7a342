//! Where the last insertion ended, so that a key behind all others need not be looked for.

use super::path::{self, Path};
use crate::error::Result;
use crate::page::{Page, TreeRoot};
use crate::pager::PagesMut;

/// The path of the last insertion. If it led to the last leaf of the tree, the next insertion in ascending
/// order begins there.
///
/// Whoever changes the tree in another way than by insertion, or moves its heap pages, has to
/// [`forget`](Finger::forget) it.
#[derive(Debug)]
pub(crate) struct Finger {
    pub(super) path: Path,
    /// Whether the path is that to the last leaf, and all of it on the heap.
    is_last: bool,
}

impl Default for Finger {
    fn default() -> Finger {
        Finger { path: Path::new(), is_last: false }
    }
}

impl Finger {
    #[inline]
    pub(crate) fn forget(&mut self) {
        self.is_last = false;
    }

    /// Goes from the root to the leaf that has or would have `key`.
    pub(super) fn descend<P: PagesMut>(
        &mut self,
        pages: &mut P,
        root: &mut TreeRoot,
        key: &[u8],
    ) -> Result<()> {
        self.is_last = false;
        path::descend(pages, root, key, &mut self.path)
    }

    /// An entry has come to the end of its leaf: whether that is the last leaf is worth knowing.
    pub(super) fn at_end<P: PagesMut>(&mut self, pages: &P) {
        self.is_last = self.path.is_last(pages);
    }

    /// The last leaf, if it is known.
    #[inline]
    fn last_leaf<'p, P: PagesMut>(&self, pages: &'p P) -> Option<Page<'p>> {
        self.is_last.then(|| Page::new(pages.bytes(self.path.leaf_page())))
    }

    /// Where in the last leaf `key` would stand, if that is known and the key comes behind all others.
    #[inline]
    pub(super) fn end_for<P: PagesMut>(&self, pages: &P, key: &[u8]) -> Option<usize> {
        let leaf = self.last_leaf(pages)?;
        leaf.ends_below(key).then(|| leaf.len())
    }

    /// Whether `key` is greater than every key of the tree.
    #[inline]
    pub(crate) fn is_behind<P: PagesMut>(&self, pages: &P, root: &TreeRoot, key: &[u8]) -> Result<bool> {
        if let Some(leaf) = self.last_leaf(pages) {
            return Ok(leaf.ends_below(key));
        }
        if root.is_empty() {
            return Ok(true);
        }
        let (mut child, mut level) = (root.child, root.level);
        while level > 0 {
            let page = pages.page(&child, level)?;
            child = page.child(page.len() - 1);
            level -= 1;
        }
        Ok(pages.page(&child, 0)?.ends_below(key))
    }
}
