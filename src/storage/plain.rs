//! A file read as it is: no mapping, no lock, nothing made beside it. What others write meanwhile may be seen
//! in part.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{file, sys};
use crate::error::{Error, Result};

/// A regular file, open for reading.
#[derive(Debug)]
pub(crate) struct PlainFile {
    file: File,
    path: PathBuf,
}

impl PlainFile {
    /// Opens an existing regular file, on whatever file system.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::NotAFile`]; [`Error::Io`]. Never waits for the other end of a pipe.
    pub(crate) fn open(path: &Path) -> Result<PlainFile> {
        Ok(PlainFile { file: file::open_plain(path)?, path: path.to_owned() })
    }

    /// The path as it was given.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// The length of the file in bytes, as it is now.
    pub(crate) fn len(&self) -> Result<u64> {
        sys::file_len(&self.file).map_err(|error| Error::io("lseek", &self.path, error))
    }

    /// Fills `buf` from `offset` on, as far as the file goes; how many bytes that were.
    pub(crate) fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        let mut done = 0;
        while let Some(room) = buf.get_mut(done..).filter(|room| !room.is_empty()) {
            let at = offset.saturating_add(done as u64);
            // Beyond what the system can name there is nothing.
            if i64::try_from(at).is_err() {
                break;
            }
            match self.file.read_at(room, at) {
                Ok(0) => break,
                Ok(more) => done += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(error)),
            }
        }
        Ok(done)
    }

    fn error(&self, error: io::Error) -> Error {
        Error::io("pread", &self.path, error)
    }
}
