//! What is no database, or not to be had, is its own clear error: for reading and writing, and for reading
//! only.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use folio::{Database, Error, Recovery};

use super::{check_values, insert, lock_file, place};
use crate::files::{
    assert_passed, child_path, create, open, open_read_only, open_unlocked, open_with, run_child,
    say_untested, start_child,
};

/// Both ways of opening answer alike: with an error that `expected` takes, whose message names the file.
#[track_caller]
fn refuses(path: &Path, expected: impl Fn(&Error) -> bool) {
    for result in [open(path), open_read_only(path)] {
        let error = result.expect_err("it must not open");
        assert!(expected(&error), "{error:?}");
    }
}

/// A sound file with some hundred pages, closed; its bytes.
fn sound(path: &Path) -> Vec<u8> {
    let db = create(path).unwrap();
    insert(&db, 0..200, 3000).unwrap();
    db.close().unwrap();
    fs::read(path).unwrap()
}

#[test]
fn a_pipe_a_directory_and_a_device_are_named() {
    let (folder, path) = place();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    for (path, what) in [
        (path.as_path(), "a pipe"),
        (folder.path(), "a directory"),
        (Path::new("/dev/null"), "a character device"),
    ] {
        refuses(
            path,
            |error| matches!(error, Error::NotAFile { path: at, found } if at == path && *found == what),
        );
        assert!(matches!(create(path), Err(Error::AlreadyExists { .. })));
        let either = open_with(path, Database::options().create(true));
        assert!(matches!(either, Err(Error::NotAFile { .. })));
    }
}

#[test]
fn a_missing_file_is_not_found_and_not_made() {
    let (folder, path) = place();
    refuses(&path, |error| matches!(error, Error::NotFound { path: named } if *named == path));
    // What only reads makes nothing.
    let result = open_with(&path, Database::options().create(true).read_only(true));
    assert!(matches!(result, Err(Error::ReadOnly | Error::NotFound { .. })));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn create_wants_its_absence() {
    let (_folder, path) = place();
    let bytes = sound(&path);
    assert!(matches!(create(&path), Err(Error::AlreadyExists { path: named }) if named == path));
    assert!(fs::read(&path).unwrap() == bytes, "it was not touched");
    let db = open_with(&path, Database::options().create(true)).unwrap();
    check_values(&db.begin_read().unwrap(), 0..200, 3000);
}

#[test]
fn an_empty_file_and_another_format_are_no_database() {
    let (_folder, path) = place();
    let zip = [&b"PK\x03\x04"[..], &[0; 300_000]].concat();
    let sqlite = [&b"SQLite format 3\0"[..], &[1; 300_000]].concat();
    let text = "No database at all.\n".repeat(20_000).into_bytes();
    for content in [Vec::new(), vec![0; 100], vec![0; 1 << 20], b"x".to_vec(), zip, sqlite, text] {
        fs::write(&path, &content).unwrap();
        refuses(&path, |error| matches!(error, Error::NotADatabase { path: named, .. } if *named == path));
        let either = open_with(&path, Database::options().create(true));
        assert!(matches!(either, Err(Error::NotADatabase { .. })));
        assert!(fs::read(&path).unwrap() == content, "it was not touched");
        assert!(fs::symlink_metadata(lock_file(&path)).is_err(), "nothing was made beside it");
    }
}

#[test]
fn a_newer_format_is_not_supported() {
    let (_folder, path) = place();
    let mut bytes = sound(&path);
    for meta in [0, 65_536] {
        bytes[meta + 8..meta + 12].copy_from_slice(&2_u32.to_le_bytes());
    }
    // Without its checksum, a version is damage.
    fs::write(&path, &bytes).unwrap();
    refuses(&path, |error| matches!(error, Error::Corrupted { what: "checksum of a meta page", .. }));
    // With it, one such meta page is enough.
    for meta in [0, 65_536] {
        let sum = crc32fast::hash(&bytes[meta..meta + 4092]);
        bytes[meta + 4092..meta + 4096].copy_from_slice(&sum.to_le_bytes());
        fs::write(&path, &bytes).unwrap();
        refuses(&path, |error| matches!(error, Error::Unsupported { what: "format version", found: 2 }));
    }
}

/// In a child: reading beyond the end would be its end by a signal.
#[test]
fn a_file_that_was_cut_is_truncated_and_no_bus_error() {
    let (_folder, path) = place();
    run_child("ulimit -c 0", "mapping::refusals::child_opens_cut_files", &path);
}

#[test]
#[ignore = "the child of a_file_that_was_cut_is_truncated_and_no_bus_error"]
fn child_opens_cut_files() {
    let Some(path) = child_path() else { return };
    let bytes = sound(&path);
    let pages = usize::try_from(open(&path).unwrap().stats().unwrap().pages).unwrap();
    let end = pages * 4096;
    let half = bytes.len() / 2;
    let cuts = [1, 7, 8, 4095, 4096, 4097, 8192, 65_536, 69_632, 131_072, 135_168, half, end - 4096, end - 1];
    for len in cuts {
        fs::write(&path, &bytes[..len]).unwrap();
        for result in [open(&path), open_read_only(&path)] {
            let error = result.expect_err("pages are missing");
            match &error {
                Error::Truncated { path: named, expected, found } => {
                    assert_eq!((named, *found), (&path, len as u64));
                    assert!(expected > found);
                }
                // Less than a meta page: nobody can tell what it was.
                Error::NotADatabase { .. } if len < 4096 => {}
                _ => panic!("cut to {len}: {error:?}"),
            }
        }
    }
    // What lies behind the last page is not needed.
    fs::write(&path, &bytes[..end]).unwrap();
    let db = open(&path).unwrap();
    check_values(&db.begin_read().unwrap(), 0..200, 3000);
    assert!(db.check().unwrap().is_ok());
}

#[test]
fn a_page_size_that_is_none_is_an_option_error() {
    let (folder, path) = place();
    for bytes in [0, 1, 512, 2048, 4095, 5000, 65_537, 131_072, u32::MAX] {
        let result = open_with(&path, Database::options().create(true).page_size(bytes));
        match result {
            Err(Error::InvalidOption { option: "page_size", value, .. }) => {
                assert_eq!(value, bytes.to_string());
            }
            other => panic!("{bytes}: {other:?}"),
        }
        assert!(Database::options().page_size(bytes).in_memory().is_err());
    }
    for ratio in [-0.1, 4.1, f64::NAN] {
        let result = open_with(&path, Database::options().create(true).free_ratio(ratio));
        assert!(matches!(result, Err(Error::InvalidOption { option: "free_ratio", .. })));
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_second_open_joins_in_this_process_and_in_another() {
    let (_folder, path) = place();
    let link = path.with_extension("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let db = create(&path).unwrap();
    insert(&db, 0..10, 3000).unwrap();
    for (number, name) in [&path, &link].into_iter().enumerate() {
        let second = open(name).unwrap();
        check_values(&second.begin_read().unwrap(), 0..10, 3000);
        // One writer at a time, whoever asks.
        let tx = db.begin_write().unwrap();
        assert!(matches!(second.try_begin_write(), Err(Error::WriterBusy)));
        drop(tx);
        let keys = 10 + 10 * number as u64..20 + 10 * number as u64;
        insert(&second, keys.clone(), 3000).unwrap();
        check_values(&db.begin_read().unwrap(), keys, 3000);
        run_child(":", "mapping::refusals::child_joins", name);
        check_values(&db.begin_read().unwrap(), 100..110, 3000);
        insert(&db, 100..110, 2000).unwrap();
        assert!(second.check().unwrap().is_ok());
        assert!(fs::symlink_metadata(lock_file(&link)).is_err(), "the lock file is beside the file itself");
    }
    db.close().unwrap();
    let db = open(&path).unwrap();
    assert_eq!(db.stats().unwrap().recovery, Recovery::Clean);
    check_values(&db.begin_read().unwrap(), 0..30, 3000);
}

#[test]
#[ignore = "a child of a_second_open_joins_in_this_process_and_in_another"]
fn child_joins() {
    let Some(path) = child_path() else { return };
    let reader = open_read_only(&path).unwrap();
    assert_eq!(reader.stats().unwrap().recovery, Recovery::Joined);
    drop(reader);
    let db = open(&path).unwrap();
    assert_eq!(db.stats().unwrap().recovery, Recovery::Joined);
    check_values(&db.begin_read().unwrap(), 0..10, 3000);
    insert(&db, 100..110, 3000).unwrap();
}

/// With a lock file of its own, whoever came would not see what the others read.
#[test]
fn who_would_have_another_lock_file_is_refused() {
    let (folder, path) = place();
    let db = create(&path).unwrap();
    insert(&db, 0..10, 3000).unwrap();
    let elsewhere = folder.path().canonicalize().unwrap().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let second_name = elsewhere.join("db.folio");
    fs::hard_link(&path, &second_name).unwrap();
    run_child(":", "mapping::refusals::child_finds_another_lock_file", &second_name);
    fs::remove_file(lock_file(&path)).unwrap();
    run_child(":", "mapping::refusals::child_finds_another_lock_file", &path);
    // Nobody who was in is worse off.
    insert(&db, 10..20, 3000).unwrap();
    check_values(&db.begin_read().unwrap(), 0..20, 3000);
    db.close().unwrap();
    // And when they are gone, it is any name's turn.
    for name in [&second_name, &path] {
        let db = open(name).unwrap();
        assert_eq!(db.stats().unwrap().recovery, Recovery::Clean);
        check_values(&db.begin_read().unwrap(), 0..20, 3000);
    }
}

#[test]
#[ignore = "a child of who_would_have_another_lock_file_is_refused"]
fn child_finds_another_lock_file() {
    let Some(path) = child_path() else { return };
    let lock = lock_file(&path);
    refuses(&path, |error| matches!(error, Error::LockFileReplaced { path: named } if *named == lock));
}

#[test]
fn readers_share_the_file_and_change_nothing() {
    let (_folder, path) = place();
    let bytes = sound(&path);
    let (first, second) = (open_read_only(&path).unwrap(), open_read_only(&path).unwrap());
    for db in [&first, &second] {
        check_values(&db.begin_read().unwrap(), 0..200, 3000);
        assert!(matches!(db.begin_write(), Err(Error::ReadOnly)));
        assert!(matches!(db.try_begin_write(), Err(Error::ReadOnly)));
        assert!(matches!(db.compact(), Err(Error::ReadOnly)));
        assert!(db.check().unwrap().is_ok());
        assert_eq!(db.stats().unwrap().pages, second.stats().unwrap().pages);
    }
    assert!(fs::read(&path).unwrap() == bytes, "they changed nothing");
    // They keep no writer out, and see what it commits, but for the snapshots that they have.
    let before = first.begin_read().unwrap();
    run_child(":", "mapping::refusals::child_writes_beside_readers", &path);
    check_values(&before, 0..200, 3000);
    for db in [&first, &second] {
        check_values(&db.begin_read().unwrap(), 0..200, 2000);
        assert!(matches!(db.begin_write(), Err(Error::ReadOnly)));
    }
    drop(before);
    let bytes = fs::read(&path).unwrap();
    first.close().unwrap();
    drop(second);
    assert!(fs::read(&path).unwrap() == bytes, "they changed nothing");
    assert_eq!(open(&path).unwrap().stats().unwrap().recovery, Recovery::Clean);
}

#[test]
#[ignore = "the child of readers_share_the_file_and_change_nothing"]
fn child_writes_beside_readers() {
    let Some(path) = child_path() else { return };
    let db = open(&path).unwrap();
    for len in [1000, 2000] {
        insert(&db, 0..200, len).unwrap();
        db.sync().unwrap();
    }
    db.close().unwrap();
}

/// A user who may do everything is not told what is forbidden: so a child does it, as one who may not.
#[test]
fn what_is_forbidden_keeps_its_errno() {
    let (folder, path) = place();
    sound(&path);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let unreadable = path.with_extension("unreadable");
    fs::copy(&path, &unreadable).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    // Who only reads the file says so in the lock file.
    fs::set_permissions(lock_file(&path), fs::Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(&unreadable, fs::Permissions::from_mode(0o000)).unwrap();
    // No lock file, and nobody may make one.
    fs::copy(&path, path.with_extension("lockless")).unwrap();
    // Another user may not reach the place where this program was built.
    let exe = path.with_extension("exe");
    fs::copy(std::env::current_exe().unwrap(), &exe).unwrap();
    let privileged = fs::File::open(&unreadable).is_ok();
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let runner = if privileged { &nobody[..] } else { &[] };
    if privileged
        && !Command::new(nobody[0]).args(&nobody[1..]).arg("true").status().is_ok_and(|s| s.success())
    {
        return say_untested("what is forbidden: this user may do everything, and cannot become another");
    }
    let child = "mapping::refusals::child_without_permission";
    assert_passed(&start_child("cd /", runner, &exe, child, &path));
}

#[test]
#[ignore = "the child of what_is_forbidden_keeps_its_errno"]
fn child_without_permission() {
    let Some(path) = child_path() else { return };
    let forbidden = |error: &Error, name: &Path| match error {
        Error::Io { call: "open", path, source } => {
            path == name && source.kind() == std::io::ErrorKind::PermissionDenied
        }
        _ => false,
    };
    let unreadable = path.with_extension("unreadable");
    refuses(&unreadable, |error| forbidden(error, &unreadable));
    // A file that may be read only.
    let error = open(&path).unwrap_err();
    assert!(forbidden(&error, &path), "{error:?}");
    assert!(error.to_string().contains("open on") && error.to_string().contains("denied"), "{error}");
    let db = open_read_only(&path).unwrap();
    check_values(&db.begin_read().unwrap(), 0..200, 3000);
    assert!(matches!(db.begin_write(), Err(Error::ReadOnly)));
    // Where no lock file can be made, a file can be read if nobody writes to it.
    let lockless = path.with_extension("lockless");
    let error = open_read_only(&lockless).unwrap_err();
    let lock = lock_file(&lockless);
    assert!(matches!(&error, Error::NoLockFile { path, .. } if *path == lock), "{error:?}");
    assert!(error.to_string().contains("without one"), "{error}");
    let db = open_unlocked(&lockless).unwrap();
    check_values(&db.begin_read().unwrap(), 0..200, 3000);
    assert!(matches!(db.begin_write(), Err(Error::ReadOnly)));
    assert!(db.check().unwrap().is_ok());
    db.close().unwrap();
    assert!(!lock.exists());
    // A folder where nothing may be made. (The error names the folder or the file in it.)
    let fresh = path.with_file_name("fresh");
    match create(&fresh) {
        Err(Error::Io { call: "open", source, .. }) => {
            assert_eq!(source.kind(), std::io::ErrorKind::PermissionDenied);
        }
        other => panic!("{other:?}"),
    }
}
