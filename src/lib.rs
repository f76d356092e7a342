//! Folio: a memory-mapped, embedded, transactional key-value database.

mod btree;
mod error;
mod page;
mod pager;
mod storage;
mod range;
mod raw;
mod table;
pub mod types;

pub use error::{Error, Result};
pub use range::{Entry, Range};
pub use raw::{RawBounds, RawEntry, RawRange, RawTable, RawTableMut};
pub use table::{DynTable, OwnedEntry, ReadTable, Table, TableDef, TableMut};
pub use types::{Key, Prefix, Value};
