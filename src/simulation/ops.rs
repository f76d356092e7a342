//! One enum of operations for every driver: the model test, the crash test, the faults, and fuzzers.
//!
//! An operation says what to do in numbers that mean something on every page size: a key is a shape and a
//! number, a value is a threshold and a distance from it. So a case shrinks to something that can be read.

#[cfg(test)]
mod random;

use crate::page::{is_inline, key_len_max};
use crate::{Durability, OpenOptions};

#[cfg(test)]
pub(crate) use random::{Mix, generate, op, setup};

/// How many tables there are at most.
pub(crate) const TABLES: u8 = 4;

/// How many snapshots are kept at once.
pub(crate) const READERS: usize = 6;

/// One thing to do with a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Op {
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
    pub(crate) fn is_small_change(&self) -> bool {
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
pub(crate) enum Key {
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
pub(crate) struct Value {
    pub(crate) near: Near,
    /// Bytes away from the threshold.
    pub(crate) off: i8,
    pub(crate) fill: u8,
}

/// The thresholds of a value's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Near {
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
    pub(crate) fn bytes(self, page_size: usize) -> Vec<u8> {
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
    pub(crate) fn bytes(self, key_len: usize, page_size: usize) -> Vec<u8> {
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

/// How the database is opened.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) page_size: u32,
    pub(crate) reserve: Option<u64>,
    pub(crate) memory_limit: usize,
    pub(crate) two_phase: bool,
    pub(crate) free_ratio: f64,
    pub(crate) checkpoint_after: Option<u64>,
}

impl Setup {
    pub(crate) const PLAIN: Setup = Setup {
        page_size: 4096,
        reserve: None,
        memory_limit: 256 << 20,
        two_phase: false,
        free_ratio: 0.5,
        checkpoint_after: None,
    };

    pub(crate) fn options(&self) -> OpenOptions {
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
