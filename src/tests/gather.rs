//! Goal: what a large commit takes along makes long free runs, costs no more than the commit itself, and
//! changes nothing else.
//! Method: batches of random overwrites on a file that may grow little, with the whole-file check after each;
//! and the same where a page that would be taken along is damaged.

use super::version::sound;
use crate::storage::sim::{Rng, SimDisk};
use crate::{CommitInfo, Database, Durability, Error, OpenOptions};

const ENTRIES: u64 = 100_000;

fn number(i: u64) -> u64 {
    i * 61_803_399 % 100_000_007
}

fn key(i: u64) -> Vec<u8> {
    format!("{:08}", number(i)).into_bytes()
}

fn put(db: &Database, keys: impl IntoIterator<Item = u64>, fill: u8, durability: Durability) -> CommitInfo {
    let mut tx = db.begin_write().unwrap();
    tx.set_durability(durability);
    let mut table = tx.create_raw("t", "k", "v").unwrap();
    for i in keys {
        table.insert(&key(i), &[fill; 150]).unwrap();
    }
    drop(table);
    tx.commit().unwrap()
}

/// A file full of random gaps, and the last batches that made them.
fn aged(db: &Database, durability: Durability) -> Vec<CommitInfo> {
    put(db, 0..ENTRIES, 0, Durability::Immediate);
    let mut rng = Rng::new(5);
    let mut batch =
        |fill| put(db, (0..200).map(|_| rng.below(ENTRIES)).collect::<Vec<_>>(), fill, durability);
    let batches = (1..60).map(|fill| {
        let info = batch(fill);
        sound(db).unwrap();
        info
    });
    batches.skip(40).collect()
}

fn options() -> OpenOptions {
    let mut options = Database::options();
    options.create(true).free_ratio(0.4);
    options
}

#[test]
fn durable_batches_are_written_in_long_runs_beside_random_gaps() {
    let disk = SimDisk::new().unwrap();
    let db = Database::over(&options(), disk.storage().unwrap()).unwrap();
    let last = aged(&db, Durability::Immediate);
    let (pages, runs): (u64, u64) = last.iter().fold((0, 0), |(p, r), info| (p + info.pages, r + info.runs));
    let each = pages / last.len() as u64;
    assert!(pages / runs >= 10, "{pages} pages in {runs} runs");
    assert!(each < 2 * 260, "{each} pages a batch, which overwrites 200 leaves at most");
    let stats = db.stats().unwrap();
    let live = stats.branch_pages + stats.leaf_pages + stats.free_space_pages;
    assert!(stats.pages < live * 3 / 2, "{} pages, {live} of them live", stats.pages);
}

/// What is not synced frees nothing that the durable root needs, however much is taken along.
#[test]
fn buffered_batches_take_nothing_along() {
    let disk = SimDisk::new().unwrap();
    let mut options = options();
    options.checkpoint_after(4 << 20);
    let db = Database::over(&options, disk.storage().unwrap()).unwrap();
    let last = aged(&db, Durability::Buffered);
    assert!(last.iter().all(|info| info.pages < 280), "{last:?}");
}

/// Goal: a commit does not fail over a page that it need not read.
#[test]
fn a_damaged_page_is_not_taken_along() {
    let disk = SimDisk::new().unwrap();
    let db = Database::over(&options(), disk.storage().unwrap()).unwrap();
    put(&db, 0..ENTRIES, 0, Durability::Immediate);
    let marked = ENTRIES / 2;
    put(&db, [marked], 0xEE, Durability::Immediate);
    let away = |i: &u64| number(*i).abs_diff(number(marked)) > 1_000_000;
    put(&db, (0..ENTRIES).filter(away), 0, Durability::Immediate);
    db.close().unwrap();
    let mut content = disk.content().unwrap();
    let marks = content.windows(150).enumerate().filter(|(_, bytes)| bytes.iter().all(|byte| *byte == 0xEE));
    for at in marks.map(|(at, _)| at).collect::<Vec<_>>() {
        content[at] = 0;
    }
    let disk = SimDisk::with_content(content).unwrap();
    let db = Database::over(&options(), disk.storage().unwrap()).unwrap();
    let mut rng = Rng::new(6);
    for fill in 1..60 {
        put(&db, (0..200).map(|_| rng.below(ENTRIES)).filter(away), fill, Durability::Immediate);
    }
    let found = db.read(|tx| tx.open_raw("t")?.get(&key(marked)).map(|_| ()));
    assert!(matches!(found, Err(Error::Corrupted { .. })), "{found:?}");
}
