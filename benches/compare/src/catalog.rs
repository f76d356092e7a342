//! Which workloads there are: what is shown of which step on which set of data, and in which order all run.

use serde::{Deserialize, Serialize};

use crate::data::KeyShape;
use crate::job::{Outcome, Sizes};

/// A set of data: a database of its own in each round, removed when its last step is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Set {
    /// 24-byte random keys, 150-byte values. Most workloads run on it, one after the other.
    Main,
    /// The same entries in the order of their keys.
    Sorted,
    Appended,
    /// 8-byte random keys, 100-byte values.
    Small,
    /// Keys with long shared prefixes, 150-byte values.
    Paths,
    /// 1 MiB values.
    Large,
    /// As `Main`, and then overwritten twice as often as it has entries.
    Aged,
    /// As `Main`, used with less memory than it has bytes.
    Limited,
}

impl Set {
    pub(crate) const ALL: [Set; 8] =
        [Set::Main, Set::Sorted, Set::Appended, Set::Small, Set::Paths, Set::Large, Set::Aged, Set::Limited];

    pub(crate) fn keys(self) -> KeyShape {
        match self {
            Set::Small => KeyShape::Random8,
            Set::Paths => KeyShape::Path,
            _ => KeyShape::Random24,
        }
    }

    pub(crate) fn value_bytes(self, sizes: &Sizes) -> u64 {
        match self {
            Set::Small => 100,
            Set::Large => sizes.large_bytes,
            _ => 150,
        }
    }

    pub(crate) fn entries(self, sizes: &Sizes) -> u64 {
        match self {
            Set::Large => sizes.large_values,
            Set::Limited => sizes.limited_entries,
            _ => sizes.entries,
        }
    }

    /// Its steps in their order. The first ones make the data, and run whatever is asked for.
    pub(crate) fn steps(self) -> &'static [Step] {
        use Step::*;
        match self {
            Set::Main => &[
                Load,
                Open,
                GetCold,
                Get,
                GetAbsent,
                GetTxn,
                GetMany,
                Range10,
                Scan,
                GetThreads,
                Single,
                Batch,
                BufferedSingle,
                MixedDurable,
                MixedBuffered,
                Threads,
                PinFree,
                PinHeld,
                PinAfter,
                Remove,
            ],
            Set::Sorted => &[LoadSorted],
            Set::Appended => &[LoadAppend],
            Set::Small => &[Load, Get, GetTxn, GetMany, Range10, Scan],
            Set::Paths => &[Load, Get, Scan],
            Set::Large => &[LargeWrite, LargeRead, LargeOverwrite],
            Set::Aged => &[Load, Age, AgedBatch, AgedSingle],
            Set::Limited => &[Load, LimitedGet, LimitedPlainGet, LimitedBatch],
        }
    }
}

/// What one process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step {
    Load,
    LoadSorted,
    LoadAppend,
    Open,
    GetCold,
    Get,
    GetAbsent,
    GetTxn,
    GetMany,
    Range10,
    Scan,
    GetThreads,
    Single,
    Batch,
    BufferedSingle,
    MixedDurable,
    MixedBuffered,
    Threads,
    PinFree,
    PinHeld,
    PinAfter,
    Remove,
    LargeWrite,
    LargeRead,
    LargeOverwrite,
    Age,
    AgedBatch,
    AgedSingle,
    LimitedGet,
    LimitedPlainGet,
    LimitedBatch,
}

impl Step {
    /// Takes no time to speak of, so that it runs several times in a round: what only reads, and what depends
    /// on a disk that others use too.
    pub(crate) fn is_short(self) -> bool {
        use Step::*;
        self.only_reads() || matches!(self, Single | Batch | MixedDurable | Threads | AgedBatch | AgedSingle)
    }

    pub(crate) fn only_reads(self) -> bool {
        use Step::*;
        matches!(
            self,
            Open | GetCold
                | Get
                | GetAbsent
                | GetTxn
                | GetMany
                | Range10
                | Scan
                | GetThreads
                | LargeRead
                | LimitedGet
                | LimitedPlainGet
        )
    }

    /// Makes the data that the other steps of a set need.
    pub(crate) fn makes_data(self) -> bool {
        matches!(self, Step::Load | Step::LoadSorted | Step::LoadAppend | Step::LargeWrite | Step::Age)
    }

    /// Runs with a limit of memory.
    pub(crate) fn is_limited(self) -> bool {
        matches!(self, Step::LimitedGet | Step::LimitedPlainGet | Step::LimitedBatch)
    }
}

/// Which figure of an outcome a workload shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Figure {
    /// Units a second. More is better; of all others, less.
    Rate,
    /// Microseconds a unit.
    Time,
    Size,
    Growth,
    SizeToLive,
    Memory,
    Close,
}

impl Figure {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub(crate) fn of(self, outcome: &Outcome) -> Option<f64> {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        match self {
            Figure::Rate => Some(outcome.units as f64 / outcome.cost.seconds),
            Figure::Time => Some(outcome.cost.seconds * 1e6 / outcome.units as f64),
            Figure::Size => outcome.size_bytes.map(mib),
            Figure::Growth => outcome.growth_bytes.map(|bytes| bytes as f64 / f64::from(1 << 20)),
            Figure::SizeToLive => outcome.size_to_live,
            Figure::Memory => outcome.memory.map(|memory| mib(memory.peak_anonymous_bytes)),
            Figure::Close => outcome.close_seconds.map(|seconds| seconds * 1e3),
        }
    }
}

/// A row of the tables.
#[derive(Debug)]
pub(crate) struct Workload {
    /// What the command line and the files call it.
    pub name: &'static str,
    pub title: &'static str,
    pub unit: &'static str,
    pub set: Set,
    pub step: Step,
    pub figure: Figure,
}

const fn row(
    name: &'static str,
    title: &'static str,
    unit: &'static str,
    (set, step, figure): (Set, Step, Figure),
) -> Workload {
    Workload { name, title, unit, set, step, figure }
}

use Figure::{Close, Growth, Memory, Rate, Size, SizeToLive, Time};
use Set::{Aged, Appended, Large, Limited, Main, Paths, Small, Sorted};
use Step as S;

pub(crate) const WORKLOADS: &[Workload] = &[
    row("load", "load in random order, one transaction", "key/s", (Main, S::Load, Rate)),
    row("load-sorted", "load in order, plain inserts", "key/s", (Sorted, S::LoadSorted, Rate)),
    row("load-append", "load in order, append mode", "key/s", (Appended, S::LoadAppend, Rate)),
    row("load-8", "8/100: load in random order", "key/s", (Small, S::Load, Rate)),
    row("load-paths", "paths: load in random order", "key/s", (Paths, S::Load, Rate)),
    row("get", "random get", "get/s", (Main, S::Get, Rate)),
    row("get-8", "8/100: random get", "get/s", (Small, S::Get, Rate)),
    row("get-paths", "paths: random get", "get/s", (Paths, S::Get, Rate)),
    row("get-cold", "random get, new process", "get/s", (Main, S::GetCold, Rate)),
    row("get-absent", "get of absent keys", "get/s", (Main, S::GetAbsent, Rate)),
    row("get-txn", "one read transaction per get", "get/s", (Main, S::GetTxn, Rate)),
    row("get-txn-8", "8/100: one read transaction per get", "get/s", (Small, S::GetTxn, Rate)),
    row("get-many", "get_many of 8", "get/s", (Main, S::GetMany, Rate)),
    row("get-many-8", "8/100: get_many of 8", "get/s", (Small, S::GetMany, Rate)),
    row("get-threads", "random get, 2 threads", "get/s", (Main, S::GetThreads, Rate)),
    row("range10", "range of 10 from a random start", "range/s", (Main, S::Range10, Rate)),
    row("range10-8", "8/100: range of 10", "range/s", (Small, S::Range10, Rate)),
    row("scan", "full scan", "entry/s", (Main, S::Scan, Rate)),
    row("scan-8", "8/100: full scan", "entry/s", (Small, S::Scan, Rate)),
    row("scan-paths", "paths: full scan", "entry/s", (Paths, S::Scan, Rate)),
    row("indiv", "durable single inserts", "txn/s", (Main, S::Single, Rate)),
    row("batch", "durable batches of 1,000", "key/s", (Main, S::Batch, Rate)),
    row("nosync", "buffered single inserts", "txn/s", (Main, S::BufferedSingle, Rate)),
    row("mt4", "4 threads, durable single inserts", "txn/s", (Main, S::Threads, Rate)),
    row("mixed", "mixed 95 gets / 5 puts, durable", "op/s", (Main, S::MixedDurable, Rate)),
    row("mixed-nosync", "mixed 95 gets / 5 puts, buffered", "op/s", (Main, S::MixedBuffered, Rate)),
    row("overwrite", "buffered overwrites, no reader", "key/s", (Main, S::PinFree, Rate)),
    row("overwrite-pinned", "the same beside a long reader", "key/s", (Main, S::PinHeld, Rate)),
    row("overwrite-after", "the same when the reader has gone", "key/s", (Main, S::PinAfter, Rate)),
    row("remove", "removal of one half, one transaction", "key/s", (Main, S::Remove, Rate)),
    row("large-write", "1 MiB values, durable batches of 10", "MiB/s", (Large, S::LargeWrite, Rate)),
    row("large-read", "1 MiB values, read", "MiB/s", (Large, S::LargeRead, Rate)),
    row("large-overwrite", "1 MiB values, overwrite of a third", "MiB/s", (Large, S::LargeOverwrite, Rate)),
    row("aging", "buffered overwrites in batches of 1,000", "key/s", (Aged, S::Age, Rate)),
    row("aged-batch", "aged: durable batches of 1,000", "key/s", (Aged, S::AgedBatch, Rate)),
    row("aged-indiv", "aged: durable single overwrites", "txn/s", (Aged, S::AgedSingle, Rate)),
    row("limited-get", "less memory than data: random get", "get/s", (Limited, S::LimitedGet, Rate)),
    row("limited-plain", "the same, with read-ahead", "get/s", (Limited, S::LimitedPlainGet, Rate)),
    row("limited-batch", "less memory than data: batches", "key/s", (Limited, S::LimitedBatch, Rate)),
    row("open", "open and first get", "us", (Main, S::Open, Time)),
    row("size", "size after random load", "MiB", (Main, S::Load, Size)),
    row("size-sorted", "size after sorted load", "MiB", (Sorted, S::LoadSorted, Size)),
    row("size-append", "size after sorted load, append mode", "MiB", (Appended, S::LoadAppend, Size)),
    row("size-8", "8/100: size after random load", "MiB", (Small, S::Load, Size)),
    row("size-paths", "paths: size after random load", "MiB", (Paths, S::Load, Size)),
    row("size-removed", "size after removals", "MiB", (Main, S::Remove, Size)),
    row("size-large", "size, 1 MiB values overwritten", "MiB", (Large, S::LargeOverwrite, Size)),
    row("size-aged", "aged: size", "MiB", (Aged, S::AgedSingle, Size)),
    row("aged-live", "aged: size to live pages", "x", (Aged, S::AgedSingle, SizeToLive)),
    row("growth", "growth by overwrites, no reader", "MiB", (Main, S::PinFree, Growth)),
    row("growth-pinned", "growth by overwrites, long reader", "MiB", (Main, S::PinHeld, Growth)),
    row("growth-after", "growth by overwrites, reader gone", "MiB", (Main, S::PinAfter, Growth)),
    row("memory", "peak memory of the random load", "MiB", (Main, S::Load, Memory)),
    row("close", "close after the random load", "ms", (Main, S::Load, Close)),
    row("close-nosync", "close after buffered inserts", "ms", (Main, S::BufferedSingle, Close)),
];

#[cfg(test)]
mod tests {
    //! Goal: the tables fit together. Method: look at each row.

    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_row_has_a_name_of_its_own_and_a_step_that_its_set_runs() {
        let names: HashSet<_> = WORKLOADS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), WORKLOADS.len());
        for row in WORKLOADS {
            assert!(row.set.steps().contains(&row.step), "{}", row.name);
        }
        for set in Set::ALL {
            assert!(set.steps()[0].makes_data(), "{set:?}");
        }
    }
}
