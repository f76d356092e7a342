//! Folio: a memory-mapped, embedded, transactional key-value database.

mod error;
mod range;
mod raw;
mod table;
pub mod types;

pub use error::{Error, Result};
pub use range::{Entry, Range};
pub use raw::{RawBounds, RawEntry, RawRange, RawTable, RawTableMut};
pub use table::{DynTable, OwnedEntry, ReadTable, Table, TableDef, TableMut};
pub use types::{Key, Prefix, Value};
