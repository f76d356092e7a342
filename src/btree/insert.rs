//! Insertion: descend, edit the leaf, let [`super::balance`] do the rest where it does not fit.

use super::balance::{self, Below, Edit};
use super::finger::Finger;
use super::full;
use super::path::{self, Path};
use crate::error::{Error, Result};
use crate::page::{
    Cell, HAS_OVERFLOW, LeafValue, OverflowRef, Page, PageMut, TreeRoot, VALUE_LEN_MAX, build, inline_fixed,
    is_inline, key_len_max,
};
use crate::pager::PagesMut;

/// Inserts or replaces; whether `key` was there. O(log n), or O(1) where `finger` knows the place.
///
/// After an error other than `KeyTooLong` and `ValueTooLong` the tree may be half-changed.
pub(crate) fn insert<P: PagesMut>(
    pages: &mut P,
    root: &mut TreeRoot,
    finger: &mut Finger,
    key: &[u8],
    value: &[u8],
) -> Result<bool> {
    check_lengths(pages.page_size(), key, value)?;
    if is_inline(key.len(), value.len(), pages.page_size()) {
        let fixed = inline_fixed(value.len());
        let cell = Cell { prefix: &[], suffix: key, fixed: &fixed, tail: value, extended: false };
        place(pages, root, finger, &cell)
    } else {
        let (fixed, run) = (OverflowRef::fixed(), pages.put_run(value)?.encode());
        let cell = Cell { prefix: &[], suffix: key, fixed: &fixed, tail: &run, extended: true };
        place(pages, root, finger, &cell)
    }
}

pub(crate) fn check_lengths(page_size: usize, key: &[u8], value: &[u8]) -> Result<()> {
    let longest = key_len_max(page_size);
    if key.len() > longest {
        return Err(Error::KeyTooLong { len: key.len(), max: longest });
    }
    if value.len() > VALUE_LEN_MAX {
        return Err(Error::ValueTooLong { len: value.len(), max: VALUE_LEN_MAX });
    }
    Ok(())
}

/// Puts `cell` where it belongs; whether its key was there.
fn place<P: PagesMut>(
    pages: &mut P,
    root: &mut TreeRoot,
    finger: &mut Finger,
    cell: &Cell<'_>,
) -> Result<bool> {
    let flags = if cell.extended { HAS_OVERFLOW } else { 0 };
    if let Some(at) = finger.end_for(pages, cell.suffix) {
        let (bytes, scratch) = pages.bytes_mut(finger.path.leaf_page());
        if PageMut::new(bytes).try_insert(at, cell, scratch) {
            path::add_below(pages, root, finger.path.above(finger.path.leaf()), 1, flags);
            return Ok(false);
        }
        finger.forget();
        return add(pages, root, finger, at, cell).map(|()| false);
    }
    if root.is_empty() {
        let mut leaf = pages.buffer();
        build(&mut leaf, 0, std::slice::from_ref(cell));
        *root = TreeRoot { child: path::heap_child(pages.adopt(leaf), 1, flags), level: 0 };
        return Ok(false);
    }
    finger.descend(pages, root, cell.suffix)?;
    let leaf = Page::new(pages.bytes(finger.path.leaf_page()));
    let len = leaf.len();
    let at = match leaf.search(0, cell.suffix) {
        Ok(at) => return replace(pages, root, &mut finger.path, at, cell).map(|()| true),
        Err(at) => at,
    };
    let (bytes, scratch) = pages.bytes_mut(finger.path.leaf_page());
    if PageMut::new(bytes).try_insert(at, cell, scratch) {
        path::add_below(pages, root, finger.path.above(finger.path.leaf()), 1, flags);
        if at == len {
            finger.at_end(pages);
        }
        return Ok(false);
    }
    add(pages, root, finger, at, cell).map(|()| false)
}

/// Adds `cell` as number `at` to a leaf that has no room for it as it stands.
fn add<P: PagesMut>(
    pages: &mut P,
    root: &mut TreeRoot,
    finger: &mut Finger,
    at: usize,
    cell: &Cell<'_>,
) -> Result<()> {
    if full::insert(pages, root, &finger.path, at, cell)? {
        return Ok(());
    }
    let flags = if cell.extended { HAS_OVERFLOW } else { 0 };
    let depth = finger.path.leaf();
    let edit = Edit { at, remove: 0, cells: std::slice::from_ref(cell) };
    balance::apply(pages, root, &mut finger.path, depth, &edit, Below { count: 1, flags })
}

/// Replaces cell `at` of the leaf at the end of `path`, which has the same key.
fn replace<P: PagesMut>(
    pages: &mut P,
    root: &mut TreeRoot,
    path: &mut Path,
    at: usize,
    cell: &Cell<'_>,
) -> Result<()> {
    let flags = if cell.extended { HAS_OVERFLOW } else { 0 };
    let (depth, index) = (path.leaf(), path.leaf_page());
    let leaf = Page::new(pages.bytes(index));
    let (old_len, old_extended) = (leaf.cell(at).tail.len(), leaf.cell(at).extended);
    if let LeafValue::Overflow(run) = leaf.value(at) {
        pages.drop_run(&run);
    }
    if old_len == cell.tail.len() && old_extended == cell.extended {
        PageMut::new(pages.bytes_mut(index).0).overwrite_tail(at, 0, cell.tail);
        return Ok(());
    }
    let edit = Edit { at, remove: 1, cells: std::slice::from_ref(cell) };
    balance::apply(pages, root, path, depth, &edit, Below { count: 0, flags })?;
    if cell.tail.len() < old_len {
        // A smaller leaf may fit together with a neighbour now. It did not overflow, so the path stands.
        balance::settle_path(pages, root, path)?;
    }
    Ok(())
}

/// Overwrites the bytes from `from` on of the value of `key`, which is there and stands in its leaf. No page
/// becomes dirty that the insertion of `key` in the same transaction did not make so.
pub(crate) fn overwrite<P: PagesMut>(
    pages: &mut P,
    root: &mut TreeRoot,
    key: &[u8],
    from: usize,
    bytes: &[u8],
) -> Result<()> {
    let mut path = Path::new();
    path::descend(pages, root, key, &mut path)?;
    let index = path.frame(path.leaf()).page;
    if let Ok(at) = Page::new(pages.bytes(index)).search(0, key) {
        PageMut::new(pages.bytes_mut(index).0).overwrite_tail(at, from, bytes);
    }
    Ok(())
}
