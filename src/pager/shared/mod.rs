//! What everybody who has a database open tells the others: roots, pins, and the reader table. Nothing but
//! numbers in atomic words, which may lie in a file that several processes map.
//!
//! # Roots
//! The *head* is set by who has the writer lock. What new readers get is the newer of two: the *durable*
//! root, set by the leader of a sync, and the *soft* one, set with the writer lock by commits that do not
//! wait for the disk. So each has one writer at a time, and whoever dies in between leaves it whole.
//!
//! # Pins
//! A reader loads the visible root, publishes its transaction in a slot, fences, and looks whether that root
//! is still the visible one; if not, it starts again. A leader publishes what it captures in the same way: it
//! loads the head, publishes it, fences, and looks again. A writer that is about to reuse pages reads the
//! pinned roots in this order: captured, durable, head, soft, fence, slots. A leader whose sync has ended
//! sets durable, then clears the captures.
//!
//! So every root that can be read after the scan was seen by it. *Readers*: a reader's root was visible when
//! the reader looked again, which is after it published; if the scan saw the slot empty, the look came after
//! the scan's fence, and what was visible then was in the scan or is younger. *Leaders*: the scan is made by
//! who has the writer lock, so the head does not move from its scan to its own commit. A capture that the
//! scan did not see was looked at again after the scan's fence, and found the head of the scan. The orders
//! are those of `fence(SeqCst)`: the loads and stores themselves carry nothing.
//!
//! A leader that died leaves its capture: its meta page may be on the disk. It stays until a later sync has
//! completed.

mod cell;
#[cfg(test)]
mod model;
mod readers;
mod roots;
mod seen;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::page::{ROOT_WORDS, Root, TxnId};
use crate::storage::{BLOCK_WORDS, Block, Meeting};
use readers::Readers;
use roots::{Roots, roots_words};

pub(crate) use readers::Reading;
pub(super) use readers::SlotIndex;
pub use seen::LockWords;

/// `FOLIOLCK`, read as a number of the machine.
const MAGIC: u64 = u64::from_le_bytes(*b"FOLIOLCK");
const VERSION: u64 = 1;

/// Who waits for a commit looks again after so long, in case a process was killed between showing a commit
/// and waking those who wait for it.
const NAP: Duration = Duration::from_millis(100);

/// Where what is in the first block, by word. The rest of it is zeros. FORMAT.md, "The lock file".
mod at {
    pub(super) const MAGIC: usize = 0;
    pub(super) const VERSION: usize = 1;
    pub(super) const DATABASE: usize = 2;
    pub(super) const RECOVERED: usize = 4;
    pub(super) const ENDED: usize = 5;
    pub(super) const NEXT_ID: usize = 6;
    pub(super) const CEILING: usize = 7;
    pub(super) const LOWERED: usize = 8;
    pub(super) const META: usize = 9;
    pub(super) const BASE_SUMS: usize = 10;
    pub(super) const CHUNKS: usize = 11;
    pub(super) const UNFINISHED: usize = 12;
    pub(super) const WAITS: usize = 13;
    pub(super) const SHOWN: usize = 14;
    pub(super) const SLEEPERS: usize = 15;
    pub(super) const CAPTURED: std::ops::Range<usize> = 16..32;
    pub(super) const DOUBTED: usize = 32;
    pub(super) const ROOTS: usize = 64;
}

const _: () = assert!(at::ROOTS + roots_words(ROOT_WORDS) <= BLOCK_WORDS);

/// See the module.
#[derive(Debug)]
pub(super) struct Shared {
    meeting: Meeting,
    readers: Readers,
}

/// What a leader has begun: if it is killed, the next one finds it so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Unfinished {
    /// A meta page may be in the spare slot that is not durable.
    pub(super) meta: bool,
    /// How a sync ended is not known.
    pub(super) sync: bool,
}

impl Shared {
    pub(super) fn new(meeting: Meeting) -> Shared {
        Shared { meeting, readers: Readers::new() }
    }

    pub(super) fn meeting(&self) -> &Meeting {
        &self.meeting
    }

    #[inline]
    fn header(&self) -> &Block {
        self.meeting.block(0)
    }

    #[inline]
    fn roots(&self) -> Roots<'_, AtomicU64, ROOT_WORDS> {
        let header = self.header();
        Roots::new(&header[at::ROOTS..], &header[at::CAPTURED])
    }

    /// Everybody at `visible`, of which `durable` survives a loss of power. For who is behind the door, where
    /// nobody else can write. If writing has ended, it stays so.
    pub(super) fn begin(&self, database: &[u8; 16], visible: &Root, durable: &Root) {
        let header = self.header();
        self.roots().begin(&visible.words(), &durable.words());
        self.forget_captures();
        // Not `LOWERED`: somebody may read a root that has more pages, and the file must not be cut there.
        for at in [at::BASE_SUMS, at::UNFINISHED, at::DOUBTED] {
            self.set_word(at, 0);
        }
        for (i, id) in id_words(database).into_iter().enumerate() {
            header[at::DATABASE + i].store(id, Ordering::Relaxed);
        }
        header[at::VERSION].store(VERSION, Ordering::Relaxed);
    }

    /// The words are whole: who comes may rely on them, also if this process is killed from here on.
    pub(super) fn show(&self) {
        self.set_word(at::MAGIC, MAGIC);
    }

    /// Whether those who are in have made of the words what this version would.
    pub(super) fn check_version(&self) -> Result<()> {
        if self.word(at::MAGIC) != MAGIC {
            return Err(Error::corrupted(0, "lock file", "a lock file's words", "others"));
        }
        match self.word(at::VERSION) {
            VERSION => Ok(()),
            found => Err(Error::Unsupported { what: "lock file version", found }),
        }
    }

    /// Whether the words are of this database.
    pub(super) fn check_database(&self, id: &[u8; 16]) -> Result<()> {
        if [self.word(at::DATABASE), self.word(at::DATABASE + 1)] == id_words(id) {
            return Ok(());
        }
        Err(Error::corrupted(0, "lock file", "that of this database", "another's"))
    }

    /// The head, if the words agree with each other and with the file: they are no more trusted than that.
    pub(super) fn check_roots(&self, len: impl Fn() -> Result<u64>, page_size: u64) -> Result<Root> {
        // Others go on meanwhile, and may cut the file between two looks.
        for _ in 0..100 {
            let (durable, head) = (self.durable_root(), self.head());
            let (len, visible) = (len()?, self.visible());
            let fits = |root: &Root| root.page_count.checked_mul(page_size).is_some_and(|end| end <= len);
            let in_order = durable.txn <= head.txn && head.txn.0 < self.next_id();
            if [durable, head, visible].iter().all(fits) && in_order && self.next_id() <= self.ceiling() {
                return Ok(head);
            }
        }
        Err(Error::corrupted(0, "lock file", "roots inside the file, and numbers in order", "others"))
    }

    /// Whether who came first could write, and has recovered the file.
    pub(super) fn is_recovered(&self) -> bool {
        self.word(at::RECOVERED) != 0
    }

    pub(super) fn set_recovered(&self) {
        self.set_word(at::RECOVERED, 1);
    }

    /// Whether writing has ended, in whatever process.
    pub(super) fn has_ended(&self) -> bool {
        self.word(at::ENDED) != 0
    }

    pub(super) fn set_ended(&self) {
        self.set_word(at::ENDED, 1);
    }

    /// The file was recovered: writing goes on. Unless somebody still reads what was not found there again,
    /// and whose pages would be written.
    pub(super) fn resume(&self) -> Result<bool> {
        // Whoever publishes what it reads after this finds the roots of `begin`; pairs with the fence in
        // `pin`.
        fence(Ordering::SeqCst);
        let adopted = self.visible().txn;
        if self.readers()?.iter().any(|reader| reader.txn > adopted) {
            self.set_ended();
            return Ok(false);
        }
        self.set_word(at::ENDED, 0);
        Ok(true)
    }

    /// The number of the next transaction that writes a page. For who has the writer lock, as the next two.
    pub(super) fn next_id(&self) -> u64 {
        self.word(at::NEXT_ID)
    }

    pub(super) fn set_next_id(&self, id: u64) {
        self.set_word(at::NEXT_ID, id);
    }

    /// No number from here on may stand on a page: a durable meta page says so.
    pub(super) fn ceiling(&self) -> u64 {
        self.word(at::CEILING)
    }

    pub(super) fn set_ceiling(&self, ceiling: u64) {
        self.set_word(at::CEILING, ceiling);
    }

    /// Whether another process is first in line for the writer lock.
    pub(super) fn somebody_waits(&self) -> bool {
        self.word(at::WAITS) != 0
    }

    pub(super) fn set_somebody_waits(&self, yes: bool) {
        self.set_word(at::WAITS, u64::from(yes));
    }

    /// The last commit that lowered the page count, until the file is cut.
    pub(super) fn lowered(&self) -> Option<TxnId> {
        Some(TxnId(self.word(at::LOWERED))).filter(|txn| txn.0 != 0)
    }

    pub(super) fn set_lowered(&self, txn: Option<TxnId>) {
        self.set_word(at::LOWERED, txn.map_or(0, |txn| txn.0));
    }

    /// The sequence number and the slot of the durable meta page. For the leader.
    pub(super) fn meta(&self) -> (u64, usize) {
        let word = self.word(at::META);
        (word >> 1, usize::from(word & 1 != 0))
    }

    /// In one word: whoever dies here leaves one or the other.
    pub(super) fn set_meta(&self, sequence: u64, slot: usize) {
        self.set_word(at::META, sequence << 1 | slot as u64);
    }

    /// What the last leader has not finished. For the leader.
    pub(super) fn unfinished(&self) -> Unfinished {
        let word = self.word(at::UNFINISHED);
        Unfinished { meta: word & 1 != 0, sync: word & 2 != 0 }
    }

    pub(super) fn set_unfinished(&self, Unfinished { meta, sync }: Unfinished) {
        self.set_word(at::UNFINISHED, u64::from(meta) | u64::from(sync) << 1);
    }

    /// What transactions before this one have written may be in the system's memory alone, and count as
    /// written there, unless it is older than the durable root. For the leader.
    pub(super) fn doubted(&self) -> u64 {
        self.word(at::DOUBTED)
    }

    pub(super) fn set_doubted(&self, id: u64) {
        self.set_word(at::DOUBTED, id);
    }

    /// The checksums of the durable meta page, and of the one that is being written.
    pub(super) fn base_sums(&self) -> [u32; 2] {
        let bytes = self.word(at::BASE_SUMS).to_le_bytes();
        let halves = bytes.as_chunks::<4>().0;
        [u32::from_le_bytes(halves[0]), u32::from_le_bytes(halves[1])]
    }

    pub(super) fn set_base_sums(&self, sums: [u32; 2]) {
        self.set_word(at::BASE_SUMS, u64::from(sums[0]) | u64::from(sums[1]) << 32);
    }

    fn word(&self, at: usize) -> u64 {
        self.header()[at].load(Ordering::Acquire)
    }

    fn set_word(&self, at: usize, value: u64) {
        self.header()[at].store(value, Ordering::Release);
    }

    /// Claims a slot, which pins nothing yet. `now` is for whoever asks how old it is.
    #[inline]
    pub(super) fn claim(&self, now: u64) -> Result<SlotIndex> {
        self.readers.claim(&self.meeting, now)
    }

    /// Pins the visible root with a slot.
    #[inline]
    pub(super) fn pin(&self, slot: &SlotIndex) -> Root {
        Root::of_words(&self.roots().pin(slot.txn(&self.meeting)))
    }

    /// Releases a slot: what was read through it is read by then.
    #[inline]
    pub(super) fn end_read(&self, index: &SlotIndex) {
        index.release(&self.meeting);
    }

    /// Who reads what, in all processes that live.
    pub(super) fn readers(&self) -> Result<Vec<Reading>> {
        self.readers.list(&self.meeting)
    }

    /// Clears the slots of readers whose processes have ended.
    pub(super) fn clear_dead_readers(&self) -> Result<()> {
        self.readers.clear_dead(&self.meeting, self.visible().txn)
    }

    /// The roots whose pages must not be overwritten: ascending, each once. For who has the writer lock, or
    /// only wants to know.
    pub(super) fn pins(&self) -> Vec<TxnId> {
        let mut pins = self.roots().pins(|| Readers::slots(&self.meeting));
        pins.sort_unstable();
        pins.dedup();
        pins.into_iter().map(TxnId).collect()
    }

    /// Captures the head: pins it, and says which it is. For the leader. `None` if so many leaders have died
    /// one after another that there is no room to remember what they have captured.
    pub(super) fn capture(&self) -> Option<Root> {
        self.roots().capture().map(|words| Root::of_words(&words))
    }

    /// Nothing is captured any more: no meta page but the durable one can be on the disk, or be written.
    pub(super) fn forget_captures(&self) {
        self.roots().forget_captures();
    }

    /// The captured root is durable, for the leader whose sync has ended: readers see it, and nothing is
    /// captured any more.
    pub(super) fn set_durable(&self, root: &Root) {
        self.roots().set_durable(&root.words());
        self.wake();
    }

    /// The newest commit. For who has the writer lock.
    pub(super) fn set_head(&self, root: &Root) {
        self.roots().set_head(&root.words());
    }

    /// Readers get this from now on, durable or not. For who has the writer lock.
    pub(super) fn set_soft(&self, root: &Root) {
        self.roots().set_soft(&root.words());
        self.wake();
    }

    /// Wakes those who wait for a new visible root.
    fn wake(&self) {
        let header = self.header();
        header[at::SHOWN].fetch_add(1, Ordering::Release);
        // The new root can be seen before it is asked who sleeps; pairs with the fence in `wait_for`.
        fence(Ordering::SeqCst);
        // One that was killed in its sleep counts as well, and costs each commit a call.
        if header[at::SLEEPERS].load(Ordering::Relaxed) != 0 {
            self.meeting.wake(&header[at::SHOWN]);
        }
    }

    /// Waits until a transaction after `after` is visible, or the time is over; which one is visible then.
    pub(super) fn wait_for(&self, after: TxnId, until: Option<Instant>) -> TxnId {
        let header = self.header();
        loop {
            let shown = header[at::SHOWN].load(Ordering::Acquire);
            let visible = self.visible().txn;
            let left = until.map_or(NAP, |until| until.saturating_duration_since(Instant::now()));
            if visible > after || left.is_zero() {
                return visible;
            }
            header[at::SLEEPERS].fetch_add(1, Ordering::Relaxed);
            // Whoever shows something new from here on finds the sleeper, or this finds `SHOWN` changed.
            fence(Ordering::SeqCst);
            let low = u32::try_from(shown & u64::from(u32::MAX)).expect("the low half");
            self.meeting.wait(&header[at::SHOWN], low, left.min(NAP));
            header[at::SLEEPERS].fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(super) fn head(&self) -> Root {
        Root::of_words(&self.roots().head())
    }

    pub(super) fn visible(&self) -> Root {
        Root::of_words(&self.roots().visible().0)
    }

    pub(super) fn durable_root(&self) -> Root {
        Root::of_words(&self.roots().durable())
    }

    pub(super) fn durable(&self) -> TxnId {
        self.durable_root().txn
    }
}

fn id_words(id: &[u8; 16]) -> [u64; 2] {
    let halves = id.as_chunks::<8>().0;
    [u64::from_le_bytes(halves[0]), u64::from_le_bytes(halves[1])]
}
