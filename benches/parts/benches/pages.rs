//! One page on the heap: find, insert, split, seal.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use folio::internals::Leaf;
use folio_parts::key;

const PAGE: usize = 4096;

/// A leaf of `count` entries of 24 + 150 bytes: 21 of them are about as many as random insertion leaves.
fn leaf(count: u64) -> Leaf {
    let mut leaf = Leaf::new(PAGE);
    for number in 0..count {
        assert!(leaf.insert(&key::<24>(number), &[7; 150]));
    }
    leaf
}

fn search(c: &mut Criterion) {
    let leaf = leaf(21);
    let mut group = c.benchmark_group("search in a leaf");
    for (name, from) in [("there", 0), ("absent", 1 << 32)] {
        let keys: Vec<_> = (from..from + 21).map(key::<24>).collect();
        let mut turn = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                turn = (turn + 1) % keys.len();
                black_box(leaf.get(&keys[turn]))
            });
        });
    }
    group.finish();
}

fn change(c: &mut Criterion) {
    let new = key::<24>(1 << 40);
    c.bench_function("insert into a leaf", |b| {
        b.iter_batched_ref(|| leaf(20), |leaf| leaf.insert(&new, &[7; 150]), BatchSize::SmallInput);
    });
    let full = leaf(21);
    c.bench_function("split a leaf", |b| {
        b.iter_batched_ref(
            || (Leaf::new(PAGE), Leaf::new(PAGE)),
            |(left, right)| full.split_into(left, right),
            BatchSize::SmallInput,
        );
    });
}

fn seal(c: &mut Criterion) {
    c.bench_function("seal a page: holes, zeros, checksum", |b| {
        b.iter_batched_ref(|| leaf(20), Leaf::seal, BatchSize::SmallInput);
    });
    let page = vec![7; PAGE];
    c.bench_function("checksum of 4 KiB", |b| b.iter(|| folio::internals::checksum(black_box(&page))));
}

criterion_group!(benches, search, change, seal);
criterion_main!(benches);
