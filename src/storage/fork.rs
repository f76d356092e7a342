//! Forked children: they have the same open files, and nothing of the database is theirs.
//!
//! A child that wrote, synced or closed would do so behind its parent's back. And a lock of an open file
//! lives as long as any descriptor of it, in whatever process: with a child that goes on, a parent that was
//! killed would keep everybody out. So in a child every descriptor of a database is replaced at once by one
//! that means nothing, and whoever asks learns that this is another process now.
//!
//! Relies on `pthread_atfork`: a child made by `fork` comes by here; one made by `vfork` or `posix_spawn`
//! runs another program at once and keeps no descriptor (`O_CLOEXEC`).

#![expect(unsafe_code, reason = "handlers that run in forked children")]

use std::cell::UnsafeCell;
use std::fs::File;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How many forks lie between the first process and this one, of those since the first file was watched.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// The descriptors of databases.
static WATCHED: Watchlist = Watchlist { is_locked: AtomicBool::new(false), content: UnsafeCell::new(EMPTY) };

const EMPTY: Watched = Watched { descriptors: Vec::new(), nothing: None };

struct Watched {
    descriptors: Vec<RawFd>,
    /// What takes their places in a child.
    nothing: Option<File>,
}

/// A lock that is held across each fork, so that a child finds its content whole, and that a child can open
/// whoever waits for it in the parent. (A common mutex hands itself over to those, who are not there.) It is
/// held for moments.
struct Watchlist {
    is_locked: AtomicBool,
    content: UnsafeCell<Watched>,
}

// SAFETY: the content is reached by `with`, which lets in one at a time, and by who forks, with the lock.
unsafe impl Sync for Watchlist {}

impl Watchlist {
    fn lock(&self) {
        // Acquire pairs with the release in `unlock`.
        while self.is_locked.swap(true, Ordering::Acquire) {
            std::thread::yield_now();
        }
    }

    fn unlock(&self) {
        self.is_locked.store(false, Ordering::Release);
    }

    /// `work` must not panic, or come back here.
    fn with<T>(&self, work: impl FnOnce(&mut Watched) -> T) -> T {
        self.lock();
        // SAFETY: alone, by the lock.
        let result = work(unsafe { &mut *self.content.get() });
        self.unlock();
        result
    }
}

/// A file whose descriptor means nothing in forked children.
#[derive(Debug)]
pub(super) struct Watch(RawFd);

fn register_handlers() {
    static HANDLERS: Once = Once::new();
    HANDLERS.call_once(|| {
        // SAFETY: the handlers live as long as the program, and do in a child only what may be done there:
        // atomics, and calls that are safe in signal handlers.
        let result = unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
        assert_eq!(result, 0, "no memory for the handlers of fork");
    });
}

impl Watch {
    /// Watches `file`, which must be open as long as this lives.
    pub(super) fn new(file: &File) -> Watch {
        register_handlers();
        WATCHED.with(|watched| {
            if watched.nothing.is_none() {
                // Any open file will do, and this one always exists. Without it a child keeps the parent's
                // locks.
                watched.nothing = File::open("/").ok();
            }
            watched.descriptors.push(file.as_raw_fd());
        });
        Watch(file.as_raw_fd())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHED.with(|watched| {
            if let Some(i) = watched.descriptors.iter().position(|descriptor| *descriptor == self.0) {
                watched.descriptors.swap_remove(i);
            }
        });
    }
}

/// Runs `work` while no thread of this process forks: what it locks, no child finds locked for ever. It must
/// not open or close files of databases.
pub(crate) fn without_forks<T>(work: impl FnOnce() -> T) -> T {
    register_handlers();
    WATCHED.with(|_| work())
}

/// Another number in a forked child than in its parent.
#[inline]
pub(super) fn forks() -> u64 {
    // Relaxed: it changes only where this process has one thread, which made the change.
    FORKS.load(Ordering::Relaxed)
}

extern "C" fn before() {
    WATCHED.lock();
}

extern "C" fn in_parent() {
    WATCHED.unlock();
}

extern "C" fn in_child() {
    // SAFETY: locked by `before`, in this thread's original; there is no other thread here.
    let watched = unsafe { &*WATCHED.content.get() };
    if let Some(nothing) = &watched.nothing {
        for descriptor in &watched.descriptors {
            // SAFETY: plain numbers of open descriptors. If it fails, the child keeps the parent's file open.
            unsafe { replace(nothing.as_raw_fd(), *descriptor) };
        }
    }
    FORKS.fetch_add(1, Ordering::Relaxed);
    WATCHED.unlock();
}

/// Makes `descriptor` mean what `by` means. It stays closed to programs that are run.
///
/// # Safety
/// Nobody relies on what `descriptor` was.
#[cfg(target_os = "linux")]
unsafe fn replace(by: RawFd, descriptor: RawFd) {
    // SAFETY: plain numbers; the contract of this function.
    unsafe { libc::dup3(by, descriptor, libc::O_CLOEXEC) };
}

/// As above.
///
/// # Safety
/// As above.
#[cfg(not(target_os = "linux"))]
unsafe fn replace(by: RawFd, descriptor: RawFd) {
    // SAFETY: plain numbers; the contract of this function.
    unsafe { libc::dup2(by, descriptor) };
    // SAFETY: the descriptor is open: the line above.
    unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
}
