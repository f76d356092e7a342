//! Transactions larger than their memory, and commits in a file with much free space.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use folio::{Database, Durability, Table};

use super::load::{Loaded, MIB, Random, key, mib, scale, value};

const CHILD: &str = "FOLIO_TEST_SPILL";
const EVEN: Table<&[u8], &[u8]> = Table::new("even");
const ODD: Table<&[u8], &[u8]> = Table::new("odd");

/// Bytes of anonymous memory that the process has: not those of mapped files.
fn anonymous_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Loads `count` entries into two tables by turns.
fn load_two(loaded: &Loaded, count: u64) {
    loaded
        .db
        .write(|tx| {
            let (mut even, mut odd) = (tx.open(EVEN)?, tx.open(ODD)?);
            for i in 0..count {
                let table = if i % 2 == 0 { &mut even } else { &mut odd };
                table.insert(&key(i)[..], &value(i, 0)[..])?;
            }
            Ok(())
        })
        .unwrap();
}

/// The child's part: one transaction far above its limit, and how much memory it took at most.
#[test]
fn in_a_child_a_transaction_above_its_limit() {
    let Ok(limit) = std::env::var(CHILD) else { return };
    let count = 600_000 / scale();
    let mut options = Database::options();
    options.memory_limit(limit.parse().unwrap());
    let loaded = Loaded::empty(options);
    let (stop, stopped) = channel::<()>();
    let before = anonymous_bytes();
    let peak = std::thread::scope(|scope| {
        let watch = scope.spawn(move || {
            let mut peak = 0;
            while stopped.recv_timeout(Duration::from_millis(2)) == Err(RecvTimeoutError::Timeout) {
                peak = peak.max(anonymous_bytes());
            }
            peak
        });
        load_two(&loaded, count);
        drop(stop);
        watch.join().unwrap()
    });
    let tx = loaded.db.begin_read().unwrap();
    let (even, odd) = (tx.open(EVEN).unwrap(), tx.open(ODD).unwrap());
    assert_eq!(even.len() + odd.len(), count);
    for i in 0..count {
        let table = if i % 2 == 0 { &even } else { &odd };
        assert_eq!(table.get(&key(i)[..]).unwrap(), Some(&value(i, 0)[..]), "entry {i}");
    }
    loaded.check();
    println!("\nspilled: {} {}", peak.saturating_sub(before), loaded.len());
}

/// Peak growth of memory, and the length of the file.
fn spill_in_a_child(limit: u64) -> (u64, u64) {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "space::memory::in_a_child_a_transaction_above_its_limit", "--nocapture"])
        .env(CHILD, limit.to_string())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let line = text.lines().find_map(|line| line.strip_prefix("spilled: ")).expect("the child has run");
    let (memory, file) = line.split_once(' ').unwrap();
    (memory.parse().unwrap(), file.parse().unwrap())
}

#[test]
fn a_transaction_may_be_larger_than_its_memory() {
    let limit = 4 * MIB;
    let (memory, file) = spill_in_a_child(limit);
    let (without, smallest) = spill_in_a_child(1 << 30);
    println!("limit {}: {} of memory, {} of file", mib(limit), mib(memory), mib(file));
    println!("no limit: {} of memory, {} of file", mib(without), mib(smallest));
    assert!(without > 2 * memory, "the transaction is not larger than its memory");
    assert!(memory <= 3 * limit, "{} of memory", mib(memory));
    assert!(file * 10 <= smallest * 13, "{} of file, {} without a limit", mib(file), mib(smallest));
}

/// Pages that each of 200 commits of one insertion writes at most, and on the average.
fn single_inserts(loaded: &Loaded) -> (u64, u64) {
    let small: Table<u64, u64> = Table::new("small");
    let mut random = Random(9);
    let pages: Vec<u64> = (0..200)
        .map(|_| {
            let mut tx = loaded.db.begin_write().unwrap();
            tx.set_durability(Durability::Buffered);
            tx.open(small).unwrap().insert(random.next(), 1).unwrap();
            tx.commit().unwrap().pages
        })
        .collect();
    (*pages.iter().max().unwrap(), pages.iter().sum::<u64>() / 200)
}

#[test]
fn what_a_commit_writes_does_not_depend_on_how_much_is_free() {
    const PAGES: Table<u64, &[u8]> = Table::new("pages");
    let none = single_inserts(&Loaded::empty(Database::options()));
    let loaded = Loaded::empty(Database::options());
    let extents = 200_000 / scale();
    let value = [7; 4_000];
    // Values of a page each, and every second one goes.
    loaded
        .db
        .write(|tx| {
            let mut pages = tx.open(PAGES)?;
            (0..2 * extents).try_for_each(|i| pages.insert(i, &value[..]).map(|_| ()))
        })
        .unwrap();
    loaded
        .db
        .write(|tx| {
            let mut pages = tx.open(PAGES)?;
            (0..extents).try_for_each(|i| pages.remove(2 * i).map(|_| ()))
        })
        .unwrap();
    let stats = loaded.stats();
    assert!(stats.free_pages + stats.pending_pages >= extents, "{stats:?}");
    let many = single_inserts(&loaded);
    println!("pages of a commit, most and mean: {none:?} with nothing free, {many:?} with {extents} extents");
    assert!(many.0 <= none.0 + 4 && many.1 <= none.1 + 2, "{many:?} for {none:?}");
    let loaded = loaded.reopen();
    let many = single_inserts(&loaded);
    println!("opened again: {many:?}");
    assert!(many.0 <= none.0 + 4 && many.1 <= none.1 + 2, "{many:?} for {none:?}");
    loaded.check();
}
