//! What changed in a table between two snapshots, as bytes.

use std::borrow::Cow;
use std::iter::FusedIterator;

use super::{RawBounds, RawTable};
use crate::btree::{Difference, Differences};
use crate::error::Result;

/// A key whose value is not the same in two snapshots.
///
/// Without `before` it was inserted, without `after` removed; with both, which are different then, its value
/// was replaced. At least one is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Change<K, V> {
    /// The key.
    pub key: K,
    /// The value in the older snapshot; `None` if the key was not there.
    pub before: Option<V>,
    /// The value in the newer snapshot; `None` if the key is not there.
    pub after: Option<V>,
}

/// A change, as bytes. The key is put together where its page stores a common prefix once; the values are
/// where they are in the file.
pub type RawChange<'a> = Change<Cow<'a, [u8]>, &'a [u8]>;

/// What changed in a table between two snapshots, in the order of the keys.
///
/// Made by [`RawTable::changes_since`]. After the last change, and after an error, there is nothing more.
#[derive(Debug)]
pub struct RawChanges<'a> {
    inner: Differences<'a>,
}

impl<'a> RawChanges<'a> {
    pub(super) fn new(inner: Differences<'a>) -> RawChanges<'a> {
        RawChanges { inner }
    }

    /// From one table to the other, either of which may not be there and is empty then. `None` if neither is.
    pub(crate) fn between(
        older: Option<&RawTable<'a>>,
        newer: Option<&RawTable<'a>>,
        range: RawBounds<'_>,
    ) -> Option<RawChanges<'a>> {
        match (older, newer) {
            (Some(older), Some(newer)) => Some(newer.changes_since_in(older, range)),
            (None, Some(newer)) => Some(newer.changes_since_in(&newer.emptied(), range)),
            (Some(older), None) => Some(older.emptied().changes_since_in(older, range)),
            (None, None) => None,
        }
    }
}

impl<'a> Iterator for RawChanges<'a> {
    type Item = Result<RawChange<'a>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let change = |(key, before, after): Difference<'a>| Change { key, before, after };
        self.inner.next_difference().map(|found| found.map(change))
    }
}

impl FusedIterator for RawChanges<'_> {}
