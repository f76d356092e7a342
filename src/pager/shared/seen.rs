//! The words as somebody sees them who has not come in: a copy, no more trusted than any file.

use std::sync::atomic::AtomicU64;

use super::readers::{CHUNKS_MAX, PROCESS};
use super::roots::Roots;
use super::{MAGIC, at};
use crate::page::{ROOT_WORDS, Root};

/// What the words of a lock file say. They mean something while somebody has the database open.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockWords {
    /// Whether they begin as they must.
    pub has_magic: bool,
    /// The version of the lock file.
    pub version: u64,
    /// The database.
    pub database_id: [u8; 16],
    /// Whether somebody who can write has recovered the file.
    pub is_recovered: bool,
    /// Whether writing has ended, after a failed write or sync.
    pub has_ended: bool,
    /// The number of the next transaction that writes a page.
    pub next_txn: u64,
    /// Every transaction number in the file is less.
    pub ceiling: u64,
    /// The place of the durable meta page, 0 or 1.
    pub meta_slot: u8,
    /// Its sequence number.
    pub meta_sequence: u64,
    /// The newest commit.
    pub head_txn: u64,
    /// What new readers get.
    pub visible_txn: u64,
    /// What a loss of power leaves.
    pub durable_txn: u64,
    /// Pages of the newest commit.
    pub page_count: u64,
    /// The processes that have read, as they know themselves. One that has not begun a transaction yet is not
    /// among them.
    pub processes: Vec<u32>,
}

impl LockWords {
    /// Reads the words of a block 0; `owner` gives a block if a process owns it.
    pub(crate) fn of(words: Vec<u64>, owner: impl Fn(usize) -> Option<Vec<u64>>) -> LockWords {
        let word = |at: usize| words.get(at).copied().unwrap_or(0);
        // Nobody changes the copy, so reading a root of it takes one try.
        let copy: Vec<AtomicU64> = words.iter().map(|word| AtomicU64::new(*word)).collect();
        let roots: Roots<'_, AtomicU64, ROOT_WORDS> = Roots::new(&copy[at::ROOTS..], &copy[at::CAPTURED]);
        let [head, durable] = [roots.head(), roots.durable()].map(|words| Root::of_words(&words));
        let visible = Root::of_words(&roots.visible().0);
        let mut database_id = [0; 16];
        database_id[..8].copy_from_slice(&word(at::DATABASE).to_le_bytes());
        database_id[8..].copy_from_slice(&word(at::DATABASE + 1).to_le_bytes());
        let chunks = usize::try_from(word(at::CHUNKS)).unwrap_or(CHUNKS_MAX).min(CHUNKS_MAX);
        let process = |chunk| owner(1 + chunk)?.get(PROCESS).and_then(|id| u32::try_from(*id).ok());
        let mut processes: Vec<u32> = (0..chunks).filter_map(process).collect();
        processes.sort_unstable();
        processes.dedup();
        LockWords {
            has_magic: word(at::MAGIC) == MAGIC,
            version: word(at::VERSION),
            database_id,
            is_recovered: word(at::RECOVERED) == 1,
            has_ended: word(at::ENDED) == 1,
            next_txn: word(at::NEXT_ID),
            ceiling: word(at::CEILING),
            meta_slot: u8::from(word(at::META) % 2 == 1),
            meta_sequence: word(at::META) / 2,
            head_txn: head.txn.0,
            visible_txn: visible.txn.0,
            durable_txn: durable.txn.0,
            page_count: head.page_count,
            processes,
        }
    }
}
