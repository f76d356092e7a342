//! `GetMany`: look-ups of many keys, several at once.

use std::fmt;
use std::iter::FusedIterator;
use std::marker::PhantomData;

use crate::btree::LANES;
use crate::error::{Error, Result};
use crate::raw::RawTable;
use crate::types::{AsKey, Key, Value};

/// The values of many keys, in the order of the keys.
///
/// Made by [`ReadTable::get_many`](crate::ReadTable::get_many). It takes several keys ahead from the iterator
/// that it was made of. After an error there is nothing more.
pub struct GetMany<'tx, K, V, I> {
    /// `None` if the table does not exist.
    raw: Option<RawTable<'tx>>,
    keys: I,
    /// What was found for the keys that were taken ahead: the results from `next` to `end` are still to come.
    found: [Option<&'tx [u8]>; LANES],
    next: usize,
    end: usize,
    /// What comes behind them instead of more.
    failed: Option<Error>,
    done: bool,
    types: PhantomData<fn() -> (K, V)>,
}

impl<'tx, K: Key, V: Value, I: Iterator<Item: AsKey<K>>> GetMany<'tx, K, V, I> {
    pub(super) fn new(raw: Option<RawTable<'tx>>, keys: I) -> Self {
        let found = [None; LANES];
        GetMany { raw, keys, found, next: 0, end: 0, failed: None, done: false, types: PhantomData }
    }

    /// Takes keys ahead and looks them up.
    fn look_up(&mut self) {
        let taken: [Option<I::Item>; LANES] = std::array::from_fn(|_| self.keys.next());
        let encoded = taken.each_ref().map(|key| key.as_ref().map(AsKey::key_bytes));
        let mut keys = [&[][..]; LANES];
        let mut count = 0;
        for (slice, key) in keys.iter_mut().zip(encoded.iter().flatten()) {
            *slice = key.as_ref();
            count += 1;
        }
        let keys = &keys[..count];
        (self.next, self.end) = (0, count);
        self.done = count < LANES;
        let Some(raw) = &self.raw else { return };
        match raw.get_lanes(keys) {
            Ok(found) => self.found = found,
            Err(_) => self.look_up_singly(keys),
        }
    }

    /// One of the keys leads to a damaged page: those before it have their values all the same.
    #[cold]
    fn look_up_singly(&mut self, keys: &[&[u8]]) {
        let Some(raw) = &self.raw else { return };
        for (i, key) in keys.iter().enumerate() {
            match raw.get(key) {
                Ok(found) => self.found[i] = found,
                Err(error) => {
                    (self.end, self.failed, self.done) = (i, Some(error), true);
                    return;
                }
            }
        }
    }
}

impl<'tx, K: Key, V: Value, I: Iterator<Item: AsKey<K>>> Iterator for GetMany<'tx, K, V, I> {
    type Item = Result<Option<V::Ref<'tx>>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.end && !self.done {
            self.look_up();
        }
        if self.next == self.end {
            return self.failed.take().map(Err);
        }
        let value = self.found[self.next].map(V::decode).transpose();
        self.next += 1;
        if value.is_err() {
            (self.end, self.failed, self.done) = (self.next, None, true);
        }
        Some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let ahead = self.end - self.next;
        match self.done {
            // An error may have ended it before.
            true => (ahead, Some(ahead + usize::from(self.failed.is_some()))),
            false => (0, self.keys.size_hint().1.and_then(|keys| keys.checked_add(ahead))),
        }
    }
}

impl<K: Key, V: Value, I: Iterator<Item: AsKey<K>>> FusedIterator for GetMany<'_, K, V, I> {}

impl<K, V, I> fmt::Debug for GetMany<'_, K, V, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetMany").field("raw", &self.raw).field("done", &self.done).finish_non_exhaustive()
    }
}
