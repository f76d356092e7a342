//! Which pages have been checked, each with the birth under which it was.
//!
//! A rewritten page has another birth in its parent's cell, so it is forgotten by itself, also when another
//! process wrote it. Relaxed loads and stores: a remembered birth carries no data with it; the bytes of the
//! page became visible with the root that leads to it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::page::{PageId, TxnId, index};

/// Pages of one chunk: 32 KiB of memory for 16 MiB of 4 KiB pages, made when the first of them is touched. For
/// larger ones the heap asks the system each time, and opening takes half as long again.
const CHUNK: u64 = 1 << 12;

/// Births that are remembered have 56 bits; the others stand for the role.
const BIRTH_MAX: u64 = (1 << 56) - 1;

/// What a page was checked as: in a damaged file the same page may be referred to as several things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A page of a tree, at this level.
    Tree(u8),
    /// The first page of a value.
    Run,
}

/// Never 0.
#[inline]
fn tag(birth: TxnId, role: Role) -> u64 {
    let role = match role {
        Role::Tree(level) => u64::from(level) + 1,
        Role::Run => 255,
    };
    // A longer birth was never remembered, and its upper bits make it no other's tag: no role has them all.
    if birth.0 > BIRTH_MAX { u64::MAX } else { role << 56 | birth.0 }
}

/// A tag a page; 0 for a page that was never checked.
#[derive(Debug)]
pub(super) struct Checked {
    chunks: Box<[OnceLock<Box<[AtomicU64]>>]>,
}

impl Checked {
    /// Nothing checked, for pages below `page_count`.
    pub(super) fn new(page_count: u64) -> Checked {
        Checked { chunks: (0..page_count.div_ceil(CHUNK)).map(|_| OnceLock::new()).collect() }
    }

    /// Whether page `id` was checked as a `role` born at `birth`.
    #[inline]
    pub(super) fn is(&self, id: PageId, birth: TxnId, role: Role) -> bool {
        let chunk = self.chunks.get(index(id.0 / CHUNK)).and_then(OnceLock::get);
        let word = chunk.and_then(|chunk| chunk.get(index(id.0 % CHUNK)));
        word.is_some_and(|word| word.load(Ordering::Relaxed) == tag(birth, role))
    }

    /// Remembers that it was.
    pub(super) fn set(&self, id: PageId, birth: TxnId, role: Role) {
        if birth.0 > BIRTH_MAX {
            // Not to be told from another: checked each time.
            return;
        }
        let Some(chunk) = self.chunks.get(index(id.0 / CHUNK)) else { return };
        let chunk = chunk.get_or_init(|| (0..CHUNK).map(|_| AtomicU64::new(0)).collect());
        if let Some(word) = chunk.get(index(id.0 % CHUNK)) {
            word.store(tag(birth, role), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_checked_under_one_birth() {
        let checked = Checked::new(20_000);
        let (page, far, leaf) = (PageId(9_000), PageId(1 << 40), Role::Tree(0));
        assert!(!checked.is(page, TxnId(3), leaf) && !checked.is(page, TxnId(0), leaf));
        checked.set(page, TxnId(3), leaf);
        assert!(checked.is(page, TxnId(3), leaf));
        assert!(!checked.is(page, TxnId(4), leaf) && !checked.is(PageId(9_001), TxnId(3), leaf));
        assert!(!checked.is(page, TxnId(3), Role::Tree(1)) && !checked.is(page, TxnId(3), Role::Run));
        checked.set(far, TxnId(3), leaf);
        assert!(!checked.is(far, TxnId(3), leaf));
        checked.set(page, TxnId(1 << 60), leaf);
        assert!(!checked.is(page, TxnId(1 << 60), leaf));
    }
}
