//! Goal: what `Storage` says of files, locks and mappings is so, and nothing of them is left behind.
//! Method: real files in a temporary directory; faults that no test can cause for real come from the
//! simulated disk.

#![expect(unsafe_code, reason = "reading through mappings")]

mod creation;
#[cfg(target_os = "linux")]
mod page_cache;
mod simulated;
mod words;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::storage::sim::{Event, Fault, Rng, SimDisk};
use crate::storage::{Access, Advice, Call, Mapping, Storage, file, sys};

/// The bytes of a mapping, copied.
fn check_bytes(mapping: &Mapping, offset: u64, expected: &[u8]) {
    // SAFETY: every test asks only for bytes that it has written before, and writes no others meanwhile.
    let found = unsafe { mapping.bytes(offset, expected.len()) };
    assert!(found == expected, "the {} bytes at {offset} through the mapping", expected.len());
}

fn check_content(storage: &Storage, expected: &[u8]) {
    assert_eq!(storage.len().unwrap(), expected.len() as u64);
    let mut found = vec![0; expected.len()];
    storage.read_exact_at(&mut found, 0).unwrap();
    assert!(found == expected, "the content of {}", storage.path().display());
}

/// The `errno` of an error that a system call gave, and the call.
fn check_errno(result: Result<impl std::fmt::Debug>, call: &str, errno: i32) {
    match result {
        Err(Error::Io { call: found, source, .. }) => {
            assert_eq!((found, source.raw_os_error()), (call, Some(errno)));
        }
        other => panic!("expected {call} to fail with {errno}, got {other:?}"),
    }
}

fn random_bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    (0..len).map(|_| rng.next().to_le_bytes()[0]).collect()
}

/// Says aloud what cannot be tested here, past the harness, which keeps what passing tests print.
fn say_untested(what: &str) {
    use std::io::Write;
    std::io::stderr().write_all(format!("NOT TESTED: {what}\n").as_bytes()).unwrap();
}

#[test]
fn what_is_no_file_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let socket = directory.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    let cases = [
        (directory.path(), "a directory"),
        (&pipe, "a pipe"),
        (&socket, "a socket"),
        (Path::new("/dev/null"), "a character device"),
    ];
    for access in [Access::ReadWrite, Access::ReadOnly] {
        for (path, expected) in cases {
            match Storage::open(path, access) {
                Err(Error::NotAFile { path: named, found }) => assert_eq!((&*named, found), (path, expected)),
                other => panic!("{}: {other:?}", path.display()),
            }
        }
    }
}

/// Between looking and opening, somebody may put a pipe there.
#[test]
fn opening_waits_for_no_pipe() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (sender, receiver) = mpsc::channel();
    let opener = std::thread::spawn(move || sender.send(file::open_regular(&pipe, Access::ReadOnly)));
    let opened = receiver.recv_timeout(Duration::from_secs(20)).expect("an answer, though nobody writes");
    assert!(matches!(opened, Err(Error::NotAFile { found: "a pipe", .. })));
    opener.join().unwrap().unwrap();
}

#[test]
fn what_is_missing_or_forbidden_keeps_its_reason() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    assert!(
        matches!(Storage::open(&missing, Access::ReadWrite), Err(Error::NotFound { path }) if path == missing)
    );
    let dangling = directory.path().join("dangling");
    std::os::unix::fs::symlink(&missing, &dangling).unwrap();
    assert!(matches!(Storage::open(&dangling, Access::ReadOnly), Err(Error::NotFound { .. })));
    assert!(matches!(Storage::create(&dangling, |_| Ok(())), Err(Error::AlreadyExists { .. })));
    let plain = directory.path().join("plain");
    fs::write(&plain, b"").unwrap();
    check_errno(Storage::open(&plain.join("below"), Access::ReadOnly), "stat", libc::ENOTDIR);
    check_errno(Storage::create(&directory.path().join("slash/"), |_| Ok(())), "open", libc::EISDIR);
    check_errno(Storage::create(Path::new(".."), |_| Ok(())), "open", libc::EISDIR);
    let nowhere = directory.path().join("no/where");
    check_errno(Storage::create(&nowhere, |_| Ok(())), "open", libc::ENOENT);
    // A program that runs cannot be opened for writing: by nobody, root included.
    let running = Storage::open(&std::env::current_exe().unwrap(), Access::ReadWrite);
    let denied = |source: &std::io::Error| source.kind() == ErrorKind::PermissionDenied;
    let errno = if matches!(&running, Err(Error::Io { source, .. }) if denied(source)) {
        libc::EACCES // Somebody else has built it.
    } else {
        libc::ETXTBSY
    };
    check_errno(running, "open", errno);
}

#[test]
fn without_permission_is_eacces() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("unreadable");
    fs::write(&path, b"secret").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&path).is_err() {
        return check_errno(Storage::open(&path, Access::ReadOnly), "open", libc::EACCES);
    }
    // Modes mean nothing to root, but sysfs refuses to open for writing what cannot be written.
    let unwritable = Path::new("/sys/kernel/notes");
    if unwritable.exists() {
        return check_errno(Storage::open(unwritable, Access::ReadWrite), "open", libc::EACCES);
    }
    say_untested(&format!("this user may open everything, and there is no {}", unwritable.display()));
}

#[test]
fn a_read_only_file_is_not_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, b"folio").unwrap();
    let storage = Storage::open(&path, Access::ReadOnly).unwrap();
    assert_eq!(storage.access(), Access::ReadOnly);
    assert!(matches!(storage.write_at(&[b"x"], 0), Err(Error::ReadOnly)));
    assert!(matches!(storage.extend_zeroed(5, 9), Err(Error::ReadOnly)));
    assert!(matches!(storage.truncate(0), Err(Error::ReadOnly)));
    check_content(&storage, b"folio");
    let mapping = storage.map(0, Advice::Normal).unwrap();
    check_bytes(&mapping, 0, b"folio");
    storage.sync(&mapping, 5).unwrap();
}

#[test]
fn slices_are_written_like_one_buffer() {
    let storage = Storage::temporary().unwrap();
    let mut rng = Rng::new(1);
    // More slices than one call takes, more bytes than one call takes, empty ones, and one across several
    // calls.
    let mut expected = random_bytes(8 << 20, 2);
    let mut bufs: Vec<&[u8]> = Vec::new();
    let mut rest = &expected[1000..];
    while !rest.is_empty() {
        let len = match rng.below(40) {
            0 => 0,
            1 if bufs.len() > 5_000 => 3 * file::WRITE_BYTES_MAX / 2,
            _ => rng.index(1500),
        };
        let (buf, others) = rest.split_at(len.min(rest.len()));
        bufs.push(buf);
        rest = others;
    }
    assert!(bufs.len() > 4 * sys::IOV_MAX);
    storage.write_at(&bufs, 1000).unwrap();
    storage.write_at(&[], 0).unwrap();
    storage.write_at(&[b"", b""], 0).unwrap();
    expected[..1000].fill(0);
    check_content(&storage, &expected);
}

#[test]
fn short_and_interrupted_writes_go_on() {
    let disk = SimDisk::new().unwrap();
    let storage = disk.storage().unwrap();
    let content = random_bytes(3 << 20, 3);
    let bufs: Vec<&[u8]> = content.chunks(777).collect();
    disk.inject(Fault::new(Some(Call::Write), 1, 0).partial(1));
    disk.inject(Fault::new(Some(Call::Write), 2, 0).partial(777 * 3));
    disk.inject(Fault::new(Some(Call::Write), 3, libc::EINTR));
    disk.inject(Fault::new(Some(Call::Write), 4, 0).partial(100_000));
    storage.write_at(&bufs, 0).unwrap();
    check_content(&storage, &content);
    // A call that writes nothing at all must not be repeated for ever.
    disk.inject(Fault::new(Some(Call::Write), 1, 0).forever());
    let stuck = storage.write_at(&bufs, 0).unwrap_err();
    assert!(matches!(&stuck, Error::Io { source, .. } if source.kind() == ErrorKind::WriteZero), "{stuck}");
}

#[test]
fn an_end_inside_a_read_is_told_apart() {
    let storage = Storage::memory().unwrap();
    storage.write_at(&[b"folio"], 0).unwrap();
    match storage.read_exact_at(&mut [0; 6], 0) {
        Err(Error::Io { call: "pread", source, .. }) => {
            assert_eq!((source.kind(), source.raw_os_error()), (ErrorKind::UnexpectedEof, None));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn growth_shows_through_an_older_mapping() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let storage = Storage::create(&path, |storage| storage.write_at(&[b"begin"], 0)).unwrap();
    let mapping = storage.map(4 << 40, Advice::Random).unwrap();
    assert_eq!(mapping.capacity(), 4 << 40, "address space for 4 TiB");
    check_bytes(&mapping, 0, b"begin");
    storage.extend_zeroed(5, 300_001).unwrap();
    check_bytes(&mapping, 5, &[0; 299_996]);
    let others = random_bytes(200_000, 4);
    Storage::open(&path, Access::ReadWrite).unwrap().write_at(&[&others], 250_000).unwrap();
    check_bytes(&mapping, 250_000, &others);
    storage.write_at(&[b"x"], 1 << 32).unwrap();
    check_bytes(&mapping, 1 << 32, b"x");
    storage.sync(&mapping, storage.len().unwrap()).unwrap();
}

#[test]
fn a_reservation_shrinks_to_what_can_be_had() {
    let storage = Storage::memory().unwrap();
    let page = sys::page_size();
    assert_eq!(storage.map(0, Advice::Normal).unwrap().capacity(), page, "an empty file has a page");
    storage.extend_zeroed(0, 3 * page + 1).unwrap();
    assert_eq!(storage.map(0, Advice::Normal).unwrap().capacity(), 4 * page, "never less than the file");
    assert_eq!(storage.map(5 * page - 1, Advice::Normal).unwrap().capacity(), 5 * page);
    let huge = storage.map(u64::MAX, Advice::Normal).unwrap();
    assert!(huge.capacity() >= 1 << 40 && huge.capacity() < 1 << 57, "{huge:?}");
    assert_eq!(huge.capacity() % page, 0);
}

#[test]
fn every_advice_is_harmless() {
    let storage = Storage::temporary().unwrap();
    let content = random_bytes(1 << 20, 5);
    storage.write_at(&[&content], 0).unwrap();
    for advice in [Advice::Normal, Advice::Random, Advice::Sequential, Advice::WillNeed, Advice::HugePages] {
        let mapping = storage.map(1 << 30, advice).unwrap();
        check_bytes(&mapping, 0, &content);
        mapping.advise(advice, 5000..u64::MAX);
        mapping.advise(advice, u64::MAX - 1..u64::MAX);
        check_bytes(&mapping, 0, &content);
    }
}

#[test]
fn no_slice_leaves_the_mapping() {
    let storage = Storage::memory().unwrap();
    let page = sys::page_size();
    storage.extend_zeroed(0, page).unwrap();
    let mapping = storage.map(page, Advice::Normal).unwrap();
    check_bytes(&mapping, page - 1, &[0]);
    check_bytes(&mapping, page, &[]);
    for (offset, len) in [(page, 1), (page - 1, 2), (u64::MAX, 1), (0, usize::MAX), (page + 1, 0)] {
        // SAFETY: the range is refused before anything is read.
        let outside = || unsafe { mapping.bytes(offset, len) }.len();
        assert!(
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(outside)).is_err(),
            "{len} bytes at {offset}"
        );
    }
}

#[test]
fn nothing_stays_open_or_mapped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    // Other tests run in other threads: only what names this directory counts.
    let mine = directory.path().to_str().unwrap().to_owned();
    let left = || {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let descriptors = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| {
            let target = fs::read_link(entry.ok()?.path()).ok()?;
            target.to_string_lossy().contains(&mine).then_some(())
        });
        (maps.lines().filter(|line| line.contains(&mine)).count(), descriptors.count())
    };
    for round in 0..1000 {
        let _ = fs::remove_file(&path);
        let storage = Storage::create(&path, |storage| storage.write_at(&[b"folio"], 0)).unwrap();
        // Advice for a part only would make two mappings of it.
        let mapping = storage.map(1 << 30, Advice::Random).unwrap();
        storage.extend_zeroed(5, 20_000).unwrap();
        let again = storage.map(2 << 30, Advice::Normal).unwrap();
        let lock = storage.lock_exclusive().unwrap();
        let _ = Storage::create(&path, |_| Ok(())).unwrap_err();
        if round == 0 {
            assert_eq!(left(), (2, 1), "the count sees what is there");
        }
        drop(storage);
        check_bytes(&mapping, 0, b"folio");
        check_bytes(&again, 5, &[0; 100]);
        drop(lock);
    }
    assert_eq!(left(), (0, 0));
}

#[test]
fn a_full_disk_puts_the_length_back() {
    let disk = SimDisk::with_content(vec![7; 100_000]).unwrap();
    let storage = disk.storage().unwrap();
    for (errno, partial) in [(libc::ENOSPC, 0), (libc::EDQUOT, 5000), (libc::EFBIG, 0)] {
        disk.inject(Fault::new(Some(Call::Grow), 3, errno).partial(partial));
        let full = storage.extend_zeroed(100_000, 1_000_000);
        assert!(full.as_ref().is_err_and(Error::is_out_of_space));
        check_errno(full, "pwritev", errno);
        check_content(&storage, &[7; 100_000]);
    }
    // Zeros over what a dead writer left behind the end, and the length back to what it was, not further.
    disk.inject(Fault::new(Some(Call::Grow), 2, libc::ENOSPC));
    storage.extend_zeroed(50_000, 300_000).unwrap_err();
    assert_eq!(storage.len().unwrap(), 100_000);
    storage.extend_zeroed(50_000, 100_001).unwrap();
    check_content(&storage, &[[7; 50_000].as_slice(), &[0; 50_001]].concat());
    // Where even that fails, the first error is the one that is told.
    disk.inject(Fault::new(Some(Call::Grow), 2, libc::ENOSPC));
    disk.inject(Fault::new(Some(Call::Truncate), 1, libc::EIO));
    check_errno(storage.extend_zeroed(100_001, 300_000), "pwritev", libc::ENOSPC);
    assert!(storage.len().unwrap() > 100_001);
}

#[test]
fn growth_is_written_in_aligned_steps() {
    let disk = SimDisk::new().unwrap();
    disk.storage().unwrap().extend_zeroed(10_000, 140_000).unwrap();
    let zeros = |offset, end| Event::Zeros { offset, len: end - offset };
    assert_eq!(disk.events(), [zeros(10_000, 1 << 16), zeros(1 << 16, 2 << 16), zeros(2 << 16, 140_000)]);
}

/// Started again by the next test, under a limit.
#[test]
fn child_under_a_file_size_limit() {
    if std::env::var_os("FOLIO_TEST_LIMITED").is_none() {
        return;
    }
    let limit = sys::file_size_limit();
    assert!((1..1 << 20).contains(&limit), "{limit}");
    for storage in [Storage::temporary().unwrap(), Storage::memory().unwrap()] {
        storage.extend_zeroed(0, limit).unwrap();
        check_errno(storage.extend_zeroed(limit, limit + 1), "pwritev", libc::EFBIG);
        check_errno(storage.write_at(&[b"xx"], limit - 1), "pwritev", libc::EFBIG);
        check_errno(storage.write_at(&[b"x"], u64::MAX), "pwritev", libc::EFBIG);
        check_errno(storage.truncate(limit + 1), "ftruncate", libc::EFBIG);
        assert_eq!(storage.len().unwrap(), limit);
        storage.truncate(1).unwrap();
    }
}

#[test]
fn a_file_size_limit_is_an_error_and_no_signal() {
    check_in_child("ulimit -f 200", "FOLIO_TEST_LIMITED", "child_under_a_file_size_limit");
}

/// Runs a test in a process of its own, which a shell command has prepared. The variable tells the test.
fn check_in_child(prepare: &str, variable: &str, test: &str) {
    let child = Command::new("sh")
        .arg("-c")
        .arg(format!("{prepare} && exec \"$0\" --exact storage::tests::{test}"))
        .arg(std::env::current_exe().unwrap())
        .env(variable, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && text.contains("1 passed"), "{:?}\n{text}", child.status);
}

#[test]
fn locks_exclude_other_opens() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let one = Storage::create(&path, |_| Ok(())).unwrap();
    let two = Storage::open(&path, Access::ReadOnly).unwrap();
    let locked = |result: Result<_>| matches!(result, Err(Error::Locked { path: named }) if named == path);
    let exclusive = one.lock_exclusive().unwrap();
    assert!(locked(two.lock_exclusive()));
    assert!(locked(two.lock_shared()));
    assert!(locked(one.lock_shared()), "a second lock would only convert the first");
    // The child has the same open file: unlocking it there would unlock it here.
    sys::in_forked_child({
        let exclusive = std::cell::Cell::new(Some(&exclusive));
        // SAFETY: the child's copy is dropped in the child only; the parent's goes on.
        move || drop(unsafe { std::ptr::read(exclusive.take().expect("set above")) })
    });
    assert!(locked(two.lock_shared()), "the parent has it still");
    drop(exclusive);
    let shared = one.lock_shared().unwrap();
    let other = two.lock_shared().unwrap();
    drop(shared);
    assert!(locked(one.lock_exclusive()));
    drop(other);
    let last = one.lock_exclusive().unwrap();
    drop(one);
    assert!(locked(two.lock_shared()), "a lock outlives the storage it was taken through");
    drop(last);
    two.lock_exclusive().unwrap();
}

#[test]
fn the_volatile_skip_syncs() {
    for (storage, name) in [(Storage::memory(), "(memory)"), (Storage::temporary(), "(temporary)")] {
        let storage = storage.unwrap();
        assert!(storage.is_volatile());
        assert_eq!(storage.path(), Path::new(name));
        storage.write_at(&[&[1; 5000]], 0).unwrap();
        let mapping = storage.map(0, Advice::Normal).unwrap();
        storage.sync(&mapping, 5000).unwrap();
        storage.start_writeback(0, 5000);
        check_content(&storage, &[1; 5000]);
    }
}
