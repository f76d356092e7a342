//! Folio: a memory-mapped, embedded, transactional key-value database.

mod btree;
mod error;
mod page;
mod pager;
mod storage;

pub use error::{Error, Result};
