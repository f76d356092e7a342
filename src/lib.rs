//! Folio: a memory-mapped, embedded, transactional key-value database.

mod btree;
mod error;
mod page;
mod pager;

pub use error::{Error, Result};
