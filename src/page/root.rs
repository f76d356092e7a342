//! Where everything of one snapshot begins: the roots of its trees and of its free space.

use super::branch::Child;
use super::{HAS_OVERFLOW, LEVELS_MAX, PAGE_ID_MASK, PageId, TxnId, get_u64};

/// Bytes of a [`TreeRoot`] and of a [`FreeRoot`].
pub(crate) const TREE_ROOT_LEN: usize = 32;
const TREE_ROOT_WORDS: usize = TREE_ROOT_LEN / 8;
/// Bytes of a [`Root`].
pub(crate) const ROOT_LEN: usize = 16 + 3 * TREE_ROOT_LEN;
/// The same in numbers of 64 bits.
pub(crate) const ROOT_WORDS: usize = ROOT_LEN / 8;

/// The root of a tree: FORMAT.md, "Tree root". An empty tree has no page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TreeRoot {
    /// The root page as a parent would name it, its `count` the entries of the tree; `word` 0 when empty.
    pub(crate) child: Child,
    /// The level of the root page: a leaf is 0.
    pub(crate) level: u8,
}

impl TreeRoot {
    pub(crate) fn is_empty(&self) -> bool {
        self.child.word & !HAS_OVERFLOW == 0
    }

    /// Flags that have no meaning on disk are cut off, so that none is taken for one of memory; whoever
    /// cannot rely on a checksum takes [`decode_plausible`](Self::decode_plausible).
    #[inline]
    fn of_words([word, birth, count, level]: [u64; TREE_ROOT_WORDS]) -> TreeRoot {
        let word = word & (PAGE_ID_MASK | HAS_OVERFLOW);
        TreeRoot { child: Child { word, birth: TxnId(birth), count }, level: level.to_le_bytes()[0] }
    }

    #[inline]
    fn words(&self) -> [u64; TREE_ROOT_WORDS] {
        [self.child.word, self.child.birth.0, self.child.count, u64::from(self.level)]
    }

    /// The root, if the bytes are what [`encode`](Self::encode) writes of one.
    #[inline]
    pub(crate) fn decode_plausible(bytes: &[u8; TREE_ROOT_LEN]) -> Option<TreeRoot> {
        let words: [u64; TREE_ROOT_WORDS] = std::array::from_fn(|i| get_u64(bytes, 8 * i));
        let root = TreeRoot::of_words(words);
        let empty_is_empty = !root.is_empty() || root == TreeRoot::default();
        let plausible = words == root.words() && usize::from(root.level) < LEVELS_MAX && empty_is_empty;
        plausible.then_some(root)
    }

    pub(crate) fn encode(&self) -> [u8; TREE_ROOT_LEN] {
        bytes_of(&self.words())
    }
}

/// The root of the free-space log: FORMAT.md, "Free-space root".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct FreeRoot {
    /// The newest page of the log.
    pub(crate) page: PageId,
    /// The transaction that wrote it.
    pub(crate) birth: TxnId,
    /// How many pages the log has, from the newest on.
    pub(crate) pages: u64,
}

impl FreeRoot {
    #[inline]
    fn of_words([page, birth, pages, _]: [u64; TREE_ROOT_WORDS]) -> FreeRoot {
        FreeRoot { page: PageId(page & PAGE_ID_MASK), birth: TxnId(birth), pages }
    }

    #[inline]
    fn words(&self) -> [u64; TREE_ROOT_WORDS] {
        [self.page.0, self.birth.0, self.pages, 0]
    }
}

/// A committed state of the database: FORMAT.md, "Root".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Root {
    /// The transaction that made it.
    pub(crate) txn: TxnId,
    /// Pages of the file: every page number in this state is smaller.
    pub(crate) page_count: u64,
    /// The tree of table names.
    pub(crate) catalog: TreeRoot,
    /// The tree of what is not user data: empty in version 1.
    pub(crate) system: TreeRoot,
    /// The free-space log.
    pub(crate) free: FreeRoot,
}

impl Root {
    pub(crate) fn decode(bytes: &[u8]) -> Root {
        Root::of_words(&std::array::from_fn(|i| get_u64(bytes, 8 * i)))
    }

    pub(crate) fn encode(&self) -> [u8; ROOT_LEN] {
        bytes_of(&self.words())
    }

    /// The root whose encoded bytes, read as numbers, these are.
    #[inline]
    pub(crate) fn of_words(words: &[u64; ROOT_WORDS]) -> Root {
        let part = |at: usize| std::array::from_fn(|i| words[at + i]);
        Root {
            txn: TxnId(words[0]),
            page_count: words[1],
            catalog: TreeRoot::of_words(part(2)),
            system: TreeRoot::of_words(part(6)),
            free: FreeRoot::of_words(part(10)),
        }
    }

    /// What of the numbers cannot be, in a file with pages of that size in which no transaction is at or
    /// behind `ceiling`: what it is, what it must be, and what is there.
    pub(crate) fn fault(&self, page_size: usize, ceiling: u64) -> Option<(&'static str, String, String)> {
        let [.., head_page] = super::header_pages(page_size);
        let births = [self.catalog.child.birth, self.system.child.birth, self.free.birth];
        if self.txn.0 == 0 || self.txn.0 >= ceiling {
            let expected = format!("from 1 to {}", ceiling.saturating_sub(1));
            Some(("transaction of the root", expected, self.txn.to_string()))
        } else if self.page_count <= head_page || self.page_count > PAGE_ID_MASK + 1 {
            Some(("page count", format!("more than {head_page}, up to 2^48"), self.page_count.to_string()))
        } else if let Some(birth) = births.iter().find(|birth| **birth > self.txn) {
            Some(("birth of a root page", format!("at most {}", self.txn), birth.to_string()))
        } else {
            None
        }
    }

    /// Its encoded bytes, read as numbers.
    #[inline]
    pub(crate) fn words(&self) -> [u64; ROOT_WORDS] {
        let mut words = [0; ROOT_WORDS];
        (words[0], words[1]) = (self.txn.0, self.page_count);
        words[2..6].copy_from_slice(&self.catalog.words());
        words[6..10].copy_from_slice(&self.system.words());
        words[10..].copy_from_slice(&self.free.words());
        words
    }
}

fn bytes_of<const WORDS: usize, const LEN: usize>(words: &[u64; WORDS]) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    for (room, word) in bytes.chunks_exact_mut(8).zip(words) {
        room.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}
