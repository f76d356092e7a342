//! `Changes`: what changed in a table between two snapshots, as an iterator.

use std::fmt;
use std::iter::FusedIterator;
use std::marker::PhantomData;

use crate::error::Result;
use crate::raw::{Change, RawChange, RawChanges};
use crate::types::{Key, Value};

/// What changed in a table between two snapshots, in the order of the keys.
///
/// Made by [`ReadTable::changes_since`](crate::ReadTable::changes_since). Items are `Result`s, because a page
/// may turn out to be damaged when it is first touched, and stored bytes not to be of the table's type; after
/// an error the iterator is done.
pub struct Changes<'a, K, V> {
    /// `None` if there is nothing to yield, or nothing more after an error.
    raw: Option<RawChanges<'a>>,
    types: PhantomData<fn() -> (K, V)>,
}

/// A typed change.
type Typed<'a, K, V> = Change<<K as Key>::Item<'a>, <V as Value>::Ref<'a>>;

impl<K: Key, V: Value> Changes<'_, K, V> {
    pub(super) fn new(raw: Option<RawChanges<'_>>) -> Changes<'_, K, V> {
        Changes { raw, types: PhantomData }
    }
}

impl<'a, K: Key, V: Value> Iterator for Changes<'a, K, V> {
    type Item = Result<Typed<'a, K, V>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let typed = self.raw.as_mut()?.next()?.and_then(decode_change::<K, V>);
        if typed.is_err() {
            self.raw = None;
        }
        Some(typed)
    }
}

impl<K: Key, V: Value> FusedIterator for Changes<'_, K, V> {}

impl<K, V> fmt::Debug for Changes<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("raw", &self.raw).finish_non_exhaustive()
    }
}

/// Reads a change as its types.
fn decode_change<K: Key, V: Value>(raw: RawChange<'_>) -> Result<Typed<'_, K, V>> {
    Ok(Change {
        key: K::decode(raw.key)?,
        before: raw.before.map(V::decode).transpose()?,
        after: raw.after.map(V::decode).transpose()?,
    })
}
