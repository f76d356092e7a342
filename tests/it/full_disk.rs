//! Goal: a full disk is an error that names the call, the file and the reason, never a signal; it takes back
//! nothing, the database can be emptied by removals, and then there is room again.
//! Method: a child of this binary fills a database until there is no room, empties it and fills it again, 20
//! times, against a model; on a file system of its own (root, a loop device) and under `ulimit -f`.
//! `FOLIO_LONG=1` adds xfs and larger files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use folio::{Database, Durability, Error, OpenOptions, Table};

use crate::files::{child_path, long_form, open, open_with, run_child, say_untested};
use crate::torture::{can_mount, folder_on_disk};

const ROWS: Table<u64, &[u8]> = Table::new("rows");

/// Numbers that look random, from a seed.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn len(&mut self, end: u64) -> usize {
        usize::try_from(self.below(end)).unwrap()
    }
}

/// The rows that were acknowledged: by key, what seeds the value, and how long it is.
type Model = BTreeMap<u64, (u64, usize)>;

fn value(seed: u64, len: usize) -> Vec<u8> {
    let mut draws = Draws(seed);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&draws.next().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

#[track_caller]
fn check_content(db: &Database, model: &Model) {
    let report = db.check().unwrap();
    assert!(report.is_ok(), "{:?}", report.faults);
    let tx = db.begin_read().unwrap();
    let mut rows = tx.open(ROWS).unwrap().iter().unwrap();
    for (key, (seed, len)) in model {
        let (found, bytes) = rows.next().unwrap().unwrap();
        assert!(found == *key && bytes == value(*seed, *len), "row {key} became {found}");
    }
    assert!(rows.next().is_none());
}

/// What a full disk must say.
#[track_caller]
fn assert_no_room(error: &Error, file: &Path) {
    let Error::Io { call, path, source } = error else { panic!("{error:?}") };
    assert!(["pwritev", "fallocate"].contains(call), "{call}");
    assert_eq!(path.as_path(), file);
    assert!(matches!(source.raw_os_error(), Some(libc::ENOSPC | libc::EFBIG)), "{source}");
    assert!(error.is_out_of_space());
}

/// Mostly buffered: a sync takes its time.
fn level(draws: &mut Draws) -> Durability {
    if draws.below(8) == 0 { Durability::Immediate } else { Durability::Buffered }
}

/// One transaction with rows of up to `len_max` bytes; the model follows if it is committed.
fn put(db: &Database, model: &mut Model, draws: &mut Draws, rows: u64, len_max: u64) -> folio::Result<()> {
    let mut added = Vec::new();
    let mut tx = db.begin_write()?;
    {
        let mut table = tx.open(ROWS)?;
        for _ in 0..rows {
            // New ones: to overwrite a large row with a small one makes room.
            let (key, seed, len) = (draws.next(), draws.next(), draws.len(len_max));
            table.insert(key, &value(seed, len)[..])?;
            added.push((key, (seed, len)));
        }
    }
    tx.set_durability(level(draws));
    tx.commit()?;
    model.extend(added);
    Ok(())
}

/// Large transactions until there is no room for one, then smaller ones, down to single rows. Rows of up to
/// `len_max` bytes at first.
fn fill(db: &Database, file: &Path, model: &mut Model, draws: &mut Draws, len_max: u64) {
    for (rows, len_max) in [(400_000 / len_max, len_max), (10, 4_000), (5, 1_000), (1, 300)] {
        loop {
            if let Err(error) = put(db, model, draws, rows, len_max) {
                assert_no_room(&error, file);
                break;
            }
        }
    }
}

/// Removes some rows in one transaction.
fn remove(db: &Database, keys: &BTreeSet<u64>, durability: Durability) -> folio::Result<()> {
    let mut tx = db.begin_write()?;
    {
        let mut table = tx.open(ROWS)?;
        for key in keys {
            assert!(table.remove(*key)?);
        }
    }
    tx.set_durability(durability);
    tx.commit().map(|_| ())
}

/// Removes everything, in no order: some rows singly, then `at_once` in a transaction. Each may lie in a page
/// of its own, which is written anew: for many at once there may be no room. For a single one there always
/// is.
fn empty(db: &Database, file: &Path, model: &mut Model, draws: &mut Draws, at_once: usize) {
    let (mut most, mut singly) = (1, 60_u32);
    while !model.is_empty() {
        let mut keys = BTreeSet::new();
        while keys.len() < most.min(model.len()) {
            let from = draws.next();
            let next = model.range(from..).next().or_else(|| model.iter().next()).map(|row| *row.0);
            keys.insert(next.unwrap());
        }
        match remove(db, &keys, level(draws)) {
            Ok(()) => {
                for key in &keys {
                    model.remove(key);
                }
                singly = singly.saturating_sub(1);
                most = if singly > 0 { 1 } else { at_once };
            }
            Err(error) => {
                assert_no_room(&error, file);
                assert!(most > 1, "no room to remove one row; {} are left", model.len());
                most /= 2;
            }
        }
    }
}

/// Whether the child has a file system of its own, which it may fill to the last byte.
fn is_mount(path: &Path) -> bool {
    path.parent().unwrap().ends_with(MOUNT)
}

/// The database is closed. Without a lock file, and without room for one, opening says so; when there is room
/// again, it works.
fn check_no_room_for_a_lock_file(path: &Path) {
    let (lock, filler) = (PathBuf::from(format!("{}-lock", path.display())), path.with_extension("filler"));
    let rest = || {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&filler).unwrap();
        while std::io::Write::write_all(&mut file, &[1; 512]).is_ok() {}
    };
    let content = std::fs::read(path).unwrap();
    rest();
    // What was there before is room enough.
    open(path).unwrap().begin_read().unwrap();
    std::fs::remove_file(&lock).unwrap();
    rest();
    for result in [open(path), open_with(path, Database::options().read_only(true))] {
        let error = result.expect_err("there is no room for the lock file");
        assert!(matches!(&error, Error::Io { path: named, .. } if *named == lock), "{error:?}");
        assert!(error.is_out_of_space(), "{error:?}");
    }
    std::fs::remove_file(&filler).unwrap();
    open(path).unwrap().close().unwrap();
    assert!(std::fs::read(path).unwrap() == content, "nothing was written to the database");
}

fn fill_and_empty(path: &Path, options: &OpenOptions, rounds: u64) {
    let mut draws = Draws(5);
    let mut model = Model::new();
    let mut db = open_with(path, options).unwrap();
    let (mut fewest, mut longest) = (usize::MAX, 0);
    for round in 0..rounds {
        fill(&db, path, &mut model, &mut draws, if round % 8 == 1 { 3_000 } else { 100_000 });
        let len = path.metadata().unwrap().len();
        (fewest, longest) = (fewest.min(model.len()), longest.max(len));
        check_content(&db, &model);
        if round % 4 == 1 {
            // Opening takes no room either, as long as the lock file is there.
            db.close().unwrap();
            if is_mount(path) {
                check_no_room_for_a_lock_file(path);
            }
            db = open_with(path, options).unwrap();
            check_content(&db, &model);
        }
        empty(&db, path, &mut model, &mut draws, [500, 50, 50, 500][usize::try_from(round % 4).unwrap()]);
        check_content(&db, &model);
    }
    println!("filled {rounds} times: {fewest} rows at least, {longest} bytes at most");
    db.close().unwrap();
}

#[test]
#[ignore = "the child of the tests of this file"]
fn child_fills_and_empties() {
    let Some(path) = child_path() else { return };
    fill_and_empty(&path, Database::options().create(true), 20);
    // What buffered commits hold back until a sync is a matter of its own on a full disk.
    let second = path.with_extension("second");
    std::fs::remove_file(&path).unwrap();
    let rounds = if long_form() { 20 } else { 2 };
    fill_and_empty(
        &second,
        Database::options().create(true).checkpoint_after(1 << 20).page_size(16_384),
        rounds,
    );
}

/// The folder where the image is mounted.
const MOUNT: &str = "mount";

const CHILD: &str = "full_disk::child_fills_and_empties";

#[test]
fn files_that_may_not_grow_are_no_signal_and_no_loss() {
    let folder = folder_on_disk();
    let path: PathBuf = folder.path().join("db.folio");
    // In blocks of 512 bytes. SIGXFSZ would end the child: nobody ignores it there.
    let blocks = if long_form() { 131_072 } else { 8_192 };
    run_child(&format!("ulimit -f {blocks}; ulimit -c 0"), CHILD, &path);
    open(&path.with_extension("second")).unwrap().close().unwrap();
}

fn check_full_disk(fs: &str, megabytes: u32) {
    if !can_mount(fs, &format!("a full disk of {fs}")) {
        return;
    }
    // The image in memory, where there is such a place: a sync of it is quick.
    let folder = tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| folder_on_disk());
    let mount = folder.path().join(MOUNT);
    std::fs::create_dir(&mount).unwrap();
    // The mount ends with the child, whose name space it is in.
    let inside = format!(
        "set -e; cd $(dirname $(dirname $FOLIO_TEST_CHILD)); truncate -s {megabytes}M image; \
         mkfs.{fs} -q image; mount -t {fs} -o loop image {MOUNT}; exec \"$@\""
    );
    let shell = format!("exec unshare --mount --propagation private sh -c '{inside}' sh \"$@\"");
    run_child(&shell, CHILD, &mount.join("db.folio"));
}

#[test]
fn a_full_ext4_is_no_signal_and_no_loss() {
    check_full_disk("ext4", 64);
}

#[test]
fn a_full_xfs_is_no_signal_and_no_loss() {
    if long_form() {
        // The least that mkfs.xfs makes.
        check_full_disk("xfs", 300);
    } else {
        say_untested("a full disk of xfs: FOLIO_LONG=1 asks for it");
    }
}
