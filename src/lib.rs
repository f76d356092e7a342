//! Folio: a memory-mapped, embedded, transactional key-value database.

mod error;
mod page;

pub use error::{Error, Result};
