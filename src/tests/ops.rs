//! One enum of operations for every driver: the model test, the crash test, the faults, and fuzzers.
//!
//! An operation says what to do in numbers that mean something on every page size: a key is a shape and a
//! number, a value is a threshold and a distance from it. So a case shrinks to something that can be read.

use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::page::{is_inline, key_len_max};
use crate::{Durability, OpenOptions};

/// How many tables there are at most.
const TABLES: u8 = 4;

/// How many snapshots are kept at once.
pub(super) const READERS: usize = 6;

/// One thing to do with a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Op {
    Insert {
        table: u8,
        key: Key,
        value: Value,
    },
    Replace {
        table: u8,
        key: Key,
        value: Value,
    },
    /// Inserts the key if it comes behind all others, and is refused if not.
    Append {
        table: u8,
        key: Key,
        value: Value,
    },
    Remove {
        table: u8,
        key: Key,
    },
    Take {
        table: u8,
        key: Key,
    },
    /// Entries with keys from one to the other, which may be the smaller.
    RemoveRange {
        table: u8,
        from: Key,
        to: Key,
    },
    Clear {
        table: u8,
    },
    DropTable {
        table: u8,
    },
    /// Keys in rising order.
    Ascend {
        table: u8,
        from: u16,
        count: u8,
        value: Value,
    },
    /// Keys all over the place.
    Scatter {
        table: u8,
        from: u16,
        count: u8,
        value: Value,
    },
    /// Removes every so many-th key of those that `Ascend` makes.
    Thin {
        table: u8,
        from: u16,
        count: u8,
        step: u8,
    },
    /// What the running transaction says of a key and of its whole table.
    Look {
        table: u8,
        key: Key,
    },
    Commit {
        durability: Durability,
        two_phase: bool,
    },
    Abort,
    BeginRead,
    /// Compares everything that a snapshot shows.
    CheckRead {
        reader: u8,
    },
    /// What a snapshot has for these keys, all of them at once.
    GetMany {
        reader: u8,
        table: u8,
        keys: Vec<Key>,
    },
    EndRead {
        reader: u8,
    },
    /// What changed from one snapshot to another, in all and between two keys.
    Compare {
        older: u8,
        newer: u8,
        from: Key,
        to: Key,
    },
    /// Makes everything durable.
    Sync,
    /// Waits for the commit that lies so far back.
    WaitDurable {
        back: u8,
    },
    Compact,
    /// Closes in good order and opens again.
    Reopen,
    /// The process ends; another opens what it left in the system's memory.
    Kill,
}

impl Op {
    /// Whether it changes the running transaction, and no value of it is as long as to be written at once.
    pub(super) fn is_small_change(&self) -> bool {
        use Op::*;
        match self {
            Insert { value, .. }
            | Replace { value, .. }
            | Append { value, .. }
            | Ascend { value, .. }
            | Scatter { value, .. } => !matches!(value.near, Near::Direct | Near::Unchecked),
            Remove { .. } | Take { .. } | RemoveRange { .. } | Thin { .. } | Clear { .. } => true,
            _ => false,
        }
    }
}

/// A key, as a shape and a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Empty,
    /// Two bytes.
    Short(u16),
    /// A shared prefix and a number in digits: ascending numbers ascend.
    Text(u16),
    /// A shared prefix, almost as long as a key can be, and a number.
    Long(u16),
    /// A number, and zeros up to the longest that a key can be.
    Padded(u16),
    /// So many bytes of one letter: each is a prefix of the next.
    Nested(u16),
}

/// A value: its length, from a threshold, and what it is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) near: Near,
    /// Bytes away from the threshold.
    pub(super) off: i8,
    pub(super) fill: u8,
}

/// The thresholds of a value's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Near {
    Zero,
    Small,
    /// The longest that stands in its leaf.
    Inline,
    /// One page.
    Page,
    /// Several pages.
    Pages,
    /// Where a value is written at once.
    Direct,
    /// Where a value is not checked at first touch.
    Unchecked,
}

impl Key {
    pub(super) fn bytes(self, page_size: usize) -> Vec<u8> {
        let max = key_len_max(page_size);
        match self {
            Key::Empty => Vec::new(),
            Key::Short(n) => n.to_le_bytes().to_vec(),
            Key::Text(n) => format!("common/prefix/of/all/{n:05}").into_bytes(),
            Key::Long(n) => {
                let mut key = vec![b'l'; max - 2 - usize::from(n % 3)];
                key.extend(n.to_le_bytes());
                key
            }
            Key::Padded(n) => {
                let mut key = n.to_le_bytes().to_vec();
                key.resize(max, 0);
                key
            }
            Key::Nested(n) => vec![b'n'; usize::from(n) % max],
        }
    }
}

impl Value {
    pub(super) fn bytes(self, key_len: usize, page_size: usize) -> Vec<u8> {
        let threshold = match self.near {
            Near::Zero => 0,
            Near::Small => 40,
            Near::Inline => (0..page_size).rfind(|len| is_inline(key_len, *len, page_size)).unwrap_or(0),
            Near::Page => page_size,
            Near::Pages => 3 * page_size,
            Near::Direct => 64 << 10,
            Near::Unchecked => 1 << 20,
        };
        let off = if self.near == Near::Zero { 0 } else { self.off };
        let len = threshold.saturating_add_signed(isize::from(off));
        // No two bytes that lie a sector or a page apart are equal for long, and no two fills are.
        let seed = u32::from(self.fill).wrapping_mul(0x9E37_79B9);
        let byte = |i: u32| (seed ^ i.wrapping_mul(0x85EB_CA6B)).to_le_bytes()[3];
        (0..u32::try_from(len).expect("a few MiB")).map(byte).collect()
    }
}

/// How often what is done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mix {
    /// Of about a hundred values, how many are as long as to be written at once; and as long as not to be
    /// checked.
    pub(super) direct: u32,
    pub(super) unchecked: u32,
    /// How large the numbers in keys get.
    pub(super) keys: u16,
    /// Of about a hundred operations, how many are compactions, reopens, kills.
    pub(super) compact: u32,
    pub(super) reopen: u32,
    pub(super) kill: u32,
    pub(super) readers: bool,
}

impl Mix {
    /// Everything.
    pub(super) const ALL: Mix =
        Mix { direct: 3, unchecked: 1, keys: 600, compact: 1, reopen: 1, kill: 1, readers: true };

    /// Small files, so that many crashes can be looked at.
    pub(super) const CRASH: Mix =
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

pub(super) fn op(mix: Mix) -> impl Strategy<Value = Op> {
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

/// How the database is opened.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    pub(super) page_size: u32,
    pub(super) reserve: Option<u64>,
    pub(super) memory_limit: usize,
    pub(super) two_phase: bool,
    pub(super) free_ratio: f64,
    pub(super) checkpoint_after: Option<u64>,
}

impl Setup {
    pub(super) const PLAIN: Setup = Setup {
        page_size: 4096,
        reserve: None,
        memory_limit: 256 << 20,
        two_phase: false,
        free_ratio: 0.5,
        checkpoint_after: None,
    };

    pub(super) fn options(&self) -> OpenOptions {
        let mut options = OpenOptions::new();
        options.page_size(self.page_size).memory_limit(self.memory_limit).two_phase(self.two_phase);
        options.free_ratio(self.free_ratio);
        if let Some(bytes) = self.reserve {
            options.reserve(bytes);
        }
        if let Some(bytes) = self.checkpoint_after {
            options.checkpoint_after(bytes);
        }
        options
    }
}

pub(super) fn setup() -> impl Strategy<Value = Setup> {
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
pub(super) fn generate<S: Strategy>(strategy: &S, seed: u64) -> S::Value {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    strategy.new_tree(&mut runner).expect("nothing is filtered").current()
}
