//! Folio: a memory-mapped, embedded, transactional key-value database.

mod error;

pub use error::{Error, Result};
