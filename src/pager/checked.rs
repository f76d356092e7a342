//! Which pages have been checked, each with the birth under which it was.
//!
//! A rewritten page has another birth in its parent's cell, so it is forgotten by itself, also when another
//! process wrote it. Relaxed loads and stores: a remembered birth carries no data with it; the bytes of the
//! page became visible with the root that leads to it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::page::{PageId, TxnId, index};

/// Pages of one chunk: 64 KiB of memory for 32 MiB of 4 KiB pages, made when the first of them is touched.
const CHUNK: u64 = 1 << 13;

/// A birth a page; 0 for a page that was never checked.
#[derive(Debug)]
pub(super) struct Checked {
    chunks: Box<[OnceLock<Box<[AtomicU64]>>]>,
}

impl Checked {
    /// Nothing checked, for pages below `page_count`.
    pub(super) fn new(page_count: u64) -> Checked {
        Checked { chunks: (0..page_count.div_ceil(CHUNK)).map(|_| OnceLock::new()).collect() }
    }

    /// Whether page `id` was checked as one born at `birth`.
    #[inline]
    pub(super) fn is(&self, id: PageId, birth: TxnId) -> bool {
        let chunk = self.chunks.get(index(id.0 / CHUNK)).and_then(OnceLock::get);
        let word = chunk.and_then(|chunk| chunk.get(index(id.0 % CHUNK)));
        word.is_some_and(|word| word.load(Ordering::Relaxed) == birth.0)
    }

    /// Remembers that it was.
    pub(super) fn set(&self, id: PageId, birth: TxnId) {
        let Some(chunk) = self.chunks.get(index(id.0 / CHUNK)) else { return };
        let chunk = chunk.get_or_init(|| (0..CHUNK).map(|_| AtomicU64::new(0)).collect());
        if let Some(word) = chunk.get(index(id.0 % CHUNK)) {
            word.store(birth.0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_checked_under_one_birth() {
        let checked = Checked::new(20_000);
        let (page, far) = (PageId(9_000), PageId(1 << 40));
        assert!(!checked.is(page, TxnId(3)));
        checked.set(page, TxnId(3));
        assert!(
            checked.is(page, TxnId(3)) && !checked.is(page, TxnId(4)) && !checked.is(PageId(9_001), TxnId(3))
        );
        checked.set(far, TxnId(3));
        assert!(!checked.is(far, TxnId(3)));
    }
}
