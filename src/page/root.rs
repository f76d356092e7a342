//! Where everything of one snapshot begins: the roots of its trees and of its free space.

use super::branch::Child;
use super::{HAS_OVERFLOW, LEVELS_MAX, PAGE_ID_MASK, PageId, TxnId, get_u64};

/// Bytes of a [`TreeRoot`] and of a [`FreeRoot`].
pub(crate) const TREE_ROOT_LEN: usize = 32;
/// Bytes of a [`Root`].
pub(crate) const ROOT_LEN: usize = 16 + 3 * TREE_ROOT_LEN;

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
    /// cannot rely on a checksum looks at [`is_plausible`](Self::is_plausible) as well.
    pub(crate) fn decode(bytes: &[u8]) -> TreeRoot {
        let level = bytes.get(24).copied().unwrap_or(0);
        let mut child = Child::decode(bytes);
        child.word &= PAGE_ID_MASK | HAS_OVERFLOW;
        TreeRoot { child, level }
    }

    /// Whether encoded bytes are what [`encode`](Self::encode) writes of some root.
    pub(crate) fn is_plausible(bytes: &[u8]) -> bool {
        let root = TreeRoot::decode(bytes);
        let empty_is_empty = !root.is_empty() || root == TreeRoot::default();
        bytes == root.encode() && usize::from(root.level) < LEVELS_MAX && empty_is_empty
    }

    pub(crate) fn encode(&self) -> [u8; TREE_ROOT_LEN] {
        let mut bytes = [0; TREE_ROOT_LEN];
        bytes[..24].copy_from_slice(&self.child.encode());
        bytes[24] = self.level;
        bytes
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
    pub(crate) fn decode(bytes: &[u8]) -> FreeRoot {
        FreeRoot {
            page: PageId(get_u64(bytes, 0) & PAGE_ID_MASK),
            birth: TxnId(get_u64(bytes, 8)),
            pages: get_u64(bytes, 16),
        }
    }

    pub(crate) fn encode(&self) -> [u8; TREE_ROOT_LEN] {
        let mut bytes = [0; TREE_ROOT_LEN];
        bytes[..8].copy_from_slice(&self.page.0.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.birth.0.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.pages.to_le_bytes());
        bytes
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
        let part = |at: usize| bytes.get(at..at + TREE_ROOT_LEN).unwrap_or(&[]);
        Root {
            txn: TxnId(get_u64(bytes, 0)),
            page_count: get_u64(bytes, 8),
            catalog: TreeRoot::decode(part(16)),
            system: TreeRoot::decode(part(48)),
            free: FreeRoot::decode(part(80)),
        }
    }

    pub(crate) fn encode(&self) -> [u8; ROOT_LEN] {
        let mut bytes = [0; ROOT_LEN];
        bytes[..8].copy_from_slice(&self.txn.0.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.page_count.to_le_bytes());
        bytes[16..48].copy_from_slice(&self.catalog.encode());
        bytes[48..80].copy_from_slice(&self.system.encode());
        bytes[80..].copy_from_slice(&self.free.encode());
        bytes
    }
}
