//! fjall: a log-structured merge tree, for contrast.

use std::path::Path;

use anyhow::Result;
use fjall::{
    Guard, KeyspaceCreateOptions, KvSeparationOptions, PersistMode, Readable, SingleWriterTxDatabase,
    SingleWriterTxKeyspace, SingleWriterWriteTx, Snapshot,
};

use super::{CACHE_BYTES, package_version};
use crate::data::to_usize;
use crate::engine::{Durability, Engine, Options, Reader, Session, Writer, see_each};

pub(crate) struct Fjall {
    db: SingleWriterTxDatabase,
    table: SingleWriterTxKeyspace,
    persist: PersistMode,
}

pub(crate) struct FjallSession<'e>(&'e Fjall);
pub(crate) struct FjallReader<'t>(Snapshot, &'t SingleWriterTxKeyspace);
pub(crate) struct FjallWriter<'t>(SingleWriterWriteTx<'t>, &'t SingleWriterTxKeyspace);

impl Engine for Fjall {
    const NAME: &'static str = "fjall";
    const SETTINGS: &'static str = "SingleWriterTxDatabase; cache 4 GiB; LZ4, as is the default; durable = \
        PersistMode::SyncData, buffered = PersistMode::Buffer, as is the default; values of 1 MiB in its \
        store for large values; its background threads count as CPU time";

    type Session<'e> = FjallSession<'e>;

    fn open(dir: &Path, options: &Options) -> Result<Self> {
        let cache = options.cache_bytes.unwrap_or(CACHE_BYTES);
        let db = SingleWriterTxDatabase::builder(dir).cache_size(cache).open()?;
        let table = db.keyspace("data", || {
            let keyspace = KeyspaceCreateOptions::default();
            if options.large_values {
                return keyspace.with_kv_separation(Some(KvSeparationOptions::default()));
            }
            keyspace
        })?;
        let persist = match options.durability {
            Durability::Durable => PersistMode::SyncData,
            Durability::Buffered => PersistMode::Buffer,
        };
        Ok(Fjall { db, table, persist })
    }

    fn session(&self) -> Result<FjallSession<'_>> {
        Ok(FjallSession(self))
    }

    fn close(self) -> Result<()> {
        Ok(())
    }

    fn version() -> String {
        format!("fjall {} (lsm-tree {})", package_version("fjall"), package_version("lsm-tree"))
    }
}

impl Session for FjallSession<'_> {
    type Reader<'t> = FjallReader<'t>;
    type Writer<'t> = FjallWriter<'t>;

    #[inline]
    fn read<T>(&mut self, body: impl FnOnce(&mut FjallReader<'_>) -> Result<T>) -> Result<T> {
        body(&mut FjallReader(self.0.db.read_tx(), &self.0.table))
    }

    #[inline]
    fn write<T>(&mut self, body: impl FnOnce(&mut FjallWriter<'_>) -> Result<T>) -> Result<T> {
        let tx = self.0.db.write_tx().durability(Some(self.0.persist));
        let mut writer = FjallWriter(tx, &self.0.table);
        let result = body(&mut writer)?;
        writer.0.commit()?;
        Ok(result)
    }
}

impl Reader for FjallReader<'_> {
    #[inline]
    fn get(&mut self, key: &[u8], see: impl FnOnce(&[u8])) -> Result<bool> {
        Ok(self.0.get(self.1, key)?.map(|value| see(&value)).is_some())
    }

    #[inline]
    fn range(&mut self, from: &[u8], limit: u64, mut see: impl FnMut(&[u8], &[u8])) -> Result<u64> {
        let entries = self.0.range(self.1, from..).map(Guard::into_inner);
        see_each(entries.take(to_usize(limit)), |(key, value)| see(&key, &value))
    }

    #[inline]
    fn scan(&mut self, mut see: impl FnMut(&[u8], &[u8])) -> Result<u64> {
        see_each(self.0.iter(self.1).map(Guard::into_inner), |(key, value)| see(&key, &value))
    }
}

impl Writer for FjallWriter<'_> {
    #[inline]
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.0.insert(self.1, key, value);
        Ok(())
    }

    #[inline]
    fn remove(&mut self, key: &[u8]) -> Result<()> {
        self.0.remove(self.1, key);
        Ok(())
    }
}
