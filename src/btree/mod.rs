//! Keys and order: a B+tree over [`Pages`](crate::pager::Pages). Knows pages, not files.
//!
//! # Rules
//! - Keys ascend by their bytes, in a page and across pages. A separator is greater than every key on its
//!   left and not greater than any on its right, and as short as that allows.
//! - A branch cell counts the entries below it, so that `len`, `rank` and `nth` need one path.
//! - No two neighbours under one parent that take half a page at most fit together into 3/4 of one. A page
//!   that overflows shares with its emptier neighbour, if that has room; else it becomes two.
//! - A branch with one child is no root; an empty tree has no page.
//!
//! # Changing a tree
//! Every change descends once, makes the pages of its path dirty, and edits the leaf. Where the edit does not
//! fit, cells move to a neighbour or to a new leaf ([`full`]). What is not so simple is done in a general
//! way: the leaf and a neighbour are laid out anew, and the parent gets an edit of its own: [`balance`] goes
//! up the path like this, level by level. A change that fails half-way leaves the tree unusable: the caller
//! must poison the transaction.

mod balance;
mod compact;
mod cursor;
mod cuts;
mod diff;
mod finger;
mod full;
mod gather;
mod group;
mod insert;
mod many;
mod order;
mod path;
mod range;
mod rank;
mod remove;
mod sizes;
#[cfg(test)]
mod tests;
mod verify;

pub(crate) use compact::{relocate, repack};
pub(crate) use cursor::{Bounds, Entry, first, last, nth, split};
pub(crate) use diff::{Difference, Differences, Origin};
pub(crate) use finger::Finger;
pub(crate) use gather::{offer_clean, take_chosen};
pub(crate) use insert::{check_lengths, insert, overwrite};
pub(crate) use many::{LANES, get_many};
pub(crate) use range::Range;
pub(crate) use rank::{count, rank};
pub(crate) use remove::{clear, remove, remove_range};
pub use sizes::Sizes;
pub(crate) use verify::{Census, Depth, TreeCensus, verify};

use crate::error::Result;
use crate::page::{LeafValue, TreeRoot};
use crate::pager::Pages;

/// The value of `key`. One page a level.
pub(crate) fn get<'p, P: Pages>(pages: &'p P, root: &TreeRoot, key: &[u8]) -> Result<Option<&'p [u8]>> {
    if root.is_empty() {
        return Ok(None);
    }
    let (mut child, mut level) = (root.child, root.level);
    loop {
        let page = pages.page(&child, level)?;
        if level == 0 {
            return page.find(key).map(|value| value_of(pages, value)).transpose();
        }
        child = page.child_of(key);
        level -= 1;
    }
}

/// The value that a leaf has or refers to.
#[inline]
fn value_of<'p, P: Pages + ?Sized>(pages: &'p P, value: LeafValue<'p>) -> Result<&'p [u8]> {
    match value {
        LeafValue::Inline(value) => Ok(value),
        LeafValue::Overflow(run) => pages.run(&run),
    }
}
