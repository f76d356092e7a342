//! Transactions on a file of 100,000 entries of 24 + 150 bytes: begin, read, insert, commit.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use folio::{Database, Durability, Table};
use folio_parts::key;

const TABLE: Table<&[u8], &[u8]> = Table::new("table");
const ENTRIES: u64 = 100_000;

/// The database, and the folder that goes with it. On the disk of the temporary folder.
fn database() -> (Database, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    // SAFETY: nobody else knows the file.
    let db = unsafe { Database::create(dir.path().join("bench.folio")) }.expect("a new database");
    insert(&db, 0..ENTRIES, Durability::Immediate);
    (db, dir)
}

fn insert(db: &Database, numbers: std::ops::Range<u64>, durability: Durability) {
    let mut tx = db.begin_write().expect("a write transaction");
    tx.set_durability(durability);
    {
        let mut table = tx.open(TABLE).expect("the table");
        for number in numbers {
            table.insert(&key::<24>(number)[..], &[7; 150][..]).expect("an insertion");
        }
    }
    tx.commit().expect("a commit");
}

fn read(c: &mut Criterion) {
    let (db, _dir) = database();
    c.bench_function("begin and end a read", |b| b.iter(|| db.begin_read().expect("a snapshot")));
    let tx = db.begin_read().expect("a snapshot");
    c.bench_function("open a table to read", |b| b.iter(|| tx.open(TABLE).map(|table| table.len())));
    let table = tx.open(TABLE).expect("the table");
    let keys: Vec<_> = (0..ENTRIES).map(key::<24>).collect();
    let mut turn = 0;
    let mut next = move |step: usize| {
        turn = (turn + step * 7919) % (keys.len() - step);
        keys[turn..turn + step].to_vec()
    };
    c.bench_function("get", |b| {
        b.iter_batched(|| next(1), |keys| black_box(table.get(keys[0])).is_ok(), BatchSize::SmallInput);
    });
    c.bench_function("get_many of 8", |b| {
        let sum =
            |keys: Vec<[u8; 24]>| table.get_many(&keys).flatten().flatten().map(<[u8]>::len).sum::<usize>();
        b.iter_batched(|| next(8), sum, BatchSize::SmallInput);
    });
    c.bench_function("range of 10", |b| {
        let sum = |keys: Vec<[u8; 24]>| table.range(&keys[0]..).map(|range| range.take(10).count());
        b.iter_batched(|| next(1), sum, BatchSize::SmallInput);
    });
}

fn write(c: &mut Criterion) {
    let (db, _dir) = database();
    let mut number = 1 << 32;
    let mut commit = |name: &str, durability, count| {
        c.bench_function(name, |b| {
            b.iter(|| {
                insert(&db, number..number + count, durability);
                number += count;
            });
        });
    };
    commit("insert and commit, buffered", Durability::Buffered, 1);
    commit("insert 1,000 and commit, buffered", Durability::Buffered, 1000);
    commit("insert and commit, durable", Durability::Immediate, 1);
}

criterion_group!(benches, read, write);
criterion_main!(benches);
