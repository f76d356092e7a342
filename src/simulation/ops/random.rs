//! Operations that proptest makes: how often what is done, and how the database is opened.

use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::{Key, Near, Op, Setup, TABLES, Value};
use crate::Durability;

/// How often what is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mix {
    /// Of about a hundred values, how many are as long as to be written at once; and as long as not to be
    /// checked.
    pub(crate) direct: u32,
    pub(crate) unchecked: u32,
    /// How large the numbers in keys get.
    pub(crate) keys: u16,
    /// Of about a hundred operations, how many are compactions, reopens, kills.
    pub(crate) compact: u32,
    pub(crate) reopen: u32,
    pub(crate) kill: u32,
    pub(crate) readers: bool,
}

impl Mix {
    /// Everything.
    pub(crate) const ALL: Mix =
        Mix { direct: 3, unchecked: 1, keys: 600, compact: 1, reopen: 1, kill: 1, readers: true };

    /// Small files, so that many crashes can be looked at.
    pub(crate) const CRASH: Mix =
        Mix { direct: 2, unchecked: 0, keys: 120, compact: 3, reopen: 1, kill: 0, readers: true };
}

fn key(mix: Mix) -> impl Strategy<Value = Key> {
    prop_oneof![
        1 => Just(Key::Empty),
        6 => (0..mix.keys).prop_map(Key::Short),
        6 => (0..mix.keys).prop_map(Key::Text),
        2 => (0..mix.keys.min(60)).prop_map(Key::Long),
        2 => (0..mix.keys.min(60)).prop_map(Key::Padded),
        1 => (0..mix.keys).prop_map(Key::Nested),
    ]
}

fn value(mix: Mix) -> impl Strategy<Value = Value> {
    let near = prop_oneof![
        8 => Just(Near::Zero),
        60 => Just(Near::Small),
        10 => Just(Near::Inline),
        8 => Just(Near::Page),
        6 => Just(Near::Pages),
        mix.direct => Just(Near::Direct),
        mix.unchecked => Just(Near::Unchecked),
    ];
    (near, -3i8..4, any::<u8>()).prop_map(|(near, off, fill)| Value { near, off, fill })
}

/// Values that many entries can have.
fn small_value() -> impl Strategy<Value = Value> {
    let near = prop_oneof![1 => Just(Near::Zero), 8 => Just(Near::Small), 1 => Just(Near::Inline)];
    (near, -30i8..100, any::<u8>()).prop_map(|(near, off, fill)| Value {
        near,
        off: if near == Near::Small { off } else { off % 3 },
        fill,
    })
}

fn durability() -> impl Strategy<Value = Durability> {
    // Never due: when a thread runs is not the seed's to decide. What waits or syncs makes it durable.
    let background = Durability::Background { within: Duration::MAX };
    prop_oneof![Just(Durability::Immediate), Just(Durability::Buffered), Just(background)]
}

pub(crate) fn op(mix: Mix) -> impl Strategy<Value = Op> {
    let table = || prop_oneof![4 => Just(0u8), 2 => Just(1), 1 => 2..TABLES];
    let change = prop_oneof![
        14 => (table(), key(mix), value(mix))
            .prop_map(|(table, key, value)| Op::Insert { table, key, value }),
        3 => (table(), key(mix), value(mix))
            .prop_map(|(table, key, value)| Op::Replace { table, key, value }),
        3 => (table(), key(mix), value(mix))
            .prop_map(|(table, key, value)| Op::Append { table, key, value }),
        6 => (table(), key(mix)).prop_map(|(table, key)| Op::Remove { table, key }),
        2 => (table(), key(mix)).prop_map(|(table, key)| Op::Take { table, key }),
        2 => (table(), key(mix), key(mix)).prop_map(|(table, from, to)| Op::RemoveRange { table, from, to }),
        1 => table().prop_map(|table| Op::Clear { table }),
        1 => table().prop_map(|table| Op::DropTable { table }),
        4 => (table(), 0..mix.keys, 1u8..60, small_value())
            .prop_map(|(table, from, count, value)| Op::Ascend { table, from, count, value }),
        3 => (table(), 0..mix.keys, 1u8..60, small_value())
            .prop_map(|(table, from, count, value)| Op::Scatter { table, from, count, value }),
        2 => (table(), 0..mix.keys, 1u8..60, 1u8..5)
            .prop_map(|(table, from, count, step)| Op::Thin { table, from, count, step }),
        2 => (table(), key(mix)).prop_map(|(table, key)| Op::Look { table, key }),
    ];
    let end = prop_oneof![
        18 => (durability(), prop::bool::weighted(0.1))
            .prop_map(|(durability, two_phase)| Op::Commit { durability, two_phase }),
        2 => Just(Op::Abort),
    ];
    let readers = u32::from(mix.readers);
    let reader = prop_oneof![
        3 => Just(Op::BeginRead),
        3 => any::<u8>().prop_map(|reader| Op::CheckRead { reader }),
        2 => (any::<u8>(), table(), prop::collection::vec(key(mix), 0..20))
            .prop_map(|(reader, table, keys)| Op::GetMany { reader, table, keys }),
        2 => any::<u8>().prop_map(|reader| Op::EndRead { reader }),
        3 => (any::<u8>(), any::<u8>(), key(mix), key(mix))
            .prop_map(|(older, newer, from, to)| Op::Compare { older, newer, from, to }),
    ];
    prop_oneof![
        60 => change,
        20 => end,
        13 * readers => reader,
        1 => Just(Op::Sync),
        1 => (0u8..6).prop_map(|back| Op::WaitDurable { back }),
        mix.compact => Just(Op::Compact),
        mix.reopen => Just(Op::Reopen),
        mix.kill => Just(Op::Kill),
    ]
}

pub(crate) fn setup() -> impl Strategy<Value = Setup> {
    let page_size = prop_oneof![6 => Just(4096u32), 2 => Just(8192), 1 => Just(16384), 1 => Just(65536)];
    // Nothing reserved: every growth maps the file anew.
    let reserve = prop_oneof![3 => Just(Some(1)), 1 => Just(None)];
    // As little as to spill all the time, in pages; or enough.
    let memory = prop_oneof![1 => Just(2usize), 2 => Just(12), 3 => Just(1 << 14)];
    let free_ratio = prop_oneof![Just(0.0), Just(0.1), Just(0.5)];
    let checkpoint = prop_oneof![3 => Just(None), 1 => Just(Some(0)), 1 => Just(Some(64 << 10))];
    (page_size, reserve, memory, prop::bool::weighted(0.2), free_ratio, checkpoint).prop_map(
        |(page_size, reserve, pages, two_phase, free_ratio, checkpoint_after)| Setup {
            page_size,
            reserve,
            memory_limit: pages * 4096,
            two_phase,
            free_ratio,
            checkpoint_after,
        },
    )
}

/// What `strategy` makes of `seed`, always the same.
pub(crate) fn generate<S: Strategy>(strategy: &S, seed: u64) -> S::Value {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    strategy.new_tree(&mut runner).expect("nothing is filtered").current()
}
