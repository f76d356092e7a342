//! Compaction, and giving the end of the file back.
use std::sync::atomic::{AtomicBool, Ordering};

use folio::{Database, Durability, Table};

use super::load::{ENTRIES, Loaded, Random, key, mib, scale, value};

fn delete_half(loaded: &Loaded) {
    loaded
        .db
        .write(|tx| {
            let mut table = tx.open(ENTRIES)?;
            for i in (0..loaded.versions.len() as u64).step_by(2) {
                assert!(table.remove(&key(i)[..])?);
            }
            Ok(())
        })
        .unwrap();
}

/// The entries that `delete_half` leaves, in all.
fn has_the_other_half(loaded: &Loaded) {
    let tx = loaded.db.begin_read().unwrap();
    let table = tx.open(ENTRIES).unwrap();
    assert_eq!(table.len(), loaded.versions.len() as u64 / 2);
    for i in 0..loaded.versions.len() as u64 {
        let expected = value(i, 0);
        assert_eq!(table.get(&key(i)[..]).unwrap(), (i % 2 == 1).then_some(&expected[..]), "entry {i}");
    }
    loaded.check();
}

#[test]
fn deleting_half_and_compacting_gives_four_tenths_back() {
    let loaded = Loaded::random(1_000_000 / scale(), Database::options());
    let before = loaded.len();
    delete_half(&loaded);
    let report = loaded.db.compact().unwrap();
    println!("deleted half: {} -> {}; {report:?}", mib(before), mib(loaded.len()));
    assert_eq!((report.bytes_after, true), (loaded.len(), report.bytes_before >= before));
    assert!(loaded.len() * 10 < before * 6, "{} of {}", mib(loaded.len()), mib(before));
    has_the_other_half(&loaded);
    let again = loaded.db.compact().unwrap();
    println!("once more: {again:?}");
    assert!(again.bytes_after <= report.bytes_after);
    let loaded = loaded.reopen();
    assert!(loaded.len() <= again.bytes_after);
    has_the_other_half(&loaded);
}

#[test]
fn compaction_leaves_an_open_snapshot_alone_and_takes_its_pages_later() {
    let loaded = Loaded::random(500_000 / scale(), Database::options());
    let before = loaded.len();
    let reader = loaded.db.begin_read().unwrap();
    delete_half(&loaded);
    let beside = loaded.db.compact().unwrap();
    let table = reader.open(ENTRIES).unwrap();
    for i in 0..loaded.versions.len() as u64 {
        assert_eq!(table.get(&key(i)[..]).unwrap(), Some(&value(i, 0)[..]), "entry {i}");
    }
    assert!(loaded.len() >= before, "the snapshot reaches to the end of the file it began with");
    has_the_other_half(&loaded);
    drop(reader);
    let after = loaded.db.compact().unwrap();
    println!("beside a reader: {before} bytes, {beside:?}; without: {after:?}");
    assert!(loaded.len() * 10 < before * 6, "{} of {}", mib(loaded.len()), mib(before));
    has_the_other_half(&loaded);
}

#[test]
fn compaction_goes_on_between_other_writers() {
    const OTHERS: Table<u64, u64> = Table::new("others");
    let loaded = Loaded::random(500_000 / scale(), Database::options());
    let before = loaded.len();
    delete_half(&loaded);
    let done = AtomicBool::new(false);
    let commits = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut commits = 0;
            let mut random = Random(3);
            while !done.load(Ordering::Relaxed) {
                let mut tx = loaded.db.begin_write().unwrap();
                tx.set_durability(Durability::Buffered);
                tx.open(OTHERS).unwrap().insert(commits, random.next()).unwrap();
                // And one that compaction moves about at the same time.
                let i = random.below(loaded.versions.len() as u64 / 2) * 2 + 1;
                tx.open(ENTRIES).unwrap().insert(&key(i)[..], &value(i, 0)[..]).unwrap();
                tx.commit().unwrap();
                commits += 1;
            }
            commits
        });
        // At least one transaction is between the steps of compaction.
        let mut reports = vec![loaded.db.compact().unwrap()];
        while loaded.db.begin_read().unwrap().open(OTHERS).unwrap().is_empty() {
            reports.push(loaded.db.compact().unwrap());
        }
        done.store(true, Ordering::Relaxed);
        println!("between writers: {before} bytes, {reports:?}");
        writer.join().unwrap()
    });
    println!("{commits} commits meanwhile");
    let tx = loaded.db.begin_read().unwrap();
    let others = tx.open(OTHERS).unwrap();
    let mut random = Random(3);
    for i in 0..commits {
        assert_eq!(others.get(i).unwrap(), Some(random.next()));
        random.next();
    }
    drop(tx);
    has_the_other_half(&loaded);
    let last = loaded.db.compact().unwrap();
    println!("alone: {last:?}");
    assert!(loaded.len() * 10 < before * 6, "{} of {}", mib(loaded.len()), mib(before));
    has_the_other_half(&loaded);
}

#[test]
fn what_a_dropped_table_leaves_at_the_end_is_given_back_when_no_snapshot_needs_it() {
    const BIG: Table<&[u8], &[u8]> = Table::new("big");
    let loaded = Loaded::random(200_000 / scale(), Database::options());
    let small = loaded.len();
    loaded.load_as(BIG);
    let big = loaded.len();
    let reader = loaded.db.begin_read().unwrap();
    loaded.db.write(|tx| tx.drop_table("big")).unwrap();
    let touch = |n: u64| {
        for i in 0..n {
            loaded.db.write(|tx| tx.open(Table::<u64, u64>::new("touch"))?.insert(i, i)).unwrap();
        }
    };
    touch(5);
    assert!(loaded.len() >= big, "the reader's snapshot has the table");
    let table = reader.open(BIG).unwrap();
    for i in 0..loaded.versions.len() as u64 {
        assert_eq!(table.get(&key(i)[..]).unwrap(), Some(&value(i, 0)[..]), "entry {i}");
    }
    drop(reader);
    touch(4);
    println!("dropped a table: {} -> {} -> {}", mib(small), mib(big), mib(loaded.len()));
    // What the next transactions take is not at the end, at most a reserve is.
    assert!(loaded.len() < small + (big - small) / 4, "{} of {}", mib(loaded.len()), mib(big));
    loaded.verify(97);
    let loaded = loaded.reopen();
    println!("closed: {}", mib(loaded.len()));
    loaded.verify(97);
}
