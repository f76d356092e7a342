//! The lock on a whole file, which other processes and other opens of the file in this process respect.
//!
//! - Relies on fs2, which is `flock(2)`: the lock belongs to the open file, not to the process, so it
//!   excludes two opens in one process as well, and closing some other descriptor of the file does not lose
//!   it.
//! - Guarantees that whoever holds a [`Lock`] is alone with it, or among readers only; the kernel lets go of
//!   it when the process dies.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::fork::Watch;

/// Whether others may hold the lock at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Shared,
    Exclusive,
}

/// An open file together with whether its lock is held through it.
///
/// `flock` knows one lock per open file: asking twice converts the first, and the first to let go lets go for
/// both. `held` makes the second ask fail instead.
#[derive(Debug)]
pub(super) struct Lockable {
    // Dropped before the file is closed.
    _watch: Watch,
    pub(super) file: File,
    held: AtomicBool,
}

/// A held lock. Dropping it unlocks the file.
#[derive(Debug)]
pub(crate) struct Lock {
    target: Arc<Lockable>,
}

impl Lockable {
    pub(super) fn new(file: File) -> Self {
        Lockable { _watch: Watch::new(&file), file, held: AtomicBool::new(false) }
    }
}

impl Lock {
    /// Takes the lock, or returns `None` at once if somebody else has it.
    pub(super) fn try_take(target: &Arc<Lockable>, mode: Mode) -> io::Result<Option<Lock>> {
        // Acquire pairs with the Release in `drop`: the unlocking before it has happened.
        if target.held.swap(true, Ordering::Acquire) {
            return Ok(None);
        }
        // By their full names: std's `File` has methods of the same names and other errors.
        let result = match mode {
            Mode::Shared => fs2::FileExt::try_lock_shared(&target.file),
            Mode::Exclusive => fs2::FileExt::try_lock_exclusive(&target.file),
        };
        match result {
            Ok(()) => Ok(Some(Lock { target: Arc::clone(target) })),
            Err(error) => {
                target.held.store(false, Ordering::Release);
                let taken = error.raw_os_error() == fs2::lock_contended_error().raw_os_error();
                if taken { Ok(None) } else { Err(error) }
            }
        }
    }
}

impl Lock {
    /// Waits for the exclusive lock. `None` if it is held through this open file already.
    pub(super) fn take(target: &Arc<Lockable>) -> io::Result<Option<Lock>> {
        if target.held.swap(true, Ordering::Acquire) {
            return Ok(None);
        }
        match wait_exclusive(&target.file) {
            Ok(()) => Ok(Some(Lock { target: Arc::clone(target) })),
            Err(error) => {
                target.held.store(false, Ordering::Release);
                Err(error)
            }
        }
    }
}

/// Waits for the exclusive lock of the whole file, whatever signals come meanwhile.
pub(super) fn wait_exclusive(file: &File) -> io::Result<()> {
    loop {
        match fs2::FileExt::lock_exclusive(file) {
            // Nothing has happened.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Unlocking an open file cannot fail; if it did, closing the file would unlock it. In a forked child
        // it is not that file any more.
        let _ = fs2::FileExt::unlock(&self.target.file);
        self.target.held.store(false, Ordering::Release);
    }
}
