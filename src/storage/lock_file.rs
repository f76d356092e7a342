//! The lock file: where the processes that have a database open meet. What is in it is volatile.
//!
//! - Beside `x.folio` lies `x.folio-lock`, named after the path without links. It may be deleted when nobody
//!   has the database open, and is made anew.
//! - Relies on locks of open files (`fcntl(F_OFD_SETLK)`): the kernel lets go of them when the last
//!   descriptor of the open file is gone, however its process ended, also in another container.
//! - Guarantees that all who are in have the same lock file: *presence* is a shared lock on a byte of the
//!   **data** file whose offset is the lock file's inode. Who comes and sees presence at another offset (a
//!   hard link in another directory, a lock file that was deleted and made anew) is refused: with two reader
//!   tables pages would be reused under readers.
//!
//! # The door
//! Whoever opens or closes the database holds `flock` on the lock file meanwhile. So who finds nobody present
//! behind the door is alone, and may initialise the lock file, recover the data file, or close it in good
//! order. Two who came through two doors (two lock files) see each other's presence, since each looks again
//! after it has taken its own.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Access;
use super::file::rename_to_free_name;
use super::fork::Watch;
use super::lock::{Lockable, wait_exclusive};
use super::sys::{self, RangeLock};
use super::words::Words;
use crate::error::{Error, Result};

/// Where presence lies in the data file: far behind any content. Two bytes for each inode.
pub(super) const PRESENCE: u64 = 1 << 60;
pub(super) const PRESENCE_LEN: u64 = 1 << 60;
/// For how long a process that was killed may still be seen.
const LAST_SEEN: Duration = Duration::from_millis(500);
/// Where presence lies in the lock file, one byte for each inode that the data file can have.
const DATA: u64 = 1 << 60;
const DATA_LEN: u64 = 1 << 60;
/// Where the other locks lie in the lock file: far behind any content.
pub(super) const LOCKS: u64 = 1 << 40;

/// Who else has the database open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    Nobody,
    /// Only such as cannot write.
    Readers,
    /// At least one that can write.
    Writers,
}

/// Being in: the lock file, and presence in the data file. Dropping it leaves.
#[derive(Debug)]
pub(super) struct LockFile {
    // Dropped before the file is closed.
    _watch: Watch,
    file: File,
    path: PathBuf,
    data: Arc<Lockable>,
    /// Of this lock file, among all that the data file may ever have.
    presence: u64,
    /// Of this data file, among all that may ever have the name.
    of_data: u64,
    access: Access,
}

/// The door, held.
#[derive(Debug)]
pub(crate) struct Door<'l>(&'l File);

impl Drop for Door<'_> {
    fn drop(&mut self) {
        // Unlocking an open file cannot fail.
        let _ = fs2::FileExt::unlock(self.0);
    }
}

impl LockFile {
    /// Goes in: opens the lock file of the data file at `path`, or makes it, and is present. The door is
    /// still held.
    pub(super) fn enter(path: &Path, data: &Arc<Lockable>, access: Access) -> Result<(LockFile, Words)> {
        let canonical = fs::canonicalize(path).map_err(|error| Error::io("realpath", path, error))?;
        let lock_path = beside(&canonical);
        let (watch, file) = open_locked(&lock_path, &data.file)?;
        let inode = stat(&file, &lock_path)?.ino();
        let presence = PRESENCE + (inode % (PRESENCE_LEN / 2)) * 2;
        let of_data = DATA + stat(&data.file, path)?.ino() % DATA_LEN;
        let lock_file = LockFile {
            _watch: watch,
            file,
            path: lock_path,
            data: Arc::clone(data),
            presence,
            of_data,
            access,
        };
        let words = lock_file.words()?;
        // In this order: who is killed here leaves either no presence or words that say so. (When a process
        // ends, the kernel takes its locks one after another, and the door may go before presence does.)
        lock_file.agree(|| lock_file.refuse_strangers())?;
        lock_file.prepare(&words)?;
        lock_file.be_present()?;
        Ok((lock_file, words))
    }

    /// Sees to it that the words are those of whoever is in: zeros, if that is nobody.
    fn prepare(&self, words: &Words) -> Result<()> {
        self.agree(|| {
            if self.others()? == Others::Nobody {
                return words.clear().map_err(|error| self.error("pwrite", error));
            }
            let is_begun = words.is_begun().map_err(|error| self.error("fstat", error))?;
            // Whoever is in has begun, behind the door, or was killed there and is seen for the last time.
            if is_begun { Ok(()) } else { Err(Error::Locked { path: self.path.clone() }) }
        })
    }

    /// Asks again for a while if somebody is in the way: a process that has just been killed is seen until
    /// the kernel has taken all of its locks.
    fn agree(&self, ask: impl Fn() -> Result<()>) -> Result<()> {
        let until = Instant::now() + LAST_SEEN;
        loop {
            match ask() {
                Err(Error::Locked { .. } | Error::LockFileReplaced { .. }) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                result => return result,
            }
        }
    }

    /// Takes presence, unless somebody is present by way of another lock file.
    fn be_present(&self) -> Result<()> {
        let len = if self.access == Access::ReadWrite { 2 } else { 1 };
        let taken = sys::lock_range(&self.data.file, RangeLock::Shared, self.presence, len, false);
        if !taken.map_err(|error| self.error("fcntl", error))? {
            return Err(Error::Locked { path: self.path.clone() });
        }
        let taken = sys::lock_range(&self.file, RangeLock::Shared, self.of_data, 1, false);
        taken.map_err(|error| self.error("fcntl", error))?;
        // Somebody else may have come through another door between the two lines.
        self.refuse_strangers().inspect_err(|_| self.leave())
    }

    fn refuse_strangers(&self) -> Result<()> {
        let before = (PRESENCE, self.presence - PRESENCE);
        let behind = (self.presence + 2, PRESENCE + PRESENCE_LEN - self.presence - 2);
        for (start, len) in [before, behind] {
            if len > 0 && self.is_present(start, len)? {
                return Err(Error::LockFileReplaced { path: self.path.clone() });
            }
        }
        // Those who have a file open that had the name before meet here as well.
        let before = (DATA, self.of_data - DATA);
        let behind = (self.of_data + 1, DATA + DATA_LEN - self.of_data - 1);
        for (start, len) in [before, behind] {
            let found = len > 0 && {
                let found = sys::is_range_locked(&self.file, RangeLock::Exclusive, start, len);
                found.map_err(|error| self.error("fcntl", error))?
            };
            if found {
                return Err(Error::LockFileReplaced { path: self.path.clone() });
            }
        }
        Ok(())
    }

    fn is_present(&self, start: u64, len: u64) -> Result<bool> {
        let found = sys::is_range_locked(&self.data.file, RangeLock::Exclusive, start, len);
        found.map_err(|error| self.error("fcntl", error))
    }

    /// Who else is in. Ask with the door held, or it may have changed.
    pub(super) fn others(&self) -> Result<Others> {
        Ok(match (self.is_present(self.presence + 1, 1)?, self.is_present(self.presence, 1)?) {
            (true, _) => Others::Writers,
            (false, true) => Others::Readers,
            (false, false) => Others::Nobody,
        })
    }

    /// Is present from now on as one that cannot write. Behind the door, or two who go would each take the
    /// other for one that stays.
    pub(super) fn stop_writing(&self) {
        // As in `leave`.
        let _ = sys::lock_range(&self.data.file, RangeLock::None, self.presence + 1, 1, false);
    }

    /// Takes the door again.
    pub(super) fn door(&self) -> Result<Door<'_>> {
        wait_exclusive(&self.file).map_err(|error| self.error("flock", error))?;
        Ok(Door(&self.file))
    }

    /// Lets go of the door that [`enter`](Self::enter) took.
    pub(super) fn close_door(&self) {
        drop(Door(&self.file));
    }

    /// The words in the file, whatever they are.
    fn words(&self) -> Result<Words> {
        let file = self.file.try_clone().map_err(|error| self.error("dup", error))?;
        Words::shared(file).map_err(|error| self.error("mmap", error))
    }

    /// Takes the lock with that number, for this process; whether it could without waiting.
    pub(super) fn lock(&self, number: u64, wait: bool) -> io::Result<bool> {
        sys::lock_range(&self.file, RangeLock::Exclusive, LOCKS + number, 1, wait)
    }

    /// Whether another process has the lock with that number.
    pub(super) fn is_locked(&self, number: u64) -> io::Result<bool> {
        sys::is_range_locked(&self.file, RangeLock::Exclusive, LOCKS + number, 1)
    }

    pub(super) fn unlock(&self, number: u64) {
        // It cannot fail; if it did, closing the file would do the same.
        let _ = sys::lock_range(&self.file, RangeLock::None, LOCKS + number, 1, false);
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn leave(&self) {
        // It cannot fail; if it did, closing the data file would do the same.
        let _ = sys::lock_range(&self.data.file, RangeLock::None, PRESENCE, PRESENCE_LEN, false);
        let _ = sys::lock_range(&self.file, RangeLock::None, DATA, DATA_LEN, false);
    }

    fn error(&self, call: &'static str, source: io::Error) -> Error {
        Error::io(call, &self.path, source)
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        self.leave();
    }
}

/// `x.folio-lock` for `x.folio`.
pub(super) fn beside(data: &Path) -> PathBuf {
    let mut name = OsString::from(data.as_os_str());
    name.push("-lock");
    PathBuf::from(name)
}

fn stat(file: &File, path: &Path) -> Result<Metadata> {
    file.metadata().map_err(|error| Error::io("fstat", path, error))
}

/// Opens the lock file, or makes it, and takes the door: of the file that has the name by then.
fn open_locked(path: &Path, data: &File) -> Result<(Watch, File)> {
    // More often nobody deletes it just then.
    for _ in 0..1_000 {
        let file = match open_existing(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => match create(path, data) {
                // Somebody else was faster.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                result => result,
            },
            result => result,
        };
        let file = file.map_err(|error| open_error(path, error))?;
        // At once: a child that is forked while this waits would keep the door.
        let watch = Watch::new(&file);
        if !stat(&file, path)?.is_file() {
            return Err(Error::NotAFile { path: path.to_owned(), found: "something else" });
        }
        wait_exclusive(&file).map_err(|error| Error::io("flock", path, error))?;
        let (opened, named) = (stat(&file, path)?, fs::symlink_metadata(path));
        // Deleted while it waited: who is behind that door is not met by anybody who comes.
        if named.is_ok_and(|named| (named.dev(), named.ino()) == (opened.dev(), opened.ino())) {
            refuse_if_prepared(path, &file, &opened, data)?;
            return Ok((watch, file));
        }
    }
    Err(Error::Locked { path: path.to_owned() })
}

/// Nobody who cannot write the data file shall have a say in what the lock file is.
fn refuse_if_prepared(path: &Path, file: &File, opened: &Metadata, data: &File) -> Result<()> {
    let path = path.to_owned();
    // Who prepared a second name of a file would have that written.
    if opened.nlink() > 1 {
        return Err(Error::NotAFile { path, found: "one of several names of a file" });
    }
    if begins_alike(file, data) {
        return Err(Error::NotAFile { path, found: "a database" });
    }
    let data = stat(data, &path)?;
    if ![data.uid(), sys::user(), 0].contains(&opened.uid()) && !is_shared_by(&data, opened.gid()) {
        let source = io::Error::new(ErrorKind::PermissionDenied, "it is another user's than the database");
        return Err(Error::NoLockFile { path, source });
    }
    Ok(())
}

/// Whether others than its owner may write the data file, and made a lock file of that group.
fn is_shared_by(data: &Metadata, group: u32) -> bool {
    data.mode() & 0o002 != 0 || data.mode() & 0o020 != 0 && data.gid() == group
}

/// Whether what should be a lock file begins as the data file does: then it is somebody's database, which has
/// such a name, and would be written over.
fn begins_alike(file: &File, data: &File) -> bool {
    let (mut one, mut other) = ([0; 8], [0; 8]);
    let read = file.read_exact_at(&mut one, 0).and_then(|()| data.read_exact_at(&mut other, 0));
    read.is_ok() && one == other && one != [0; 8]
}

fn open_error(path: &Path, source: io::Error) -> Error {
    let path = path.to_owned();
    match source.raw_os_error() {
        Some(libc::EACCES | libc::EPERM | libc::EROFS) => Error::NoLockFile { path, source },
        Some(libc::ELOOP) => Error::NotAFile { path, found: "a symbolic link" },
        _ => Error::io("open", &path, source),
    }
}

/// Whether somebody has the data file open, by way of whatever lock file.
pub(super) fn is_anybody_present(data: &File) -> io::Result<bool> {
    sys::is_range_locked(data, RangeLock::Exclusive, PRESENCE, PRESENCE_LEN)
}

/// Never follows a link: who prepared one would have another file written.
fn open_existing(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)
}

/// With the mode and the owner of the data file: who can open that can open this. It gets its name when it is
/// so, or a process that is killed in between would leave one that others cannot open.
fn create(path: &Path, data: &File) -> io::Result<File> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // Relaxed: only the number counts.
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let new = path.with_file_name(format!(".folio-lock-{}-{number}", std::process::id()));
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&new)?;
    match make_as(&file, &data.metadata()?).and_then(|()| rename_to_free_name(&new, path)) {
        Ok(()) => Ok(file),
        Err(error) => {
            // The first error is the one to tell of.
            let _ = fs::remove_file(&new);
            Err(error)
        }
    }
}

/// Gives the lock file the owner and the mode of the data file.
fn make_as(file: &File, data: &Metadata) -> io::Result<()> {
    let mine = file.metadata()?;
    if (mine.uid(), mine.gid()) != (data.uid(), data.gid())
        && let Err(error) = fchown(file, Some(data.uid()), Some(data.gid()))
    {
        // Not allowed to give it away: its group at least, if we are in that, so that its members come in.
        let _ = fchown(file, None, Some(data.gid()));
        // It may stay ours if the owner can write it as well.
        if mine.uid() != data.uid() && !is_shared_by(data, file.metadata()?.gid()) {
            return Err(error);
        }
    }
    // Also who only reads writes here: at least the owner of a file that nobody may write.
    file.set_permissions(fs::Permissions::from_mode(data.mode() & 0o666 | 0o600))
}
