//! Files as such: opening and creating them, and writing to them completely.
//!
//! - Relies on `sys` for the calls that std lacks, and on `probe` so that a test can record and fail them.
//! - Guarantees that what it opens is a regular file, that opening never waits for the other end of a pipe,
//!   that a new file appears under its name whole or not at all, and that a write is complete or an error.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, ErrorKind, IoSlice};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};
use crate::storage::Access;
use crate::storage::probe::{Call, Probe};
use crate::storage::sys;

/// The most bytes of one `pwritev`. The kernel keeps the file's other writers out for as long as one call
/// takes, and the cost of the call itself no longer shows: 0.5 us per 4 KiB from 64 KiB upwards.
pub(super) const WRITE_BYTES_MAX: usize = 1 << 20;

/// The size and alignment of the writes that make a file grow. The page cache keeps a file in units as large
/// as the writes that first filled it, and later writes of 4 KiB cost 1.9 us in small units, 5 us in units of
/// megabytes.
pub(super) const ZEROS: usize = 64 << 10;

/// Opens an existing regular file, and nothing else.
pub(super) fn open(path: &Path, access: Access) -> Result<File> {
    // 1. Look before opening: opening a device may already do something (a tape rewinds).
    let found = fs::metadata(path).map_err(|error| open_error("stat", path, error))?;
    refuse_unless_regular(path, found.file_type())?;
    // 2. Another file may stand there by now.
    open_regular(path, access)
}

/// Opens an existing regular file to read it as it is, on whatever file system.
pub(super) fn open_plain(path: &Path) -> Result<File> {
    // As above.
    let found = fs::metadata(path).map_err(|error| open_error("stat", path, error))?;
    refuse_unless_regular(path, found.file_type())?;
    open_whatever(path, Access::ReadOnly)
}

/// Opens whatever stands there, without waiting for anybody, and keeps it if it is a regular file that can be
/// a database.
pub(super) fn open_regular(path: &Path, access: Access) -> Result<File> {
    let file = open_whatever(path, access)?;
    refuse_if_shared(path, sys::file_system(&file))?;
    Ok(file)
}

/// Opens whatever stands there, without waiting for anybody, and keeps it if it is a regular file.
fn open_whatever(path: &Path, access: Access) -> Result<File> {
    // O_NONBLOCK means nothing to a regular file, but does not wait for the other end of a pipe.
    let file = OpenOptions::new()
        .read(true)
        .write(access == Access::ReadWrite)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .map_err(|error| open_error("open", path, error))?;
    let opened = file.metadata().map_err(|error| Error::io("fstat", path, error))?;
    refuse_unless_regular(path, opened.file_type())?;
    Ok(file)
}

/// File systems whose pages or locks are not those of other machines or of the host, with the numbers that
/// Linux has for them in `statfs(2)` and in its `magic.h`.
const SHARED_FILE_SYSTEMS: &[(u32, &str)] = &[
    (0x6969, "nfs"),
    (0x517B, "smb"),
    (0xFF53_4D42, "cifs"),
    (0xFE53_4D42, "smb2"),
    (0x0102_1997, "9p"),
    (0x5346_414F, "afs"),
    (0x6B41_4653, "kafs"),
    (0x7375_7245, "coda"),
    (0x564C, "ncp"),
    (0x00C3_6400, "ceph"),
    (0x0BD0_0BD0, "lustre"),
    (0x786F_4256, "vboxsf"),
];

/// Refuses a kind of file system on which a mapping may not show what was written, or a lock not hold.
pub(super) fn refuse_if_shared(path: &Path, kind: Option<u32>) -> Result<()> {
    let found = SHARED_FILE_SYSTEMS.iter().find(|(number, _)| Some(*number) == kind);
    match found {
        None => Ok(()),
        Some((_, name)) => Err(Error::FileSystem { path: path.to_owned(), name }),
    }
}

fn open_error(call: &'static str, path: &Path, error: io::Error) -> Error {
    if error.kind() == ErrorKind::NotFound {
        return Error::NotFound { path: path.to_owned() };
    }
    Error::io(call, path, error)
}

fn refuse_unless_regular(path: &Path, found: FileType) -> Result<()> {
    let found = match found {
        _ if found.is_file() => return Ok(()),
        _ if found.is_dir() => "a directory",
        _ if found.is_fifo() => "a pipe",
        _ if found.is_char_device() => "a character device",
        _ if found.is_block_device() => "a block device",
        _ if found.is_socket() => "a socket",
        _ => "no regular file",
    };
    Err(Error::NotAFile { path: path.to_owned(), found })
}

/// Whether what stands there may be replaced: nothing, or a file that nobody has open as a database.
pub(super) fn check_replaceable(path: &Path) -> Result<()> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        found => {
            let found = found.map_err(|error| Error::io("stat", path, error))?;
            refuse_unless_regular(path, found.file_type())?;
        }
    }
    #[cfg(target_os = "linux")]
    {
        // O_NONBLOCK: another thing may stand there by now.
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
        let file = file.map_err(|error| open_error("open", path, error))?;
        let present = super::lock_file::is_anybody_present(&file);
        if present.map_err(|error| Error::io("fcntl", path, error))? {
            return Err(Error::Locked { path: path.to_owned() });
        }
    }
    Ok(())
}

/// A file on its way to its name. Until it has arrived, dropping this removes it.
pub(super) struct NewFile {
    path: PathBuf,
    /// Another name in the same directory; none for a file that has no name at all yet.
    temporary: Option<PathBuf>,
    /// Where it is going to be.
    parent: PathBuf,
    /// Opened first, so that a directory that cannot be synced is noticed while nothing has happened.
    directory: File,
    arrived: bool,
}

/// What the names of files begin with that are on their way.
const NEW: &str = ".folio-new";

impl NewFile {
    /// Makes an empty file beside `path`, named `.folio-new-<process id>-<number>`.
    pub(super) fn beside(path: &Path) -> Result<(NewFile, File)> {
        let mut new = Self::to(path, false)?;
        refuse_if_shared(path, sys::file_system(&new.directory))?;
        // As SQLite's files: everybody may read them unless the umask says otherwise.
        let (file, temporary) = create_unique(&new.parent, NEW, 0o644)?;
        new.temporary = Some(temporary);
        Ok((new, file))
    }

    /// Makes an empty file on any file system, which nobody is going to map until it is there. It has no name
    /// until it is published, where that is possible: who is killed leaves nothing. With `replace` there may
    /// be a file already.
    pub(super) fn of_any_kind(path: &Path, replace: bool, mode: u32) -> Result<(NewFile, File)> {
        let mut new = Self::to(path, replace)?;
        if let Some(file) = sys::nameless_file(&new.parent, mode) {
            return Ok((new, file));
        }
        let (file, temporary) = create_unique(&new.parent, NEW, mode)?;
        new.temporary = Some(temporary);
        Ok((new, file))
    }

    fn to(path: &Path, replace: bool) -> Result<NewFile> {
        if path.as_os_str().as_bytes().ends_with(b"/") || path.file_name().is_none() {
            return Err(Error::io("open", path, io::Error::from_raw_os_error(libc::EISDIR)));
        }
        // The rename at the end decides. This only spares the work, and asks no right to write of who has
        // none.
        if !replace && fs::symlink_metadata(path).is_ok() {
            return Err(Error::AlreadyExists { path: path.to_owned() });
        }
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let directory = File::open(parent).map_err(|error| Error::io("open", parent, error))?;
        let (path, parent) = (path.to_owned(), parent.to_owned());
        Ok(NewFile { path, temporary: None, parent, directory, arrived: false })
    }

    /// Makes the content durable, gives the file its name unless that is taken, and makes the name durable.
    pub(super) fn publish(
        mut self,
        file: &File,
        rename: impl FnOnce(&Path, &Path) -> io::Result<()>,
    ) -> Result<()> {
        // 1. The content first: a name must never lead to a file that a crash has emptied.
        sys::fsync(file).map_err(|error| Error::io("fsync", &self.path, error))?;
        // 2. The name, all or nothing.
        let temporary = match self.temporary.take() {
            Some(path) => path,
            None => unique(&self.parent, NEW, |path| sys::name_file(file, path))?.1,
        };
        match rename(self.temporary.insert(temporary), &self.path) {
            Ok(()) => self.arrived = true,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(Error::AlreadyExists { path: self.path.clone() });
            }
            Err(error) => return Err(Error::io("rename", &self.path, error)),
        }
        // 3. The directory. Some file systems sync no directories, and say so.
        match sys::fsync(&self.directory) {
            Err(error) if !cannot(&error) => Err(Error::io("fsync of the directory", &self.path, error)),
            _ => Ok(()),
        }
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.as_ref().filter(|_| !self.arrived) {
            // Nothing can be done about a failure here, and a leftover is harmless.
            let _ = fs::remove_file(temporary);
        }
    }
}

/// Renames without replacing anything. Where the file system cannot: a second name, then the first removed.
pub(super) fn rename_to_free_name(from: &Path, to: &Path) -> io::Result<()> {
    match sys::rename_to_free_name(from, to) {
        Err(error) if cannot(&error) => link_to_free_name(from, to),
        result => result,
    }
}

/// The same by `link(2)`. A crash in the middle leaves the temporary name as well.
pub(super) fn link_to_free_name(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)?;
    // The file has its name. A second one is harmless.
    let _ = fs::remove_file(from);
    Ok(())
}

/// Whether the system, or the file system, has no such call.
pub(super) fn cannot(error: &io::Error) -> bool {
    error.kind() == ErrorKind::Unsupported
        || matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP))
}

/// A file in memory where there is such a thing, otherwise one in the directory for temporary files.
pub(super) fn memory() -> Result<File> {
    match sys::memory_file() {
        Ok(file) => Ok(file),
        Err(error) if cannot(&error) => temporary(),
        Err(error) => Err(Error::io("memfd_create", Path::new(super::MEMORY), error)),
    }
}

/// A file without a name in the directory for temporary files.
pub(super) fn temporary() -> Result<File> {
    let directory = std::env::temp_dir();
    // Not every file system can. Where nothing can be made at all, the way below fails too and says why.
    if let Some(file) = sys::nameless_file(&directory, 0o600) {
        return Ok(file);
    }
    let (file, path) = create_unique(&directory, ".folio-temporary", 0o600)?;
    fs::remove_file(&path).map_err(|error| Error::io("unlink", &path, error))?;
    Ok(file)
}

/// Makes an empty file that was not there: `<prefix>-<process id>-<number>`.
fn create_unique(directory: &Path, prefix: &str, mode: u32) -> Result<(File, PathBuf)> {
    unique(directory, prefix, |path| {
        OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(path)
    })
}

/// Does something with a name of that form, as often as it is said to be taken.
fn unique<R>(
    directory: &Path,
    prefix: &str,
    mut make: impl FnMut(&Path) -> io::Result<R>,
) -> Result<(R, PathBuf)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        // Relaxed: only the number counts, and it orders nothing.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("{prefix}-{}-{number}", std::process::id()));
        match make(&path) {
            Ok(made) => return Ok((made, path)),
            // Left by a crash, or by a process of the same number in another container.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io("open", &path, error)),
        }
    }
}

/// Writes all of `bufs`, one after another, from `offset` on. After an error, any part of it may be written.
pub(super) fn write_all(
    file: &File,
    probe: &Probe,
    call: Call,
    bufs: &[&[u8]],
    offset: u64,
) -> io::Result<()> {
    let len: u64 = bufs.iter().map(|buf| buf.len() as u64).sum();
    let too_far = || io::Error::from_raw_os_error(libc::EFBIG);
    let end = offset.checked_add(len).ok_or_else(too_far)?;
    // The kernel would say the same, but with a signal (SIGXFSZ) that ends the process.
    if !sys::may_write_to(end) {
        return Err(too_far());
    }
    let mut rest = Rest { bufs, begun: 0 };
    let mut batch = Vec::with_capacity(bufs.len().min(sys::IOV_MAX));
    let mut at = offset;
    while rest.next_batch(&mut batch) {
        let done = match probe.write(call, &batch, at, |batch, at| sys::pwritev(file, batch, at)) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(done) => done,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        rest.advance(done);
        at += done as u64;
    }
    assert_eq!(at, end, "all of it is written");
    Ok(())
}

/// What is still to be written: `bufs`, of whose first one `begun` bytes are done.
struct Rest<'a> {
    bufs: &'a [&'a [u8]],
    begun: usize,
}

impl<'a> Rest<'a> {
    /// Fills `batch` with the next slices, as many as one call takes. Whether there are any.
    fn next_batch(&self, batch: &mut Vec<IoSlice<'a>>) -> bool {
        batch.clear();
        let mut room = WRITE_BYTES_MAX;
        let mut begun = self.begun;
        for buf in self.bufs {
            let take = (buf.len() - begun).min(room);
            if take > 0 {
                batch.push(IoSlice::new(&buf[begun..begun + take]));
            }
            room -= take;
            begun = 0;
            if room == 0 || batch.len() == sys::IOV_MAX {
                break;
            }
        }
        !batch.is_empty()
    }

    /// Leaves out the next `done` bytes.
    fn advance(&mut self, done: usize) {
        let mut begun = self.begun + done;
        while let Some((first, others)) = self.bufs.split_first() {
            if begun < first.len() {
                break;
            }
            begun -= first.len();
            self.bufs = others;
        }
        self.begun = begun;
    }
}

/// Writes zeros from `from` to `to`, in aligned pieces of [`ZEROS`].
pub(super) fn write_zeros(file: &File, probe: &Probe, from: u64, to: u64) -> io::Result<()> {
    const STEP: u64 = ZEROS as u64;
    static ZERO_BYTES: [u8; ZEROS] = [0; ZEROS];
    let mut at = from;
    while at < to {
        let len = (STEP - at % STEP).min(to - at);
        let len = usize::try_from(len).expect("at most a step");
        write_all(file, probe, Call::Grow, &[&ZERO_BYTES[..len]], at)?;
        at += len as u64;
    }
    Ok(())
}
