//! Goal: whatever names a database has, and whatever stands where its lock file should, two processes never
//! have it open without knowing of each other, and nothing but the lock file itself is ever written.
//! Method: links in the same and in other directories; lock files that are deleted before and after opening;
//! lock files that somebody has prepared: bytes, pipes, links, directories.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;

use super::{Talker, lock_path, place};

fn started(path: &Path) -> Talker {
    let mut talker = Talker::start();
    talker.open(path);
    talker
}

/// What opening `path` in a process of its own is refused with.
#[track_caller]
fn refusal(path: &Path) -> String {
    Talker::start().refuses(&format!("open db {}", path.display()))
}

/// It goes on undisturbed, and reads what it read before.
#[track_caller]
fn check_goes_on(talker: &mut Talker, version: u64) {
    assert_eq!(talker.ask("apply db 10 buffered"), (version + 10).to_string());
    assert_eq!(talker.ask("apply db 1 immediate"), (version + 11).to_string());
    talker.ask("sync db");
    talker.ask("check db");
}

#[test]
fn a_hard_link_in_another_directory_is_refused_while_the_database_is_open() {
    let (folder, path) = place();
    let mut first = started(&path);
    first.ask("apply db 5 immediate");
    let old = first.ask("snapshot db old");
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let link = elsewhere.join("db.folio");
    fs::hard_link(&path, &link).unwrap();
    // More than once: the lock file that the first attempt has made is no way in.
    for _ in 0..3 {
        let error = refusal(&link);
        assert!(error.starts_with("LockFileReplaced"), "{error}");
    }
    check_goes_on(&mut first, 5);
    assert_eq!(first.ask("read old"), old);
    let mut second = started(&path);
    second.ask("apply db 1 buffered");
    first.exit();
    assert!(refusal(&link).starts_with("LockFileReplaced"), "a second process has it open");
    second.exit();
    // And the other way round, when nobody has.
    let mut other = started(&link);
    assert_eq!(other.number("snapshot db s", "version"), 17);
    assert!(refusal(&path).starts_with("LockFileReplaced"));
    other.ask("check db");
}

#[test]
fn a_hard_link_beside_it_is_refused_as_well() {
    let (folder, path) = place();
    let mut first = started(&path);
    first.ask("apply db 5 immediate");
    let link = folder.path().join("other.folio");
    fs::hard_link(&path, &link).unwrap();
    assert!(refusal(&link).starts_with("LockFileReplaced"));
    check_goes_on(&mut first, 5);
}

#[test]
fn who_comes_when_the_lock_file_was_deleted_is_refused_and_who_has_it_goes_on() {
    let (_folder, path) = place();
    let mut first = started(&path);
    first.ask("apply db 5 immediate");
    let old = first.ask("snapshot db old");
    for _ in 0..2 {
        fs::remove_file(lock_path(&path)).unwrap();
        for _ in 0..2 {
            let error = refusal(&path);
            assert!(error.starts_with("LockFileReplaced"), "{error}");
        }
    }
    check_goes_on(&mut first, 5);
    assert_eq!(first.ask("read old"), old);
    first.exit();
    // Nobody has it: everybody may come again.
    let (mut second, mut third) = (started(&path), started(&path));
    second.ask("apply db 1 immediate");
    assert_eq!(third.ask("apply db 1 immediate"), "18");
    third.ask("check db");
}

#[test]
fn a_killed_process_with_a_deleted_lock_file_keeps_nobody_out() {
    let (_folder, path) = place();
    let mut first = started(&path);
    first.ask("apply db 5 buffered");
    fs::remove_file(lock_path(&path)).unwrap();
    assert!(refusal(&path).starts_with("LockFileReplaced"));
    first.kill();
    let mut second = started(&path);
    assert_eq!(second.ask("apply db 1 buffered"), "6");
    second.ask("check db");
}

#[test]
fn symbolic_links_lead_to_the_same_database() {
    let (folder, path) = place();
    let mut first = started(&path);
    first.ask("apply db 5 immediate");
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let (file, directory) = (elsewhere.join("link.folio"), elsewhere.join("folder"));
    symlink(&path, &file).unwrap();
    symlink(folder.path(), &directory).unwrap();
    let mut version = 5;
    for link in [file, directory.join("db.folio"), elsewhere.join("../elsewhere/../db.folio")] {
        let mut second = started(&link);
        version += 1;
        assert_eq!(second.ask("apply db 1 buffered"), version.to_string());
        assert_eq!(first.number("snapshot db s", "version"), version);
        first.ask("begin db");
        assert!(second.refuses("begin db try").starts_with("WriterBusy"));
        first.ask("abort");
        let mut found: Vec<_> = fs::read_dir(&elsewhere).unwrap().map(|e| e.unwrap().file_name()).collect();
        found.sort();
        assert_eq!(found, ["folder", "link.folio"], "nothing is made beside the link");
    }
    first.ask("check db");
}

/// A database with five versions that nobody has open, and no lock file.
fn at_rest() -> (tempfile::TempDir, std::path::PathBuf) {
    let (folder, path) = place();
    let mut maker = started(&path);
    maker.ask("apply db 5 immediate");
    maker.exit();
    fs::remove_file(lock_path(&path)).unwrap();
    (folder, path)
}

/// Two processes work on it.
#[track_caller]
fn check_works(path: &Path) {
    let (mut first, mut second) = (started(path), started(path));
    assert_eq!(first.ask("apply db 1 immediate"), "6");
    assert_eq!(second.ask("apply db 1 buffered"), "7");
    assert_eq!(first.number("snapshot db s", "version"), 7);
    assert!(first.ask("begin db").parse::<u64>().is_ok());
    assert!(second.refuses("begin db try").starts_with("WriterBusy"));
    second.ask("check db");
}

#[test]
fn a_lock_file_of_any_bytes_is_made_anew_by_who_is_alone() {
    let words = |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let magic = u64::from_le_bytes(*b"FOLIOLCK");
    let mut noise = 88_172_645_463_325_252_u64;
    let mut random = |len: usize| {
        let next = || {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            noise
        };
        words(&std::iter::repeat_with(next).take(len / 8).collect::<Vec<_>>())
    };
    let prepared = [
        Vec::new(),
        b"x".to_vec(),
        random(4_096),
        random(1_000_000),
        vec![0xFF; 70_000],
        // Of a newer version, with flags, numbers and a reader table that mean something else.
        [words(&[magic, 2]), random(8_192)].concat(),
        // Of this version, by somebody who claims that writing has ended and everything is pinned.
        [words(&[magic, 1, 0, 0, 1, 1]), vec![0xFF; 16_384]].concat(),
    ];
    for bytes in prepared {
        let (_folder, path) = at_rest();
        fs::write(lock_path(&path), &bytes).unwrap();
        check_works(&path);
    }
}

#[test]
fn a_lock_file_of_a_newer_version_in_use_is_refused() {
    let (_folder, path) = at_rest();
    let mut first = started(&path);
    // The version is the second word. FORMAT.md, "The lock file".
    let mut bytes = fs::read(lock_path(&path)).unwrap();
    let lock = fs::File::options().write(true).open(lock_path(&path)).unwrap();
    bytes[8] += 1;
    std::os::unix::fs::FileExt::write_all_at(&lock, &bytes[8..9], 8).unwrap();
    let error = refusal(&path);
    assert!(error.starts_with("Unsupported"), "{error}");
    check_goes_on(&mut first, 5);
}

#[test]
fn nothing_but_a_lock_file_is_written_whatever_stands_in_its_place() {
    let content = b"of somebody else";
    // A link to a file, and another name of it.
    for link in [|from: &Path, to: &Path| symlink(from, to), |from: &Path, to: &Path| fs::hard_link(from, to)]
    {
        let (folder, path) = at_rest();
        let other = folder.path().join("other");
        fs::write(&other, content).unwrap();
        link(&other, &lock_path(&path)).unwrap();
        let before = fs::metadata(&other).unwrap();
        let error = refusal(&path);
        println!("{error}");
        let after = fs::metadata(&other).unwrap();
        assert_eq!(fs::read(&other).unwrap(), content);
        assert_eq!((before.mode(), before.uid(), before.gid()), (after.mode(), after.uid(), after.gid()));
        fs::remove_file(lock_path(&path)).unwrap();
        check_works(&path);
    }
    // A link to nothing, from which nothing may be made.
    let (folder, path) = at_rest();
    let other = folder.path().join("other");
    symlink(&other, lock_path(&path)).unwrap();
    println!("{}", refusal(&path));
    assert!(!other.exists());
    // A link to the database itself.
    let (_folder, path) = at_rest();
    symlink(&path, lock_path(&path)).unwrap();
    println!("{}", refusal(&path));
    fs::remove_file(lock_path(&path)).unwrap();
    fs::hard_link(&path, lock_path(&path)).unwrap();
    println!("{}", refusal(&path));
    fs::remove_file(lock_path(&path)).unwrap();
    check_works(&path);
}

#[test]
fn what_cannot_be_a_lock_file_is_an_error_and_waits_for_nobody() {
    let (_folder, path) = at_rest();
    let lock = lock_path(&path);
    assert!(Command::new("mkfifo").arg(&lock).status().unwrap().success());
    println!("{}", refusal(&path));
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    println!("{}", refusal(&path));
    fs::remove_dir(&lock).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(&lock);
    // The name of a socket must be short.
    if socket.is_ok() {
        println!("{}", refusal(&path));
        fs::remove_file(&lock).unwrap();
    }
    check_works(&path);
}

#[test]
fn eight_processes_that_create_and_open_at_once_all_get_the_one_database() {
    for _ in 0..5 {
        let (_folder, path) = place();
        let mut all: Vec<Talker> = (0..8).map(|_| Talker::start()).collect();
        all.iter_mut().for_each(|talker| drop(talker.ask("hello")));
        all.iter_mut().for_each(|talker| talker.tell(&format!("open db {} create", path.display())));
        for talker in &mut all {
            assert_eq!(talker.answer(), "ok ");
            talker.tell("apply db 5 buffered");
        }
        all.iter_mut().for_each(|talker| assert!(talker.answer().starts_with("ok ")));
        for talker in &mut all {
            assert_eq!(talker.number("snapshot db s", "version"), 40);
        }
        // They end in a race as well.
        all.iter_mut().for_each(|talker| talker.tell("close db"));
        all.iter_mut().for_each(|talker| assert_eq!(talker.answer(), "ok "));
        let mut last = started(&path);
        assert_eq!(last.ask("apply db 1 immediate"), "41");
        last.ask("check db");
    }
}
