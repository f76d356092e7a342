//! Insertion: descend, edit the leaf, let [`super::balance`] do the rest where it does not fit.

use super::balance::{self, Below, Edit};
use super::full;
use super::path::{self, Frame};
use crate::error::{Error, Result};
use crate::page::{
    Cell, HAS_OVERFLOW, LeafValue, OverflowRef, Page, PageMut, TreeRoot, VALUE_LEN_MAX, build, inline_fixed,
    is_inline, key_len_max,
};
use crate::pager::PagesMut;

/// Inserts or replaces; whether `key` was there. O(log n).
///
/// After an error other than `KeyTooLong` and `ValueTooLong` the tree may be half-changed.
pub(crate) fn insert<P: PagesMut>(
    pages: &mut P,
    root: &mut TreeRoot,
    key: &[u8],
    value: &[u8],
) -> Result<bool> {
    check_lengths(pages.page_size(), key, value)?;
    let path = match root.is_empty() {
        true => None,
        false => Some(path::descend(pages, root, key)?),
    };
    if is_inline(key.len(), value.len(), pages.page_size()) {
        let fixed = inline_fixed(value.len());
        let cell = Cell { prefix: &[], suffix: key, fixed: &fixed, tail: value, extended: false };
        place(pages, root, path, &cell)
    } else {
        let (fixed, tail) = (OverflowRef::fixed(), pages.put_run(value)?.encode());
        let cell = Cell { prefix: &[], suffix: key, fixed: &fixed, tail: &tail, extended: true };
        place(pages, root, path, &cell)
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

/// Puts `cell` into the leaf at the end of `path`, or into a first leaf.
fn place<P: PagesMut>(
    pages: &mut P,
    root: &mut TreeRoot,
    path: Option<path::Path>,
    cell: &Cell<'_>,
) -> Result<bool> {
    let flags = if cell.extended { HAS_OVERFLOW } else { 0 };
    let Some(mut path) = path else {
        let mut leaf = pages.buffer();
        build(&mut leaf, 0, std::slice::from_ref(cell));
        *root = TreeRoot { child: path::heap_child(pages.adopt(leaf), 1, flags), level: 0 };
        return Ok(false);
    };
    let depth = path.leaf();
    let Frame { page: index, .. } = path.frame(depth);
    let leaf = Page::new(pages.bytes(index));
    match leaf.search(0, cell.suffix) {
        Err(at) => {
            let (bytes, scratch) = pages.bytes_mut(index);
            if PageMut::new(bytes).try_insert(at, cell, scratch) {
                path::add_below(pages, root, path.above(depth), 1, flags);
                return Ok(false);
            }
            if full::insert(pages, root, &path, at, cell)? {
                return Ok(false);
            }
            let edit = Edit { at, remove: 0, cells: std::slice::from_ref(cell) };
            balance::apply(pages, root, &mut path, depth, &edit, Below { count: 1, flags })?;
            Ok(false)
        }
        Ok(at) => {
            let old = leaf.value(at);
            let (old_len, old_extended) = (leaf.cell(at).tail.len(), leaf.cell(at).extended);
            if let LeafValue::Overflow(run) = old {
                pages.drop_run(&run);
            }
            if old_len == cell.tail.len() && old_extended == cell.extended {
                PageMut::new(pages.bytes_mut(index).0).overwrite_tail(at, 0, cell.tail);
                return Ok(true);
            }
            let edit = Edit { at, remove: 1, cells: std::slice::from_ref(cell) };
            balance::apply(pages, root, &mut path, depth, &edit, Below { count: 0, flags })?;
            if cell.tail.len() < old_len {
                // A smaller leaf may fit together with a neighbour now. It did not overflow, so the path
                // stands.
                balance::settle_path(pages, root, &path)?;
            }
            Ok(true)
        }
    }
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
    let path = path::descend(pages, root, key)?;
    let index = path.frame(path.leaf()).page;
    if let Ok(at) = Page::new(pages.bytes(index)).search(0, key) {
        PageMut::new(pages.bytes_mut(index).0).overwrite_tail(at, from, bytes);
    }
    Ok(())
}
