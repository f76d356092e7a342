//! The reader table: where a reader says which transaction it reads.
//!
//! A slot is a cache line, so that readers do not disturb each other; a *chunk* is a block of slots. A
//! process owns chunks: it holds the kernel's lock on each, and gives slots of its own to its threads,
//! without a system call. When it ends, however, the kernel lets go of the lock, and whoever wants the pages
//! that its slots pin clears them. The table grows by chunks, to a million slots; its length is published
//! before a slot is used.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::at;
use super::roots::{CLAIMED, NOTHING};
use crate::error::{Error, Result};
use crate::page::TxnId;
use crate::storage::{BLOCK_WORDS, BLOCKS_MAX, Meeting};

const SLOT_WORDS: usize = 8;
const CHUNK_SLOTS: usize = BLOCK_WORDS / SLOT_WORDS;
pub(super) const CHUNKS_MAX: usize = BLOCKS_MAX - 1;

/// Where what is in a slot.
const TXN: usize = 0;
pub(super) const PROCESS: usize = 1;
const SINCE: usize = 2;

/// Somebody who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// As its process knows itself: in another container it may be another's here.
    pub(crate) process: u32,
    pub(crate) txn: TxnId,
    /// When it began, by the coarse clock that all processes share.
    pub(crate) since_ms: u64,
    slot: usize,
}

impl Reading {
    /// Whether it is the reader that has this slot.
    pub(in crate::pager) fn has(&self, slot: &SlotIndex) -> bool {
        self.slot == slot.0
    }
}

/// Chunks of one process that are named without the heap: 1,024 readers.
const FEW: usize = 16;

/// The slots of this process.
#[derive(Debug)]
pub(super) struct Readers {
    /// The chunks that it owns, as many as `count`: the first ones, and the others.
    few: [AtomicUsize; FEW],
    more: OnceLock<Box<[AtomicUsize]>>,
    count: AtomicUsize,
    /// Held while a chunk is looked for.
    growing: Mutex<()>,
}

/// A claimed slot, by number.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::pager) struct SlotIndex(usize);

#[inline]
fn slot(meeting: &Meeting, chunk: usize, number: usize) -> &[AtomicU64] {
    &meeting.block(1 + chunk)[number * SLOT_WORDS..(number + 1) * SLOT_WORDS]
}

/// How many chunks are in use. The number comes from outside.
fn chunk_count(meeting: &Meeting) -> usize {
    // SeqCst: what a chunk's owner did before it published the number is seen.
    let count = meeting.block(0)[at::CHUNKS].load(Ordering::SeqCst);
    usize::try_from(count).unwrap_or(CHUNKS_MAX).min(CHUNKS_MAX)
}

impl SlotIndex {
    /// The word that says which transaction is read.
    #[inline]
    pub(super) fn txn<'m>(&self, meeting: &'m Meeting) -> &'m AtomicU64 {
        &slot(meeting, self.0 / CHUNK_SLOTS, self.0 % CHUNK_SLOTS)[TXN]
    }

    /// Releases the slot: what was read through it is read by then.
    #[inline]
    pub(super) fn release(&self, meeting: &Meeting) {
        self.txn(meeting).store(NOTHING, Ordering::Release);
    }
}

impl Readers {
    pub(super) fn new() -> Readers {
        let few = std::array::from_fn(|_| AtomicUsize::new(0));
        Readers { few, more: OnceLock::new(), count: AtomicUsize::new(0), growing: Mutex::new(()) }
    }

    /// The place for the number of the `i`th chunk that this process owns.
    #[inline]
    fn own(&self, i: usize) -> &AtomicUsize {
        let more = || (FEW..CHUNKS_MAX).map(|_| AtomicUsize::new(0)).collect();
        self.few.get(i).unwrap_or_else(|| &self.more.get_or_init(more)[i - FEW])
    }

    /// Claims a slot, near the one that this thread had last. It pins nothing yet. `now` is for whoever asks
    /// how old it is.
    ///
    /// # Errors
    /// [`Error::Io`] where the table could not grow; [`Error::Full`] beyond a million readers.
    #[inline]
    pub(super) fn claim(&self, meeting: &Meeting, now: u64) -> Result<SlotIndex> {
        thread_local! {
            /// Threads begin to look at different places.
            static HINT: usize = {
                static NEXT: AtomicUsize = AtomicUsize::new(0);
                NEXT.fetch_add(1, Ordering::Relaxed)
            };
        }
        let hint = HINT.with(|hint| *hint);
        let mut looked_at = 0;
        loop {
            // Acquire: pairs with the release below, so the chunk's number is there.
            let count = self.count.load(Ordering::Acquire);
            for i in looked_at..count {
                let chunk = self.own(i).load(Ordering::Relaxed);
                for i in 0..CHUNK_SLOTS {
                    let number = (hint + i) % CHUNK_SLOTS;
                    let slot = slot(meeting, chunk, number);
                    let word = &slot[TXN];
                    if word.load(Ordering::Relaxed) == NOTHING
                        && word
                            .compare_exchange(NOTHING, CLAIMED, Ordering::Acquire, Ordering::Relaxed)
                            .is_ok()
                    {
                        slot[SINCE].store(now, Ordering::Relaxed);
                        return Ok(SlotIndex(chunk * CHUNK_SLOTS + number));
                    }
                }
            }
            looked_at = count;
            self.grow(meeting, count)?;
        }
    }

    /// Makes one more chunk this process's own, unless somebody else has done so since there were `count`.
    #[cold]
    fn grow(&self, meeting: &Meeting, count: usize) -> Result<()> {
        let _growing = self.growing.lock();
        if self.count.load(Ordering::Relaxed) > count {
            return Ok(());
        }
        let is_own = |chunk| (0..count).any(|i| self.own(i).load(Ordering::Relaxed) == chunk);
        let mut chunk = 0;
        while is_own(chunk) || !meeting.claim_block(1 + chunk)? {
            chunk += 1;
            if chunk == CHUNKS_MAX {
                return Err(Error::Full { what: "the reader table" });
            }
        }
        // With the lock kept, what the last owner has left there would pin for ever.
        meeting.make(1 + chunk).inspect_err(|_| meeting.release_block(1 + chunk))?;
        let process = u64::from(std::process::id());
        for number in 0..CHUNK_SLOTS {
            // The last owner may have died.
            let slot = slot(meeting, chunk, number);
            slot[TXN].store(NOTHING, Ordering::Relaxed);
            slot[PROCESS].store(process, Ordering::Relaxed);
        }
        // Published before any slot of the chunk is used, so that a scan looks there.
        meeting.block(0)[at::CHUNKS].fetch_max(chunk as u64 + 1, Ordering::SeqCst);
        self.own(count).store(chunk, Ordering::Relaxed);
        self.count.store(count + 1, Ordering::Release);
        Ok(())
    }

    fn owns(&self, chunk: usize) -> bool {
        let count = self.count.load(Ordering::Acquire);
        (0..count).any(|i| self.own(i).load(Ordering::Relaxed) == chunk)
    }

    /// Clears the slots of processes that have ended, where they pin something older than `visible`.
    pub(super) fn clear_dead(&self, meeting: &Meeting, visible: TxnId) -> Result<()> {
        // The kernel does not tell this thread's locks from those of another that makes a chunk its own.
        let _growing = self.growing.lock();
        for chunk in 0..chunk_count(meeting) {
            let old = |number: &usize| {
                let txn = slot(meeting, chunk, *number)[TXN].load(Ordering::Relaxed);
                txn != NOTHING && txn < visible.0
            };
            if self.owns(chunk) || !(0..CHUNK_SLOTS).any(|number| old(&number)) {
                continue;
            }
            // Whoever claims it now, with the lock, clears it anyway.
            if meeting.claim_block(1 + chunk)? {
                for number in 0..CHUNK_SLOTS {
                    slot(meeting, chunk, number)[TXN].store(NOTHING, Ordering::Relaxed);
                }
                meeting.release_block(1 + chunk);
            }
        }
        Ok(())
    }

    /// Who reads what, in all processes that live.
    pub(super) fn list(&self, meeting: &Meeting) -> Result<Vec<Reading>> {
        let mut list = Vec::new();
        for chunk in 0..chunk_count(meeting) {
            if !self.owns(chunk) && !meeting.is_block_claimed(1 + chunk)? {
                continue;
            }
            for number in 0..CHUNK_SLOTS {
                let slot = slot(meeting, chunk, number);
                let [txn, process, since_ms] = [TXN, PROCESS, SINCE].map(|i| slot[i].load(Ordering::Acquire));
                if txn != NOTHING && txn != CLAIMED {
                    let process = u32::try_from(process).unwrap_or(0);
                    let slot = chunk * CHUNK_SLOTS + number;
                    list.push(Reading { process, txn: TxnId(txn), since_ms, slot });
                }
            }
        }
        Ok(list)
    }

    /// Where all readers of all processes publish what they read: the chunks that there are when it is asked.
    pub(super) fn slots(meeting: &Meeting) -> impl Iterator<Item = &AtomicU64> {
        let slots = |chunk| meeting.block(1 + chunk).iter().step_by(SLOT_WORDS);
        (0..chunk_count(meeting)).flat_map(slots)
    }
}
