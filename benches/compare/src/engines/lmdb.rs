//! LMDB, through heed.

#![expect(unsafe_code, reason = "the contract of a mapped file, and of NOSYNC")]

use std::ops::Bound;
use std::path::Path;

use anyhow::{Context, Result};
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, PutFlags, RoTxn, RwTxn, WithTls};

use super::package_version;
use crate::data::to_usize;
use crate::engine::{Durability, Engine, Options, Reader, Session, Writer, see_each};

type Table = Database<'static, Bytes, Bytes>;

pub(crate) struct Lmdb {
    env: Env<WithTls>,
    table: Table,
}

pub(crate) struct LmdbSession<'e>(&'e Lmdb);
pub(crate) struct LmdbReader<'t>(RoTxn<'t, WithTls>, Table);
pub(crate) struct LmdbWriter<'t>(RwTxn<'t>, Table);

impl Engine for Lmdb {
    const NAME: &'static str = "lmdb";
    const SETTINGS: &'static str = "default flags; map 16 GiB; 4 KiB pages; the unnamed database; readers in \
        thread-local slots; buffered = MDB_NOSYNC; sorted loads with MDB_APPEND where the row says append";

    type Session<'e> = LmdbSession<'e>;

    fn open(dir: &Path, options: &Options) -> Result<Self> {
        let mut open = EnvOpenOptions::new();
        open.map_size(16 << 30);
        if options.durability == Durability::Buffered {
            // SAFETY: nobody cuts the power here, so the order of the writes does not matter.
            unsafe { open.flags(EnvFlags::NO_SYNC) };
        }
        if options.larger_than_memory {
            // SAFETY: an advice to the system.
            unsafe { open.flags(EnvFlags::NO_READ_AHEAD) };
        }
        // SAFETY: the folder is this process's alone, on a local disk.
        let env = unsafe { open.open(dir)? };
        let opened = env.open_databases_and_commit(env.read_txn()?, |opener, tx| {
            opener.open_database(tx, None).map(CommitOrAbort::<_, ()>::Commit)
        });
        let table = opened?.commit().flatten().context("no unnamed database")?;
        Ok(Lmdb { env, table })
    }

    fn session(&self) -> Result<LmdbSession<'_>> {
        Ok(LmdbSession(self))
    }

    fn live_bytes(&self) -> Result<Option<u64>> {
        let stat = self.table.stat(&*self.env.read_txn()?)?;
        let pages = stat.branch_pages + stat.leaf_pages + stat.overflow_pages + 2;
        Ok(Some(pages as u64 * u64::from(stat.page_size)))
    }

    fn close(self) -> Result<()> {
        self.env.prepare_for_closing().wait();
        Ok(())
    }

    fn version() -> String {
        let lmdb = heed::lmdb_version();
        format!("LMDB {}.{}.{} (heed {})", lmdb.major, lmdb.minor, lmdb.patch, package_version("heed"))
    }
}

impl Session for LmdbSession<'_> {
    type Reader<'t> = LmdbReader<'t>;
    type Writer<'t> = LmdbWriter<'t>;

    #[inline]
    fn read<T>(&mut self, body: impl FnOnce(&mut LmdbReader<'_>) -> Result<T>) -> Result<T> {
        body(&mut LmdbReader(self.0.env.read_txn()?, self.0.table))
    }

    #[inline]
    fn write<T>(&mut self, body: impl FnOnce(&mut LmdbWriter<'_>) -> Result<T>) -> Result<T> {
        let mut writer = LmdbWriter(self.0.env.write_txn()?, self.0.table);
        let result = body(&mut writer)?;
        writer.0.commit()?;
        Ok(result)
    }
}

impl Reader for LmdbReader<'_> {
    #[inline]
    fn get(&mut self, key: &[u8], see: impl FnOnce(&[u8])) -> Result<bool> {
        Ok(self.1.get(&self.0, key)?.map(see).is_some())
    }

    #[inline]
    fn range(&mut self, from: &[u8], limit: u64, mut see: impl FnMut(&[u8], &[u8])) -> Result<u64> {
        let entries = self.1.range(&self.0, &(Bound::Included(from), Bound::Unbounded))?;
        see_each(entries.take(to_usize(limit)), |(key, value)| see(key, value))
    }

    #[inline]
    fn scan(&mut self, mut see: impl FnMut(&[u8], &[u8])) -> Result<u64> {
        see_each(self.1.iter(&self.0)?, |(key, value)| see(key, value))
    }
}

impl Writer for LmdbWriter<'_> {
    #[inline]
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.1.put(&mut self.0, key, value)?)
    }

    #[inline]
    fn append(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.1.put_with_flags(&mut self.0, PutFlags::APPEND, key, value)?)
    }

    #[inline]
    fn remove(&mut self, key: &[u8]) -> Result<()> {
        self.1.delete(&mut self.0, key)?;
        Ok(())
    }
}
