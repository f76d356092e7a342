//! System calls that neither std nor memmap2 nor fs2 offers, one function each, made safe.
//!
//! - Relies on nothing but libc. Every function reports the `errno` of its call and retries nothing.
//! - Where a system lacks a call, its function does the nearest honest thing and says so.

#![expect(unsafe_code, reason = "system calls by way of libc")]

use std::fs::File;
use std::io::{self, IoSlice, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The most slices that one `pwritev` takes: `IOV_MAX` of Linux and of macOS.
pub(super) const IOV_MAX: usize = 1024;

/// See [`may_write_to`].
const LIMIT_MS: u64 = 100;

/// The size in bytes of a page of the operating system, which is no page of a database.
pub(super) fn page_size() -> u64 {
    // SAFETY: sysconf takes a number and returns a number.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).expect("every system that has mmap has a page size")
}

/// Asks for the pages behind a piece of memory at once: one call, and not a fault for each of them when it is
/// first written. Their content stays as it is. Where the system has no such call, nothing is lost.
#[cfg(target_os = "linux")]
pub(crate) fn prefault(memory: &mut [u8]) {
    let page = usize::try_from(page_size()).expect("a page is small");
    let skip = memory.as_ptr().align_offset(page);
    let Some(whole) = memory.get_mut(skip..) else { return };
    let len = whole.len() / page * page;
    // SAFETY: the range is memory of this process that the caller alone has, and the call changes no byte.
    unsafe { libc::madvise(whole.as_mut_ptr().cast(), len, libc::MADV_POPULATE_WRITE) };
}

/// See the other one.
#[cfg(not(target_os = "linux"))]
pub(crate) fn prefault(_: &mut [u8]) {}

/// Milliseconds since some moment, as cheap as the system has them: a few nanoseconds, and right to about ten
/// milliseconds.
pub(super) fn coarse_ms() -> u64 {
    #[cfg(target_os = "linux")]
    const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC_COARSE;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec of this stack frame.
    unsafe { libc::clock_gettime(CLOCK, &raw mut now) };
    let (seconds, nanoseconds) = (u64::try_from(now.tv_sec), u64::try_from(now.tv_nsec));
    seconds.unwrap_or(0) * 1000 + nanoseconds.unwrap_or(0) / 1_000_000
}

/// Waits until somebody calls [`wake`] for the same word, in whatever process, or `limit` is over; not at all
/// if the word's low half is not `expected`. May return for no reason.
///
/// The word must be in a mapping of a file or in memory of this process: `futex(2)`.
#[cfg(target_os = "linux")]
pub(super) fn wait(word: &AtomicU64, expected: u32, limit: Duration) {
    let limit = libc::timespec {
        tv_sec: libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(limit.subsec_nanos().cast_signed()),
    };
    let half = low_half(word);
    // SAFETY: the word and the time live in this frame or the caller's, and the call writes neither.
    unsafe { libc::syscall(libc::SYS_futex, half, libc::FUTEX_WAIT, expected, &raw const limit) };
}

/// Wakes all who [`wait`] for the word.
#[cfg(target_os = "linux")]
pub(super) fn wake(word: &AtomicU64) {
    let half = low_half(word);
    // SAFETY: the call uses the address alone.
    unsafe { libc::syscall(libc::SYS_futex, half, libc::FUTEX_WAKE, i32::MAX) };
}

#[cfg(target_os = "linux")]
fn low_half(word: &AtomicU64) -> *const u32 {
    let first = word.as_ptr().cast::<u32>().cast_const();
    // Inside the word, either way.
    if cfg!(target_endian = "little") { first } else { first.wrapping_add(1) }
}

/// Where the system has no such call: looks again soon.
#[cfg(not(target_os = "linux"))]
pub(super) fn wait(_: &AtomicU64, _: u32, limit: Duration) {
    std::thread::sleep(limit.min(Duration::from_millis(1)));
}

/// As above.
#[cfg(not(target_os = "linux"))]
pub(super) fn wake(_: &AtomicU64) {}

/// Who this process acts as.
pub(super) fn user() -> u32 {
    // SAFETY: takes nothing, and cannot fail.
    unsafe { libc::geteuid() }
}

/// The largest file this process may make (`RLIMIT_FSIZE`), in bytes.
pub(super) fn file_size_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live rlimit of this stack frame.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) };
    if result == 0 { limit.rlim_cur } else { u64::MAX }
}

/// Whether this process may write to a file up to `end` ([`file_size_limit`]). What was allowed is not asked
/// again for [`LIMIT_MS`]: a commit writes several times, and the limit hardly ever changes.
pub(super) fn may_write_to(end: u64) -> bool {
    // Of all files: the limit is one of the process. Relaxed: one asks more often than it would have to.
    static ALLOWED: AtomicU64 = AtomicU64::new(0);
    static ASKED_MS: AtomicU64 = AtomicU64::new(0);
    let now = coarse_ms();
    let is_new = now.saturating_sub(ASKED_MS.load(Ordering::Relaxed)) >= LIMIT_MS;
    if !is_new && end <= ALLOWED.load(Ordering::Relaxed) {
        return true;
    }
    let limit = file_size_limit();
    // Some more at once: a file that grows is written behind its end each time.
    let allowed = ALLOWED.load(Ordering::Relaxed).max(end.saturating_add(1 << 20)).min(limit);
    ALLOWED.store(allowed, Ordering::Relaxed);
    ASKED_MS.store(now, Ordering::Relaxed);
    end <= limit
}

/// The length of a regular file in bytes. Moves the position of the open file, which nobody uses.
pub(super) fn file_len(file: &File) -> io::Result<u64> {
    let mut file = file;
    file.seek(SeekFrom::End(0))
}

/// The number that Linux gives to the kind of file system that the file lies on (`statfs`). None elsewhere,
/// or where it does not say.
pub(super) fn file_system(file: &File) -> Option<u32> {
    #[cfg(target_os = "linux")]
    {
        let mut found = std::mem::MaybeUninit::<libc::statfs>::zeroed();
        // SAFETY: a descriptor that is open, since `file` is, and room for a statfs in this frame.
        let result = unsafe { libc::fstatfs(file.as_raw_fd(), found.as_mut_ptr()) };
        // SAFETY: it consists of numbers, which began as zeros.
        let found = unsafe { found.assume_init() };
        // The numbers have 32 bits, and a sign in some places.
        let kind = found.f_type & 0xFFFF_FFFF;
        if result == 0 { u32::try_from(kind).ok() } else { None }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = file;
        None
    }
}

/// Writes the slices one after another at `offset`; returns how many bytes went, which may be fewer than
/// asked.
pub(super) fn pwritev(file: &File, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
    let offset = file_offset(offset)?;
    let count = libc::c_int::try_from(bufs.len().min(IOV_MAX)).expect("IOV_MAX fits");
    // SAFETY: std promises that IoSlice has the layout of iovec, and `count` of them are borrowed for the
    // call.
    let done = unsafe { libc::pwritev(file.as_raw_fd(), bufs.as_ptr().cast(), count, offset) };
    usize::try_from(done).map_err(|_| io::Error::last_os_error())
}

/// Makes the content of the file durable, and of its metadata what is needed to read it again.
///
/// std's `sync_data` calls again when a signal interrupts it. A sync that failed must not be repeated.
pub(super) fn fdatasync(file: &File) -> io::Result<()> {
    // SAFETY: a descriptor that is open, since `file` is.
    #[cfg(not(target_vendor = "apple"))]
    let result = unsafe { libc::fdatasync(file.as_raw_fd()) };
    // Here fdatasync and fsync leave the bytes in the disk's own cache.
    // SAFETY: a descriptor that is open, since `file` is.
    #[cfg(target_vendor = "apple")]
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_FULLFSYNC) };
    succeeded(result)
}

/// Makes the content and the metadata of a file, or the names in a directory, durable.
pub(super) fn fsync(file: &File) -> io::Result<()> {
    // SAFETY: a descriptor that is open, since `file` is.
    #[cfg(not(target_vendor = "apple"))]
    let result = unsafe { libc::fsync(file.as_raw_fd()) };
    // SAFETY: a descriptor that is open, since `file` is.
    #[cfg(target_vendor = "apple")]
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_FULLFSYNC) };
    succeeded(result)
}

/// Starts writing out the range, and waits for nothing. Does nothing where there is no such call.
pub(super) fn start_writeback(file: &File, offset: u64, len: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let (offset, len) = (file_offset(offset)?, file_offset(len)?);
        // SAFETY: a descriptor that is open, since `file` is, and plain numbers.
        let result =
            unsafe { libc::sync_file_range(file.as_raw_fd(), offset, len, libc::SYNC_FILE_RANGE_WRITE) };
        succeeded(result)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, offset, len);
        Ok(())
    }
}

/// Gives the range of the file blocks, and makes the file so long at least. What is there stays, also what
/// others write meanwhile. `Unsupported` where there is no such call.
pub(super) fn allocate(file: &File, offset: u64, len: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let (offset, len) = (file_offset(offset)?, file_offset(len)?);
        // SAFETY: a descriptor that is open, since `file` is, and plain numbers.
        succeeded(unsafe { libc::fallocate(file.as_raw_fd(), 0, offset, len) })
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, offset, len);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A new file that lives in memory and has no name. `Unsupported` where there is no `memfd_create`.
pub(super) fn memory_file() -> io::Result<File> {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::FromRawFd;
        // SAFETY: the name is a C string that lives as long as the program.
        let descriptor = unsafe { libc::memfd_create(c"folio".as_ptr(), libc::MFD_CLOEXEC) };
        succeeded(descriptor)?;
        // SAFETY: the call has just made this descriptor, and nobody else knows it.
        Ok(unsafe { File::from_raw_fd(descriptor) })
    }
    #[cfg(not(target_os = "linux"))]
    Err(io::ErrorKind::Unsupported.into())
}

/// Renames a file unless the new name is taken: then `EEXIST`. `EINVAL`, `ENOSYS` or `Unsupported` where the
/// file system or the system cannot.
pub(super) fn rename_to_free_name(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use std::ffi::CString;
        use std::os::unix::ffi::OsStrExt;
        let from = CString::new(from.as_os_str().as_bytes())?;
        let to = CString::new(to.as_os_str().as_bytes())?;
        // By number, because older C libraries have no function for it.
        // SAFETY: both pointers are to C strings that outlive the call.
        let result = unsafe {
            libc::syscall(
                libc::SYS_renameat2,
                libc::AT_FDCWD,
                from.as_ptr(),
                libc::AT_FDCWD,
                to.as_ptr(),
                libc::RENAME_NOREPLACE,
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (from, to);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A file without a name in that directory, where there is such a thing and [`name_file`] can name it.
pub(super) fn nameless_file(directory: &Path, mode: u32) -> Option<File> {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).mode(mode).custom_flags(libc::O_TMPFILE);
        options.open(directory).ok().filter(|file| descriptor_path(file).exists())
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (directory, mode);
        None
    }
}

/// Gives a file that has none a name, unless that is taken: then `EEXIST`.
pub(super) fn name_file(file: &File, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use std::ffi::CString;
        use std::os::unix::ffi::OsStrExt;
        let from = CString::new(descriptor_path(file).as_os_str().as_bytes())?;
        let to = CString::new(to.as_os_str().as_bytes())?;
        let (here, follow) = (libc::AT_FDCWD, libc::AT_SYMLINK_FOLLOW);
        // SAFETY: both pointers are to C strings that outlive the call.
        let result = unsafe { libc::linkat(here, from.as_ptr(), here, to.as_ptr(), follow) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, to);
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(target_os = "linux")]
fn descriptor_path(file: &File) -> std::path::PathBuf {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

/// What is asked of a byte range's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RangeLock {
    Shared,
    Exclusive,
    None,
}

#[cfg(target_os = "linux")]
impl RangeLock {
    fn on(self, start: u64, len: u64) -> io::Result<libc::flock> {
        let kind = match self {
            RangeLock::Shared => libc::F_RDLCK,
            RangeLock::Exclusive => libc::F_WRLCK,
            RangeLock::None => libc::F_UNLCK,
        };
        let narrow = |number: i32| libc::c_short::try_from(number).expect("a small constant");
        Ok(libc::flock {
            l_type: narrow(kind),
            l_whence: narrow(libc::SEEK_SET),
            l_start: file_offset(start)?,
            l_len: file_offset(len)?,
            // The kernel wants it so for locks of an open file.
            l_pid: 0,
        })
    }
}

/// Changes the lock that this open file has on a range of bytes, which need not exist: `fcntl(F_OFD_SETLK)`.
/// Whether it could; with `wait` it waits until it can.
#[cfg(target_os = "linux")]
pub(super) fn lock_range(file: &File, lock: RangeLock, start: u64, len: u64, wait: bool) -> io::Result<bool> {
    let command = if wait { libc::F_OFD_SETLKW } else { libc::F_OFD_SETLK };
    let range = lock.on(start, len)?;
    loop {
        // SAFETY: a descriptor that is open, since `file` is, and a pointer to a live flock of this frame.
        let result = unsafe { libc::fcntl(file.as_raw_fd(), command, &raw const range) };
        let Err(error) = succeeded(result) else { return Ok(true) };
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EACCES) => return Ok(false),
            // A signal came while it waited: nothing has happened.
            Some(libc::EINTR) => {}
            _ => return Err(error),
        }
    }
}

/// Whether another open file has a lock on some byte of the range that `lock` would have to wait for:
/// `fcntl(F_OFD_GETLK)`. What this open file has itself is not seen.
#[cfg(target_os = "linux")]
pub(super) fn is_range_locked(file: &File, lock: RangeLock, start: u64, len: u64) -> io::Result<bool> {
    let mut range = lock.on(start, len)?;
    // SAFETY: a descriptor that is open, since `file` is, and a pointer to a live flock of this frame.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut range) };
    succeeded(result)?;
    Ok(i32::from(range.l_type) != libc::F_UNLCK)
}

/// Where the system has no locks of open files: `Unsupported`.
#[cfg(not(target_os = "linux"))]
pub(super) fn lock_range(_: &File, _: RangeLock, _: u64, _: u64, _: bool) -> io::Result<bool> {
    Err(io::ErrorKind::Unsupported.into())
}

/// As above.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_range_locked(_: &File, _: RangeLock, _: u64, _: u64) -> io::Result<bool> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A length or offset as the calls take it; beyond what they can take is `EFBIG`.
fn file_offset(offset: u64) -> io::Result<i64> {
    i64::try_from(offset).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))
}

/// The usual convention: a negative result stands for `errno`.
fn succeeded(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// What the page cache holds of a file, in pages of the system.
#[cfg(all(test, target_os = "linux"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cached {
    pub(super) pages: u64,
    /// Not on the disk, and nobody is writing them.
    pub(super) dirty: u64,
    /// On their way to the disk.
    pub(super) leaving: u64,
}

/// Asks for it. `None` where the kernel is older than the call (Linux 6.5).
#[cfg(all(test, target_os = "linux"))]
pub(super) fn cached(file: &File) -> Option<Cached> {
    let range = [0_u64; 2];
    let mut found = [0_u64; 5];
    // SAFETY: both pointers are to arrays of this frame, as long as cachestat_range and cachestat are.
    let result =
        unsafe { libc::syscall(CACHESTAT, file.as_raw_fd(), range.as_ptr(), found.as_mut_ptr(), 0_u32) };
    (result == 0).then_some(Cached { pages: found[0], dirty: found[1], leaving: found[2] })
}

/// The number of `cachestat`, the same on every architecture. libc has it for some of them only.
#[cfg(all(test, target_os = "linux"))]
const CACHESTAT: libc::c_long = 451;

/// Runs `child` in a forked copy of this process, and waits for its end. `child` must not touch the heap.
#[cfg(test)]
pub(super) fn in_forked_child(child: impl FnOnce()) {
    // SAFETY: until it ends, the child runs only `child`, which keeps off locks that other threads may have
    // held.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork: {}", io::Error::last_os_error());
    if pid == 0 {
        child();
        // SAFETY: ends the child at once; no destructor and no exit handler of the parent's runs in it.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: the pointer is to a live integer of this frame.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!((waited, status), (pid, 0), "the child must end by itself");
}
