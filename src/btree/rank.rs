//! Positions by count: every branch cell knows how many entries lie below it.

use std::ops::Bound;

use super::cursor::{Bounds, is_inverted};
use crate::error::Result;
use crate::page::TreeRoot;
use crate::pager::Pages;

/// How many entries have a smaller key. O(log n) pages.
pub(crate) fn rank<P: Pages + ?Sized>(pages: &P, root: &TreeRoot, key: &[u8]) -> Result<u64> {
    entries_before(pages, root, key, false)
}

/// How many entries lie in `bounds`. O(log n) pages.
pub(crate) fn count<P: Pages + ?Sized>(pages: &P, root: &TreeRoot, bounds: &Bounds<'_>) -> Result<u64> {
    if is_inverted(bounds) {
        return Ok(0);
    }
    let from = match bounds.0 {
        Bound::Included(key) => entries_before(pages, root, key, false)?,
        Bound::Excluded(key) => entries_before(pages, root, key, true)?,
        Bound::Unbounded => 0,
    };
    let to = match bounds.1 {
        Bound::Included(key) => entries_before(pages, root, key, true)?,
        Bound::Excluded(key) => entries_before(pages, root, key, false)?,
        Bound::Unbounded => root.child.count,
    };
    Ok(to.saturating_sub(from))
}

/// Entries before `key`, or up to and with it.
fn entries_before<P: Pages + ?Sized>(pages: &P, root: &TreeRoot, key: &[u8], with: bool) -> Result<u64> {
    if root.is_empty() {
        return Ok(0);
    }
    let mut before = 0u64;
    let (mut child, mut level) = (root.child, root.level);
    loop {
        let page = pages.page(&child, level)?;
        if level == 0 {
            let here = match page.search(0, key) {
                Ok(i) => i + usize::from(with),
                Err(i) => i,
            };
            return Ok(before.saturating_add(here as u64));
        }
        let slot = page.child_index(key);
        before = (0..slot).fold(before, |before, i| before.saturating_add(page.child(i).count));
        child = page.child(slot);
        level -= 1;
    }
}
