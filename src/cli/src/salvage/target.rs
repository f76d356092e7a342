//! The new database: tables with what was found.
//!
//! It has another name until it is whole: half of what could be read would be taken for all of it.

use std::ffi::OsString;
use std::fs;
use std::io;
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
    // Behind the database, which is closed before its file is removed.
    file: Unfinished,
}

/// The file as long as it has no name of its own. Dropping it removes it.
struct Unfinished {
    /// What it will be named.
    to: PathBuf,
    path: PathBuf,
}

impl Unfinished {
    fn beside(to: &Path) -> Result<Unfinished, Failure> {
        // What is there is told at once, whatever it is.
        if to.symlink_metadata().is_ok() {
            return Err(folio::Error::AlreadyExists { path: to.to_owned() }.into());
        }
        let number =
            |number: u32| to.with_file_name(format!(".folio-salvage-{}-{number}", std::process::id()));
        let mut names = (0..u32::MAX).map(number);
        let free =
            names.find(|path| path.symlink_metadata().is_err() && lock_of(path).symlink_metadata().is_err());
        let path = free.ok_or_else(|| Failure::Message("no name is free for the new file".to_owned()))?;
        Ok(Unfinished { to: to.to_owned(), path })
    }

    /// Gives it its name, which nobody else has taken meanwhile.
    fn publish(self) -> Result<(), Failure> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => folio::Error::AlreadyExists { path: self.to.clone() }.into(),
            _ => Failure::Input { name: self.to.display().to_string(), source },
        };
        match fs::hard_link(&self.path, &self.to) {
            // Where a file has one name only, a moment is left in which somebody could take it.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                if self.to.symlink_metadata().is_ok() {
                    return Err(failed(io::ErrorKind::AlreadyExists.into()));
                }
                fs::rename(&self.path, &self.to).map_err(failed)?;
            }
            linked => linked.map_err(failed)?,
        }
        let to = self.to.clone();
        drop(self);
        sync_folder_of(&to).map_err(|source| Failure::Input { name: to.display().to_string(), source })
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        for path in [&self.path, &lock_of(&self.path)] {
            // It stays if it cannot be removed: an error that led here is told.
            let _ = fs::remove_file(path);
        }
    }
}

fn lock_of(path: &Path) -> PathBuf {
    let mut lock: OsString = path.as_os_str().to_owned();
    lock.push("-lock");
    PathBuf::from(lock)
}

/// So that a name lasts.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match cfg!(unix) {
        true => fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all(),
        // Other systems do not open folders.
        false => Ok(()),
    }
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
        let file = Unfinished::beside(path)?;
        Ok(Target { db: open::new(&file.path, page_size)?, tx: None, bytes: 0, file })
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

    /// All of it is on the disk, and has its name.
    pub(super) fn close(mut self) -> Result<(), Failure> {
        self.commit()?;
        self.db.close()?;
        self.file.publish()
    }
}
