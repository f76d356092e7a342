//! Goal: a new file has its name when it is whole, one creator has it, and nothing else is left.
//! Method: look at the directory before, during and after; let creations fail and race.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Barrier;

use crate::error::Error;
use crate::storage::tests::{check_content, check_in_child};
use crate::storage::{Access, Storage, file, sys};

#[test]
fn a_created_file_is_there_when_it_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new.folio");
    let fill = |storage: &Storage| {
        assert_eq!(storage.path(), path);
        assert!(!path.exists(), "the name must come last");
        assert!(names_in(directory.path())[0].starts_with(".folio-new-"));
        storage.write_at(&[b"content"], 0)
    };
    let storage = Storage::create(&path, fill).unwrap();
    assert_eq!(names_in(directory.path()), ["new.folio"]);
    check_content(&storage, b"content");
    check_content(&Storage::open(&path, Access::ReadOnly).unwrap(), b"content");
    let again = Storage::create(&path, |_| panic!("nothing to fill"));
    assert!(matches!(again, Err(Error::AlreadyExists { path: named }) if named == path));
}

#[test]
fn a_creation_that_fails_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new.folio");
    let failed = Storage::create(&path, |_| Err(Error::WriterBusy));
    assert!(matches!(failed, Err(Error::WriterBusy)));
    assert_eq!(names_in(directory.path()), [""; 0]);
    let panics = || Storage::create(&path, |_| panic!("on purpose"));
    assert!(std::panic::catch_unwind(panics).is_err());
    assert_eq!(names_in(directory.path()), [""; 0]);
}

#[test]
fn one_creator_wins_and_the_other_learns_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new.folio");
    let both_filling = Barrier::new(2);
    let create = |content: &'static [u8]| {
        Storage::create(&path, |storage| {
            both_filling.wait();
            storage.write_at(&[content], 0)
        })
    };
    let results = std::thread::scope(|scope| {
        let other = scope.spawn(|| create(b"other"));
        [(create(b"first"), b"first"), (other.join().unwrap(), b"other")]
    });
    let (winners, losers): (Vec<_>, Vec<_>) = results.into_iter().partition(|(result, _)| result.is_ok());
    assert_eq!((winners.len(), losers.len()), (1, 1));
    assert!(matches!(losers[0].0, Err(Error::AlreadyExists { .. })));
    check_content(&Storage::open(&path, Access::ReadOnly).unwrap(), winners[0].1);
    assert_eq!(names_in(directory.path()), ["new.folio"]);
}

#[test]
fn links_stand_in_for_renames() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new.folio");
    let publish = || {
        let (new, file) = file::NewFile::beside(&path)?;
        new.publish(&file, file::link_to_free_name)
    };
    let (late, late_file) = file::NewFile::beside(&path).unwrap();
    publish().unwrap();
    assert_eq!(names_in(directory.path()).len(), 2, "the file, and the one that comes late");
    assert!(matches!(late.publish(&late_file, file::link_to_free_name), Err(Error::AlreadyExists { .. })));
    assert_eq!(names_in(directory.path()), ["new.folio"]);
}

/// Started again by the next test: a umask is the whole process's.
#[test]
fn child_without_a_umask() {
    if std::env::var_os("FOLIO_TEST_UMASK").is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new.folio");
    Storage::create(&path, |_| Ok(())).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
}

#[test]
fn others_may_read_and_not_write() {
    check_in_child("umask 0", "FOLIO_TEST_UMASK", "creation::child_without_a_umask");
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_system_that_several_machines_share_is_refused() {
    let path = Path::new("x.folio");
    for (kind, name) in [(0x6969, "nfs"), (0xFF53_4D42, "cifs"), (0x0102_1997, "9p")] {
        let error = file::refuse_if_shared(path, Some(kind)).unwrap_err();
        assert!(error.to_string().contains(&format!("x.folio is on {name}")), "{error}");
    }
    // ext4, tmpfs, xfs, btrfs, overlay, and one that does not say.
    let local = [0xEF53, 0x0102_1994, 0x5846_5342, 0x9123_683E, 0x794C_7630];
    for kind in local.map(Some).into_iter().chain([None]) {
        file::refuse_if_shared(path, kind).unwrap();
    }
    let directory = fs::File::open(std::env::temp_dir()).unwrap();
    assert_eq!(sys::file_system(&directory).is_some(), cfg!(target_os = "linux"), "the system is asked");
}
