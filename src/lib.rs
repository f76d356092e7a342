//! Folio is a memory-mapped, embedded, transactional key-value database: an ordered, copy-on-write B+tree in
//! one file, which an application opens as a library.
//!
//! # A short tour
//!
//! A [`Table`] is a constant: a name, and the types of keys and values, which the file records and checks. A
//! [`WriteTransaction`] changes tables, one at a time per database; a [`ReadTransaction`] is a snapshot, and
//! waits for nobody. What is read borrows from the transaction, straight out of the mapping: no copies, no
//! guards.
//!
//! ```
//! use folio::{Database, Durability, Table};
//!
//! const WORDS: Table<&str, u64> = Table::new("words");
//! const LINKS: Table<(&str, u32), &[u8]> = Table::new("links");
//!
//! let db = Database::in_memory()?; // or, for a file, `unsafe { Database::open(path)? }`
//!
//! // A closure in a transaction: committed on `Ok`, nothing changed on `Err`.
//! db.write(|tx| tx.open(WORDS)?.insert("folio", 1))?;
//!
//! // Or step by step. Several tables may be open at once.
//! let mut tx = db.begin_write()?;
//! {
//!     let mut words = tx.open(WORDS)?;
//!     let mut links = tx.open(LINKS)?;
//!     assert!(!words.insert("leaf", 2)?); // nothing was replaced
//!     assert_eq!(words.replace("leaf", 3)?, Some(2));
//!     links.insert(("leaf", 7), b"page seven")?;
//!     links.insert(("leaf", 9), b"page nine")?;
//! }
//! tx.set_durability(Durability::Buffered); // the default waits for the disk
//! tx.commit()?;
//!
//! // A snapshot. Keys are in the order of their encoded bytes, which is the natural order of their types.
//! let tx = db.begin_read()?;
//! let words = tx.open(WORDS)?;
//! let leaf: Option<u64> = words.get("leaf")?;
//! assert_eq!((leaf, words.len()), (Some(3), 2));
//! for entry in words.range("a".."m")?.rev() {
//!     let (word, number) = entry?; // a damaged page is an error, never a panic
//!     println!("{word}: {number}");
//! }
//! // Counts stand in every branch: how many, which one, and where are O(log n).
//! assert_eq!((words.count("a".."g")?, words.rank("leaf")?), (1, 1));
//! assert_eq!(words.nth(0)?, Some(("folio".into(), 1)));
//! // The first components of a tuple are a prefix.
//! assert_eq!(tx.open(LINKS)?.prefix(("leaf",))?.count(), 2);
//! # Ok::<(), folio::Error>(())
//! ```
//!
//! Where to go on:
//! - [`Database`] opens, checks, compacts and measures; [`OpenOptions`] has what can be chosen, and sane
//!   defaults.
//! - [`types`] says what can be a key and a value, and how a type of your own becomes one.
//! - [`RawTable`] and [`RawTableMut`] are tables as bytes, for programs that learn the types at run time.
//! - [`enum@Error`] is the one error type: every variant says what happened, where, and what can be done.
//!
//! # Safety
//!
//! Opening a file is `unsafe`, because no library can keep others from changing a mapped file. While it is
//! open:
//! 1. nobody but Folio writes to the file or to its lock file, or truncates them;
//! 2. the file is on a local file system, whose page cache is coherent with its mappings.
//!
//! Everything else is safe, damaged files included; [`Database::in_memory`] and [`Database::temporary`] too.
//!
//! # Documents
//!
//! The modules `architecture` (how Folio is built, and why so) and `format` (what every byte of a file means)
//! exist in the documentation only: they are the repository's `docs/ARCHITECTURE.md` and `docs/FORMAT.md`.

mod btree;
mod catalog;
mod copy;
mod database;
mod error;
#[cfg(any(test, feature = "simulation"))]
#[doc(hidden)]
#[expect(clippy::unwrap_used, reason = "a target fails by panicking")]
pub mod fuzzing;
pub mod inspect;
mod instance;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
mod options;
mod page;
mod pager;
mod prefetch;
mod range;
mod raw;
mod reader;
mod short;
#[cfg(any(test, feature = "simulation"))]
#[cfg_attr(not(test), expect(dead_code, reason = "the tests use more of it than the fuzzers"))]
#[expect(clippy::unwrap_used, reason = "where the engine differs from its model, it panics")]
mod simulation;
mod storage;
mod table;
#[cfg(test)]
mod tests;
mod transaction;
pub mod types;

pub use copy::{CopyReport, SnapshotCopy};
pub use database::Database;
pub use error::{Error, Result};
pub use inspect::{CheckReport, CompactReport, Fault, Progress, Recovery, Stats, TableStats, Usage};
pub use options::{Advice, Durability, OpenOptions};
pub use range::{Entry, Range};
pub use raw::{Change, RawBounds, RawChange, RawChanges, RawEntry, RawRange, RawTable, RawTableMut};
pub use reader::Reader;
pub use table::{Changes, DynTable, GetMany, OwnedEntry, ReadTable, Table, TableDef, TableMut};
pub use transaction::{CommitInfo, ReadTransaction, TableInfo, WriteTransaction};
pub use types::{Key, Prefix, Value};

/// How Folio is built: `docs/ARCHITECTURE.md`.
#[cfg(all(doc, not(doctest)))]
#[doc = include_str!("../docs/ARCHITECTURE.md")]
pub mod architecture {}

/// What every byte of a file means: `docs/FORMAT.md`.
#[cfg(all(doc, not(doctest)))]
#[doc = include_str!("../docs/FORMAT.md")]
pub mod format {}

/// Its example is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
