//! Every file below folders: its path is the key, its content the value.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::lines::is_stdin;
use super::{Entry, Source, VALUE_MAX, read_value};
use crate::column::Column;
use crate::failure::Failure;

/// Standard input is no folder.
pub(super) fn check_inputs(inputs: &[PathBuf]) -> Result<(), Failure> {
    if inputs.is_empty() || inputs.iter().any(|path| is_stdin(path)) {
        return Err(Failure::Usage("--format files needs folders or files to read, by name".to_owned()));
    }
    Ok(())
}

/// Entries from files. Folders are read on the way, in the order of their names.
pub(super) struct Files {
    /// Files and folders still to be read, last first.
    waiting: Vec<PathBuf>,
    /// Files given by name, which are read even through a link or from a pipe. A link found below a folder
    /// might lead in a circle.
    given: Vec<PathBuf>,
    /// Device and inode of the database and its lock file: not to be loaded into themselves.
    skipped: Vec<(u64, u64)>,
    keys: Column,
    values: Column,
    path: PathBuf,
    content: Vec<u8>,
    key: Vec<u8>,
    value: Vec<u8>,
    bytes_read: u64,
}

impl Files {
    pub(super) fn new(inputs: &[PathBuf], db: &Path, keys: Column, values: Column) -> Result<Self, Failure> {
        let mut lock = OsString::from(db);
        lock.push("-lock");
        let identity = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
        let skipped = [identity(db), identity(Path::new(&lock))].into_iter().flatten().collect();
        let resolve = |path: &PathBuf| match fs::metadata(path) {
            Ok(found) if found.is_dir() => list(path),
            Ok(_) => Ok(vec![path.clone()]),
            Err(source) => Err(Failure::Input { name: path.display().to_string(), source }),
        };
        let mut waiting = inputs.iter().map(resolve).collect::<Result<Vec<_>, _>>()?;
        waiting.reverse();
        Ok(Files {
            waiting: waiting.concat(),
            given: inputs.to_vec(),
            skipped,
            keys,
            values,
            path: PathBuf::new(),
            content: Vec::new(),
            key: Vec::new(),
            value: Vec::new(),
            bytes_read: 0,
        })
    }

    /// Goes to the next file and reads it; false if there is none.
    fn advance(&mut self) -> Result<bool, Failure> {
        while let Some(path) = self.waiting.pop() {
            let fault = |source| Failure::Input { name: path.display().to_string(), source };
            let found = fs::symlink_metadata(&path).map_err(fault)?;
            if found.is_dir() {
                self.waiting.extend(list(&path)?);
                continue;
            }
            let is_given = !found.is_file() && self.given.contains(&path);
            let found = if is_given { fs::metadata(&path).map_err(fault)? } else { found };
            let is_wanted = found.is_file() || is_given;
            if !is_wanted || self.skipped.contains(&(found.dev(), found.ino())) {
                continue;
            }
            let expected = check_len(&path, found.len())?;
            let content = &mut self.content;
            let len =
                File::open(&path).and_then(|file| read_value(file, expected, content)).map_err(fault)?;
            self.bytes_read += len as u64;
            self.path = path;
            return Ok(true);
        }
        Ok(false)
    }
}

/// Refuses what no value can hold before it is read into memory.
fn check_len(path: &Path, len: u64) -> Result<usize, Failure> {
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    if len > VALUE_MAX {
        let error = folio::Error::ValueTooLong { len, max: VALUE_MAX };
        return Err(Failure::Message(format!("{}: {error}", path.display())));
    }
    Ok(len)
}

/// What a folder holds, last name first.
fn list(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let fault = |source| Failure::Input { name: folder.display().to_string(), source };
    let mut paths = fs::read_dir(folder)
        .and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()
        })
        .map_err(fault)?;
    paths.sort_unstable_by(|a, b| b.cmp(a));
    Ok(paths)
}

impl Source for Files {
    fn next(&mut self) -> Result<Option<Entry<'_>>, Failure> {
        if !self.advance()? {
            return Ok(None);
        }
        let name = self.path.as_os_str().as_bytes();
        let name = name.strip_prefix(b"./").unwrap_or(name);
        let fault = |reason: String| Failure::Message(format!("{}: {reason}", self.path.display()));
        let key = self.keys.parse_plain(name, &mut self.key).map_err(fault)?;
        let value = self.values.parse_plain(&self.content, &mut self.value).map_err(fault)?;
        Ok(Some((key, value)))
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    fn bytes_total(&self) -> Option<u64> {
        None
    }
}
