//! A value of several words that is read without a lock, never torn, and whole whenever its writer dies.
//!
//! Four copies, and a version that says which one counts. A writer fills the copy behind the current one and
//! then raises the version: one that dies before that has changed nothing, and leaves nothing to repair. A
//! reader takes the current copy and looks at the version again: the copy it took is written next when the
//! version has been raised three times, so up to two more are no reason to start again.

use std::sync::atomic::{AtomicU64, Ordering, fence};

/// The atomic words that the protocols of this module are written for: those of the machine, and in tests
/// those of a model checker.
pub(super) trait Word {
    fn load(&self, order: Ordering) -> u64;
    fn store(&self, value: u64, order: Ordering);
    fn fence(order: Ordering);
    /// Where somebody else has to go on first.
    fn wait() {}
}

impl Word for AtomicU64 {
    #[inline]
    fn load(&self, order: Ordering) -> u64 {
        self.load(order)
    }

    #[inline]
    fn store(&self, value: u64, order: Ordering) {
        self.store(value, order);
    }

    #[inline]
    fn fence(order: Ordering) {
        fence(order);
    }

    fn wait() {
        std::hint::spin_loop();
    }
}

const COPIES: usize = 4;

/// Words that a cell takes for values of `N` words.
pub(super) const fn cell_words(n: usize) -> usize {
    1 + COPIES * n
}

/// See the module. One writer at a time, which others see to.
#[derive(Debug)]
pub(super) struct Cell<'w, W, const N: usize> {
    version: &'w W,
    copies: &'w [W],
}

impl<W, const N: usize> Clone for Cell<'_, W, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W, const N: usize> Copy for Cell<'_, W, N> {}

impl<'w, W: Word, const N: usize> Cell<'w, W, N> {
    /// The cell in the first [`cell_words`] of `words`.
    #[inline]
    pub(super) fn new(words: &'w [W]) -> Self {
        Cell { version: &words[0], copies: &words[1..cell_words(N)] }
    }

    #[inline]
    fn copy(&self, version: u64) -> &'w [W] {
        #[expect(clippy::cast_possible_truncation, reason = "less than four")]
        let at = (version % COPIES as u64) as usize * N;
        &self.copies[at..at + N]
    }

    /// The value, and the version under which it counted.
    #[inline]
    pub(super) fn load(&self) -> ([u64; N], u64) {
        loop {
            // Acquire: pairs with the release store in `store`, so the words are at least that new.
            let version = self.version.load(Ordering::Acquire);
            let copy = self.copy(version);
            let value = std::array::from_fn(|i| copy[i].load(Ordering::Relaxed));
            // The words above are read before the version below.
            W::fence(Ordering::Acquire);
            if self.version.load(Ordering::Relaxed).wrapping_sub(version) < COPIES as u64 - 1 {
                return (value, version);
            }
            W::wait();
        }
    }

    /// One word of the value, and the version under which it counted.
    #[inline]
    pub(super) fn load_word(&self, at: usize) -> (u64, u64) {
        loop {
            // As in `load`.
            let version = self.version.load(Ordering::Acquire);
            let word = self.copy(version)[at].load(Ordering::Relaxed);
            W::fence(Ordering::Acquire);
            if self.version.load(Ordering::Relaxed).wrapping_sub(version) < COPIES as u64 - 1 {
                return (word, version);
            }
            W::wait();
        }
    }

    /// The version that counts now.
    #[inline]
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Relaxed)
    }

    pub(super) fn store(&self, value: &[u64; N]) {
        let version = self.version.load(Ordering::Relaxed).wrapping_add(1);
        // No word below becomes visible before the version of the last store: pairs with the fence in `load`.
        W::fence(Ordering::Release);
        for (word, value) in self.copy(version).iter().zip(value) {
            word.store(*value, Ordering::Relaxed);
        }
        self.version.store(version, Ordering::Release);
    }
}
