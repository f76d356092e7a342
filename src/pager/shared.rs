//! What readers and writers tell each other: roots and the reader table. Nothing but numbers in atomic words,
//! so that it can lie in memory that several processes share.
//!
//! # The protocol
//! A reader loads the visible root, publishes its transaction in a slot, fences, and looks whether that root
//! is still the visible one; if not, it starts again. A writer that is about to reuse pages reads the pinned
//! roots in this order: captured, durable, head, visible, fence, slots. A leader whose sync has ended sets
//! durable, then visible, then clears its capture.
//!
//! So every root that can be read after the scan was seen by it: a reader's root was visible when the reader
//! looked again, which is after it published; if the scan saw the slot empty, the look came after the scan's
//! fence, and what was visible then was in the scan or is younger. The orders are those of `fence(SeqCst)`:
//! the loads and stores themselves carry nothing.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

use crate::page::{ROOT_LEN, Root, TxnId};

const ROOT_WORDS: usize = ROOT_LEN / 8;
/// Slots of a chunk; and chunks, so that the table grows to a million readers.
const CHUNK_SLOTS: usize = 128;
const CHUNKS: usize = 8192;
/// The content of a slot that nobody uses. Transactions begin at 1.
const NO_READER: u64 = 0;

/// A root that is read without a lock and never torn. Writers exclude each other elsewhere.
#[derive(Debug)]
pub(super) struct RootCell {
    /// Odd while the words change.
    sequence: AtomicU64,
    words: [AtomicU64; ROOT_WORDS],
}

impl RootCell {
    fn new(root: &Root) -> RootCell {
        let words = std::array::from_fn(|_| AtomicU64::new(0));
        let cell = RootCell { sequence: AtomicU64::new(0), words };
        cell.store(root);
        cell
    }

    /// The root and the sequence number under which it stood there.
    fn load(&self) -> (Root, u64) {
        loop {
            // Acquire: pairs with the release store in `store`, so the words are at least that new.
            let before = self.sequence.load(Ordering::Acquire);
            let mut bytes = [0; ROOT_LEN];
            for (room, word) in bytes.chunks_exact_mut(8).zip(&self.words) {
                room.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
            }
            // The words above are read before the sequence below.
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.sequence.load(Ordering::Relaxed) == before {
                return (Root::decode(&bytes), before);
            }
            std::hint::spin_loop();
        }
    }

    fn store(&self, root: &Root) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(sequence + 1, Ordering::Relaxed);
        // No word below becomes visible before the odd sequence above.
        fence(Ordering::Release);
        for (word, bytes) in self.words.iter().zip(root.encode().as_chunks().0) {
            word.store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
        }
        self.sequence.store(sequence + 2, Ordering::Release);
    }
}

/// One reader: the transaction whose snapshot it reads. A cache line each, so that readers do not disturb
/// each other.
#[derive(Debug)]
#[repr(align(64))]
struct Slot(AtomicU64);

/// The roots and the reader table.
#[derive(Debug)]
pub(super) struct Shared {
    visible: RootCell,
    head: AtomicU64,
    durable: AtomicU64,
    /// The root that a sync leader is making durable; 0 for none.
    captured: AtomicU64,
    /// Chunks of the table in use.
    chunk_count: AtomicUsize,
    chunks: Box<[OnceLock<Box<[Slot]>>]>,
}

/// A claimed slot, by number.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SlotIndex(usize);

impl Shared {
    /// Everybody at `root`.
    pub(super) fn new(root: &Root) -> Shared {
        let txn = || AtomicU64::new(root.txn.0);
        Shared {
            visible: RootCell::new(root),
            head: txn(),
            durable: txn(),
            captured: AtomicU64::new(0),
            chunk_count: AtomicUsize::new(0),
            chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect(),
        }
    }

    /// Claims a slot and pins the visible root with it.
    pub(super) fn begin_read(&self) -> (Root, SlotIndex) {
        let (mut root, mut sequence) = self.visible.load();
        let index = self.claim(root.txn);
        loop {
            // The slot is published before the visible root is looked at again; pairs with the fence in
            // `pins`.
            fence(Ordering::SeqCst);
            if self.visible.sequence.load(Ordering::Relaxed) == sequence {
                return (root, index);
            }
            (root, sequence) = self.visible.load();
            self.slot(&index).0.store(root.txn.0, Ordering::Relaxed);
        }
    }

    /// Releases a slot: what was read through it is read by then.
    pub(super) fn end_read(&self, index: &SlotIndex) {
        self.slot(index).0.store(NO_READER, Ordering::Release);
    }

    fn slot(&self, index: &SlotIndex) -> &Slot {
        let chunk = self.chunk(index.0 / CHUNK_SLOTS);
        &chunk[index.0 % CHUNK_SLOTS]
    }

    fn chunk(&self, number: usize) -> &[Slot] {
        let new = || (0..CHUNK_SLOTS).map(|_| Slot(AtomicU64::new(NO_READER))).collect();
        self.chunks[number].get_or_init(new)
    }

    /// Finds a free slot, near the one that this thread had last.
    fn claim(&self, txn: TxnId) -> SlotIndex {
        thread_local! {
            /// Threads begin to look at different places.
            static HINT: usize = {
                static NEXT: AtomicUsize = AtomicUsize::new(0);
                NEXT.fetch_add(1, Ordering::Relaxed)
            };
        }
        let hint = HINT.with(|hint| *hint);
        for number in 0..CHUNKS {
            // Published before any slot of the chunk is used, so that a scan looks there.
            self.chunk_count.fetch_max(number + 1, Ordering::SeqCst);
            let chunk = self.chunk(number);
            for i in 0..CHUNK_SLOTS {
                let i = (hint + i) % CHUNK_SLOTS;
                let slot = &chunk[i].0;
                if slot.load(Ordering::Relaxed) == NO_READER
                    && slot.compare_exchange(NO_READER, txn.0, Ordering::Acquire, Ordering::Relaxed).is_ok()
                {
                    return SlotIndex(number * CHUNK_SLOTS + i);
                }
            }
        }
        panic!("more than {} read transactions at once", CHUNKS * CHUNK_SLOTS);
    }

    /// The roots whose pages must not be overwritten: ascending, each once.
    pub(super) fn pins(&self) -> Vec<TxnId> {
        let mut pins = Vec::with_capacity(8);
        for root in [&self.captured, &self.durable, &self.head] {
            pins.push(root.load(Ordering::Acquire));
        }
        pins.push(self.visible.load().0.txn.0);
        // The roots are read before the slots; pairs with the fence in `begin_read`.
        fence(Ordering::SeqCst);
        let chunk_count = self.chunk_count.load(Ordering::SeqCst);
        for slot in self.chunks[..chunk_count].iter().filter_map(OnceLock::get).flat_map(|chunk| chunk.iter())
        {
            // Acquire: pairs with `end_read`: what the reader read was read before its pages are written.
            pins.push(slot.0.load(Ordering::Acquire));
        }
        pins.sort_unstable();
        pins.dedup();
        pins.retain(|pin| *pin != NO_READER);
        pins.into_iter().map(TxnId).collect()
    }

    /// How many slots are claimed.
    #[cfg(test)]
    pub(super) fn readers(&self) -> usize {
        let chunk_count = self.chunk_count.load(Ordering::SeqCst);
        let slots =
            self.chunks[..chunk_count].iter().filter_map(OnceLock::get).flat_map(|chunk| chunk.iter());
        slots.filter(|slot| slot.0.load(Ordering::Acquire) != NO_READER).count()
    }

    pub(super) fn visible(&self) -> Root {
        self.visible.load().0
    }

    pub(super) fn durable(&self) -> TxnId {
        TxnId(self.durable.load(Ordering::Acquire))
    }

    /// Callers of the setters hold the lock on the heads.
    pub(super) fn set_head(&self, txn: TxnId) {
        self.head.store(txn.0, Ordering::Release);
    }

    pub(super) fn set_visible(&self, root: &Root) {
        self.visible.store(root);
    }

    pub(super) fn set_durable(&self, txn: TxnId) {
        self.durable.store(txn.0, Ordering::Release);
    }

    pub(super) fn set_captured(&self, txn: Option<TxnId>) {
        self.captured.store(txn.map_or(0, |txn| txn.0), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(txn: u64) -> Root {
        Root { txn: TxnId(txn), page_count: txn * 7, ..Root::default() }
    }

    #[test]
    fn a_reader_pins_its_root_until_it_ends() {
        let shared = Shared::new(&root(1));
        let (first, slot) = shared.begin_read();
        assert_eq!(first, root(1));
        for txn in 2..5 {
            shared.set_head(TxnId(txn));
            shared.set_durable(TxnId(txn));
            shared.set_visible(&root(txn));
        }
        let (second, other) = shared.begin_read();
        assert_eq!(second, root(4));
        assert_eq!(shared.pins(), [1, 4].map(TxnId));
        shared.set_captured(Some(TxnId(3)));
        assert_eq!(shared.pins(), [1, 3, 4].map(TxnId));
        shared.set_captured(None);
        shared.end_read(&slot);
        assert_eq!(shared.pins(), [4].map(TxnId));
        shared.end_read(&other);
        assert_eq!(shared.readers(), 0);
    }

    #[test]
    fn five_thousand_readers_need_no_option() {
        let shared = Shared::new(&root(1));
        let slots: Vec<_> = (0..5_000).map(|_| shared.begin_read().1).collect();
        assert_eq!(shared.readers(), 5_000);
        slots.iter().for_each(|slot| shared.end_read(slot));
        assert_eq!(shared.readers(), 0);
    }

    #[test]
    fn a_root_is_never_torn() {
        let shared = Shared::new(&root(1));
        std::thread::scope(|scope| {
            scope.spawn(|| (2..20_000).for_each(|txn| shared.set_visible(&root(txn))));
            loop {
                let seen = shared.visible();
                assert_eq!(seen.page_count, seen.txn.0 * 7);
                if seen.txn.0 == 19_999 {
                    break;
                }
            }
        });
    }
}
