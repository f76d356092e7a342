//! Goal: processes share a file though none of them can name the others: from another process namespace, as
//! containers have, or of another user.
//! Method: `unshare` and `setpriv` start processes that read, which are killed or stopped; a writer outside
//! looks what becomes of the pages that they pin. Where these tools may not be used, that is said.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{Talker, lock_path, number_in, place, signal};
use crate::torture::{can_run, program};

const NAMESPACE: [&str; 5] = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];

fn has_namespaces(what: &str) -> bool {
    can_run(&[&NAMESPACE[..], &["true"]].concat(), what)
}

/// The process that `unshare` has started, as it is called out here.
fn inner(outer: &Talker) -> u32 {
    let pid = outer.child.id();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.trim().parse().unwrap()
}

/// A writer with some data, and a reader in a namespace of its own that has a snapshot of it.
fn writer_and_reader(path: &Path) -> (Talker, Talker) {
    let mut writer = Talker::start();
    writer.open(path);
    writer.ask("fill db 500 2000 1 2 buffered");
    let mut reader = Talker::run_by(&NAMESPACE);
    assert_eq!(reader.ask("hello"), "1", "the first process of its namespace");
    reader.open(path);
    assert_eq!(reader.number("snapshot db s", "stamp"), 1);
    (writer, reader)
}

/// Overwrites everything some times; the pages that are still needed by somebody afterwards.
fn pending_after_overwrites(writer: &mut Talker, from: u64) -> u64 {
    writer.ask(&format!("fill db 500 2000 {from} {} buffered", from + 10));
    // So that nothing is pinned for the sake of what is durable.
    writer.ask("sync db");
    writer.ask(&format!("fill db 1 2000 {from} {} immediate", from + 3));
    writer.number("stats db", "pending")
}

#[test]
fn a_reader_killed_in_another_process_namespace_pins_nothing() {
    if !has_namespaces("readers in other process namespaces that are killed") {
        return;
    }
    let (_folder, path) = place();
    let (mut writer, mut reader) = writer_and_reader(&path);
    let pinned = pending_after_overwrites(&mut writer, 10);
    // 500 rows of 2,000 bytes.
    assert!(pinned >= 250, "{pinned} pages are pinned");
    signal(inner(&reader), "KILL");
    // The descriptors are closed when `unshare` has seen the end of its child.
    assert!(!reader.child.wait().unwrap().success());
    let pinned = pending_after_overwrites(&mut writer, 30);
    assert!(pinned < 20, "{pinned} pages are still pinned");
    let size = fs::metadata(&path).unwrap().len();
    writer.ask("fill db 500 2000 50 90 buffered");
    assert!(fs::metadata(&path).unwrap().len() <= size + (4 << 20), "it goes on growing");
    writer.ask("check db");
}

#[test]
fn a_stopped_reader_keeps_its_snapshot() {
    if !has_namespaces("readers in other process namespaces that are stopped") {
        return;
    }
    let (_folder, path) = place();
    let (mut writer, mut reader) = writer_and_reader(&path);
    let pid = inner(&reader);
    signal(pid, "STOP");
    let pinned = pending_after_overwrites(&mut writer, 10);
    assert!(pinned >= 250, "{pinned} pages are pinned");
    writer.ask("fill db 500 2000 30 60 buffered");
    signal(pid, "CONT");
    let seen = reader.ask("read s");
    assert_eq!((number_in(&seen, "stamp"), number_in(&seen, "cells")), (1, 500));
    assert_eq!(reader.number("snapshot db new", "stamp"), 59);
    reader.exit();
    writer.ask("check db");
}

/// A folder that every user may enter, with the program in it, and the path of a database.
fn public_place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    // By another process: what is open for writing here, if only in a child of another test, cannot be run.
    let copied = Command::new("cp").arg(program()).arg(folder.path().join("torture")).status().unwrap();
    assert!(copied.success());
    let path = folder.path().join("db.folio");
    (folder, path)
}

const NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

fn has_users(what: &str) -> bool {
    can_run(&[&NOBODY[..], &["true"]].concat(), what)
}

fn nobody(folder: &Path) -> Talker {
    let mut command = Command::new(NOBODY[0]);
    command.args(&NOBODY[1..]).arg(folder.join("torture"));
    Talker::under(command)
}

#[test]
fn processes_of_different_users_share_a_file_that_both_may_write() {
    if !has_users("processes of different users") {
        return;
    }
    for nobody_first in [false, true] {
        let (folder, path) = public_place();
        let mut maker = Talker::start();
        maker.open(&path);
        maker.ask("apply db 3 immediate");
        maker.exit();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        // It is made anew, by whoever comes first.
        fs::remove_file(lock_path(&path)).unwrap();
        let (mut first, mut second) = (Talker::start(), nobody(folder.path()));
        if nobody_first {
            std::mem::swap(&mut first, &mut second);
        }
        first.open(&path);
        first.ask("snapshot db old");
        second.open(&path);
        assert_eq!(fs::metadata(lock_path(&path)).unwrap().mode() & 0o777, 0o666);
        assert_eq!(second.ask("apply db 3 immediate"), "6");
        assert_eq!(first.ask("apply db 3 buffered"), "9");
        assert_eq!(first.number("read old", "version"), 3);
        assert_eq!(second.number("snapshot db new", "version"), 9);
        second.kill();
        first.ask("apply db 3 immediate");
        first.ask("check db");
    }
}

#[test]
fn the_lock_file_takes_mode_and_owner_of_the_data_file() {
    if !has_users("the owner of lock files") {
        return;
    }
    let (folder, path) = public_place();
    let mut owner = nobody(folder.path());
    owner.open(&path);
    owner.exit();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    fs::remove_file(lock_path(&path)).unwrap();
    let mut root = Talker::start();
    root.open(&path);
    let (data, lock) = (fs::metadata(&path).unwrap(), fs::metadata(lock_path(&path)).unwrap());
    assert_eq!((lock.mode() & 0o777, lock.uid(), lock.gid()), (0o640, data.uid(), data.gid()));
    assert_eq!(data.uid(), 65534);
    // So its owner comes in as well.
    let mut owner = nobody(folder.path());
    owner.open(&path);
    owner.ask("apply db 1 immediate");
    assert_eq!(root.number("snapshot db s", "version"), 1);
}

#[test]
fn who_may_not_write_the_folder_reads_with_a_lock_file_or_says_that_nobody_writes() {
    if !has_users("readers of folders that they may not write") {
        return;
    }
    let (folder, path) = public_place();
    let mut root = Talker::start();
    root.open(&path);
    root.ask("apply db 4 immediate");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(lock_path(&path), fs::Permissions::from_mode(0o644)).unwrap();
    let mut reader = nobody(folder.path());
    // There is a lock file, in which it could not say what it reads; and then there is none.
    let open = format!("open db {} read-only", path.display());
    let error = reader.refuses(&open);
    assert!(error.starts_with("NoLockFile"), "{error}");
    root.ask("apply db 1 buffered");
    root.exit();
    fs::remove_file(lock_path(&path)).unwrap();
    let error = reader.refuses(&open);
    assert!(error.starts_with("NoLockFile"), "{error}");
    reader.ask(&format!("{open} unlocked"));
    assert_eq!(reader.number("snapshot db s", "version"), 5);
    reader.ask("check db");
    assert!(!lock_path(&path).exists());
    // With one that it may write, it is a reader like any other.
    let mut root = Talker::start();
    root.open(&path);
    fs::set_permissions(lock_path(&path), fs::Permissions::from_mode(0o666)).unwrap();
    let mut reader = nobody(folder.path());
    reader.ask(&open);
    root.ask("apply db 20 buffered");
    assert_eq!(reader.number("snapshot db s", "version"), 25);
    root.ask("apply db 20 immediate");
    assert_eq!(reader.number("read s", "version"), 25);
}
