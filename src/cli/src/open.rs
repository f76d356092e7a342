//! Opens the database of a command. The only unsafe code of the tool.
#![expect(unsafe_code, reason = "the contract of a mapped file")]

use std::path::{Path, PathBuf};

use clap::Args;
use folio::{Database, Error, OpenOptions};

use crate::failure::Failure;

/// The database of a command that reads what is in it.
#[derive(Debug, Args)]
pub(crate) struct ToRead {
    /// The database file
    db: PathBuf,
    /// Do without the lock file, on a read-only medium or where it is another user's. Only if nobody writes
    /// to the database while the command runs: else what it prints may be wrong, or it may crash
    // Behind the options of the command's own.
    #[arg(long, display_order = 100)]
    unlocked: bool,
}

impl ToRead {
    pub(crate) fn path(&self) -> &Path {
        &self.db
    }

    /// Opens it. The file must exist.
    pub(crate) fn open(&self) -> Result<Database, Failure> {
        if !self.unlocked {
            let advice = "with --unlocked this command reads a database that nobody writes to meanwhile";
            return open(Database::options().read_only(true), &self.db, advice);
        }
        // SAFETY: as in `open`; and that nobody writes is what the person says with `--unlocked`.
        match unsafe { Database::options().open_unlocked(&self.db) } {
            Err(error @ Error::Locked { .. }) => {
                Err(Failure::Message(format!("{error}: --unlocked is for a database that nobody has open")))
            }
            opened => Ok(opened?),
        }
    }
}

/// For a command that looks at what other processes do. The file must exist.
pub(crate) fn beside_others(path: &Path) -> Result<Database, Failure> {
    let advice = "who may not write it does not see what other processes do with the database";
    open(Database::options().read_only(true), path, advice)
}

/// For a command that changes what is there. The file must exist.
pub(crate) fn for_writing(path: &Path) -> Result<Database, Failure> {
    open(&Database::options(), path, WRITERS_NEED_IT)
}

/// For a command that brings something in. Creates the file if it does not exist, with pages of that size.
pub(crate) fn or_create(path: &Path, page_size: Option<u32>) -> Result<Database, Failure> {
    let mut options = Database::options();
    options.create(true);
    if let Some(bytes) = page_size {
        options.page_size(bytes);
    }
    open(&options, path, WRITERS_NEED_IT)
}

/// For a command that makes a new database. The file must not exist.
pub(crate) fn new(path: &Path, page_size: u32) -> Result<Database, Failure> {
    open(Database::options().create_new(true).page_size(page_size), path, WRITERS_NEED_IT)
}

const WRITERS_NEED_IT: &str = "who may not write it cannot change the database";

/// The advice is for who cannot have a lock file.
fn open(options: &OpenOptions, path: &Path, advice: &str) -> Result<Database, Failure> {
    // SAFETY: the tool itself only goes through the library, never writes the file another way, and `load`
    // skips it when it stands among its inputs. That no other program does is asked of the person in the
    // tool's help.
    match unsafe { options.open(path) } {
        Err(Error::NoLockFile { path, source }) => Err(Failure::Message(format!(
            "the lock file {} cannot be written ({source}): {advice}",
            path.display()
        ))),
        opened => Ok(opened?),
    }
}
