//! Typed tables: how one is declared, and its read and write views.
//!
//! The views hold no state of their own: they encode what they are given, call the raw table, and read what
//! it returns.

mod changes;
mod many;
mod read;
mod write;

use std::fmt;
use std::marker::PhantomData;
use std::ops::Bound;
use std::sync::Arc;

use crate::error::Result;
use crate::range::Range;
use crate::raw::{RawBounds, RawRange};
use crate::types::{Key, Value};

pub use changes::Changes;
pub use many::GetMany;
pub use read::ReadTable;
pub use write::{OwnedEntry, TableMut};

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

/// The names that a table of these types has in the catalog: key type, value type.
pub(crate) fn type_names<K: Key, V: Value>() -> (String, String) {
    (K::NAME.to_string(), V::NAME.to_string())
}

/// Whether a table recorded with these names holds these types. Allocates nothing.
#[inline]
pub(crate) fn type_names_match<K: Key, V: Value>(key_type: &[u8], value_type: &[u8]) -> bool {
    K::NAME.is_in_bytes(key_type) && V::NAME.is_in_bytes(value_type)
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

#[cfg(test)]
mod tests;
