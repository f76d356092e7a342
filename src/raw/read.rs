//! `RawTable`: a table in a read transaction, as bytes.

use std::fmt;
use std::ops::Bound;

use super::{RawBounds, RawChanges, RawEntry, RawRange, whole};
use crate::btree::{self, Differences, Origin};
use crate::error::Result;
use crate::page::{TableRecord, TreeRoot};
use crate::pager::Snapshot;
use crate::short::Short;

/// A table in a read transaction, as bytes. What it returns borrows from the transaction, not from this
/// handle.
///
/// Every method that returns a `Result` can fail with [`Error::Corrupted`](crate::Error::Corrupted) where a
/// page that it touches for the first time is damaged.
#[derive(Debug, Clone)]
pub struct RawTable<'tx> {
    pages: &'tx Snapshot,
    root: TreeRoot,
    name: Name,
    /// The names of the types: text, as who made this has seen.
    key_type: &'tx [u8],
    value_type: &'tx [u8],
}

/// A table's name.
#[derive(Clone)]
struct Name(Short<22>);

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("seen to be text when the table was opened")
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text(self.0.as_slice()).fmt(f)
    }
}

impl<'tx> RawTable<'tx> {
    /// The names of the types in the record are text.
    #[inline]
    pub(crate) fn new(pages: &'tx Snapshot, name: &str, record: TableRecord<&'tx [u8]>) -> RawTable<'tx> {
        let TableRecord { root, key_type, value_type } = record;
        RawTable { pages, root, name: Name(Short::new(name.as_bytes())), key_type, value_type }
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        text(self.name.0.as_slice())
    }

    /// The name of the type of its keys.
    pub fn key_type(&self) -> &str {
        text(self.key_type)
    }

    /// The name of the type of its values.
    pub fn value_type(&self) -> &str {
        text(self.value_type)
    }

    /// How many entries there are. O(1).
    pub fn len(&self) -> u64 {
        self.root.child.count
    }

    /// Whether there are none. O(1).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a key. O(log n); copies nothing.
    ///
    /// # Errors
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    #[inline]
    pub fn get(&self, key: &[u8]) -> Result<Option<&'tx [u8]>> {
        btree::get(self.pages, &self.root, key)
    }

    /// The values of several keys at once.
    pub(crate) fn get_lanes(&self, keys: &[&[u8]]) -> Result<[Option<&'tx [u8]>; btree::LANES]> {
        btree::get_many(self.pages, &self.root, keys)
    }

    /// Whether there is an entry with this key. O(log n).
    ///
    /// # Errors
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    pub fn contains(&self, key: &[u8]) -> Result<bool> {
        self.get(key).map(|value| value.is_some())
    }

    /// The entry with the smallest key. O(log n).
    ///
    /// # Errors
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    pub fn first(&self) -> Result<Option<RawEntry<'tx>>> {
        Ok(btree::first(self.pages, &self.root)?.map(whole))
    }

    /// The entry with the greatest key. O(log n).
    ///
    /// # Errors
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    pub fn last(&self) -> Result<Option<RawEntry<'tx>>> {
        Ok(btree::last(self.pages, &self.root)?.map(whole))
    }

    /// Entry number `index` in the order of keys, from 0. O(log n).
    ///
    /// # Errors
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    pub fn nth(&self, index: u64) -> Result<Option<RawEntry<'tx>>> {
        Ok(btree::nth(self.pages, &self.root, index)?.map(whole))
    }

    /// How many entries have a smaller key. O(log n).
    ///
    /// # Errors
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    pub fn rank(&self, key: &[u8]) -> Result<u64> {
        btree::rank(self.pages, &self.root, key)
    }

    /// How many entries lie in a range. O(log n).
    ///
    /// # Errors
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    pub fn count(&self, range: RawBounds<'_>) -> Result<u64> {
        btree::count(self.pages, &self.root, &range)
    }

    /// The entries of a range. A range whose end lies before its start is empty.
    ///
    /// # Errors
    /// None here: a damaged page is an item of the iterator.
    pub fn range(&self, range: RawBounds<'_>) -> Result<RawRange<'tx>> {
        Ok(RawRange { inner: btree::Range::new(self.pages, &self.root, &range) })
    }

    /// Keys that cut the entries into `parts` of about the same number, ascending: at most `parts - 1` of
    /// them. O(parts log n).
    ///
    /// # Errors
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    pub fn split(&self, parts: usize) -> Result<Vec<Vec<u8>>> {
        btree::split(self.pages, &self.root, parts)
    }
    /// What changed from `older`, the same table in another snapshot, to this one, in the order of the keys.
    ///
    /// Reads the pages that are not the same in both and the paths to them, whatever the size of the table:
    /// what both snapshots share is skipped unread, values that lie outside their leaf included. A value that
    /// was replaced by an equal one is no change; the names of the types are not compared. Tables of two
    /// databases, or of one that was closed and opened again, are compared entry by entry.
    ///
    /// # Errors
    /// None here: a damaged page is an item of the iterator, and the last.
    pub fn changes_since(&self, older: &RawTable<'tx>) -> RawChanges<'tx> {
        self.changes_since_in(older, (Bound::Unbounded, Bound::Unbounded))
    }

    /// What [`changes_since`](Self::changes_since) says of the keys of a range. Reads nothing outside of it
    /// but the paths to its ends. A range whose end lies before its start is empty.
    ///
    /// # Errors
    /// As there.
    pub fn changes_since_in(&self, older: &RawTable<'tx>, range: RawBounds<'_>) -> RawChanges<'tx> {
        let origin = match self.pages.is_of_same_file(older.pages) {
            true => Origin::OneFile,
            false => Origin::TwoFiles,
        };
        let (older, newer) = ((older.pages as _, &older.root), (self.pages as _, &self.root));
        RawChanges::new(Differences::new(older, newer, origin, &range))
    }

    /// The table without its entries.
    pub(super) fn emptied(&self) -> RawTable<'tx> {
        RawTable { root: TreeRoot::default(), ..self.clone() }
    }
}
