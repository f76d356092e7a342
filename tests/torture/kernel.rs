//! What is asked of the kernel: a power cut, syncs that do nothing, writing out at random, an end by signal.

#![expect(unsafe_code, reason = "system calls by way of libc")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use folio::Database;

use crate::args::Failure;

/// `FS_IOC_SHUTDOWN`, which is `EXT4_IOC_SHUTDOWN` and `XFS_IOC_GOINGDOWN`: `_IOR('X', 125, u32)`.
#[cfg(target_os = "linux")]
const SHUTDOWN: libc::Ioctl = 0x8004_587D;

/// Nothing more is written, the log neither: as if the power was cut.
#[cfg(target_os = "linux")]
const NO_LOG_FLUSH: u32 = 2;

/// Cuts the power of the file system at `mount`.
#[cfg(target_os = "linux")]
pub(crate) fn shutdown(mount: &Path) -> io::Result<()> {
    let directory = File::open(mount)?;
    let mode = NO_LOG_FLUSH;
    // SAFETY: a descriptor that is open, and a pointer to a live number of this frame.
    let result = unsafe { libc::ioctl(directory.as_raw_fd(), SHUTDOWN, &raw const mode) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// From here on, every call that syncs does nothing and says that it succeeded, in this thread and those that
/// it starts. What another thread started before still works there.
#[cfg(target_os = "linux")]
pub(crate) fn take_out_syncs() -> io::Result<()> {
    const SYNCS: [libc::c_long; 6] = [
        libc::SYS_msync,
        libc::SYS_fsync,
        libc::SYS_fdatasync,
        libc::SYS_sync_file_range,
        libc::SYS_sync,
        libc::SYS_syncfs,
    ];
    let step = |code: u32, jt: u8, k: u32| libc::sock_filter {
        code: u16::try_from(code).expect("codes have 16 bits"),
        jt,
        jf: 0,
        k,
    };
    // The number of the call is the first field of what the filter looks at.
    let mut program = vec![step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    for (call, left) in SYNCS.iter().zip((1_u8..=6).rev()) {
        let number = u32::try_from(*call).expect("numbers of calls are small");
        program.push(step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, left, number));
    }
    program.push(step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW));
    // The error 0 is success.
    program.push(step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ERRNO));
    let filter = libc::sock_fprog {
        len: libc::c_ushort::try_from(program.len()).expect("a short program"),
        filter: program.as_mut_ptr(),
    };
    // SAFETY: plain numbers.
    let result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the pointer is to a program of this frame, which the kernel copies.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Writes out some bytes of the file, and waits for it, but flushes no cache of the disk and no journal: as
/// the kernel may do at any time.
#[cfg(target_os = "linux")]
pub(crate) fn write_out(file: &File, offset: u64, len: u64) -> io::Result<()> {
    let number = |n: u64| i64::try_from(n).map_err(io::Error::other);
    let (offset, len) = (number(offset)?, number(len)?);
    let how = libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    // SAFETY: a descriptor that is open, and plain numbers.
    let result = unsafe { libc::sync_file_range(file.as_raw_fd(), offset, len, how) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn shutdown(_: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn take_out_syncs() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn write_out(file: &File, _: u64, _: u64) -> io::Result<()> {
    let _ = file.as_raw_fd();
    Err(io::ErrorKind::Unsupported.into())
}

/// Ends this process as `kill -9` does, with `db` open. What to say if it does not.
pub(crate) fn kill_self(db: Database) -> String {
    // SAFETY: sends a signal to this process, and touches no memory.
    let result = unsafe { libc::raise(libc::SIGKILL) };
    drop(db);
    format!("SIGKILL was sent and did not end the process ({result})")
}

/// Runs `child` in a forked copy of this process, which has one thread and no database open, and waits until
/// it is killed.
pub(crate) fn killed_child(child: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    // SAFETY: there are no other threads, whose locks would stay locked in the child.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(io::Error::last_os_error().into());
    }
    if pid == 0 {
        if let Err(failure) = child() {
            eprintln!("torture: {failure}");
        }
        // SAFETY: ends the child at once; none of the parent's exit handlers runs in it.
        unsafe { libc::_exit(1) };
    }
    let mut status = 0;
    // SAFETY: the pointer is to a live integer of this frame.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    if waited == pid && libc::WIFSIGNALED(status) {
        return Ok(());
    }
    Err(Failure::Error(format!("a child ended with status {status}")))
}
