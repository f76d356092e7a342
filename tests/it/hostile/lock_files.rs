//! Goal: whatever lies where the lock file belongs, opening works or is refused in words, and the database
//! stays what it is.
//! Method: a sound database beside lock files of random bytes, of every length, cut off, huge, of another
//! version, or that are no regular files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use folio::{Database, Error};

use super::bytes::Rng;
use crate::files::{create, open, open_read_only};

fn sound(folder: &Path) -> (PathBuf, PathBuf) {
    let path = folder.join("db.folio");
    let db = create(&path).unwrap();
    db.write(|tx| tx.create_raw("good", "[u8]", "[u8]")?.insert(b"a", b"one").map(drop)).unwrap();
    db.close().unwrap();
    (folder.join("db.folio-lock"), path)
}

fn assert_good(db: &Database) {
    let tx = db.begin_read().unwrap();
    assert_eq!(tx.open_raw("good").unwrap().get(b"a").unwrap(), Some(&b"one"[..]));
    assert!(db.check().unwrap().is_ok());
}

/// What nobody holds open is not believed, whatever it says.
#[test]
fn bytes_of_a_lock_file_that_nobody_has_open_do_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let (lock, path) = sound(folder.path());
    let db = open(&path).unwrap();
    let real = fs::read(&lock).unwrap();
    db.close().unwrap();
    let rng = &mut Rng(super::number("FOLIO_HOSTILE_SEED", 0));
    for case in 0..300 {
        let bytes = match case % 6 {
            0 => {
                let len = rng.below(20_000);
                rng.bytes(len)
            }
            1 => real[..rng.below(real.len() + 1)].to_vec(),
            2 => vec![0xFF; rng.below(9000)],
            3 => {
                // Of another version, with readers that read everything.
                let mut bytes = real.clone();
                bytes[8] = 7;
                bytes
            }
            _ => {
                let mut bytes = real.clone();
                for _ in 0..20 {
                    let at = rng.below(bytes.len());
                    bytes[at] = rng.next().to_le_bytes()[0];
                }
                bytes
            }
        };
        fs::write(&lock, &bytes).unwrap();
        let db = if case % 2 == 0 { open(&path) } else { open_read_only(&path) };
        let db = db.unwrap_or_else(|error| panic!("case {case}, {} bytes: {error}", bytes.len()));
        assert_good(&db);
        if case % 2 == 0 {
            let added = db.write(|tx| tx.open_raw("good")?.insert(&[b'b', 1], b"two").map(drop));
            added.unwrap_or_else(|error| panic!("case {case}: {error}"));
        }
        db.close().unwrap();
    }
}

#[test]
fn a_huge_lock_file_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let (lock, path) = sound(folder.path());
    fs::File::create(&lock).unwrap().set_len(1 << 40).unwrap();
    let db = open(&path).unwrap();
    assert_good(&db);
    assert!(fs::metadata(&lock).unwrap().len() < 1 << 20);
}

#[test]
fn what_is_no_regular_file_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (lock, path) = sound(folder.path());
    let elsewhere = folder.path().join("elsewhere");
    fs::write(&elsewhere, b"not ours").unwrap();
    let refused = |what: &str| {
        for opened in [open(&path), open_read_only(&path)] {
            match opened {
                Err(Error::NotAFile { .. }) => {}
                // Which the system does not open for writing.
                Err(Error::Io { call: "open", .. }) if what == "a directory" => {}
                other => panic!("{what}: {other:?}"),
            }
        }
    };
    let _ = fs::remove_file(&lock);
    fs::create_dir(&lock).unwrap();
    refused("a directory");
    fs::remove_dir(&lock).unwrap();
    symlink(&elsewhere, &lock).unwrap();
    refused("a symbolic link");
    fs::remove_file(&lock).unwrap();
    symlink("/dev/zero", &lock).unwrap();
    refused("a link to a device");
    fs::remove_file(&lock).unwrap();
    if Command::new("mkfifo").arg(&lock).status().is_ok_and(|status| status.success()) {
        refused("a FIFO");
        fs::remove_file(&lock).unwrap();
    } else {
        crate::files::say_untested("a FIFO in the lock file's place: there is no mkfifo");
    }
    fs::hard_link(&elsewhere, &lock).unwrap();
    refused("a second name");
    fs::remove_file(&lock).unwrap();
    assert_eq!(fs::read(&elsewhere).unwrap(), b"not ours");
    assert_good(&open(&path).unwrap());
}
