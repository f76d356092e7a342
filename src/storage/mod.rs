//! Bytes in a file, mapped for reading: what a page is, nobody here knows.
//!
//! - Relies on a local file system whose page cache is shared by `pwrite` and mappings, as Linux's are.
//! - Guarantees that every failed call is an error with its `errno`, the name of the call and of the file;
//!   that a write which returned is complete; that no call is made twice after it failed (signals before
//!   anything happened aside).
//! - Writes go through the descriptor, never through the mapping: so a full disk is an error, not a signal.
//! - Unsafe code stands in `map` (slices of the mapping), `sys` (system calls), `fork` and `words` (atomic
//!   words in the mapping of the lock file), nowhere else.

mod file;
mod fork;
mod lock;
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "nobody meets where there are no such locks")
)]
mod lock_file;
mod lock_view;
mod map;
mod meeting;
mod plain;
mod probe;
#[cfg(any(test, feature = "simulation"))]
mod replay;
#[cfg(any(test, feature = "simulation"))]
#[cfg_attr(not(test), expect(dead_code, reason = "the tests use more of it than the fuzzers"))]
pub(crate) mod sim;
mod sys;
#[cfg(test)]
mod tests;
mod words;

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};

use lock::{Lockable, Mode};
#[cfg(target_os = "linux")]
use lock_file::LockFile;
use map::{Source, whole_pages};
use probe::Probe;

pub(crate) use fork::without_forks;
pub(crate) use lock::Lock;
pub(crate) use lock_file::Others;
pub use lock_view::Presence;
pub(crate) use lock_view::{Found, LockView};
pub(crate) use map::{Advice, Mapping};
pub(crate) use meeting::{Held, Meeting};
pub(crate) use plain::PlainFile;
pub(crate) use probe::Call;
pub(crate) use sys::prefault;
pub(crate) use words::{BLOCK_WORDS, BLOCKS_MAX, Block};

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reading and writing.
    ReadWrite,
    /// Reading; whatever would change the file is [`Error::ReadOnly`].
    ReadOnly,
}

/// Who can open the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Who knows its name: other processes.
    Everybody,
    /// Who knows its name; but nobody writes to it, says who opened it.
    Readers,
    /// Nobody finds the content again after the process has ended.
    ThisProcess,
    /// As a file with a name, but of a simulated disk: nobody else.
    #[cfg(any(test, feature = "simulation"))]
    Simulation,
}

/// One open file. `Send` and `Sync`: every method takes its position as an argument and keeps none.
#[derive(Debug)]
pub(crate) struct Storage {
    /// Shared with the [`Lock`] that is held through it.
    file: Arc<Lockable>,
    /// For messages.
    path: PathBuf,
    access: Access,
    reach: Reach,
    /// Tells the mappings of this open file from those of others.
    id: u64,
    /// The forks up to the process that opened it.
    forks: u64,
    probe: Probe,
}

/// Milliseconds since some moment, good to about ten, for a few nanoseconds.
pub(crate) fn coarse_ms() -> u64 {
    sys::coarse_ms()
}

impl Storage {
    /// Opens an existing regular file.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::NotAFile`] for a directory, a pipe, a device or a socket; [`Error::Io`]
    /// for everything else (`EACCES`, `EROFS`, `EMFILE`, `ETXTBSY`, ...). Never waits for the other end of a
    /// pipe.
    pub(crate) fn open(path: &Path, access: Access) -> Result<Storage> {
        let file = file::open(path, access)?;
        Ok(Storage::new(file, path.to_owned(), access, Reach::Everybody, Probe::default()))
    }

    /// Opens an existing regular file that nobody writes to, for reading and without a lock file.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`Error::Locked`] if somebody has it open, as far as that can be seen.
    pub(crate) fn open_unlocked(path: &Path) -> Result<Storage> {
        let file = file::open(path, Access::ReadOnly)?;
        #[cfg(target_os = "linux")]
        if lock_file::is_anybody_present(&file).map_err(|error| Error::io("fcntl", path, error))? {
            return Err(Error::Locked { path: path.to_owned() });
        }
        Ok(Storage::new(file, path.to_owned(), Access::ReadOnly, Reach::Readers, Probe::default()))
    }

    /// Creates `path` whole or not at all: `fill` writes the content before the file has its name.
    ///
    /// The file is made in the directory of `path` as `.folio-new-<process id>-<number>`, filled, synced,
    /// renamed without replacing anything, and the directory is synced. A crash leaves the whole file, or at
    /// most one of the temporary name, which may be removed when no process is creating. An error or a panic
    /// leaves neither. Errors of `fill` name `path` already. The mode is 0644 less the umask.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] if there is anything of that name, a dangling link included, also when it
    /// appeared while `fill` ran. What `fill` returned. [`Error::Io`]; only if that is the sync of the
    /// directory has the file its name nevertheless, and a crash may take that back.
    pub(crate) fn create(path: &Path, fill: impl FnOnce(&Storage) -> Result<()>) -> Result<Storage> {
        let (new, file) = file::NewFile::beside(path)?;
        let storage =
            Storage::new(file, path.to_owned(), Access::ReadWrite, Reach::Everybody, Probe::default());
        fill(&storage)?;
        new.publish(storage.file(), file::rename_to_free_name)?;
        Ok(storage)
    }

    /// Writes a file that nobody has open until it is there, whole or not at all, as [`create`](Self::create)
    /// does; where it can, without any name until it is whole, so that who is killed leaves nothing. With
    /// `replace` it takes the place of a file of that name, if nobody has that open as a database. The
    /// storage that `fill` gets syncs nothing; that is done when it has returned. If it is not `mapped`, any
    /// file system will do.
    ///
    /// # Errors
    /// As [`create`](Self::create); [`Error::Locked`]; [`Error::NotAFile`] where something else than a file
    /// would be replaced.
    pub(crate) fn write_file<R>(
        path: &Path,
        replace: bool,
        mapped: bool,
        mode: u32,
        fill: impl FnOnce(Storage) -> Result<R>,
    ) -> Result<R> {
        if replace {
            file::check_replaceable(path)?;
        }
        let (new, file) = file::NewFile::of_any_kind(path, replace, mode)?;
        if mapped {
            file::refuse_if_shared(path, sys::file_system(&file))?;
        }
        let mine = file.try_clone().map_err(|error| Error::io("dup", path, error))?;
        let probe = Probe::default();
        let filled = fill(Storage::new(mine, path.to_owned(), Access::ReadWrite, Reach::ThisProcess, probe))?;
        if !replace {
            new.publish(&file, file::rename_to_free_name)?;
            return Ok(filled);
        }
        // Filling takes long. What is left to do after the second look does not.
        sys::fsync(&file).map_err(|error| Error::io("fsync", path, error))?;
        file::check_replaceable(path)?;
        new.publish(&file, |from, to| std::fs::rename(from, to))?;
        Ok(filled)
    }

    /// A file in memory, without a name. Where the system has no such thing:
    /// [`temporary`](Storage::temporary).
    pub(crate) fn memory() -> Result<Storage> {
        Ok(Storage::new(
            file::memory()?,
            MEMORY.into(),
            Access::ReadWrite,
            Reach::ThisProcess,
            Probe::default(),
        ))
    }

    /// A file without a name in the directory for temporary files; it ends with its last descriptor and
    /// mapping.
    pub(crate) fn temporary() -> Result<Storage> {
        Ok(Storage::new(
            file::temporary()?,
            TEMPORARY.into(),
            Access::ReadWrite,
            Reach::ThisProcess,
            Probe::default(),
        ))
    }

    fn new(file: File, path: PathBuf, access: Access, reach: Reach, probe: Probe) -> Storage {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Relaxed: only the number counts, and it orders nothing.
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Storage { file: Arc::new(Lockable::new(file)), path, access, reach, id, forks: fork::forks(), probe }
    }

    /// Whether the file is on a disk of the system's.
    pub(crate) fn is_on_disk(&self) -> bool {
        matches!(self.reach, Reach::Everybody | Reach::Readers)
    }

    /// The path as it was given, or in parentheses what stands for one. For messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What the file was opened for.
    pub(crate) fn access(&self) -> Access {
        self.access
    }

    /// What the file is, whatever its names are: the numbers of its device and its inode; and a number for
    /// the process that opened it, which is another one in a forked child.
    pub(crate) fn identity(&self) -> Result<[u64; 3]> {
        let found = self.file().metadata().map_err(|error| self.error("fstat", error))?;
        Ok([found.dev(), found.ino(), self.forks])
    }

    /// Whether this is the process that opened the file: in a forked child it is not open.
    ///
    /// # Errors
    /// [`Error::Forked`].
    #[inline]
    pub(crate) fn check_process(&self) -> Result<()> {
        if self.forks == fork::forks() { Ok(()) } else { Err(Error::Forked) }
    }

    /// Who may read and write the file, without the right to execute it.
    pub(crate) fn mode(&self) -> Result<u32> {
        if self.is_volatile() {
            return Ok(0o644);
        }
        Ok(self.file().metadata().map_err(|error| self.error("fstat", error))?.mode() & 0o666)
    }

    /// Whether nobody can find the content again after this process: then syncs do nothing.
    pub(crate) fn is_volatile(&self) -> bool {
        self.reach == Reach::ThisProcess
    }

    /// The length of the file in bytes, as it is now: others may change it.
    ///
    /// Not by `fstat`: who asks for a file's times makes the next write set them anew, to the nanosecond, and
    /// the next sync then writes the inode as well, before it flushes. It costs as much as the flush.
    pub(crate) fn len(&self) -> Result<u64> {
        sys::file_len(self.file()).map_err(|error| self.error("lseek", error))
    }

    /// Fills `buf` from `offset` on.
    ///
    /// # Errors
    /// [`Error::Io`]. If the file ends before `buf` is full, its `source` has the kind `UnexpectedEof` and no
    /// `errno`.
    pub(crate) fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let read = || self.file().read_exact_at(buf, offset);
        self.probe.pass(Call::Read, read).map_err(|error| self.error("pread", error))
    }

    /// Writes the slices one after another from `offset` on, completely.
    ///
    /// # Errors
    /// [`Error::ReadOnly`]; [`Error::Io`], among them `ENOSPC`, `EDQUOT` and `EFBIG` (also where
    /// `RLIMIT_FSIZE` says so; no signal is raised). After an error any part of the bytes may be written, and
    /// the file be longer.
    pub(crate) fn write_at(&self, bufs: &[&[u8]], offset: u64) -> Result<()> {
        self.check_writable()?;
        file::write_all(self.file(), &self.probe, Call::Write, bufs, offset)
            .map_err(|error| self.error("pwritev", error))
    }

    /// Makes the file longer, from `from` to `to`, with written zeros: so there are blocks behind all of it.
    ///
    /// Bytes that are there already from `from` on, left by someone who died while growing it, are zeros
    /// afterwards.
    ///
    /// # Errors
    /// As [`write_at`](Storage::write_at). The length is put back to what it was, unless that fails too.
    pub(crate) fn extend_zeroed(&self, from: u64, to: u64) -> Result<()> {
        self.check_writable()?;
        let before = self.len()?;
        let result = file::write_zeros(self.file(), &self.probe, from, to);
        result.map_err(|error| {
            if self.len().is_ok_and(|now| now > before) {
                // The caller learns of the first failure; bytes beyond the end that it knows do no harm.
                let _ = self.truncate(before);
            }
            self.error("pwritev", error)
        })
    }

    /// Makes the file longer, from `from` to `to`, with blocks that are not written yet; whether the file
    /// system can.
    ///
    /// # Errors
    /// As [`extend_zeroed`](Storage::extend_zeroed).
    pub(crate) fn extend(&self, from: u64, to: u64) -> Result<bool> {
        self.check_writable()?;
        if !sys::may_write_to(to) {
            return Err(self.error("fallocate", std::io::Error::from_raw_os_error(libc::EFBIG)));
        }
        let before = self.len()?;
        match self.probe.set_len(Call::Grow, to, || sys::allocate(self.file(), from, to - from)) {
            Ok(()) => Ok(true),
            Err(error) if file::cannot(&error) => Ok(false),
            Err(error) => {
                if self.len().is_ok_and(|now| now > before) {
                    // As above.
                    let _ = self.truncate(before);
                }
                Err(self.error("fallocate", error))
            }
        }
    }

    /// Makes the file `len` bytes long. Growing it so leaves holes: a full disk shows only when they are
    /// written.
    pub(crate) fn truncate(&self, len: u64) -> Result<()> {
        self.check_writable()?;
        // set_len of more than RLIMIT_FSIZE raises a signal that ends the process.
        if len > sys::file_size_limit() && len > self.len()? {
            return Err(self.error("ftruncate", std::io::Error::from_raw_os_error(libc::EFBIG)));
        }
        let truncate = || self.file().set_len(len);
        self.probe.set_len(Call::Truncate, len, truncate).map_err(|error| self.error("ftruncate", error))
    }

    /// Makes the file longer by `more` bytes, with blocks from `from` on. No byte that is there changes,
    /// whatever others write meanwhile. So the next sync has a new length to write, and the disk is told of
    /// all that the file has, also where an earlier sync has failed to.
    ///
    /// # Errors
    /// As [`write_at`](Storage::write_at); `EOPNOTSUPP` where the file system has no such call.
    pub(crate) fn make_longer(&self, from: u64, more: u64) -> Result<()> {
        self.check_writable()?;
        let len = self.len()?.max(from) + more;
        let allocate = || sys::allocate(self.file(), from, len - from);
        self.probe.set_len(Call::Truncate, len, allocate).map_err(|error| self.error("fallocate", error))
    }

    /// Maps the file and the address space behind it, `reserve` bytes in all, or as many as the file has.
    ///
    /// Where that much cannot be had (`RLIMIT_AS`, small address spaces), half of it, and so on down to twice
    /// the file: [`Mapping::capacity`] says what it became.
    ///
    /// # Errors
    /// [`Error::Io`]: `ENOMEM`, `ENODEV`, `EAGAIN`, ...
    pub(crate) fn map(&self, reserve: u64, advice: Advice) -> Result<Mapping> {
        let len = self.len()?;
        let source = Source { storage: self.id, writable: self.access == Access::ReadWrite };
        let mapping = self
            .probe
            .pass(Call::Map, || Mapping::new(self.file(), source, reserve, len))
            .map_err(|error| self.error("mmap", error))?;
        // Reading ahead ends with the file. The other kinds shall hold for what it will grow to.
        let end = if advice == Advice::WillNeed { len } else { mapping.capacity() };
        // What a new mapping has anyway.
        if advice != Advice::Normal {
            mapping.advise(advice, 0..end);
        }
        Ok(mapping)
    }

    /// Makes durable what was written below `len`, and the file's length as far as that.
    ///
    /// Bytes beyond `len` (rounded up to a page of the system) may stay volatile. A memory or temporary file
    /// does nothing. `msync` over `mapping` is as fast as `fdatasync` and leaves out what is dirty behind
    /// `len`; where it cannot do it (the file is open for reading only, `len` is beyond the mapping, the
    /// mapping is not of this open file), `fdatasync` does.
    ///
    /// # Errors
    /// [`Error::Io`]. Then what the disk holds is unknown, and a later success says nothing about these
    /// bytes: the kernel may have forgotten that they are not written. Never call it again to make good a
    /// failure.
    pub(crate) fn sync(&self, mapping: &Mapping, len: u64) -> Result<()> {
        if self.is_volatile() {
            return Ok(());
        }
        let flushed = whole_pages(len);
        if mapping.can_flush(self.id, flushed) {
            let flush = || mapping.flush(flushed);
            return self.probe.sync(Some(flushed), flush).map_err(|error| self.error("msync", error));
        }
        let sync = || sys::fdatasync(self.file());
        self.probe.sync(None, sync).map_err(|error| self.error("fdatasync", error))
    }

    /// Starts writing out the range in the background, so that the next sync finds less to do. Promises
    /// nothing.
    pub(crate) fn start_writeback(&self, offset: u64, len: u64) {
        if !self.is_volatile() {
            // Only to save time later. A sync reports what goes wrong with the writing.
            let _ = sys::start_writeback(self.file(), offset, len);
        }
    }

    /// Takes the file's lock for itself alone, without waiting.
    ///
    /// # Errors
    /// [`Error::Locked`] if any other open of the file has it, or a [`Lock`] of this one lives;
    /// [`Error::Io`].
    pub(crate) fn lock_exclusive(&self) -> Result<Lock> {
        self.lock(Mode::Exclusive)
    }

    /// Takes the file's lock for itself alone, and waits until it has it.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Locked`] if a [`Lock`] of this open file lives.
    pub(crate) fn wait_exclusive(&self) -> Result<Lock> {
        let taken = self.probe.pass(Call::Lock, || Lock::take(&self.file));
        let taken = taken.map_err(|error| self.error("flock", error))?;
        taken.ok_or_else(|| Error::Locked { path: self.path.clone() })
    }

    /// Whether those who have the file open meet, instead of keeping others out.
    pub(crate) fn has_meeting(&self) -> bool {
        cfg!(target_os = "linux") && self.reach == Reach::Everybody
    }

    /// Meets those who have the same file open, behind the door. A file that only this process can have open
    /// is met by nobody, and where the system has no locks of open files, its lock keeps others out.
    pub(crate) fn meet(&self) -> Result<Meeting> {
        #[cfg(target_os = "linux")]
        if self.reach == Reach::Everybody {
            return Ok(Meeting::with(LockFile::enter(&self.path, &self.file, self.access)?));
        }
        Ok(Meeting::alone())
    }

    /// Takes the file's lock together with others who share it, without waiting.
    ///
    /// # Errors
    /// [`Error::Locked`] if another open of the file has it exclusively, or a [`Lock`] of this one lives;
    /// [`Error::Io`].
    pub(crate) fn lock_shared(&self) -> Result<Lock> {
        self.lock(Mode::Shared)
    }

    fn lock(&self, mode: Mode) -> Result<Lock> {
        let taken = self.probe.pass(Call::Lock, || Lock::try_take(&self.file, mode));
        let taken = taken.map_err(|error| self.error("flock", error))?;
        taken.ok_or_else(|| Error::Locked { path: self.path.clone() })
    }

    fn check_writable(&self) -> Result<()> {
        if self.access == Access::ReadOnly { Err(Error::ReadOnly) } else { Ok(()) }
    }

    fn file(&self) -> &File {
        &self.file.file
    }

    fn error(&self, call: &'static str, source: std::io::Error) -> Error {
        Error::io(call, &self.path, source)
    }
}

/// What stands for the path of a file in memory.
const MEMORY: &str = "(memory)";

/// What stands for the path of a temporary file.
const TEMPORARY: &str = "(temporary)";
