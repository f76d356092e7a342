//! What is told of those who read.

use std::time::Duration;

/// A read transaction that lives, in this process or another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reader {
    /// The number of its process, as that knows itself: seen from another container it may be another's.
    pub pid: u32,
    /// For how long it has been reading, good to about ten milliseconds.
    pub age: Duration,
    /// The transaction whose snapshot it reads.
    pub txn: u64,
    /// How many transactions have become visible since, or were begun and ended without a commit.
    pub behind: u64,
    /// Bytes that were freed since and that its snapshot still needs. Other readers may need them as well.
    pub pinned_bytes: u64,
}
