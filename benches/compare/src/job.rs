//! What a measuring process is told to do, and what it answers. Both travel as JSON.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::catalog::{Set, Step};

/// One step of one engine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    pub engine: String,
    pub set: Set,
    pub step: Step,
    /// How often the step was done before on this database.
    pub pass: u32,
    /// The engine's own folder for this set.
    pub dir: PathBuf,
    pub sizes: Sizes,
    pub seed: u64,
    /// No file may become longer than this.
    pub max_file_bytes: u64,
    /// The cgroup to join first, whose memory is limited.
    pub cgroup: Option<PathBuf>,
}

/// How much is done. All but `--quick` are those of the tables in docs/BENCHMARKS.md.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Sizes {
    /// Entries of a data set after its load.
    pub entries: u64,
    pub gets: u64,
    pub cold_gets: u64,
    pub ranges: u64,
    /// How often all is read, where all is read.
    pub scans: u64,
    pub opens: u64,
    pub singles: u64,
    pub batches: u64,
    pub batch: u64,
    pub buffered_singles: u64,
    pub mixed_durable: u64,
    pub mixed_buffered: u64,
    pub threads: u64,
    pub pin_batches: u64,
    pub large_values: u64,
    pub large_batch: u64,
    pub large_bytes: u64,
    pub aging: u64,
    pub limited_entries: u64,
    pub limited_gets: u64,
    pub limited_plain_gets: u64,
    pub limited_batches: u64,
    pub limit_bytes: u64,
}

impl Sizes {
    pub(crate) fn full() -> Sizes {
        Sizes {
            entries: 1_000_000,
            gets: 1_000_000,
            cold_gets: 200_000,
            ranges: 500_000,
            scans: 5,
            opens: 11,
            singles: 1000,
            batches: 100,
            batch: 1000,
            buffered_singles: 50_000,
            mixed_durable: 300,
            mixed_buffered: 3000,
            threads: 4,
            pin_batches: 200,
            large_values: 1000,
            large_batch: 10,
            large_bytes: 1 << 20,
            aging: 2_000_000,
            limited_entries: 1_000_000,
            limited_gets: 20_000,
            limited_plain_gets: 500,
            limited_batches: 5,
            limit_bytes: 64 << 20,
        }
    }

    /// A fifth or so of everything.
    pub(crate) fn quick() -> Sizes {
        Sizes {
            entries: 200_000,
            gets: 400_000,
            cold_gets: 100_000,
            ranges: 100_000,
            scans: 10,
            singles: 500,
            batches: 40,
            buffered_singles: 20_000,
            mixed_durable: 150,
            mixed_buffered: 1500,
            pin_batches: 100,
            large_values: 200,
            aging: 200_000,
            limited_entries: 400_000,
            limited_gets: 10_000,
            limited_plain_gets: 200,
            limited_batches: 2,
            limit_bytes: 32 << 20,
            ..Sizes::full()
        }
    }

    /// Just enough for a test to see every line run.
    #[cfg(test)]
    pub(crate) fn tiny() -> Sizes {
        Sizes {
            entries: 3000,
            gets: 800,
            cold_gets: 100,
            ranges: 100,
            scans: 2,
            opens: 3,
            singles: 8,
            batches: 2,
            batch: 100,
            buffered_singles: 50,
            mixed_durable: 2,
            mixed_buffered: 5,
            pin_batches: 3,
            large_values: 6,
            large_batch: 2,
            large_bytes: 1 << 20,
            aging: 500,
            limited_entries: 3000,
            limited_gets: 100,
            limited_plain_gets: 50,
            limited_batches: 1,
            ..Sizes::full()
        }
    }
}

/// What a step measured. What does not apply is `None`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Units of work: keys, gets, transactions.
    pub units: u64,
    pub cost: Cost,
    /// Of everything that was read, by the work itself.
    pub checksum: Option<u64>,
    /// Of the whole content afterwards: engines must agree on what was written, too.
    pub content: Option<u64>,
    pub latency: Option<Latency>,
    /// Allocated bytes of the engine's folder when it was closed.
    pub size_bytes: Option<u64>,
    /// How much larger the folder became, the larger of before and after closing.
    pub growth_bytes: Option<i64>,
    /// Allocated bytes, the larger of before and after closing, over those of the pages in use.
    pub size_to_live: Option<f64>,
    pub memory: Option<Memory>,
    /// Seconds that closing took.
    pub close_seconds: Option<f64>,
}

/// What the work cost from start to end.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Cost {
    pub seconds: f64,
    /// CPU time of all threads of the process.
    pub user_seconds: f64,
    pub system_seconds: f64,
    /// What the disk did meanwhile, for whomever; none where the system does not tell.
    pub device: Option<Device>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Device {
    pub reads: u64,
    pub read_bytes: u64,
    /// Flushes included, as the system counts them.
    pub writes: u64,
    pub written_bytes: u64,
    pub flushes: u64,
}

/// Percentiles of single transactions, in microseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Latency {
    /// How many there were.
    pub count: u64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// The most memory that belonged to no file, of samples every 10 ms.
    pub peak_anonymous_bytes: u64,
    /// The most memory in all, mapped files included, as the system keeps it.
    pub peak_resident_bytes: u64,
}
