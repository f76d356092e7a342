//! Folio: a memory-mapped, embedded, transactional key-value database.

mod btree;
mod catalog;
mod database;
mod error;
mod inspect;
mod options;
mod page;
mod pager;
mod range;
mod raw;
mod storage;
mod table;
mod transaction;
pub mod types;

pub use database::Database;
pub use error::{Error, Result};
pub use inspect::{CheckReport, CompactReport, Fault, Progress, Recovery, Stats, TableStats};
pub use options::{Advice, Durability, OpenOptions};
pub use range::{Entry, Range};
pub use raw::{RawBounds, RawEntry, RawRange, RawTable, RawTableMut};
pub use table::{DynTable, OwnedEntry, ReadTable, Table, TableDef, TableMut};
pub use transaction::{CommitInfo, ReadTransaction, TableInfo, WriteTransaction};
pub use types::{Key, Prefix, Value};
