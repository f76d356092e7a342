//! `ReadTable`: a table in a read transaction.

use std::fmt;
use std::marker::PhantomData;

use crate::error::Result;
use crate::range::{Entry, Range, decode_entry, raw_bounds};
use crate::raw::{RawChanges, RawTable};
use crate::table::{Changes, GetMany, between};
use crate::types::{AsKey, Key, KeyPrefix, KeyRange, Prefix, Value};

/// A table in a read transaction. What it returns borrows from the transaction, not from this handle.
///
/// A table that does not exist reads as an empty one. Every method can fail with
/// [`Error::Corrupted`](crate::Error::Corrupted) if a page that it touches for the first time is damaged, and
/// with [`Error::Decode`](crate::Error::Decode) if stored bytes are not of the table's types.
pub struct ReadTable<'tx, K, V> {
    /// `None` if the table does not exist.
    raw: Option<RawTable<'tx>>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<'tx, K: Key, V: Value> ReadTable<'tx, K, V> {
    pub(crate) fn new(raw: Option<RawTable<'tx>>) -> Self {
        ReadTable { raw, types: PhantomData }
    }

    /// The value of a key. O(log n); copies nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupted`](crate::Error::Corrupted), [`Error::Decode`](crate::Error::Decode).
    #[inline]
    pub fn get(&self, key: impl AsKey<K>) -> Result<Option<V::Ref<'tx>>> {
        match &self.raw {
            Some(raw) => raw.get(key.key_bytes().as_ref())?.map(V::decode).transpose(),
            None => Ok(None),
        }
    }

    /// The values of many keys, in the order of the keys: `None` for one that is not there. The same as
    /// [`get`](Self::get) for each, and faster: several keys are looked up at once, so that their pages come
    /// from memory at the same time. O(log n) for each; copies nothing.
    ///
    /// The iterator's items can be [`Error::Corrupted`](crate::Error::Corrupted) and
    /// [`Error::Decode`](crate::Error::Decode); after one there is nothing more.
    ///
    /// ```
    /// use folio::{Database, Table};
    ///
    /// const WORDS: Table<&str, u64> = Table::new("words");
    ///
    /// let db = Database::in_memory()?;
    /// db.write(|tx| {
    ///     let mut words = tx.open(WORDS)?;
    ///     words.insert("folio", 1)?;
    ///     words.insert("leaf", 2)
    /// })?;
    /// let tx = db.begin_read()?;
    /// let words = tx.open(WORDS)?;
    /// let found: Vec<_> = words.get_many(["leaf", "page", "folio"]).collect::<Result<_, _>>()?;
    /// assert_eq!(found, [Some(2), None, Some(1)]);
    /// # Ok::<(), folio::Error>(())
    /// ```
    pub fn get_many<I: IntoIterator<Item: AsKey<K>>>(&self, keys: I) -> GetMany<'tx, K, V, I::IntoIter> {
        GetMany::new(self.raw.clone(), keys.into_iter())
    }

    /// Whether there is an entry with this key. O(log n).
    ///
    /// # Errors
    ///
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    #[inline]
    pub fn contains(&self, key: impl AsKey<K>) -> Result<bool> {
        self.with(|raw| raw.contains(key.key_bytes().as_ref()))
    }

    /// The entry with the smallest key. O(log n).
    ///
    /// # Errors
    ///
    /// [`Error::Corrupted`](crate::Error::Corrupted), [`Error::Decode`](crate::Error::Decode).
    pub fn first(&self) -> Result<Option<Entry<'tx, K, V>>> {
        self.with(RawTable::first)?.map(decode_entry::<K, V>).transpose()
    }

    /// The entry with the largest key. O(log n).
    ///
    /// # Errors
    ///
    /// [`Error::Corrupted`](crate::Error::Corrupted), [`Error::Decode`](crate::Error::Decode).
    pub fn last(&self) -> Result<Option<Entry<'tx, K, V>>> {
        self.with(RawTable::last)?.map(decode_entry::<K, V>).transpose()
    }

    /// The entry that has exactly `index` entries before it. O(log n).
    ///
    /// # Errors
    ///
    /// [`Error::Corrupted`](crate::Error::Corrupted), [`Error::Decode`](crate::Error::Decode).
    pub fn nth(&self, index: u64) -> Result<Option<Entry<'tx, K, V>>> {
        self.with(|raw| raw.nth(index))?.map(decode_entry::<K, V>).transpose()
    }

    /// The number of entries whose key is smaller than this one, which need not be there. O(log n).
    ///
    /// # Errors
    ///
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    pub fn rank(&self, key: impl AsKey<K>) -> Result<u64> {
        self.with(|raw| raw.rank(key.key_bytes().as_ref()))
    }

    /// The number of entries in a range, exactly. O(log n), however many they are.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    pub fn count(&self, range: impl KeyRange<K>) -> Result<u64> {
        match raw_bounds(&range.key_bounds()) {
            Some(bounds) => self.with(|raw| raw.count(bounds)),
            None => Ok(0),
        }
    }

    /// The entries of a range: `"a".."m"`, `3..=10`, `("a", 1)..("b", 0)`, a pair of bounds. An inverted
    /// range is empty. O(log n), then O(1) for each entry.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    pub fn range(&self, range: impl KeyRange<K>) -> Result<Range<'tx, K, V>> {
        let bounds = range.key_bounds();
        match (&self.raw, raw_bounds(&bounds)) {
            (Some(raw), Some(bounds)) => raw.range(bounds).map(|range| Range::new(Some(range))),
            _ => Ok(Range::new(None)),
        }
    }

    /// The entries whose key begins with `prefix`: a shorter text, or the first components of a tuple, as
    /// `("a",)`. O(log n), then O(1) for each entry.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    pub fn prefix(&self, prefix: impl KeyPrefix<K>) -> Result<Range<'tx, K, V>> {
        self.range(Prefix(prefix))
    }

    /// All entries. O(log n), then O(1) for each entry.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    pub fn iter(&self) -> Result<Range<'tx, K, V>> {
        self.range(..)
    }

    /// Cuts the table into at most `parts` ranges of about the same number of entries, in order, which
    /// together are the whole table: for scans in several threads. There is always at least one range.
    /// O(`parts` log n).
    ///
    /// # Errors
    ///
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    pub fn split(&self, parts: usize) -> Result<Vec<Range<'tx, K, V>>> {
        match &self.raw {
            Some(raw) => between(&raw.split(parts.max(1))?, |bounds| raw.range(bounds)),
            None => Ok(vec![Range::new(None)]),
        }
    }

    /// What changed from `older`, as a rule the same table in an older snapshot, to this one, in the order of
    /// the keys. A table that does not exist in one of them is empty there.
    ///
    /// Reads the pages that are not the same in both and the paths to them, whatever the size of the table:
    /// what both snapshots share is skipped unread. A value that was replaced by an equal one is no change.
    /// Tables of two databases, or of one that was closed and opened again, are compared entry by entry.
    ///
    /// The iterator's items can be [`Error::Corrupted`](crate::Error::Corrupted) and
    /// [`Error::Decode`](crate::Error::Decode).
    ///
    /// ```
    /// use folio::{Database, Table};
    ///
    /// const WORDS: Table<&str, u64> = Table::new("words");
    ///
    /// let db = Database::in_memory()?;
    /// db.write(|tx| {
    ///     let mut words = tx.open(WORDS)?;
    ///     words.insert("folio", 1)?;
    ///     words.insert("leaf", 2)
    /// })?;
    /// let before = db.begin_read()?;
    /// db.write(|tx| {
    ///     let mut words = tx.open(WORDS)?;
    ///     words.remove("folio")?;
    ///     words.insert("leaf", 3)?;
    ///     words.insert("page", 4)
    /// })?;
    /// let after = db.begin_read()?;
    ///
    /// let (older, newer) = (before.open(WORDS)?, after.open(WORDS)?);
    /// let mut lines = Vec::new();
    /// for change in newer.changes_since(&older) {
    ///     let change = change?;
    ///     lines.push(match (change.before, change.after) {
    ///         (None, Some(new)) => format!("+ {} {new}", change.key),
    ///         (Some(old), Some(new)) => format!("~ {} {old} -> {new}", change.key),
    ///         (_, None) => format!("- {}", change.key),
    ///     });
    /// }
    /// assert_eq!(lines, ["- folio", "~ leaf 2 -> 3", "+ page 4"]);
    /// # Ok::<(), folio::Error>(())
    /// ```
    pub fn changes_since(&self, older: &ReadTable<'tx, K, V>) -> Changes<'tx, K, V> {
        self.changes_since_in(older, ..)
    }

    /// What [`changes_since`](Self::changes_since) says of the keys of a range; for those that begin with
    /// something, of a [`Prefix`](crate::Prefix). Reads nothing outside of the range but the paths to its
    /// ends.
    pub fn changes_since_in(
        &self,
        older: &ReadTable<'tx, K, V>,
        range: impl KeyRange<K>,
    ) -> Changes<'tx, K, V> {
        let bounds = range.key_bounds();
        let between = |range| RawChanges::between(older.raw.as_ref(), self.raw.as_ref(), range);
        Changes::new(raw_bounds(&bounds).and_then(between))
    }

    /// The number of entries. O(1).
    pub fn len(&self) -> u64 {
        self.raw.as_ref().map_or(0, RawTable::len)
    }

    /// Whether there are no entries. O(1).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the raw table answers, or what an empty one would.
    #[inline]
    fn with<R: Default>(&self, answer: impl FnOnce(&RawTable<'tx>) -> Result<R>) -> Result<R> {
        self.raw.as_ref().map_or_else(|| Ok(R::default()), answer)
    }
}

impl<K, V> Clone for ReadTable<'_, K, V> {
    fn clone(&self) -> Self {
        ReadTable { raw: self.raw.clone(), types: PhantomData }
    }
}

impl<K, V> fmt::Debug for ReadTable<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadTable").field("raw", &self.raw).finish_non_exhaustive()
    }
}
