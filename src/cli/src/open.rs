//! Opens the database of a command. The only unsafe code of the tool.
#![expect(unsafe_code, reason = "the contract of a mapped file")]

use std::path::Path;

use folio::{Database, OpenOptions};

/// For a command that only reads. The file must exist.
pub(crate) fn for_reading(path: &Path) -> folio::Result<Database> {
    open(Database::options().read_only(true), path)
}

/// For a command that changes what is there. The file must exist.
pub(crate) fn for_writing(path: &Path) -> folio::Result<Database> {
    open(&Database::options(), path)
}

/// For a command that brings something in. Creates the file if it does not exist, with pages of that size.
pub(crate) fn or_create(path: &Path, page_size: Option<u32>) -> folio::Result<Database> {
    let mut options = Database::options();
    options.create(true);
    if let Some(bytes) = page_size {
        options.page_size(bytes);
    }
    open(&options, path)
}

fn open(options: &OpenOptions, path: &Path) -> folio::Result<Database> {
    // SAFETY: the tool itself only goes through the library, never writes the file another way, and `load`
    // skips it when it stands among its inputs. That no other program does is asked of the person in the
    // tool's help.
    unsafe { options.open(path) }
}
