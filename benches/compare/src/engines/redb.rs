//! redb.

use std::path::Path;

use anyhow::Result;
use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTable, Table, TableDefinition};

use super::{CACHE_BYTES, package_version};
use crate::data::to_usize;
use crate::engine::{Durability, Engine, Options, Reader, Session, Writer, see_each};

const TABLE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("data");

pub(crate) struct Redb {
    db: Database,
    durability: redb::Durability,
}

pub(crate) struct RedbSession<'e>(&'e Redb);
pub(crate) struct RedbReader(ReadOnlyTable<&'static [u8], &'static [u8]>);
pub(crate) struct RedbWriter<'t>(Table<'t, &'static [u8], &'static [u8]>);

impl Engine for Redb {
    const NAME: &'static str = "redb";
    const SETTINGS: &'static str = "cache 4 GiB; one-phase commits, as is the default; buffered = \
        Durability::None; one table of bytes, opened by name in every transaction";

    type Session<'e> = RedbSession<'e>;

    fn open(dir: &Path, options: &Options) -> Result<Self> {
        let cache = to_usize(options.cache_bytes.unwrap_or(CACHE_BYTES));
        let db = Database::builder().set_cache_size(cache).create(dir.join("data.redb"))?;
        let durability = match options.durability {
            Durability::Durable => redb::Durability::Immediate,
            Durability::Buffered => redb::Durability::None,
        };
        Ok(Redb { db, durability })
    }

    fn session(&self) -> Result<RedbSession<'_>> {
        Ok(RedbSession(self))
    }

    fn live_bytes(&self) -> Result<Option<u64>> {
        let stats = self.db.begin_write()?.stats()?;
        Ok(Some(stats.stored_bytes() + stats.metadata_bytes() + stats.fragmented_bytes()))
    }

    fn close(self) -> Result<()> {
        Ok(())
    }

    fn version() -> String {
        format!("redb {}", package_version("redb"))
    }
}

impl Session for RedbSession<'_> {
    type Reader<'t> = RedbReader;
    type Writer<'t> = RedbWriter<'t>;

    #[inline]
    fn read<T>(&mut self, body: impl FnOnce(&mut RedbReader) -> Result<T>) -> Result<T> {
        let tx = self.0.db.begin_read()?;
        body(&mut RedbReader(tx.open_table(TABLE)?))
    }

    #[inline]
    fn write<T>(&mut self, body: impl FnOnce(&mut RedbWriter<'_>) -> Result<T>) -> Result<T> {
        let mut tx = self.0.db.begin_write()?;
        tx.set_durability(self.0.durability)?;
        let result = body(&mut RedbWriter(tx.open_table(TABLE)?))?;
        tx.commit()?;
        Ok(result)
    }
}

impl Reader for RedbReader {
    #[inline]
    fn get(&mut self, key: &[u8], see: impl FnOnce(&[u8])) -> Result<bool> {
        Ok(self.0.get(key)?.map(|value| see(value.value())).is_some())
    }

    #[inline]
    fn range(&mut self, from: &[u8], limit: u64, mut see: impl FnMut(&[u8], &[u8])) -> Result<u64> {
        let entries = ReadableTable::range::<&[u8]>(&self.0, from..)?.take(to_usize(limit));
        see_each(entries, |(key, value)| see(key.value(), value.value()))
    }

    #[inline]
    fn scan(&mut self, mut see: impl FnMut(&[u8], &[u8])) -> Result<u64> {
        see_each(self.0.iter()?, |(key, value)| see(key.value(), value.value()))
    }
}

impl Writer for RedbWriter<'_> {
    #[inline]
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.0.insert(key, value)?;
        Ok(())
    }

    #[inline]
    fn remove(&mut self, key: &[u8]) -> Result<()> {
        self.0.remove(key)?;
        Ok(())
    }
}
