//! The new database: tables with what was found.

use std::path::{Path, PathBuf};

use folio::{Database, Durability, WriteTransaction};

use super::source::{Content, Source};
use crate::failure::Failure;
use crate::open;

/// A transaction takes so many bytes.
const BATCH: usize = 32 << 20;

/// See the module.
pub(super) struct Target {
    db: Database,
    tx: Option<WriteTransaction>,
    bytes: usize,
}

/// What became of the entries of a leaf.
#[derive(Debug, Default)]
pub(super) struct Put {
    /// Entries that are there now.
    pub(super) entries: u64,
    /// Those among them whose key was there before.
    pub(super) again: u64,
    /// Keys whose value lies outside the leaf and is damaged.
    pub(super) lost: Vec<Vec<u8>>,
}

impl Target {
    pub(super) fn create(path: &Path, page_size: u32) -> Result<Target, Failure> {
        Ok(Target { db: open::new(path, page_size)?, tx: None, bytes: 0 })
    }

    /// Takes away what was begun.
    pub(super) fn discard(path: &Path) {
        let mut lock = path.as_os_str().to_owned();
        lock.push("-lock");
        for path in [path.to_owned(), PathBuf::from(lock)] {
            // It stays if it cannot be removed: the error that led here is told.
            let _ = std::fs::remove_file(path);
        }
    }

    fn tx(&mut self) -> Result<&WriteTransaction, Failure> {
        if self.bytes > BATCH {
            self.commit()?;
        }
        if self.tx.is_none() {
            let mut tx = self.db.begin_write()?;
            tx.set_durability(Durability::Buffered);
            (self.tx, self.bytes) = (Some(tx), 0);
        }
        self.tx.as_ref().ok_or_else(|| Failure::Message("no transaction".to_owned()))
    }

    fn commit(&mut self) -> Result<(), Failure> {
        if let Some(tx) = self.tx.take() {
            tx.commit()?;
        }
        Ok(())
    }

    /// Makes a table; whether it can have that name.
    pub(super) fn make(&mut self, name: &str, key_type: &str, value_type: &str) -> Result<bool, Failure> {
        match self.tx()?.create_raw(name, key_type, value_type) {
            Ok(_) => Ok(true),
            Err(folio::Error::TableName { .. } | folio::Error::TableTypeMismatch { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts the entries of a leaf into a table. What is there with the same key is replaced.
    pub(super) fn put(
        &mut self,
        table: &str,
        entries: &[(Vec<u8>, Content)],
        source: &mut Source,
    ) -> Result<Put, Failure> {
        let (mut done, mut bytes) = (Put::default(), 0);
        {
            let mut table = self.tx()?.open_raw(table)?;
            for (key, content) in entries {
                let was_there = match content {
                    Content::Inline(value) => {
                        bytes += key.len() + value.len();
                        table.insert(key, value)?
                    }
                    Content::Run(run) => match source.value(run)? {
                        Some(value) => {
                            bytes += key.len() + value.len();
                            table.insert(key, &value)?
                        }
                        None => {
                            done.lost.push(key.clone());
                            continue;
                        }
                    },
                };
                done.entries += 1;
                done.again += u64::from(was_there);
            }
        }
        self.bytes += bytes;
        Ok(done)
    }

    /// All of it is on the disk.
    pub(super) fn close(mut self) -> Result<(), Failure> {
        self.commit()?;
        Ok(self.db.close()?)
    }
}
