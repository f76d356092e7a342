//! Which pages have been checked, each with the birth under which it was.
//!
//! A rewritten page has another birth in its parent's cell, so it is forgotten by itself, also when another
//! process wrote it. Relaxed loads and stores: a remembered birth carries no data with it; the bytes of the
//! page became visible with the root that leads to it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::page::{PageId, TxnId, index};

/// Pages of one chunk: 32 KiB of memory for 16 MiB of 4 KiB pages, made when the first of them is touched. A
/// larger one is asked of the system each time, and opening takes half as long again.
const CHUNK: u64 = 1 << 12;

/// Chunks that are named from the start: those of the first 4 GiB of 4 KiB pages. The address space that is
/// reserved has room for thousands, and to name them all would take as long as the rest of an opening.
const NEAR: usize = 256;

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
    near: Box<[Chunk]>,
    /// The other chunks, and how many there may be.
    far: OnceLock<Box<[Chunk]>>,
    far_count: usize,
}

type Chunk = OnceLock<Box<[AtomicU64]>>;

fn chunks(count: usize) -> Box<[Chunk]> {
    (0..count).map(|_| OnceLock::new()).collect()
}

impl Checked {
    /// Nothing checked, for pages below `page_count`.
    pub(super) fn new(page_count: u64) -> Checked {
        let count = index(page_count.div_ceil(CHUNK));
        let near = count.min(NEAR);
        Checked { near: chunks(near), far: OnceLock::new(), far_count: count - near }
    }

    /// The chunk of page `id`, if it is named.
    #[inline]
    fn chunk(&self, id: PageId) -> Option<&Chunk> {
        let at = index(id.0 / CHUNK);
        self.near.get(at).or_else(|| self.far.get()?.get(at.checked_sub(NEAR)?))
    }

    /// Whether page `id` was checked as a `role` born at `birth`.
    #[inline]
    pub(super) fn is(&self, id: PageId, birth: TxnId, role: Role) -> bool {
        let chunk = self.chunk(id).and_then(OnceLock::get);
        let word = chunk.and_then(|chunk| chunk.get(index(id.0 % CHUNK)));
        word.is_some_and(|word| word.load(Ordering::Relaxed) == tag(birth, role))
    }

    /// Forgets what is remembered of pages: others stand there now.
    pub(super) fn forget(&self, id: PageId, pages: u64) {
        for id in (id.0..id.0 + pages).map(PageId) {
            let chunk = self.chunk(id).and_then(OnceLock::get);
            if let Some(word) = chunk.and_then(|chunk| chunk.get(index(id.0 % CHUNK))) {
                word.store(0, Ordering::Relaxed);
            }
        }
    }

    /// Remembers that it was.
    pub(super) fn set(&self, id: PageId, birth: TxnId, role: Role) {
        if birth.0 > BIRTH_MAX {
            // Not to be told from another: checked each time.
            return;
        }
        if index(id.0 / CHUNK) >= NEAR {
            self.far.get_or_init(|| chunks(self.far_count));
        }
        let Some(chunk) = self.chunk(id) else { return };
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
        checked.forget(PageId(8_999), 2);
        assert!(!checked.is(page, TxnId(3), leaf));
        checked.set(page, TxnId(1 << 60), leaf);
        assert!(!checked.is(page, TxnId(1 << 60), leaf));
    }

    #[test]
    fn pages_far_out_are_remembered_like_near_ones() {
        let first_far = NEAR as u64 * CHUNK;
        let checked = Checked::new(first_far + 2 * CHUNK);
        for id in [first_far - 1, first_far, first_far + 2 * CHUNK - 1].map(PageId) {
            assert!(!checked.is(id, TxnId(3), Role::Run));
            checked.set(id, TxnId(3), Role::Run);
            assert!(checked.is(id, TxnId(3), Role::Run) && !checked.is(id, TxnId(4), Role::Run), "{id}");
        }
        let behind = PageId(first_far + 2 * CHUNK);
        checked.set(behind, TxnId(3), Role::Run);
        assert!(!checked.is(behind, TxnId(3), Role::Run));
    }
}
