//! Folio, with its default options.

#![expect(unsafe_code, reason = "the contract of a mapped file")]

use std::path::Path;

use anyhow::Result;
use folio::{Advice, Database, ReadTable, Table, TableMut};

use super::package_version;
use crate::data::to_usize;
use crate::engine::{Durability, Engine, Options, Reader, Session, Writer, see_each};

const TABLE: Table<&[u8], &[u8]> = Table::new("data");

pub(crate) struct Folio {
    db: Database,
    durability: folio::Durability,
}

pub(crate) struct FolioSession<'e>(&'e Folio);
pub(crate) struct FolioReader<'t>(ReadTable<'t, &'static [u8], &'static [u8]>);
pub(crate) struct FolioWriter<'t>(TableMut<'t, &'static [u8], &'static [u8]>);

impl Engine for Folio {
    const NAME: &'static str = "folio";
    const SETTINGS: &'static str = "default options: 4 KiB pages; buffered = Durability::Buffered; sorted \
        loads with append where the row says append; one table of bytes, opened by name in every transaction";

    type Session<'e> = FolioSession<'e>;

    fn open(dir: &Path, options: &Options) -> Result<Self> {
        let mut open = Database::options();
        open.create(true);
        if options.larger_than_memory {
            open.advice(Advice::Random);
        }
        // SAFETY: the folder is this process's alone, on a local disk.
        let db = unsafe { open.open(dir.join("data.folio"))? };
        let durability = match options.durability {
            Durability::Durable => folio::Durability::Immediate,
            Durability::Buffered => folio::Durability::Buffered,
        };
        Ok(Folio { db, durability })
    }

    fn session(&self) -> Result<FolioSession<'_>> {
        Ok(FolioSession(self))
    }

    fn live_bytes(&self) -> Result<Option<u64>> {
        let stats = self.db.stats()?;
        let pages = stats.header_pages + stats.branch_pages + stats.leaf_pages + stats.overflow_pages;
        Ok(Some(pages * u64::from(stats.page_size)))
    }

    fn close(self) -> Result<()> {
        Ok(self.db.close()?)
    }

    fn version() -> String {
        format!("folio {}", package_version("folio"))
    }
}

impl Session for FolioSession<'_> {
    type Reader<'t> = FolioReader<'t>;
    type Writer<'t> = FolioWriter<'t>;

    #[inline]
    fn read<T>(&mut self, body: impl FnOnce(&mut FolioReader<'_>) -> Result<T>) -> Result<T> {
        let tx = self.0.db.begin_read()?;
        let table = tx.open(TABLE)?;
        body(&mut FolioReader(table))
    }

    #[inline]
    fn write<T>(&mut self, body: impl FnOnce(&mut FolioWriter<'_>) -> Result<T>) -> Result<T> {
        let mut tx = self.0.db.begin_write()?;
        tx.set_durability(self.0.durability);
        let result = body(&mut FolioWriter(tx.open(TABLE)?))?;
        tx.commit()?;
        Ok(result)
    }
}

impl Reader for FolioReader<'_> {
    #[inline]
    fn get(&mut self, key: &[u8], see: impl FnOnce(&[u8])) -> Result<bool> {
        Ok(self.0.get(key)?.map(see).is_some())
    }

    #[inline]
    fn get_many<K: AsRef<[u8]>>(&mut self, keys: &[K], mut see: impl FnMut(&[u8])) -> Result<u64> {
        let mut found = 0;
        for value in self.0.get_many(keys.iter().map(AsRef::as_ref)) {
            if let Some(value) = value? {
                see(value);
                found += 1;
            }
        }
        Ok(found)
    }

    #[inline]
    fn range(&mut self, from: &[u8], limit: u64, mut see: impl FnMut(&[u8], &[u8])) -> Result<u64> {
        let entries = self.0.range(from..)?.take(to_usize(limit));
        see_each(entries, |(key, value)| see(&key, value))
    }

    #[inline]
    fn scan(&mut self, mut see: impl FnMut(&[u8], &[u8])) -> Result<u64> {
        see_each(self.0.iter()?, |(key, value)| see(&key, value))
    }
}

impl Writer for FolioWriter<'_> {
    #[inline]
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.0.insert(key, value)?;
        Ok(())
    }

    #[inline]
    fn append(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.0.append(key, value)?)
    }

    #[inline]
    fn remove(&mut self, key: &[u8]) -> Result<()> {
        self.0.remove(key)?;
        Ok(())
    }
}
