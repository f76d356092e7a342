//! Goal: what mapping a file asks of a database is kept, as far as one process can show it.
//! Method: real files, real limits, real signals. What needs another user, a limit or an end by a signal runs
//! in a child process of this binary.
//!
//! - `refusals`: what is no database, or not to be had, is its own clear error.
//! - `limits`: address space, descriptors and disk space that run out.
//! - here: what is mapped, how, and for how long.

mod limits;
mod refusals;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use folio::{Advice, Database, Durability, Error, ReadTransaction, Recovery, Table};
use tempfile::TempDir;

use crate::files::{
    assert_passed, child_path, create, long_form, open, open_read_only, open_with, run_child, start_child,
};

const BLOBS: Table<u64, &[u8]> = Table::new("blobs");

/// A folder, and the path of a database in it.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap().join("db.folio");
    (folder, path)
}

/// The value of `key` in these tests: `len` bytes that no other key has.
fn value(key: u64, len: usize) -> Vec<u8> {
    let mut state = key.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

fn insert(db: &Database, keys: std::ops::Range<u64>, len: usize) -> folio::Result<()> {
    let mut tx = db.begin_write()?;
    tx.set_durability(Durability::Buffered);
    {
        let mut blobs = tx.open(BLOBS)?;
        for key in keys {
            blobs.insert(key, value(key, len))?;
        }
    }
    tx.commit().map(|_| ())
}

#[track_caller]
fn check_values(tx: &ReadTransaction, keys: std::ops::Range<u64>, len: usize) {
    let blobs = tx.open(BLOBS).unwrap();
    for key in keys {
        assert!(blobs.get(key).unwrap() == Some(&value(key, len)[..]), "the value of {key}");
    }
}

/// The lines of `/proc/self/maps` about this file.
fn mappings(path: &Path) -> Vec<String> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.ends_with(&format!(" {}", path.display()))).map(str::to_owned).collect()
}

/// The lock file of the database at `path`.
fn lock_file(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}-lock", path.display()))
}

/// How many descriptors of this process lead to this file.
fn descriptors(path: &Path) -> usize {
    let links = fs::read_dir("/proc/self/fd").unwrap();
    links.filter(|link| fs::read_link(link.as_ref().unwrap().path()).is_ok_and(|to| to == path)).count()
}

#[test]
fn the_mapping_is_shared_and_for_reading_only() {
    let (_folder, path) = place();
    let db = create(&path).unwrap();
    insert(&db, 0..100, 1000).unwrap();
    let maps = mappings(&path);
    assert!(!maps.is_empty() && descriptors(&path) == 1, "{maps:?}");
    for line in maps {
        let fields: Vec<_> = line.split_whitespace().collect();
        assert_eq!((fields[1], fields[2]), ("r--s", "00000000"), "{line}");
    }
    // What is written through a mapping lies in a file of its own, and is nothing that has to last.
    let lock = lock_file(&path);
    let maps = mappings(&lock);
    assert_eq!((maps.len(), descriptors(&lock)), (1, 2), "{maps:?}");
    let fields: Vec<_> = maps[0].split_whitespace().collect();
    assert_eq!((fields[1], fields[2]), ("rw-s", "00000000"), "{maps:?}");
    let bounds = fields[0].split_once('-').unwrap();
    let [from, to] = [bounds.0, bounds.1].map(|bound| u64::from_str_radix(bound, 16).unwrap());
    assert_eq!(to - from, 64 << 20, "address space, of which what is there is a few KiB");
    assert!(fs::metadata(&lock).unwrap().len() <= 8 << 10);
}

#[test]
fn a_stray_write_ends_the_process_and_not_the_data() {
    let (_folder, path) = place();
    let db = create(&path).unwrap();
    insert(&db, 0..100, 1000).unwrap();
    db.close().unwrap();
    let before = fs::read(&path).unwrap();
    let exe = std::env::current_exe().unwrap();
    let output = start_child("ulimit -c 0", &[], &exe, "mapping::child_writes_astray", &path);
    assert_eq!(output.status.signal(), Some(11), "{}: {output:?}", output.status);
    assert!(fs::read(&path).unwrap() == before, "the file is what it was");
}

#[test]
#[ignore = "the child of a_stray_write_ends_the_process_and_not_the_data"]
fn child_writes_astray() {
    let Some(path) = child_path() else { return };
    let db = open_read_only(&path).unwrap();
    let tx = db.begin_read().unwrap();
    crate::files::stray_write(tx.open(BLOBS).unwrap().get(7).unwrap().unwrap());
}

#[test]
fn nothing_stays_mapped_or_open_after_any_number_of_rounds() {
    let (folder, _) = place();
    run_child(":", "mapping::child_rounds", &folder.path().canonicalize().unwrap());
}

/// What the process holds: each mapped file and each descriptor, and how often.
fn held() -> BTreeMap<String, usize> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let files = maps.lines().filter_map(|line| line.split_once('/')).map(|(_, file)| format!("map /{file}"));
    let links = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let links = links.filter_map(|link| fs::read_link(link.path()).ok());
    let links = links.map(|link| format!("descriptor {}", link.display()));
    let mut held = BTreeMap::new();
    for what in files.chain(links).collect::<Vec<_>>() {
        *held.entry(what).or_default() += 1;
    }
    held
}

#[test]
#[ignore = "the child of nothing_stays_mapped_or_open_after_any_number_of_rounds"]
fn child_rounds() {
    let Some(folder) = child_path() else { return };
    let (path, broken) = (folder.join("db.folio"), broken_files(&folder));
    drop(create(&path).unwrap());
    let before = held();
    let rounds = if long_form() { 10_000 } else { 1_000 };
    for round in 0..rounds {
        let db = open_with(&path, Database::options().reserve(1)).unwrap();
        insert(&db, round..round + 1, 8000).unwrap();
        let tx = db.begin_read().unwrap();
        check_values(&tx, round / 2..round / 2 + 1, 8000);
        let second = open(&path).unwrap();
        check_values(&second.begin_read().unwrap(), round..round + 1, 8000);
        // Who came later may stay longer.
        let second = Some(second).filter(|_| round % 2 == 1);
        match round % 3 {
            0 => db.close().unwrap(),
            1 => drop(db),
            // A snapshot keeps what it needs, and only as long as it lives.
            _ => {
                drop(db);
                check_values(&tx, 0..1, 8000);
            }
        }
        drop(tx);
        if let Some(second) = second {
            insert(&second, round..round + 1, 8000).unwrap();
        }
        if round % 8 == 0 {
            grow_elsewhere(&folder);
        }
        for path in &broken {
            open(path).expect_err("a broken file");
            open_read_only(path).expect_err("a broken file");
        }
        create(&path).expect_err("it exists");
        open_with(&path, Database::options().page_size(1)).expect_err("no page size");
        if round % 64 == 0 || round + 1 == rounds {
            assert_eq!(held(), before, "after round {round}");
        }
    }
    let grown = fs::metadata(&path).unwrap().len();
    assert!(grown > rounds * 8000, "{grown} bytes after {rounds} rounds");
}

/// Databases that come and go, each larger than its mapping at first.
fn grow_elsewhere(folder: &Path) {
    let path = folder.join("fresh.folio");
    let mut options = Database::options();
    options.reserve(1);
    let fresh = open_with(&path, options.clone().create_new(true)).unwrap();
    for db in [fresh, options.in_memory().unwrap(), options.temporary().unwrap()] {
        let tx = db.begin_read().unwrap();
        insert(&db, 0..8, 300_000).unwrap();
        check_values(&db.begin_read().unwrap(), 0..8, 300_000);
        assert_eq!(tx.open(BLOBS).unwrap().len(), 0);
        // A change that is taken back, too.
        db.write(|tx| tx.open(BLOBS)?.insert(9, value(9, 300_000)).and(Err::<(), _>(Error::aborted("so"))))
            .unwrap_err();
    }
    fs::remove_file(path).unwrap();
}

/// Paths that cannot be opened, each for a reason of its own.
fn broken_files(folder: &Path) -> Vec<PathBuf> {
    let whole = folder.join("whole");
    let db = create(&whole).unwrap();
    insert(&db, 0..100, 5000).unwrap();
    db.close().unwrap();
    let bytes = fs::read(&whole).unwrap();
    let mut no_meta = bytes.clone();
    no_meta[100] ^= 1;
    no_meta[65_536 + 100] ^= 1;
    let mut paths = vec![folder.join("missing"), folder.to_owned(), PathBuf::from("/dev/null")];
    for (name, content) in [
        ("empty", &b""[..]),
        ("text", &[b'x'; 200_000]),
        ("half", &bytes[..bytes.len() / 2]),
        ("page", &bytes[..4096]),
        ("no-meta", &no_meta),
    ] {
        paths.push(folder.join(name));
        fs::write(folder.join(name), content).unwrap();
    }
    fs::remove_file(whole).unwrap();
    paths
}

#[test]
fn a_snapshot_keeps_the_mapping_and_its_pages_and_nothing_else_does() {
    let (_folder, path) = place();
    let db = create(&path).unwrap();
    insert(&db, 0..100, 1000).unwrap();
    let tx = db.begin_read().unwrap();
    drop(db);
    assert!(!mappings(&path).is_empty() && !mappings(&lock_file(&path)).is_empty());
    check_values(&tx, 0..100, 1000);
    // It keeps nobody out: whoever opens the file joins it, may write, and leaves it what it reads.
    let db = open(&path).unwrap();
    assert_eq!(db.stats().unwrap().recovery, Recovery::Joined);
    for _ in 0..5 {
        insert(&db, 100..200, 1000).unwrap();
        db.write(|tx| tx.open(BLOBS)?.remove_range(0..100).map(|_| ())).unwrap();
        insert(&db, 0..100, 1001).unwrap();
        db.sync().unwrap();
    }
    check_values(&tx, 0..100, 1000);
    assert_eq!(tx.open(BLOBS).unwrap().len(), 100);
    drop(db);
    check_values(&tx, 0..100, 1000);
    drop(tx);
    for file in [path.clone(), lock_file(&path)] {
        assert_eq!((mappings(&file), descriptors(&file)), (Vec::new(), 0));
    }
    let db = open(&path).unwrap();
    assert_eq!(db.stats().unwrap().recovery, Recovery::Clean);
    check_values(&db.begin_read().unwrap(), 0..100, 1001);
    check_values(&db.begin_read().unwrap(), 100..200, 1000);
}

/// Each level holds a snapshot, with slices of its values, while the levels below make the file grow.
fn grow_under_a_snapshot(db: &Database, level: u64, levels: u64) {
    const STEP: u64 = 40;
    const LEN: usize = 100_000;
    insert(db, level * STEP..(level + 1) * STEP, LEN).unwrap();
    let tx = db.begin_read().unwrap();
    let keys = 0..(level + 1) * STEP;
    let blobs = tx.open(BLOBS).unwrap();
    let slices: Vec<_> = keys.clone().map(|key| blobs.get(key).unwrap().unwrap()).collect();
    if level + 1 < levels {
        grow_under_a_snapshot(db, level + 1, levels);
    }
    for (key, slice) in keys.zip(slices) {
        assert!(slice == value(key, LEN), "the value of {key} as read at level {level}");
        assert_eq!(blobs.get(key).unwrap().map(<[u8]>::as_ptr), Some(slice.as_ptr()), "it has moved");
    }
    assert_eq!(blobs.len(), (level + 1) * STEP);
}

#[test]
fn growth_beyond_the_reservation_moves_nothing_that_a_snapshot_sees() {
    let (_folder, path) = place();
    let mut options = Database::options();
    options.create(true).reserve(1);
    let db = open_with(&path, &options).unwrap();
    let small = fs::metadata(&path).unwrap().len();
    grow_under_a_snapshot(&db, 0, 12);
    assert!(fs::metadata(&path).unwrap().len() > 100 * small);
    // The mappings that the snapshots held are gone with them.
    drop(db.begin_read().unwrap());
    assert_eq!((mappings(&path).len(), mappings(&lock_file(&path)).len()), (1, 1));
    assert!(db.check().unwrap().is_ok());
}

#[test]
fn readers_in_other_threads_go_on_while_the_file_grows() {
    let db = Database::options().reserve(1).in_memory().unwrap();
    insert(&db, 0..10, 50_000).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = || {
            let old = db.begin_read().unwrap();
            let mut rounds = 0;
            while (!done.load(std::sync::atomic::Ordering::Relaxed) || rounds == 0)
                && !std::thread::panicking()
            {
                let tx = db.begin_read().unwrap();
                let count = tx.open(BLOBS).unwrap().len();
                check_values(&tx, count - 10..count, 50_000);
                check_values(&old, 0..10, 50_000);
                rounds += 1;
            }
        };
        let readers = [scope.spawn(reader), scope.spawn(reader)];
        for step in 1..60 {
            insert(&db, step * 10..(step + 1) * 10, 50_000).unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
    assert!(db.check().unwrap().is_ok());
}

#[test]
fn advice_changes_nothing_but_the_speed() {
    let (_folder, path) = place();
    let db = create(&path).unwrap();
    insert(&db, 0..300, 5000).unwrap();
    db.close().unwrap();
    for advice in [Advice::Normal, Advice::Random, Advice::Sequential, Advice::WillNeed, Advice::HugePages] {
        let db = open_with(&path, Database::options().advice(advice)).unwrap();
        check_values(&db.begin_read().unwrap(), 0..300, 5000);
    }
}

#[test]
fn every_page_size_comes_back() {
    for page_size in [4096, 8192, 16_384, 32_768, 65_536] {
        let (_folder, path) = place();
        let db = open_with(&path, Database::options().create(true).page_size(page_size)).unwrap();
        insert(&db, 0..200, 100).unwrap();
        insert(&db, 200..210, 200_000).unwrap();
        db.close().unwrap();
        // An existing file keeps its own, whatever the options say.
        let db = open_with(&path, Database::options().create(true).page_size(4096)).unwrap();
        assert_eq!(db.stats().unwrap().page_size, page_size);
        let tx = db.begin_read().unwrap();
        check_values(&tx, 0..200, 100);
        check_values(&tx, 200..210, 200_000);
        let report = db.check().unwrap();
        assert!(report.is_ok(), "{page_size}: {:?}", report.faults);
    }
}

/// In a child, so that the end by a signal would be seen as one.
#[test]
fn a_foreign_truncation_is_noticed_by_the_next_writer() {
    let (_folder, path) = place();
    run_child("ulimit -c 0", "mapping::child_is_cut", &path);
}

#[test]
#[ignore = "the child of a_foreign_truncation_is_noticed_by_the_next_writer"]
fn child_is_cut() {
    let Some(path) = child_path() else { return };
    let db = create(&path).unwrap();
    insert(&db, 0..100, 5000).unwrap();
    let len = fs::metadata(&path).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(len / 2).unwrap();
    match db.begin_write() {
        Err(Error::Truncated { path: named, expected, found }) => {
            assert_eq!((named, found), (path.clone(), len / 2));
            assert!(expected > found && expected <= len);
        }
        other => panic!("{other:?}"),
    }
    // Nobody has touched what is gone; now it is back, as zeros, and that is damage.
    file.set_len(len).unwrap();
    assert!(!db.check().unwrap().is_ok());
}

/// The helper of the tests with children must not be content with a child that ran nothing.
#[test]
#[should_panic(expected = "the child ended with")]
fn a_child_that_is_not_there_is_noticed() {
    let exe = std::env::current_exe().unwrap();
    assert_passed(&start_child(":", &[], &exe, "mapping::no_such_child", Path::new("/")));
}
