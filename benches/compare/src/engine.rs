//! What every engine must be able to do: the one interface that the workloads know.
//!
//! An engine is opened in a folder of its own and has one table, from bytes to bytes. Each thread asks it for
//! a session. Transactions are closures, so that an adapter may keep on the stack what its engine wants kept
//! alive: the transaction, its table, its cursor. Nothing here is boxed or called through a pointer: the
//! compiler makes the workloads anew for each engine.

use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

/// When a commit returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Durability {
    /// When a loss of power cannot take it back.
    Durable,
    /// At once. What a crash of the system then leaves differs: docs/BENCHMARKS.md.
    Buffered,
}

/// How an engine is opened. All else is its default, or in the adapter's `SETTINGS`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub durability: Durability,
    /// What an engine with a cache of its own may use for it; `None` leaves it what its adapter says.
    #[cfg_attr(
        not(any(feature = "redb", feature = "fjall", feature = "sqlite")),
        expect(dead_code, reason = "engines that map their files have no cache")
    )]
    pub cache_bytes: Option<u64>,
    /// Values are large: for engines that store such values apart if told so.
    #[cfg_attr(not(feature = "fjall"), expect(dead_code, reason = "only fjall wants to know"))]
    pub large_values: bool,
    /// The data is larger than memory, and is read at random: no read-ahead, as the manuals of engines that
    /// map their files advise.
    pub larger_than_memory: bool,
}

pub(crate) trait Engine: Sized + Sync {
    const NAME: &'static str;
    /// Settings that differ from the engine's defaults, and which defaults matter.
    const SETTINGS: &'static str;

    type Session<'e>: Session
    where
        Self: 'e;

    /// Opens the database in this folder, or makes it.
    fn open(dir: &Path, options: &Options) -> Result<Self>;

    /// What one thread works with.
    fn session(&self) -> Result<Self::Session<'_>>;

    /// Bytes of the pages that hold entries now, if the engine can tell.
    fn live_bytes(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Ends in good order.
    fn close(self) -> Result<()>;

    /// Name and version of the engine, as its own code or its package says.
    fn version() -> String;
}

pub(crate) trait Session {
    type Reader<'t>: Reader;
    type Writer<'t>: Writer;

    /// Runs `body` in a read transaction.
    fn read<T>(&mut self, body: impl FnOnce(&mut Self::Reader<'_>) -> Result<T>) -> Result<T>;

    /// Runs `body` in a write transaction, and commits it.
    fn write<T>(&mut self, body: impl FnOnce(&mut Self::Writer<'_>) -> Result<T>) -> Result<T>;
}

/// A snapshot. What is found is shown to a closure, because some engines lend it no longer than that.
pub(crate) trait Reader {
    /// Shows the value of a key, and says whether there is one.
    fn get(&mut self, key: &[u8], see: impl FnOnce(&[u8])) -> Result<bool>;

    /// Shows the values of several keys in their order, and says how many there are. Engines that have no
    /// such call get the keys one by one.
    fn get_many<K: AsRef<[u8]>>(&mut self, keys: &[K], mut see: impl FnMut(&[u8])) -> Result<u64> {
        let mut found = 0;
        for key in keys {
            found += u64::from(self.get(key.as_ref(), &mut see)?);
        }
        Ok(found)
    }

    /// Shows at most `limit` entries in order, the first one not below `from`, and says how many.
    fn range(&mut self, from: &[u8], limit: u64, see: impl FnMut(&[u8], &[u8])) -> Result<u64>;

    /// Shows all entries in order, and says how many.
    fn scan(&mut self, see: impl FnMut(&[u8], &[u8])) -> Result<u64>;
}

pub(crate) trait Writer {
    /// Inserts, or replaces the value.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()>;

    /// Inserts a key that is above all others, in the engine's mode for that if it has one.
    fn append(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.put(key, value)
    }

    fn remove(&mut self, key: &[u8]) -> Result<()>;
}

/// Shows each of these entries; how many there are.
#[inline]
pub(crate) fn see_each<E, X>(
    entries: impl Iterator<Item = Result<E, X>>,
    mut see: impl FnMut(E),
) -> Result<u64>
where
    anyhow::Error: From<X>,
{
    let mut seen = 0;
    for entry in entries {
        see(entry?);
        seen += 1;
    }
    Ok(seen)
}
