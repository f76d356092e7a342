//! The file that a picture goes to: it appears as a whole, and in the place of nothing that is dear.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::file_system;

/// What every database begins with.
const MAGIC: &[u8; 8] = b"\x89FOLIO\r\n";

/// Whether a picture may go there. The error is a reason.
pub(super) fn check(path: &Path, db: &Path) -> Result<(), &'static str> {
    let Ok(found) = fs::metadata(path) else { return Ok(()) };
    if file_system::is_same(path, db) {
        return Err("is the database itself");
    }
    if !found.is_file() {
        return Err("is no file");
    }
    let mut begin = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut begin));
    match read {
        Ok(_) if begin == MAGIC => Err("is a Folio database"),
        // What cannot be read can be replaced, but nobody knows what it is.
        Err(_) => Err("cannot be read"),
        Ok(_) => Ok(()),
    }
}

/// Writes the file under another name beside it, and then gives it its own. What was there is replaced then;
/// a link stays, and leads to the picture.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let beside = name_beside(&path);
    let mut file = OpenOptions::new().write(true).create_new(true).open(&beside)?;
    let written = file.write_all(bytes).and_then(|()| fs::rename(&beside, &path));
    if written.is_err() {
        // It fails for the reason that is told.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn name_beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(format!(".folio-map-{}-", std::process::id()));
    name.push(path.file_name().unwrap_or_default());
    path.with_file_name(name)
}
