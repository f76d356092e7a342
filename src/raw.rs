//! STAND-IN for the real raw layer, to be replaced: tables as bytes, over a `BTreeMap` instead of a file.
//!
//! It has the signatures of the real one, so that `table.rs` and `range.rs` can be built and tested. Keys of
//! odd length come out owned, as the real one's do where a page stores the common prefix once.

use std::borrow::Cow;
use std::collections::{BTreeMap, btree_map};
use std::iter::FusedIterator;
use std::ops::Bound;

use crate::error::Result;

pub(crate) type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// An entry: key and value.
pub type RawEntry<'a> = (Cow<'a, [u8]>, &'a [u8]);

/// Where a range of encoded keys starts and ends.
pub type RawBounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

fn entry<'a>((key, value): (&'a Vec<u8>, &'a Vec<u8>)) -> RawEntry<'a> {
    let key = if key.len() % 2 == 1 { Cow::Owned(key.clone()) } else { Cow::Borrowed(key.as_slice()) };
    (key, value)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).expect("usize has at most 64 bits")
}

/// A table in a read transaction, as bytes.
#[derive(Debug, Clone)]
pub struct RawTable<'tx> {
    map: &'tx Map,
}

#[expect(missing_docs, reason = "stand-in")]
#[expect(clippy::missing_errors_doc, reason = "stand-in")]
impl<'tx> RawTable<'tx> {
    #[cfg(test)]
    pub(crate) fn over(map: &'tx Map) -> Self {
        RawTable { map }
    }

    pub fn name(&self) -> &str {
        "stand-in"
    }

    pub fn key_type(&self) -> &str {
        "bytes"
    }

    pub fn value_type(&self) -> &str {
        "bytes"
    }

    pub fn len(&self) -> u64 {
        count(self.map.len())
    }

    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<&'tx [u8]>> {
        Ok(self.map.get(key).map(Vec::as_slice))
    }

    pub fn contains(&self, key: &[u8]) -> Result<bool> {
        Ok(self.map.contains_key(key))
    }

    pub fn first(&self) -> Result<Option<RawEntry<'tx>>> {
        Ok(self.map.first_key_value().map(entry))
    }

    pub fn last(&self) -> Result<Option<RawEntry<'tx>>> {
        Ok(self.map.last_key_value().map(entry))
    }

    pub fn nth(&self, index: u64) -> Result<Option<RawEntry<'tx>>> {
        Ok(self.map.iter().zip(0..).find(|(_, at)| *at == index).map(|(found, _)| entry(found)))
    }

    pub fn rank(&self, key: &[u8]) -> Result<u64> {
        self.count((Bound::Unbounded, Bound::Excluded(key)))
    }

    pub fn count(&self, range: RawBounds<'_>) -> Result<u64> {
        Ok(count(self.range(range)?.count()))
    }

    pub fn range(&self, range: RawBounds<'_>) -> Result<RawRange<'tx>> {
        Ok(RawRange { entries: self.map.range::<[u8], _>(range) })
    }

    pub fn split(&self, parts: usize) -> Result<Vec<Vec<u8>>> {
        let cut = |part| self.map.keys().nth(self.map.len() * part / parts).cloned();
        let mut keys: Vec<_> = (1..parts).filter_map(cut).collect();
        keys.dedup();
        Ok(keys)
    }
}

/// A table in a write transaction, as bytes.
#[derive(Debug)]
pub struct RawTableMut<'tx> {
    map: &'tx mut Map,
}

#[expect(missing_docs, reason = "stand-in")]
#[expect(clippy::missing_errors_doc, reason = "stand-in")]
impl<'tx> RawTableMut<'tx> {
    #[cfg(test)]
    pub(crate) fn over(map: &'tx mut Map) -> Self {
        RawTableMut { map }
    }

    fn read(&self) -> RawTable<'_> {
        RawTable { map: self.map }
    }

    pub fn name(&self) -> &str {
        "stand-in"
    }

    pub fn key_type(&self) -> &str {
        "bytes"
    }

    pub fn value_type(&self) -> &str {
        "bytes"
    }

    pub fn len(&self) -> u64 {
        self.read().len()
    }

    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<&[u8]>> {
        self.read().get(key)
    }

    pub fn contains(&self, key: &[u8]) -> Result<bool> {
        self.read().contains(key)
    }

    pub fn first(&self) -> Result<Option<RawEntry<'_>>> {
        self.read().first()
    }

    pub fn last(&self) -> Result<Option<RawEntry<'_>>> {
        self.read().last()
    }

    pub fn nth(&self, index: u64) -> Result<Option<RawEntry<'_>>> {
        self.read().nth(index)
    }

    pub fn rank(&self, key: &[u8]) -> Result<u64> {
        self.read().rank(key)
    }

    pub fn count(&self, range: RawBounds<'_>) -> Result<u64> {
        self.read().count(range)
    }

    pub fn range(&self, range: RawBounds<'_>) -> Result<RawRange<'_>> {
        self.read().range(range)
    }

    pub fn split(&self, parts: usize) -> Result<Vec<Vec<u8>>> {
        self.read().split(parts)
    }

    pub fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<bool> {
        Ok(self.replace(key, value)?.is_some())
    }

    pub fn remove(&mut self, key: &[u8]) -> Result<bool> {
        Ok(self.take(key)?.is_some())
    }

    pub fn replace(&mut self, key: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.map.insert(key.to_vec(), value.to_vec()))
    }

    pub fn take(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.map.remove(key))
    }

    pub fn remove_range(&mut self, range: RawBounds<'_>) -> Result<u64> {
        let keys: Vec<_> = self.map.range::<[u8], _>(range).map(|(key, _)| key.clone()).collect();
        keys.iter().for_each(|key| drop(self.map.remove(key)));
        Ok(count(keys.len()))
    }

    pub fn clear(&mut self) -> Result<u64> {
        self.remove_range((Bound::Unbounded, Bound::Unbounded))
    }
}

/// The entries of a range, as bytes.
#[derive(Debug)]
pub struct RawRange<'tx> {
    entries: btree_map::Range<'tx, Vec<u8>, Vec<u8>>,
}

impl<'tx> Iterator for RawRange<'tx> {
    type Item = Result<RawEntry<'tx>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.entries.next().map(|found| Ok(entry(found)))
    }
}

impl DoubleEndedIterator for RawRange<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.entries.next_back().map(|found| Ok(entry(found)))
    }
}

impl FusedIterator for RawRange<'_> {}
