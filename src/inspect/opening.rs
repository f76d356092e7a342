//! How a file would open, and who has it open.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::pager::examine;
use crate::storage::{Found, LockView, PlainFile};

pub use crate::pager::{Examination, HeadState, LockWords, MetaState};
pub use crate::storage::Presence;

/// What is beside a database file: the lock file, and who has it open.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockFile {
    /// Where it lies, or would lie.
    pub path: PathBuf,
    /// Bytes of it; none if there is none, or it cannot be read.
    pub bytes: Option<u64>,
    /// Why it cannot be used.
    pub fault: Option<String>,
    /// Who has the database open.
    pub presence: Presence,
    /// What it says.
    pub words: Option<LockWords>,
}

impl Examination {
    /// Looks how the file at `path` would open if nobody had it open. Changes nothing, and makes no lock
    /// file.
    ///
    /// While somebody has the file open, they alone know what its state is: see [`LockFile::of`].
    pub fn of(path: impl AsRef<Path>) -> Examination {
        examine(path.as_ref())
    }
}

impl LockFile {
    /// Looks at the lock file of the database at `path`. Changes nothing, and makes none.
    ///
    /// # Errors
    /// As [`RawFile::open`](crate::inspect::RawFile::open).
    pub fn of(path: impl AsRef<Path>) -> Result<LockFile> {
        let data = PlainFile::open(path.as_ref())?;
        let view = LockView::of(&data)?;
        let owned = |number| view.is_block_claimed(number).then(|| view.block(number)).flatten();
        let (bytes, fault) = match &view.found {
            Found::Nothing => (None, None),
            Found::Useless(why) => (None, Some(why.clone())),
            Found::File(_, len) => (Some(*len), None),
        };
        Ok(LockFile {
            path: view.path().to_owned(),
            bytes,
            fault,
            presence: view.presence(),
            words: view.block(0).map(|words| LockWords::of(words, owned)),
        })
    }
}
