//! What stands in a leaf cell beside its key: a value, or a reference to an overflow run.

use super::search::CELL_AHEAD;
use super::slotted::{EXTENDED_TAIL, LEAF_KEY_AT, Page, Slot};
use super::{PAGE_ID_MASK, PageId, SLOT_LEN, TxnId, get_u16, get_u32, get_u64, to_u16};
use crate::prefetch::prefetch;

/// The kind of an extended cell that refers to an overflow run. On disk: never renumber.
///
/// 2 to 6 are reserved: chunk list, duplicate set, subtree, compressed value, overflow key.
pub(super) const EXTENDED_OVERFLOW: u8 = 1;

/// FORMAT.md, "Overflow reference".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OverflowRef {
    /// The run's first page, or the index of a heap copy with [`super::DIRTY`] set.
    pub(crate) word: u64,
    /// Bytes of the value.
    pub(crate) len: u32,
    /// The transaction that wrote the run.
    pub(crate) birth: TxnId,
    /// The checksum of the value's bytes.
    pub(crate) sum: u32,
}

impl OverflowRef {
    pub(crate) fn page(&self) -> PageId {
        PageId(self.word & PAGE_ID_MASK)
    }

    pub(crate) fn decode(tail: &[u8]) -> OverflowRef {
        OverflowRef {
            word: get_u64(tail, 0),
            len: get_u32(tail, 8),
            birth: TxnId(get_u64(tail, 12)),
            sum: get_u32(tail, 20),
        }
    }

    pub(crate) fn encode(&self) -> [u8; EXTENDED_TAIL] {
        let mut tail = [0; EXTENDED_TAIL];
        tail[..8].copy_from_slice(&self.word.to_le_bytes());
        tail[8..12].copy_from_slice(&self.len.to_le_bytes());
        tail[12..20].copy_from_slice(&self.birth.0.to_le_bytes());
        tail[20..].copy_from_slice(&self.sum.to_le_bytes());
        tail
    }

    /// What stands before the key in an overflow cell.
    pub(crate) fn fixed() -> [u8; LEAF_KEY_AT] {
        [EXTENDED_OVERFLOW, 0]
    }
}

/// What stands before the key in a plain cell: the value's length.
pub(crate) fn inline_fixed(value_len: usize) -> [u8; LEAF_KEY_AT] {
    to_u16(value_len).to_le_bytes()
}

/// A leaf to read many entries of: its header is decoded once.
#[derive(Clone, Copy)]
pub(crate) struct Leaf<'a> {
    page: Page<'a>,
    prefix: &'a [u8],
    slots: &'a [[u8; SLOT_LEN]],
}

impl<'a> Leaf<'a> {
    pub(crate) fn new(page: Page<'a>) -> Leaf<'a> {
        let (prefix, slots) = page.prefix_and_slots();
        Leaf { page, prefix, slots }
    }

    pub(crate) fn page(&self) -> Page<'a> {
        self.page
    }

    /// What every key begins with.
    #[inline]
    pub(crate) fn prefix(&self) -> &'a [u8] {
        self.prefix
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The suffix and the value of entry `i`.
    #[inline]
    pub(crate) fn entry(&self, i: usize) -> (&'a [u8], LeafValue<'a>) {
        self.page.entry_of(self.slots.get(i).map_or(Slot::default(), |slot| Slot::decode(*slot)))
    }

    /// Asks for the bytes of entry `i`, if there is one.
    #[inline]
    pub(crate) fn ask_for(&self, i: usize) {
        if let Some(slot) = self.slots.get(i) {
            prefetch::<CELL_AHEAD>(self.page.cell_bytes(Slot::decode(*slot)));
        }
    }
}

/// A value as its leaf has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeafValue<'a> {
    /// The value's bytes.
    Inline(&'a [u8]),
    /// Where the value is.
    Overflow(OverflowRef),
}

impl<'a> Page<'a> {
    /// The suffix and the value of entry `i` of a leaf, whose slot is decoded once.
    #[inline]
    pub(crate) fn leaf_entry(self, i: usize) -> (&'a [u8], LeafValue<'a>) {
        self.entry_of(self.slot(i))
    }

    #[inline]
    pub(super) fn entry_of(self, slot: Slot) -> (&'a [u8], LeafValue<'a>) {
        let cell = self.cell_bytes(slot);
        let end = LEAF_KEY_AT + slot.key_len();
        let Some((key, tail)) = cell.split_at_checked(end) else { return (&[], LeafValue::Inline(&[])) };
        let value = if slot.is_extended() {
            LeafValue::Overflow(OverflowRef::decode(tail))
        } else {
            LeafValue::Inline(tail.get(..usize::from(get_u16(cell, 0))).unwrap_or(&[]))
        };
        (&key[LEAF_KEY_AT..], value)
    }

    /// The value of entry `i` of a leaf.
    pub(crate) fn value(self, i: usize) -> LeafValue<'a> {
        self.leaf_entry(i).1
    }
}
