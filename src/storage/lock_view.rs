//! The lock file from outside: who is there, and what the words say, without being there.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::lock_file::{LOCKS, PRESENCE, PRESENCE_LEN, beside};
use super::meeting::BLOCKS;
use super::plain::PlainFile;
use super::sys::{self, RangeLock};
use super::words::BLOCK_WORDS;
use crate::error::{Error, Result};

/// What stands in the place of a lock file.
#[derive(Debug)]
pub(crate) enum Found {
    /// Nothing.
    Nothing,
    /// Something that cannot be a lock file, or not be read: why.
    Useless(String),
    /// A file, and its length.
    File(File, u64),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct LockView<'d> {
    data: &'d PlainFile,
    path: PathBuf,
    pub(crate) found: Found,
}

/// Who has the database open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Presence {
    /// Nobody.
    Nobody,
    /// Only such as cannot write.
    Readers,
    /// At least one that can write.
    Writers,
    /// Somebody who meets the others in another lock file: this one was deleted and made anew, or the
    /// database has a second name.
    Elsewhere,
    /// The system does not tell.
    Unknown,
}

impl<'d> LockView<'d> {
    /// Looks for the lock file of a data file. Makes none, and changes nothing.
    pub(crate) fn of(data: &'d PlainFile) -> Result<LockView<'d>> {
        let canonical = fs::canonicalize(data.path());
        let canonical = canonical.map_err(|error| Error::io("realpath", data.path(), error))?;
        let path = beside(&canonical);
        let found = look(&path).unwrap_or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Found::Nothing,
            _ => Found::Useless(error.to_string()),
        });
        Ok(LockView { data, path, found })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Who has the data file open, as the kernel's locks say.
    pub(crate) fn presence(&self) -> Presence {
        let present = |start, len| sys::is_range_locked(self.data.file(), RangeLock::Exclusive, start, len);
        let asked = || -> io::Result<Presence> {
            if !present(PRESENCE, PRESENCE_LEN)? {
                return Ok(Presence::Nobody);
            }
            let Found::File(file, _) = &self.found else { return Ok(Presence::Elsewhere) };
            let at = PRESENCE + (file.metadata()?.ino() % (PRESENCE_LEN / 2)) * 2;
            Ok(match (present(at + 1, 1)?, present(at, 1)?) {
                (true, _) => Presence::Writers,
                (false, true) => Presence::Readers,
                (false, false) => Presence::Elsewhere,
            })
        };
        asked().unwrap_or(Presence::Unknown)
    }

    /// A block of words, in the order of the machine; none where the file ends before.
    pub(crate) fn block(&self, number: usize) -> Option<Vec<u64>> {
        let Found::File(file, _) = &self.found else { return None };
        let mut bytes = vec![0; BLOCK_WORDS * 8];
        file.read_exact_at(&mut bytes, (number * BLOCK_WORDS * 8) as u64).ok()?;
        // The order of bytes is that of the machine, whichever that is.
        Some(bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word).to_le()).collect())
    }

    /// Whether a process owns the block: see [`Meeting::claim_block`](super::Meeting::claim_block).
    pub(crate) fn is_block_claimed(&self, number: usize) -> bool {
        let Found::File(file, _) = &self.found else { return false };
        let byte = LOCKS + BLOCKS + number as u64;
        sys::is_range_locked(file, RangeLock::Exclusive, byte, 1).unwrap_or(false)
    }
}

fn look(path: &Path) -> io::Result<Found> {
    let found = fs::symlink_metadata(path)?;
    if !found.is_file() {
        return Ok(Found::Useless("it is no regular file".to_owned()));
    }
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let len = file.metadata()?.len();
    Ok(Found::File(file, len))
}
