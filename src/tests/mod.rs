//! Tests of the whole engine from inside the crate, where the simulated disk is.
//!
//! What can be done to it, and the model that does it to a map as well, is `simulation`.

mod background;
mod crash;
mod faults;
mod first_touch;
mod fixtures;
mod fork;
mod gather;
mod groups;
mod growth;
mod heads;
mod instances;
mod joined;
mod opening;
mod opening_faults;
mod outcomes;
mod syncs;
mod threads;

use proptest::prelude::*;

use crate::simulation::{explore, model, ops, seen, version};
use model::Driver;
use ops::{Mix, Near, Op, Setup, Value};

use crate::{Database, Durability, Error};

/// Runs the operations, and at the end deletes everything and looks for what is lost.
fn against_the_model(setup: Setup, ops: &[Op]) {
    let mut driver = Driver::new(setup).unwrap();
    driver.run(ops).unwrap();
    driver.finish().unwrap();
}

/// `FOLIO_MODEL_CASES` says how many.
fn cases() -> ProptestConfig {
    let cases = u32::try_from(crash::number("FOLIO_MODEL_CASES", 60)).unwrap();
    ProptestConfig { cases, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    /// Goal: the database is its model, whatever is done and however it is opened.
    /// Method: random operations to both, the whole-file check after every commit, and a search for lost
    /// pages.
    #[test]
    fn the_database_is_a_map_per_version(
        setup in ops::setup(),
        ops in prop::collection::vec(ops::op(Mix::ALL), 1..150),
    ) {
        against_the_model(setup, &ops);
    }
}

fn commit() -> Op {
    Op::Commit { durability: Durability::Immediate, two_phase: false }
}

/// Goal: a transaction that frees many extents and writes few pages has room in the log to say so.
/// Method: two tables whose pages lie among each other; one is cleared.
#[test]
fn a_commit_may_free_many_fragments() {
    let mut ops = Vec::new();
    let value = Value { near: Near::Page, off: 0, fill: 1 };
    for i in 0..60 {
        for table in 0..2 {
            ops.push(Op::Scatter { table, from: i * 3, count: 1, value });
            ops.push(Op::Ascend { table, from: i * 60, count: 20, value });
        }
        ops.push(commit());
    }
    ops.extend([Op::Clear { table: 0 }, commit(), Op::Reopen]);
    against_the_model(Setup { free_ratio: 4.0, ..Setup::PLAIN }, &ops);
}

/// Goal: a writer reads what it has added to the file also where nobody else ever looks.
/// Method: nothing is mapped ahead, and no reader begins.
#[test]
fn a_writer_alone_maps_what_it_has_written() {
    let setup = Setup { reserve: Some(1), ..Setup::PLAIN };
    let mut driver = Driver::new(setup).unwrap();
    driver.checks = false;
    let value = Value { near: Near::Inline, off: 0, fill: 3 };
    for from in 0..40 {
        let look = Op::Look { table: 0, key: ops::Key::Text(from * 10) };
        driver.run(&[Op::Ascend { table: 0, from: from * 20, count: 20, value }, commit(), look]).unwrap();
    }
}

/// Goal: dropping a table leaves the handles of others alone.
#[test]
fn a_table_is_dropped_while_others_are_open() {
    let db = Database::in_memory().unwrap();
    let tx = db.begin_write().unwrap();
    drop(tx.create_raw("first", "a", "b").unwrap());
    let mut second = tx.create_raw("second", "a", "b").unwrap();
    drop(tx.create_raw("third", "a", "b").unwrap());
    second.insert(b"key", b"value").unwrap();
    assert!(tx.drop_table("first").unwrap());
    assert!(!tx.drop_table("first").unwrap());
    drop(second);
    tx.create_raw("third", "a", "b").unwrap().insert(b"3", b"3").unwrap();
    tx.create_raw("first", "c", "d").unwrap().insert(b"1", b"1").unwrap();
    tx.commit().unwrap();
    let tx = db.begin_read().unwrap();
    for (name, key) in [("first", "1"), ("second", "key"), ("third", "3")] {
        assert!(tx.open_raw(name).unwrap().contains(key.as_bytes()).unwrap(), "{name}");
    }
    assert_eq!(tx.open_raw("first").unwrap().key_type(), "c");
}

/// Goal: after a failed sync nothing is committed, not even what had begun before.
#[test]
fn a_transaction_that_began_before_a_failed_sync_does_not_commit() {
    let disk = crate::storage::sim::SimDisk::new().unwrap();
    let db = Database::over(&Setup::PLAIN.options(), disk.storage().unwrap()).unwrap();
    let put = |tx: &crate::WriteTransaction, len: usize| {
        tx.create_raw("t", "k", "v").unwrap().insert(b"key", &vec![1; len]).map(|_| ())
    };
    let buffered = |len| {
        let mut tx = db.begin_write().unwrap();
        tx.set_durability(Durability::Buffered);
        put(&tx, len).unwrap();
        tx
    };
    buffered(10).commit().unwrap();
    // It has written something already.
    let tx = buffered(100 << 10);
    disk.inject(crate::storage::sim::Fault::new(Some(crate::storage::Call::Sync), 1, libc::EIO));
    assert!(matches!(db.sync(), Err(Error::OutcomeUnknown { .. })));
    let result = tx.commit();
    assert!(matches!(result, Err(Error::WritingEnded { .. })), "{result:?}");
}

/// Goal: a tree that was not changed, but copied, and outgrew its memory then, loses no page.
/// Method: a removal that finds nothing; then the table's copies are written to make room for others.
#[test]
fn a_tree_that_was_only_copied_loses_no_page() {
    use ops::Key;
    let value = Value { near: Near::Zero, off: 0, fill: 0 };
    let insert = |table, key| Op::Insert { table, key, value };
    let setup = Setup { memory_limit: 8192, ..Setup::PLAIN };
    let ops = [
        insert(0, Key::Long(0)),
        insert(0, Key::Long(1)),
        Op::Ascend { table: 0, from: 0, count: 3, value },
        commit(),
        Op::RemoveRange { table: 0, from: Key::Padded(0), to: Key::Short(1) },
        insert(1, Key::Empty),
        Op::Remove { table: 0, key: Key::Empty },
        insert(1, Key::Text(0)),
    ];
    against_the_model(setup, &ops);
}

/// Goal: neighbours that fit together are one page, also where keys are long and share most of their bytes.
#[test]
fn long_keys_keep_the_pair_rule() {
    use ops::Key;
    let insert = |key| Op::Insert { table: 0, key, value: Value { near: Near::Zero, off: 0, fill: 0 } };
    let value = |near| Value { near, off: 0, fill: 0 };
    let ops = [
        insert(Key::Long(0)),
        insert(Key::Short(260)),
        insert(Key::Long(1)),
        insert(Key::Long(2)),
        Op::Scatter { table: 0, from: 261, count: 18, value: value(Near::Small) },
        Op::Scatter { table: 0, from: 0, count: 2, value: value(Near::Inline) },
    ];
    against_the_model(Setup { page_size: 8192, ..Setup::PLAIN }, &ops);
    // A separator that shares nothing with the next gives way to one as short that does.
    let ops = [
        Op::Scatter { table: 0, from: 364, count: 13, value: value(Near::Zero) },
        insert(Key::Long(54)),
        insert(Key::Long(9)),
        insert(Key::Long(10)),
        Op::Ascend { table: 0, from: 0, count: 41, value: Value { near: Near::Small, off: 40, fill: 6 } },
    ];
    against_the_model(Setup::PLAIN, &ops);
}
