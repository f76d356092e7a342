//! Typed tables: the declaration, the read view and the write view.
//!
//! They hold no state of their own: they encode what they are given, call the raw table, and read what it returns.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Bound;
use std::sync::Arc;

use crate::error::Result;
use crate::range::{Entry, Range, decode_entry, raw_bounds};
use crate::raw::{RawBounds, RawEntry, RawRange, RawTable, RawTableMut};
use crate::types::{AsKey, AsValue, Key, KeyPrefix, KeyRange, Prefix, Value};

/// A table's name and the types of its keys and values. It is a plain constant; a transaction opens it.
///
/// The types are recorded in the file when the table is made, and opening it as others is
/// [`Error::TableTypeMismatch`](crate::Error::TableTypeMismatch).
///
/// ```
/// use folio::Table;
///
/// const WORDS: Table<&str, u64> = Table::new("words");
/// const LINKS: Table<(u64, &str), Option<&[u8]>> = Table::new("links");
/// # let _ = (WORDS, LINKS);
/// ```
pub struct Table<K, V> {
    name: &'static str,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K: Key, V: Value> Table<K, V> {
    /// Declares a table.
    pub const fn new(name: &'static str) -> Self {
        Table { name, types: PhantomData }
    }

    /// The table's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<K, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Table<K, V> {}

/// A [`Table`] whose name is known only at run time.
///
/// ```
/// use folio::DynTable;
///
/// let year = 2026;
/// let visits = DynTable::<&str, u64>::new(format!("visits-{year}"));
/// assert_eq!(visits.name(), "visits-2026");
/// ```
pub struct DynTable<K, V> {
    name: Arc<str>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K: Key, V: Value> DynTable<K, V> {
    /// Declares a table.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        DynTable { name: name.into(), types: PhantomData }
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl<K, V> Clone for DynTable<K, V> {
    fn clone(&self) -> Self {
        DynTable { name: Arc::clone(&self.name), types: PhantomData }
    }
}

impl<K: Key, V: Value> From<Table<K, V>> for DynTable<K, V> {
    fn from(table: Table<K, V>) -> Self {
        DynTable::new(table.name)
    }
}

/// What a transaction can open: a [`Table`], a [`DynTable`], or a reference to one.
pub trait TableDef {
    /// The type of the keys.
    type Key: Key;
    /// The type of the values.
    type Value: Value;

    /// The table's name.
    fn table_name(&self) -> &str;
}

impl<K: Key, V: Value> TableDef for Table<K, V> {
    type Key = K;
    type Value = V;

    #[inline]
    fn table_name(&self) -> &str {
        self.name
    }
}

impl<K: Key, V: Value> TableDef for DynTable<K, V> {
    type Key = K;
    type Value = V;

    #[inline]
    fn table_name(&self) -> &str {
        &self.name
    }
}

impl<T: TableDef + ?Sized> TableDef for &T {
    type Key = T::Key;
    type Value = T::Value;

    #[inline]
    fn table_name(&self) -> &str {
        (**self).table_name()
    }
}

/// A table in a read transaction. What it returns borrows from the transaction, not from this handle.
///
/// A table that does not exist reads as an empty one. Every method can fail with [`Error::Corrupted`](crate::Error::Corrupted) if a page that it
/// touches for the first time is damaged, and with [`Error::Decode`](crate::Error::Decode) if stored bytes are not of the table's types.
pub struct ReadTable<'tx, K, V> {
    /// `None` if the table does not exist.
    raw: Option<RawTable<'tx>>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<'tx, K: Key, V: Value> ReadTable<'tx, K, V> {
    #[cfg_attr(not(test), expect(dead_code, reason = "used where a table is opened"))]
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

    /// The entries of a range: `"a".."m"`, `3..=10`, `("a", 1)..("b", 0)`, a pair of bounds. An inverted range is empty.
    /// O(log n), then O(1) for each entry.
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

    /// The entries whose key begins with `prefix`: a shorter text, or the first components of a tuple, as `("a",)`.
    /// O(log n), then O(1) for each entry.
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

    /// Cuts the table into at most `parts` ranges of about the same number of entries, in order, which together are the whole
    /// table: for scans in several threads. There is always at least one range. O(`parts` log n).
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

/// A table in a write transaction. What it returns borrows from this handle, so a change ends that borrow; from another
/// table it may be copied straight in.
///
/// Dropping the handle releases the table, so that it can be opened again. Beside the errors named, every method can fail as those
/// of [`ReadTable`] do, and the changing ones with [`Error::Poisoned`](crate::Error::Poisoned) after a failure that left something half-done.
pub struct TableMut<'tx, K, V> {
    raw: RawTableMut<'tx>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<'tx, K: Key, V: Value> TableMut<'tx, K, V> {
    #[cfg_attr(not(test), expect(dead_code, reason = "used where a table is opened"))]
    pub(crate) fn new(raw: RawTableMut<'tx>) -> Self {
        TableMut { raw, types: PhantomData }
    }

    /// Stores an entry, and tells whether it replaced one. O(log n).
    ///
    /// # Errors
    ///
    /// [`Error::KeyTooLong`](crate::Error::KeyTooLong), [`Error::ValueTooLong`](crate::Error::ValueTooLong), [`Error::Io`](crate::Error::Io) if the disk is full.
    #[inline]
    pub fn insert(&mut self, key: impl AsKey<K>, value: impl AsValue<V>) -> Result<bool> {
        self.raw.insert(key.key_bytes().as_ref(), value.value_bytes().as_ref())
    }

    /// Stores an entry, and returns the value that it replaced. O(log n).
    ///
    /// # Errors
    ///
    /// As [`TableMut::insert`]. [`Error::Decode`](crate::Error::Decode) if the old value is not of the table's type; it is then back in its place.
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
    /// [`Error::Decode`](crate::Error::Decode) if the value is not of the table's type; it is then back in its place.
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

    /// The entries of a range, as [`ReadTable::range`].
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

    /// The entries whose key begins with `prefix`, as [`ReadTable::prefix`].
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

    /// Cuts the table into at most `parts` ranges of about the same number of entries, as [`ReadTable::split`].
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

    /// Reads a value that was just taken out. One that is not of the type goes back: an error must not lose data.
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

impl<K, V> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Table").field(&self.name).finish()
    }
}

impl<K, V> fmt::Debug for DynTable<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DynTable").field(&self.name).finish()
    }
}

impl<K, V> fmt::Debug for ReadTable<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadTable").field("raw", &self.raw).finish_non_exhaustive()
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

/// The ranges before, between and after `cuts`, which are encoded keys in order.
fn between<'a, K: Key, V: Value>(
    cuts: &[Vec<u8>],
    range: impl Fn(RawBounds<'_>) -> Result<RawRange<'a>>,
) -> Result<Vec<Range<'a, K, V>>> {
    let starts = cuts.iter().map(|cut| Bound::Included(cut.as_slice()));
    let ends = cuts.iter().map(|cut| Bound::Excluded(cut.as_slice()));
    let bounds = std::iter::once(Bound::Unbounded).chain(starts).zip(ends.chain([Bound::Unbounded]));
    bounds.map(|bounds| range(bounds).map(|range| Range::new(Some(range)))).collect()
}

/// The names that a table of these types has in the catalog: key type, value type.
#[cfg_attr(not(test), expect(dead_code, reason = "used where a table is opened"))]
pub(crate) fn type_names<K: Key, V: Value>() -> (String, String) {
    (K::NAME.to_string(), V::NAME.to_string())
}

/// Whether a table recorded with these names holds these types. Allocates nothing.
#[cfg_attr(not(test), expect(dead_code, reason = "used where a table is opened"))]
pub(crate) fn type_names_match<K: Key, V: Value>(key_type: &str, value_type: &str) -> bool {
    K::NAME.is(key_type) && V::NAME.is(value_type)
}
