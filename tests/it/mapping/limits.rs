//! Address space, descriptors and disk space that run out: an error that says so, and nothing is lost.
//! Each runs in a child process, below a limit of the shell's.

use std::fs::{self, File};

use folio::{Database, Durability, Error, Table};

use super::{BLOBS, check_values, insert, lock_file, place};
use crate::files::{child_path, create, open, open_read_only, open_with, run_child, start_child};

const EMFILE: i32 = 24;
const ENOMEM: i32 = 12;

#[test]
fn little_address_space_shrinks_the_reservation() {
    let (_folder, path) = place();
    run_child("ulimit -v 1500000", "mapping::limits::child_with_little_space", &path);
}

#[test]
#[ignore = "the child of little_address_space_shrinks_the_reservation"]
fn child_with_little_space() {
    let Some(path) = child_path() else { return };
    // The default is 64 GiB, and more was asked for.
    for reserve in [None, Some(1 << 45), Some(u64::MAX)] {
        let mut options = Database::options();
        options.create(true);
        if let Some(bytes) = reserve {
            options.reserve(bytes);
        }
        let db = open_with(&path, &options).unwrap();
        insert(&db, 0..100, 5000).unwrap();
        check_values(&db.begin_read().unwrap(), 0..100, 5000);
        // Beside another database, which finds less.
        let other = Database::in_memory().unwrap();
        insert(&other, 0..100, 5000).unwrap();
        check_values(&other.begin_read().unwrap(), 0..100, 5000);
    }
}

#[test]
fn a_file_beyond_the_address_space_is_enomem() {
    let (_folder, path) = place();
    let db = create(&path).unwrap();
    insert(&db, 0..100, 5000).unwrap();
    db.close().unwrap();
    // What lies behind the last page means nothing, but is mapped; no block is behind it.
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 32).unwrap();
    run_child("ulimit -v 1000000", "mapping::limits::child_with_a_large_file", &path);
    open(&path).unwrap().close().unwrap();
}

#[test]
#[ignore = "the child of a_file_beyond_the_address_space_is_enomem"]
fn child_with_a_large_file() {
    let Some(path) = child_path() else { return };
    for result in [open(&path), open_read_only(&path)] {
        match result {
            Err(Error::Io { call: "mmap", path: named, source }) => {
                assert_eq!((named, source.raw_os_error()), (path.clone(), Some(ENOMEM)));
            }
            other => panic!("{other:?}"),
        }
    }
    // The descriptors went with the error, and the locks with them: what another limit would allow is not in
    // the way.
    assert_eq!((super::descriptors(&path), super::descriptors(&lock_file(&path))), (0, 0));
}

#[test]
fn without_descriptors_it_is_emfile_and_nothing_is_left_behind() {
    let (folder, path) = place();
    let db = create(&path).unwrap();
    insert(&db, 0..100, 5000).unwrap();
    db.close().unwrap();
    run_child("ulimit -n 40", "mapping::limits::child_without_descriptors", &path);
    let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
    left.sort();
    assert_eq!(left, [path.clone(), lock_file(&path)], "no file but the database and its lock file");
}

/// Descriptors, until there are no more.
fn all_descriptors() -> Vec<File> {
    let mut files = Vec::new();
    loop {
        match File::open("/dev/null") {
            Ok(file) => files.push(file),
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(EMFILE));
                return files;
            }
        }
    }
}

#[test]
#[ignore = "the child of without_descriptors_it_is_emfile_and_nothing_is_left_behind"]
fn child_without_descriptors() {
    let Some(path) = child_path() else { return };
    let fresh = path.with_extension("fresh");
    let mut taken = all_descriptors();
    let all = taken.len();
    // With none left, with one, and so on, until everything works.
    while let Some(file) = taken.pop() {
        let free = all - taken.len() - 1;
        let attempts: [(usize, &dyn Fn() -> folio::Result<Database>); 5] = [
            // The file itself, and two for the lock file.
            (3, &|| open(&path)),
            (3, &|| open_read_only(&path)),
            (3, &|| create(&fresh)),
            (1, &Database::in_memory),
            (1, &Database::temporary),
        ];
        for (number, (needed, attempt)) in attempts.into_iter().enumerate() {
            match attempt() {
                Ok(db) => {
                    assert!(free >= needed, "attempt {number} with {free} descriptors");
                    db.begin_read().unwrap().open(BLOBS).unwrap().get(5).unwrap();
                }
                Err(Error::Io { source, .. }) => {
                    assert_eq!(source.raw_os_error(), Some(EMFILE), "{source}");
                    // One more is kept for forked children, and one is needed for a moment.
                    assert!(free < 3 + 2, "attempt {number} with {free} descriptors");
                }
                Err(error) => panic!("attempt {number}: {error:?}"),
            }
        }
        // Whatever was made has its name, and whatever failed has left nothing: the parent looks.
        let _ = fs::remove_file(&fresh);
        let _ = fs::remove_file(lock_file(&fresh));
        if free == 3 + 2 {
            break;
        }
        drop(file);
    }
    drop(taken);
    check_values(&open(&path).unwrap().begin_read().unwrap(), 0..100, 5000);
}

/// A limit on the size of files is a disk that is full, for who writes. No signal, no loss, and room is used
/// again.
#[test]
fn a_full_disk_is_an_error_and_the_next_transaction_may_succeed() {
    let (_folder, path) = place();
    run_child("ulimit -f 16384; ulimit -c 0", "mapping::limits::child_with_a_full_disk", &path);
    let db = open(&path).unwrap();
    check_values(&db.begin_read().unwrap(), 0..50, 5000);
    assert!(db.check().unwrap().is_ok());
}

#[test]
#[ignore = "the child of a_full_disk_is_an_error_and_the_next_transaction_may_succeed"]
fn child_with_a_full_disk() {
    let Some(path) = child_path() else { return };
    let db = create(&path).unwrap();
    insert(&db, 0..50, 5000).unwrap();
    for _ in 0..3 {
        let error = insert(&db, 100..300, 100_000).unwrap_err();
        assert!(error.is_out_of_space(), "{error:?}");
        check_values(&db.begin_read().unwrap(), 0..50, 5000);
        assert_eq!(db.begin_read().unwrap().open(BLOBS).unwrap().len(), 50);
        assert!(db.check().unwrap().is_ok());
        insert(&db, 0..50, 5000).unwrap();
    }
    db.close().unwrap();
}

/// The kernel would end a process that writes beyond the limit with a signal.
#[test]
fn a_lock_file_beyond_the_limit_is_an_error_and_no_signal() {
    let (_folder, path) = place();
    let db = create(&path).unwrap();
    insert(&db, 0..50, 5000).unwrap();
    db.close().unwrap();
    run_child("ulimit -f 2; ulimit -c 0", "mapping::limits::child_with_no_lock_file", &path);
    check_values(&open(&path).unwrap().begin_read().unwrap(), 0..50, 5000);
}

#[test]
#[ignore = "the child of a_lock_file_beyond_the_limit_is_an_error_and_no_signal"]
fn child_with_no_lock_file() {
    let Some(path) = child_path() else { return };
    for round in 0..2 {
        for result in [open(&path), open_read_only(&path)] {
            let error = result.expect_err("the lock file may not be as long as it has to be");
            let of_lock_file = matches!(&error, Error::Io { path: named, .. } if *named == lock_file(&path));
            assert!(of_lock_file && error.is_out_of_space(), "{error:?}");
        }
        if round == 0 {
            fs::remove_file(lock_file(&path)).unwrap();
        }
    }
}

/// "It survives the end of the process": also where the next process has only just room for the file itself.
#[test]
fn a_buffered_commit_is_found_again_with_one_descriptor_left() {
    let (_folder, path) = place();
    let exe = std::env::current_exe().unwrap();
    let died = start_child(":", &[], &exe, "mapping::limits::child_dies_after_a_commit", &path);
    assert!(!died.status.success());
    run_child("ulimit -n 40", "mapping::limits::child_recovers_with_one_descriptor", &path);
}

const NUMBERS: Table<u64, u64> = Table::new("numbers");

#[test]
#[ignore = "a child of a_buffered_commit_is_found_again_with_one_descriptor_left"]
fn child_dies_after_a_commit() {
    let Some(path) = child_path() else { return };
    let db = create(&path).unwrap();
    for number in 0..3 {
        let mut tx = db.begin_write().unwrap();
        tx.set_durability(if number == 0 { Durability::Immediate } else { Durability::Buffered });
        tx.open(NUMBERS).unwrap().insert(number, number).unwrap();
        tx.commit().unwrap();
    }
    std::process::exit(9);
}

#[test]
#[ignore = "a child of a_buffered_commit_is_found_again_with_one_descriptor_left"]
fn child_recovers_with_one_descriptor() {
    let Some(path) = child_path() else { return };
    let mut taken = all_descriptors();
    taken.pop();
    // An error is as good: then nothing has been lost, and a later open finds it.
    if let Ok(db) = open(&path) {
        drop(db);
    }
    drop(taken);
    let db = open(&path).unwrap();
    assert_eq!(db.begin_read().unwrap().open(NUMBERS).unwrap().len(), 3);
}
