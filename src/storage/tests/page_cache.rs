//! Goal: what is said to be synced has left the page cache for the disk, and advice about the cache is taken.
//! Method: ask the kernel which pages of the file are dirty (`cachestat`). Directories cannot be asked: that
//! a new name is durable is not tested here.

use std::os::fd::AsRawFd;
use std::path::PathBuf;

use crate::storage::sys::{self, Cached};
use crate::storage::tests::{check_bytes, say_untested};
use crate::storage::{Access, Advice, Mapping, Storage};

const LEN: u64 = 1 << 20;

struct Bench {
    storage: Storage,
    path: PathBuf,
    directory: tempfile::TempDir,
}

impl Bench {
    /// A new file of `len` bytes. `None`, aloud, where the kernel cannot be asked or the file is on no disk.
    fn new(len: u64) -> Option<Bench> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        // In writes of 64 KiB: the kernel writes out no less than the unit that the first write of a page
        // made.
        let storage = Storage::create(&path, |storage| storage.extend_zeroed(0, len)).unwrap();
        assert!(!storage.is_volatile());
        let bench = Bench { storage, path, directory };
        if sys::cached(bench.storage.file()).is_none() {
            say_untested("what is in the page cache: this kernel does not tell");
            return None;
        }
        assert!(!bench.is_dirty(), "a new file is durable before it has its name");
        bench.soil();
        if !bench.is_dirty() {
            say_untested(&format!("what leaves the page cache: {} is on no disk", bench.path.display()));
            return None;
        }
        Some(bench)
    }

    fn soil(&self) {
        self.storage.write_at(&[&[1; 4096], &[2; 4096]], 64 << 10).unwrap();
    }

    fn cached(&self) -> Cached {
        sys::cached(self.storage.file()).unwrap()
    }

    fn is_dirty(&self) -> bool {
        let cached = self.cached();
        cached.dirty + cached.leaving > 0
    }

    fn check_sync_by(&self, way: &str, through: &Storage, mapping: &Mapping, len: u64) {
        self.soil();
        through.sync(mapping, len).unwrap();
        assert!(!self.is_dirty(), "{way}");
    }
}

#[test]
fn a_sync_leaves_no_dirty_page_below_its_end() {
    let Some(bench) = Bench::new(LEN) else { return };
    let mapping = bench.storage.map(0, Advice::Normal).unwrap();
    bench.storage.sync(&mapping, 64 << 10).unwrap();
    assert!(bench.is_dirty(), "behind the end of the sync");
    bench.storage.sync(&mapping, (64 << 10) + 4097).unwrap();
    assert!(!bench.is_dirty());
    bench.check_sync_by(
        "far beyond the end",
        &bench.storage,
        &bench.storage.map(4 << 40, Advice::Normal).unwrap(),
        LEN,
    );
    bench.storage.truncate(2 * LEN).unwrap();
    bench.check_sync_by("an end beyond the mapping", &bench.storage, &mapping, 2 * LEN);
}

#[test]
fn a_mapping_that_flushes_nothing_is_not_trusted() {
    let Some(bench) = Bench::new(LEN) else { return };
    let reader = Storage::open(&bench.path, Access::ReadOnly).unwrap();
    let useless = reader.map(0, Advice::Normal).unwrap();
    // This answers well, and does nothing.
    useless.flush(LEN).unwrap();
    assert!(bench.is_dirty(), "msync over a mapping made for reading only");
    bench.check_sync_by("a file opened for reading", &reader, &useless, LEN);
    bench.check_sync_by("the mapping of a reader", &bench.storage, &useless, LEN);
    let other_path = bench.directory.path().join("other");
    let other = Storage::create(&other_path, |storage| storage.extend_zeroed(0, LEN)).unwrap();
    bench.check_sync_by(
        "the mapping of another file",
        &bench.storage,
        &other.map(0, Advice::Normal).unwrap(),
        LEN,
    );
}

#[test]
fn a_temporary_file_is_not_written_out() {
    if Bench::new(LEN).is_some() {
        let storage = Storage::temporary().unwrap();
        storage.write_at(&[&[1; 4096]], 0).unwrap();
        storage.sync(&storage.map(0, Advice::Normal).unwrap(), 4096).unwrap();
        let cached = sys::cached(storage.file()).unwrap();
        assert_ne!(cached.dirty + cached.leaving, 0);
    }
}

#[test]
fn writing_out_starts_when_asked() {
    let Some(bench) = Bench::new(LEN) else { return };
    bench.storage.start_writeback(0, 64 << 10);
    assert_ne!(bench.cached().dirty, 0, "behind the range");
    bench.storage.start_writeback(64 << 10, 4097);
    assert_eq!(bench.cached().dirty, 0);
}

/// Drops the clean pages of the file from the page cache.
#[expect(unsafe_code, reason = "nothing else offers the call")]
fn drop_cache(file: &std::fs::File) {
    // SAFETY: a descriptor that is open, since `file` is, and plain numbers.
    let errno = unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    assert_eq!(errno, 0);
}

#[test]
fn the_cache_is_filled_when_asked() {
    // Longer than the read-ahead of most devices, at which Linux cuts down a single request.
    let len = 24 << 20;
    let Some(bench) = Bench::new(len) else { return };
    let before = bench.cached();
    assert_eq!(before.pages, len / sys::page_size());
    bench.storage.sync(&bench.storage.map(0, Advice::Normal).unwrap(), len).unwrap();
    drop_cache(bench.storage.file());
    assert_eq!(bench.cached().pages, 0);
    let mapping = bench.storage.map(1 << 40, Advice::WillNeed).unwrap();
    assert_eq!(bench.cached().pages, before.pages, "all of it, not only the first read-ahead");
    check_bytes(&mapping, 64 << 10, &[1; 4096]);
}
