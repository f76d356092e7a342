//! The protocol by which roots are published and pinned: `mod.rs` says why it holds.
//!
//! Generic over the words, so that a model checker runs the same code.

use std::sync::atomic::Ordering;

use super::cell::{Cell, Word, cell_words};

/// The first word of a root is its transaction. Transactions begin at 1.
const TXN: usize = 0;
/// What a word says that pins nothing.
pub(super) const NOTHING: u64 = 0;
/// What a slot says that is claimed, before its reader has published what it reads.
pub(super) const CLAIMED: u64 = u64::MAX;

/// The roots, of `N` words each, and what leaders have captured.
#[derive(Debug)]
pub(super) struct Roots<'w, W, const N: usize> {
    head: Cell<'w, W, N>,
    soft: Cell<'w, W, N>,
    durable: Cell<'w, W, N>,
    captured: &'w [W],
}

/// Which root was the visible one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    soft: u64,
    durable: u64,
}

/// Words of all roots, without what is captured.
pub(super) const fn roots_words(n: usize) -> usize {
    3 * cell_words(n)
}

impl<'w, W: Word, const N: usize> Roots<'w, W, N> {
    /// The roots in the first [`roots_words`] of `words`.
    #[inline]
    pub(super) fn new(words: &'w [W], captured: &'w [W]) -> Self {
        let len = cell_words(N);
        let cell = |number: usize| Cell::new(&words[number * len..(number + 1) * len]);
        Roots { head: cell(0), soft: cell(1), durable: cell(2), captured }
    }

    #[inline]
    pub(super) fn head(&self) -> [u64; N] {
        self.head.load().0
    }

    #[inline]
    pub(super) fn durable(&self) -> [u64; N] {
        self.durable.load().0
    }

    /// The visible root, and how to see whether it still is.
    #[inline]
    pub(super) fn visible(&self) -> ([u64; N], Stamp) {
        loop {
            // Only the newer one is copied, and both versions are those under which it was the newer one.
            let (soft, soft_version) = self.soft.load_word(TXN);
            let (durable, durable_version) = self.durable.load_word(TXN);
            let newer = if soft > durable { &self.soft } else { &self.durable };
            let (root, version) = newer.load();
            let stamp = Stamp { soft: soft_version, durable: durable_version };
            if version == if soft > durable { soft_version } else { durable_version } {
                return (root, stamp);
            }
        }
    }

    #[inline]
    fn stamp(&self) -> Stamp {
        Stamp { soft: self.soft.version(), durable: self.durable.version() }
    }

    /// Pins the visible root with a slot that is the caller's own.
    #[inline]
    pub(super) fn pin(&self, slot: &W) -> [u64; N] {
        loop {
            let (root, stamp) = self.visible();
            slot.store(root[TXN], Ordering::Relaxed);
            // The slot is published before the visible root is looked at again; pairs with the fence in
            // `pins`.
            W::fence(Ordering::SeqCst);
            if self.stamp() == stamp {
                return root;
            }
        }
    }

    /// The transactions of the pinned roots, in no order, some more than once. `slots` says where readers
    /// publish theirs; it is asked when the roots have been read.
    pub(super) fn pins<'s, I: Iterator<Item = &'s W>>(&self, slots: impl FnOnce() -> I) -> Vec<u64>
    where
        W: 's,
    {
        let mut pins = Vec::with_capacity(32);
        pins.extend(self.captured.iter().map(|captured| captured.load(Ordering::Acquire)));
        let [durable, head, soft] = [self.durable, self.head, self.soft].map(|cell| cell.load().0[TXN]);
        // A soft root that is older than the durable one was visible once, and never will be again.
        pins.extend([durable, head, soft.max(durable)]);
        // The roots are read before the slots; pairs with the fences in `pin` and `capture`.
        W::fence(Ordering::SeqCst);
        // Acquire: pairs with the release of a slot: what was read through it was read before its pages are
        // written.
        pins.extend(slots().map(|slot| slot.load(Ordering::Acquire)));
        pins.retain(|pin| *pin != NOTHING && *pin != CLAIMED);
        pins
    }

    /// Captures the head: pins it, and says which it is. For the leader. `None` where so many leaders have
    /// died one after another that there is no room.
    pub(super) fn capture(&self) -> Option<[u64; N]> {
        let room = self.captured.iter().find(|captured| captured.load(Ordering::Relaxed) == NOTHING)?;
        loop {
            let (head, version) = self.head.load();
            room.store(head[TXN], Ordering::Relaxed);
            // Published before the head is looked at again; pairs with the fence in `pins`.
            W::fence(Ordering::SeqCst);
            if self.head.version() == version {
                return Some(head);
            }
        }
    }

    /// Nothing is captured any more: no meta page but the durable one can be on the disk, or be written.
    pub(super) fn forget_captures(&self) {
        self.captured.iter().for_each(|captured| captured.store(NOTHING, Ordering::Release));
    }

    /// The captured root is durable, for the leader whose sync has ended: readers see it, and nothing is
    /// captured any more.
    pub(super) fn set_durable(&self, root: &[u64; N]) {
        self.durable.store(root);
        self.forget_captures();
    }

    /// The newest commit. For who has the writer lock.
    pub(super) fn set_head(&self, root: &[u64; N]) {
        self.head.store(root);
        // Before the next scan looks for captures; pairs with the fence in `capture`.
        W::fence(Ordering::SeqCst);
    }

    /// Readers get this from now on, durable or not. For who has the writer lock.
    pub(super) fn set_soft(&self, root: &[u64; N]) {
        self.soft.store(root);
    }

    /// Everybody at `visible`, of which `durable` survives a loss of power. For who is alone.
    pub(super) fn begin(&self, visible: &[u64; N], durable: &[u64; N]) {
        self.head.store(visible);
        self.soft.store(visible);
        self.durable.store(durable);
    }
}
