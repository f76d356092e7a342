//! `RawTableMut`: a table in a write transaction, as bytes.

use std::ops::Bound;

use super::{OpenTables, RawBounds, RawEntry, RawRange, TableState, whole};
use crate::btree;
use crate::error::{Error, Result};

/// A table in a write transaction, as bytes. What it returns borrows from this handle: changing the table
/// ends such a borrow, changing another does not.
///
/// An error in the middle of a change poisons the transaction: then it can only be dropped. Too long a key or
/// value is no such error.
#[derive(Debug)]
pub struct RawTableMut<'tx> {
    tables: &'tx OpenTables,
    index: usize,
    /// None only while the handle is dropped.
    state: Option<Box<TableState>>,
}

impl<'tx> RawTableMut<'tx> {
    pub(crate) fn new(tables: &'tx OpenTables, (index, state): (usize, Box<TableState>)) -> RawTableMut<'tx> {
        RawTableMut { tables, index, state: Some(state) }
    }

    #[inline]
    fn state(&self) -> &TableState {
        self.state.as_ref().expect("taken by drop alone")
    }

    /// Makes a change, with room in memory for it.
    #[inline]
    fn change<R>(&mut self, change: impl FnOnce(&mut TableState) -> Result<R>) -> Result<R> {
        self.grow(|state| {
            state.finger.forget();
            change(state)
        })
    }

    /// Makes a change that keeps the path to the last leaf up to date.
    #[inline]
    fn grow<R>(&mut self, change: impl FnOnce(&mut TableState) -> Result<R>) -> Result<R> {
        self.tables.check()?;
        let state = self.state.as_mut().expect("taken by drop alone");
        let changed = state.set.spill_if_needed(&mut state.root).and_then(|spilled| {
            if spilled {
                state.finger.forget();
            }
            change(state)
        });
        changed.inspect_err(|error| self.tables.poison(error))
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.state().name
    }

    /// The name of the type of its keys.
    pub fn key_type(&self) -> &str {
        &self.state().record.key_type
    }

    /// The name of the type of its values.
    pub fn value_type(&self) -> &str {
        &self.state().record.value_type
    }

    /// How many entries there are. O(1).
    pub fn len(&self) -> u64 {
        self.state().root.child.count
    }

    /// Whether there are none. O(1).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a key. O(log n); copies nothing.
    ///
    /// # Errors
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    pub fn get(&self, key: &[u8]) -> Result<Option<&[u8]>> {
        btree::get(&self.state().set, &self.state().root, key)
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
    pub fn first(&self) -> Result<Option<RawEntry<'_>>> {
        Ok(btree::first(&self.state().set, &self.state().root)?.map(whole))
    }

    /// The entry with the greatest key. O(log n).
    ///
    /// # Errors
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    pub fn last(&self) -> Result<Option<RawEntry<'_>>> {
        Ok(btree::last(&self.state().set, &self.state().root)?.map(whole))
    }

    /// Entry number `index` in the order of keys, from 0. O(log n).
    ///
    /// # Errors
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    pub fn nth(&self, index: u64) -> Result<Option<RawEntry<'_>>> {
        Ok(btree::nth(&self.state().set, &self.state().root, index)?.map(whole))
    }

    /// How many entries have a smaller key. O(log n).
    ///
    /// # Errors
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    pub fn rank(&self, key: &[u8]) -> Result<u64> {
        btree::rank(&self.state().set, &self.state().root, key)
    }

    /// How many entries lie in a range. O(log n).
    ///
    /// # Errors
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    pub fn count(&self, range: RawBounds<'_>) -> Result<u64> {
        btree::count(&self.state().set, &self.state().root, &range)
    }

    /// The entries of a range. A range whose end lies before its start is empty.
    ///
    /// # Errors
    /// None here: a damaged page is an item of the iterator.
    pub fn range(&self, range: RawBounds<'_>) -> Result<RawRange<'_>> {
        Ok(RawRange { inner: btree::Range::new(&self.state().set, &self.state().root, &range) })
    }

    /// Keys that cut the entries into `parts` of about the same number, ascending: at most `parts - 1` of
    /// them. O(parts log n).
    ///
    /// # Errors
    /// [`Error::Corrupted`](crate::Error::Corrupted).
    pub fn split(&self, parts: usize) -> Result<Vec<Vec<u8>>> {
        btree::split(&self.state().set, &self.state().root, parts)
    }

    /// Inserts an entry or replaces the value of its key; whether it replaced one. O(log n).
    ///
    /// # Errors
    /// [`Error::KeyTooLong`](crate::Error::KeyTooLong) and
    /// [`Error::ValueTooLong`](crate::Error::ValueTooLong), which change nothing;
    /// [`Error::Poisoned`](crate::Error::Poisoned); [`Error::Corrupted`](crate::Error::Corrupted) and
    /// [`Error::Io`](crate::Error::Io), which poison the transaction.
    #[inline]
    pub fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<bool> {
        btree::check_lengths(self.tables.page_size(), key, value)?;
        self.grow(|state| {
            state.changed = true;
            btree::insert(&mut state.set, &mut state.root, &mut state.finger, key, value)
        })
    }

    /// Adds an entry behind all others. O(1) amortised: from the second of a row on no key is looked for, and
    /// pages become full. [`insert`](Self::insert) does the same when it meets keys in order; this one tells
    /// when they are not.
    ///
    /// # Errors
    /// As [`insert`](Self::insert). [`Error::NotAscending`](crate::Error::NotAscending) if the table has this
    /// key or a greater one; nothing is changed then.
    #[inline]
    pub fn append(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let state = self.state();
        if !state.finger.is_behind(&state.set, &state.root, key)? {
            return Err(Error::NotAscending);
        }
        self.insert(key, value).map(drop)
    }

    /// Removes an entry; whether it was there. O(log n).
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn remove(&mut self, key: &[u8]) -> Result<bool> {
        self.change(|state| {
            let removed = btree::remove(&mut state.set, &mut state.root, key)?;
            state.changed |= removed;
            Ok(removed)
        })
    }

    /// Inserts an entry; the value that its key had. O(log n).
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn replace(&mut self, key: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>> {
        let old = self.get(key)?.map(<[u8]>::to_vec);
        self.insert(key, value)?;
        Ok(old)
    }

    /// Removes an entry; the value that it had. O(log n).
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn take(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let old = self.get(key)?.map(<[u8]>::to_vec);
        if old.is_some() {
            self.remove(key)?;
        }
        Ok(old)
    }

    /// Removes the entries of a range; how many there were. O(log n) and a look at the branches above what
    /// goes: leaves inside the range are not read, unless they refer to values outside them.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn remove_range(&mut self, range: RawBounds<'_>) -> Result<u64> {
        self.change(|state| {
            let removed = btree::remove_range(&mut state.set, &mut state.root, &range)?;
            state.changed |= removed > 0;
            Ok(removed)
        })
    }

    /// Removes every entry; how many there were.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn clear(&mut self) -> Result<u64> {
        self.remove_range((Bound::Unbounded, Bound::Unbounded))
    }

    /// Lays leaves that are not well filled out anew, from the key `from` on, until `budget` pages have
    /// changed; the key to go on from.
    pub(crate) fn repack(&mut self, from: &[u8], budget: usize) -> Result<(Option<Vec<u8>>, u64)> {
        self.change(|state| {
            let (next, moved) = btree::repack(&mut state.set, &mut state.root, from, budget)?;
            state.changed |= moved > 0;
            Ok((next, moved))
        })
    }

    /// Copies pages that lie at or behind page `limit`, from the key `from` on, until there are `budget`; the
    /// key to go on from, and how many.
    pub(crate) fn relocate(
        &mut self,
        from: &[u8],
        limit: u64,
        budget: usize,
    ) -> Result<(Option<Vec<u8>>, u64)> {
        self.change(|state| {
            let (next, moved) = btree::relocate(&mut state.set, &mut state.root, from, limit, budget)?;
            state.changed |= moved > 0;
            Ok((next, moved))
        })
    }
}

impl Drop for RawTableMut<'_> {
    fn drop(&mut self) {
        if let Some(state) = self.state.take() {
            self.tables.put_back(self.index, state);
        }
    }
}
