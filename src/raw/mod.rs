//! Tables as bytes: what the typed tables are made of, and what the tool lives on.
//!
//! No types are checked here; a table says which ones it was made with.

mod changes;
mod open;
mod read;
mod write;

use std::borrow::Cow;
use std::iter::FusedIterator;
use std::ops::Bound;

use crate::btree;
use crate::error::Result;

pub use changes::{Change, RawChange, RawChanges};
pub(crate) use open::{OpenTables, TableState};
pub use read::RawTable;
pub use write::RawTableMut;

/// A key and its value, as bytes. The key is put together where its page stores a common prefix once; the
/// value is where it is in the file.
pub type RawEntry<'a> = (Cow<'a, [u8]>, &'a [u8]);

/// A range of keys, as bytes.
pub type RawBounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// The entries of a range, in the order of their keys, from both ends.
///
/// After the last entry, and after an error, there is nothing more.
#[derive(Debug)]
pub struct RawRange<'a> {
    inner: btree::Range<'a>,
}

impl<'a> RawRange<'a> {
    /// The next entry, its key in two parts.
    #[inline]
    pub(crate) fn next_in_parts(&mut self) -> Option<Result<btree::Entry<'a>>> {
        self.inner.next_entry()
    }

    /// The next entry from the back, its key in two parts.
    #[inline]
    pub(crate) fn next_back_in_parts(&mut self) -> Option<Result<btree::Entry<'a>>> {
        self.inner.next_back_entry()
    }
}

/// The entry with its key put together.
#[inline]
fn whole(entry: btree::Entry<'_>) -> RawEntry<'_> {
    (entry.key(), entry.value)
}

impl<'a> Iterator for RawRange<'a> {
    type Item = Result<RawEntry<'a>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.next_in_parts().map(|found| found.map(whole))
    }
}

impl DoubleEndedIterator for RawRange<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.next_back_in_parts().map(|found| found.map(whole))
    }
}

impl FusedIterator for RawRange<'_> {}
