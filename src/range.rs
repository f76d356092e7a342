//! `Range`: the entries of a range of keys, as a double-ended iterator.
//!
//! It relies on the raw range for order and ends, reads keys and values as their types, and guarantees that
//! nothing follows an error and that an inverted range is empty.

use std::fmt;
use std::iter::FusedIterator;
use std::marker::PhantomData;
use std::ops::Bound;

use crate::btree;
use crate::error::Result;
use crate::raw::{RawBounds, RawEntry, RawRange};
use crate::types::{Key, Value};

/// The entries of a range, in the order of their keys; from the back in the opposite order.
///
/// Made by `range`, `prefix`, `iter` and `split` of [`ReadTable`](crate::ReadTable) and
/// [`TableMut`](crate::TableMut). A step costs O(1). Items are `Result`s, because a page may turn out to be
/// damaged when it is first touched, and stored bytes not to be of the table's type; after an error the
/// iterator is done.
pub struct Range<'a, K, V> {
    /// `None` if there is nothing to yield, or nothing more after an error.
    raw: Option<RawRange<'a>>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<'a, K: Key, V: Value> Range<'a, K, V> {
    pub(crate) fn new(raw: Option<RawRange<'a>>) -> Self {
        Range { raw, types: PhantomData }
    }

    /// Types what the raw range yielded, and ends the iteration at an error.
    #[inline]
    fn typed(&mut self, entry: Option<Result<btree::Entry<'a>>>) -> Option<Result<Entry<'a, K, V>>> {
        let decode = |entry: btree::Entry<'a>| {
            Ok((K::decode_in_parts(entry.prefix, entry.suffix)?, V::decode(entry.value)?))
        };
        let typed = entry?.and_then(decode);
        if typed.is_err() {
            self.raw = None;
        }
        Some(typed)
    }
}

impl<'a, K: Key, V: Value> Iterator for Range<'a, K, V> {
    type Item = Result<Entry<'a, K, V>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.raw.as_mut()?.next_in_parts();
        self.typed(entry)
    }
}

impl<K: Key, V: Value> DoubleEndedIterator for Range<'_, K, V> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        let entry = self.raw.as_mut()?.next_back_in_parts();
        self.typed(entry)
    }
}

impl<K: Key, V: Value> FusedIterator for Range<'_, K, V> {}

impl<K, V> fmt::Debug for Range<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Range").field("raw", &self.raw).finish_non_exhaustive()
    }
}

/// A typed entry: key and value.
pub type Entry<'a, K, V> = (<K as Key>::Item<'a>, <V as Value>::Ref<'a>);

/// Reads an entry as its types.
#[inline]
pub(crate) fn decode_entry<K: Key, V: Value>((key, value): RawEntry<'_>) -> Result<Entry<'_, K, V>> {
    Ok((K::decode(key)?, V::decode(value)?))
}

/// Encoded bounds as slices. `None` if no key can lie between them, so that the raw layer never sees an
/// inverted range.
#[inline]
pub(crate) fn raw_bounds<B: AsRef<[u8]>>(bounds: &(Bound<B>, Bound<B>)) -> Option<RawBounds<'_>> {
    let (start, end) = (bounds.0.as_ref().map(B::as_ref), bounds.1.as_ref().map(B::as_ref));
    let empty = match (start, end) {
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (Bound::Included(start) | Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => {
            start >= end
        }
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
    };
    (!empty).then_some((start, end))
}
