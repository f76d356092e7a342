//! `TableMut`: a table in a write transaction.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use crate::error::Result;
use crate::range::{Entry, Range, decode_entry, raw_bounds};
use crate::raw::{RawEntry, RawTableMut};
use crate::table::between;
use crate::types::{AsKey, AsValue, Key, KeyPrefix, KeyRange, Prefix, Value};

/// A table in a write transaction. What it returns borrows from this handle, so a change ends that borrow;
/// from another table it may be copied straight in.
///
/// Dropping the handle releases the table, so that it can be opened again. Beside the errors named, every
/// method can fail as those of [`ReadTable`](crate::ReadTable) do, and the changing ones with
/// [`Error::Poisoned`](crate::Error::Poisoned) after a failure that left something half-done.
pub struct TableMut<'tx, K, V> {
    raw: RawTableMut<'tx>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<'tx, K: Key, V: Value> TableMut<'tx, K, V> {
    pub(crate) fn new(raw: RawTableMut<'tx>) -> Self {
        TableMut { raw, types: PhantomData }
    }

    /// Stores an entry, and tells whether it replaced one. O(log n).
    ///
    /// # Errors
    ///
    /// [`Error::KeyTooLong`](crate::Error::KeyTooLong), [`Error::ValueTooLong`](crate::Error::ValueTooLong),
    /// [`Error::Io`](crate::Error::Io) if the disk is full.
    #[inline]
    pub fn insert(&mut self, key: impl AsKey<K>, value: impl AsValue<V>) -> Result<bool> {
        self.raw.insert(key.key_bytes().as_ref(), value.value_bytes().as_ref())
    }

    /// Adds an entry behind all others, for keys that come in ascending order. O(1) amortised.
    ///
    /// Insertion in ascending order is fast with [`insert`](Self::insert) too, and leaves full pages either
    /// way; this tells at once when the order is not what it should be.
    ///
    /// ```
    /// use folio::{Database, Error, Table};
    ///
    /// const LINES: Table<u64, &str> = Table::new("lines");
    /// let db = Database::in_memory()?;
    /// let tx = db.begin_write()?;
    /// {
    ///     let mut lines = tx.open(LINES)?;
    ///     for (number, line) in "one\ntwo\nthree".lines().enumerate() {
    ///         lines.append(number as u64, line)?;
    ///     }
    ///     assert!(matches!(lines.append(1, "two again"), Err(Error::NotAscending)));
    ///     assert_eq!(lines.len(), 3);
    /// }
    /// tx.commit()?;
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NotAscending`](crate::Error::NotAscending) if the table has this key or a greater one, and
    /// those of [`TableMut::insert`]. Nothing is changed then.
    #[inline]
    pub fn append(&mut self, key: impl AsKey<K>, value: impl AsValue<V>) -> Result<()> {
        self.raw.append(key.key_bytes().as_ref(), value.value_bytes().as_ref())
    }

    /// Stores an entry, and returns the value that it replaced. O(log n).
    ///
    /// # Errors
    ///
    /// As [`TableMut::insert`]. [`Error::Decode`](crate::Error::Decode) if the old value is not of the
    /// table's type; it is then back in its place.
    pub fn replace(&mut self, key: impl AsKey<K>, value: impl AsValue<V>) -> Result<Option<V::Owned>> {
        let key = key.key_bytes();
        let old = self.raw.replace(key.as_ref(), value.value_bytes().as_ref())?;
        self.owned_or_restored(key.as_ref(), old)
    }

    /// Removes an entry, and tells whether there was one. O(log n).
    ///
    /// # Errors
    ///
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    #[inline]
    pub fn remove(&mut self, key: impl AsKey<K>) -> Result<bool> {
        self.raw.remove(key.key_bytes().as_ref())
    }

    /// Removes an entry, and returns its value. O(log n).
    ///
    /// # Errors
    ///
    /// [`Error::Decode`](crate::Error::Decode) if the value is not of the table's type; it is then back in
    /// its place.
    pub fn take(&mut self, key: impl AsKey<K>) -> Result<Option<V::Owned>> {
        let key = key.key_bytes();
        let old = self.raw.take(key.as_ref())?;
        self.owned_or_restored(key.as_ref(), old)
    }

    /// Removes every entry of a range, and returns how many there were. An inverted range is empty.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    pub fn remove_range(&mut self, range: impl KeyRange<K>) -> Result<u64> {
        match raw_bounds(&range.key_bounds()) {
            Some(bounds) => self.raw.remove_range(bounds),
            None => Ok(0),
        }
    }

    /// Removes every entry, and returns how many there were. The table itself stays.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    pub fn clear(&mut self) -> Result<u64> {
        self.raw.clear()
    }

    /// Removes the entry with the smallest key, and returns it. O(log n).
    ///
    /// # Errors
    ///
    /// [`Error::Decode`](crate::Error::Decode) if the entry is not of the table's types; it then stays.
    pub fn pop_first(&mut self) -> Result<Option<OwnedEntry<K, V>>> {
        match self.raw.first()?.map(decode_owned_entry::<K, V>).transpose()? {
            Some((key, entry)) => self.raw.remove(&key).map(|_| Some(entry)),
            None => Ok(None),
        }
    }

    /// Removes the entry with the largest key, and returns it. O(log n).
    ///
    /// # Errors
    ///
    /// [`Error::Decode`](crate::Error::Decode) if the entry is not of the table's types; it then stays.
    pub fn pop_last(&mut self) -> Result<Option<OwnedEntry<K, V>>> {
        match self.raw.last()?.map(decode_owned_entry::<K, V>).transpose()? {
            Some((key, entry)) => self.raw.remove(&key).map(|_| Some(entry)),
            None => Ok(None),
        }
    }

    /// The value of a key. O(log n); copies nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupted`](crate::Error::Corrupted), [`Error::Decode`](crate::Error::Decode).
    #[inline]
    pub fn get(&self, key: impl AsKey<K>) -> Result<Option<V::Ref<'_>>> {
        self.raw.get(key.key_bytes().as_ref())?.map(V::decode).transpose()
    }

    /// Whether there is an entry with this key. O(log n).
    ///
    /// # Errors
    ///
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    #[inline]
    pub fn contains(&self, key: impl AsKey<K>) -> Result<bool> {
        self.raw.contains(key.key_bytes().as_ref())
    }

    /// The entry with the smallest key. O(log n).
    ///
    /// # Errors
    ///
    /// [`Error::Corrupted`](crate::Error::Corrupted), [`Error::Decode`](crate::Error::Decode).
    pub fn first(&self) -> Result<Option<Entry<'_, K, V>>> {
        self.raw.first()?.map(decode_entry::<K, V>).transpose()
    }

    /// The entry with the largest key. O(log n).
    ///
    /// # Errors
    ///
    /// [`Error::Corrupted`](crate::Error::Corrupted), [`Error::Decode`](crate::Error::Decode).
    pub fn last(&self) -> Result<Option<Entry<'_, K, V>>> {
        self.raw.last()?.map(decode_entry::<K, V>).transpose()
    }

    /// The entry that has exactly `index` entries before it. O(log n).
    ///
    /// # Errors
    ///
    /// [`Error::Corrupted`](crate::Error::Corrupted), [`Error::Decode`](crate::Error::Decode).
    pub fn nth(&self, index: u64) -> Result<Option<Entry<'_, K, V>>> {
        self.raw.nth(index)?.map(decode_entry::<K, V>).transpose()
    }

    /// The number of entries whose key is smaller than this one, which need not be there. O(log n).
    ///
    /// # Errors
    ///
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    pub fn rank(&self, key: impl AsKey<K>) -> Result<u64> {
        self.raw.rank(key.key_bytes().as_ref())
    }

    /// The number of entries in a range, exactly. O(log n), however many they are.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    pub fn count(&self, range: impl KeyRange<K>) -> Result<u64> {
        raw_bounds(&range.key_bounds()).map_or(Ok(0), |bounds| self.raw.count(bounds))
    }

    /// The entries of a range, as [`ReadTable::range`](crate::ReadTable::range).
    ///
    /// # Errors
    ///
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    pub fn range(&self, range: impl KeyRange<K>) -> Result<Range<'_, K, V>> {
        match raw_bounds(&range.key_bounds()) {
            Some(bounds) => self.raw.range(bounds).map(|range| Range::new(Some(range))),
            None => Ok(Range::new(None)),
        }
    }

    /// The entries whose key begins with `prefix`, as [`ReadTable::prefix`](crate::ReadTable::prefix).
    ///
    /// # Errors
    ///
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    pub fn prefix(&self, prefix: impl KeyPrefix<K>) -> Result<Range<'_, K, V>> {
        self.range(Prefix(prefix))
    }

    /// All entries. O(log n), then O(1) for each entry.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    pub fn iter(&self) -> Result<Range<'_, K, V>> {
        self.range(..)
    }

    /// Cuts the table into at most `parts` ranges of about the same number of entries, as
    /// [`ReadTable::split`](crate::ReadTable::split).
    ///
    /// # Errors
    ///
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    pub fn split(&self, parts: usize) -> Result<Vec<Range<'_, K, V>>> {
        between(&self.raw.split(parts.max(1))?, |bounds| self.raw.range(bounds))
    }

    /// The number of entries. O(1).
    pub fn len(&self) -> u64 {
        self.raw.len()
    }

    /// Whether there are no entries. O(1).
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Reads a value that was just taken out. One that is not of the type goes back: an error must not lose
    /// data.
    fn owned_or_restored(&mut self, key: &[u8], old: Option<Vec<u8>>) -> Result<Option<V::Owned>> {
        let Some(old) = old else { return Ok(None) };
        // The check is on the borrowed form, so that the bytes are still here if it fails.
        if let Err(error) = V::decode(&old) {
            self.raw.insert(key, &old)?;
            return Err(error);
        }
        V::decode_owned(old).map(Some)
    }
}

impl<K, V> fmt::Debug for TableMut<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableMut").field("raw", &self.raw).finish_non_exhaustive()
    }
}

/// An entry that borrows nothing.
pub type OwnedEntry<K, V> = (<K as Key>::Item<'static>, <V as Value>::Owned);

/// Reads an entry so that it outlives the page; with it the encoded key, to remove it by.
fn decode_owned_entry<K: Key, V: Value>((key, value): RawEntry<'_>) -> Result<(Vec<u8>, OwnedEntry<K, V>)> {
    let key = key.into_owned();
    let item = K::decode(Cow::Owned(key.clone()))?;
    Ok((key, (item, V::into_owned(V::decode(value)?))))
}
