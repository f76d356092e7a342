//! What stands in a branch cell beside its separator: a child.

use super::slotted::{BRANCH_KEY_AT, Page};
use super::{PAGE_ID_MASK, PageId, TxnId, get_u64};

/// In the flag bits of a page number: an overflow run lies in or below the page, so that freeing the subtree
/// has to read its leaves.
pub(crate) const HAS_OVERFLOW: u64 = 1 << 48;

/// In the flag bits of a page number, in memory only: the number is the index of a heap copy. On disk the bit
/// is zero and [`super::check`] refuses a page where it is not.
pub(crate) const DIRTY: u64 = 1 << 63;

/// FORMAT.md, "Branch cell".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Child {
    /// The page number in 48 bits, and flags.
    pub(crate) word: u64,
    /// The transaction that wrote the child.
    pub(crate) birth: TxnId,
    /// Entries in or below the child.
    pub(crate) count: u64,
}

impl Child {
    pub(crate) fn page(&self) -> PageId {
        PageId(self.word & PAGE_ID_MASK)
    }

    pub(crate) fn has_overflow(&self) -> bool {
        self.word & HAS_OVERFLOW != 0
    }

    /// The index of the heap copy, where the child has one.
    pub(crate) fn dirty(&self) -> Option<usize> {
        (self.word & DIRTY != 0).then(|| super::index(self.word & PAGE_ID_MASK))
    }

    #[inline]
    pub(crate) fn decode(fixed: &[u8]) -> Child {
        let Some(fixed) = fixed.first_chunk::<BRANCH_KEY_AT>() else { return Child::default() };
        Child { word: get_u64(fixed, 0), birth: TxnId(get_u64(fixed, 8)), count: get_u64(fixed, 16) }
    }

    pub(crate) fn encode(&self) -> [u8; BRANCH_KEY_AT] {
        let mut fixed = [0; BRANCH_KEY_AT];
        fixed[..8].copy_from_slice(&self.word.to_le_bytes());
        fixed[8..16].copy_from_slice(&self.birth.0.to_le_bytes());
        fixed[16..].copy_from_slice(&self.count.to_le_bytes());
        fixed
    }
}

impl Page<'_> {
    /// The page number of child `i` of a branch, and its flags: all that there is to see of most children.
    #[inline]
    pub(crate) fn child_word(self, i: usize) -> u64 {
        let at = usize::from(self.slot(i).offset);
        self.bytes().get(at..at + 8).map_or(0, |word| get_u64(word, 0))
    }

    /// Child `i` of a branch.
    pub(crate) fn child(self, i: usize) -> Child {
        let at = usize::from(self.slot(i).offset);
        Child::decode(self.bytes().get(at..).unwrap_or(&[]))
    }
}
