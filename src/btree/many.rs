//! Several look-ups at once.

use super::value_of;
use crate::error::Result;
use crate::page::{Page, TreeRoot};
use crate::pager::Pages;

/// How many keys are looked up at once. More are no faster: so many waits for memory fill the time of one.
pub(crate) const LANES: usize = 8;

/// The values of up to [`LANES`] keys, in their order. One page a level for each.
///
/// All of them go down side by side, a level at a time, and what each will look at next is asked for while
/// the others have their turn: with the pages in memory but not in the caches, eight keys take the time of
/// about three.
pub(crate) fn get_many<'p, P: Pages>(
    pages: &'p P,
    root: &TreeRoot,
    keys: &[&[u8]],
) -> Result<[Option<&'p [u8]>; LANES]> {
    debug_assert!(keys.len() <= LANES);
    let mut values = [None; LANES];
    if root.is_empty() {
        return Ok(values);
    }
    let mut children = [root.child; LANES];
    for level in (1..=root.level).rev() {
        for (child, key) in children.iter_mut().zip(keys) {
            *child = pages.page(child, level)?.child_of(key);
            pages.ask_for(child);
        }
    }
    let mut leaves = [(Page::new(&[]), None); LANES];
    for ((leaf, child), key) in leaves.iter_mut().zip(&children).zip(keys) {
        let page = pages.page(child, 0)?;
        *leaf = (page, page.candidate(key));
    }
    for ((value, (leaf, candidate)), key) in values.iter_mut().zip(leaves).zip(keys) {
        let found = candidate.and_then(|at| leaf.find_at(at, key));
        *value = found.map(|value| value_of(pages, value)).transpose()?;
    }
    Ok(values)
}
