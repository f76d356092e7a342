//! Folio: a memory-mapped, embedded, transactional key-value database.

mod error;
mod storage;

pub use error::{Error, Result};
