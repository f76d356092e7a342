//! Where a key stands in a page.
//!
//! A search looks at the heads in the slots, and as a rule at one cell.

use std::cmp::Ordering;
use std::ops::Range;

use super::leaf::LeafValue;
use super::slotted::{Page, Slot, head};
use super::{Child, SLOT_LEN};
use crate::prefetch::prefetch;

/// Where a cell is asked for before it is compared: so much of it that key and value come at once.
pub(super) const CELL_AHEAD: usize = 192;

/// As many heads as are compared one by one: that takes no longer than halving them further, and none waits
/// for another.
const FEW: usize = 16;

impl<'a> Page<'a> {
    /// Where `key` stands among the cells from `first` on, or where it would stand.
    ///
    /// The first cell of a branch has no separator of its own: branches search from 1.
    pub(crate) fn search(self, first: usize, key: &[u8]) -> Result<usize, usize> {
        let (prefix, slots) = self.prefix_and_slots();
        self.search_slots(slots, first, rest_of(key, prefix, first..slots.len())?)
    }

    #[inline]
    fn search_slots(self, slots: &[[u8; SLOT_LEN]], first: usize, rest: &[u8]) -> Result<usize, usize> {
        let head = head(rest);
        let low = lower_bound(slots, first, head);
        match slots.get(low) {
            Some(slot) if head_of(slot) == head => {}
            _ => return Err(low),
        }
        if slots.get(low + 1).is_some_and(|slot| head_of(slot) == head) {
            return self.search_equal_heads(slots, low, rest);
        }
        match self.suffix_of(Slot::decode(slots[low])).cmp(rest) {
            Ordering::Less => Err(low + 1),
            Ordering::Equal => Ok(low),
            Ordering::Greater => Err(low),
        }
    }

    /// Several keys share the head of `rest`, from `low` on: their suffixes decide.
    fn search_equal_heads(
        self,
        slots: &[[u8; SLOT_LEN]],
        mut low: usize,
        rest: &[u8],
    ) -> Result<usize, usize> {
        let mut high = match head(rest).checked_add(1) {
            Some(next) => lower_bound(slots, low + 1, next),
            None => slots.len(),
        };
        while low < high {
            let middle = low + (high - low) / 2;
            match self.suffix_of(Slot::decode(slots[middle])).cmp(rest) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Ok(middle),
                Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// The value of `key` in a leaf.
    #[inline]
    pub(crate) fn find(self, key: &[u8]) -> Option<LeafValue<'a>> {
        let (prefix, slots) = self.prefix_and_slots();
        let rest = strip_prefix(key, prefix)?;
        self.find_in(slots, self.candidate_in(slots, rest)?, rest)
    }

    /// The first step of [`find`](Self::find): the first slot of a leaf with the head of `key`, its cell
    /// asked for. `None` if the key is not there.
    #[inline]
    pub(crate) fn candidate(self, key: &[u8]) -> Option<usize> {
        let (prefix, slots) = self.prefix_and_slots();
        self.candidate_in(slots, strip_prefix(key, prefix)?)
    }

    /// The second step of [`find`](Self::find), from the slot on that the first has found.
    #[inline]
    pub(crate) fn find_at(self, candidate: usize, key: &[u8]) -> Option<LeafValue<'a>> {
        let (prefix, slots) = self.prefix_and_slots();
        self.find_in(slots, candidate, key.get(prefix.len()..)?)
    }

    #[inline]
    fn candidate_in(self, slots: &[[u8; SLOT_LEN]], rest: &[u8]) -> Option<usize> {
        let head = head(rest);
        let low = lower_bound(slots, 0, head);
        let slot = Slot::decode(*slots.get(low)?);
        if slot.head != head {
            return None;
        }
        prefetch::<CELL_AHEAD>(self.cell_bytes(slot));
        Some(low)
    }

    #[inline]
    fn find_in(self, slots: &[[u8; SLOT_LEN]], low: usize, rest: &[u8]) -> Option<LeafValue<'a>> {
        let slot = Slot::decode(*slots.get(low)?);
        let (suffix, value) = self.entry_of(slot);
        if suffix == rest {
            return Some(value);
        }
        match slots.get(low + 1) {
            Some(next) if head_of(next) == slot.head => {
                self.search_equal_heads(slots, low, rest).ok().map(|i| self.value(i))
            }
            _ => None,
        }
    }

    /// The child of a branch whose keys may include `key`: the last whose separator is not greater.
    #[inline]
    pub(crate) fn child_index(self, key: &[u8]) -> usize {
        match self.search(1, key) {
            Ok(equal) => equal,
            Err(greater) => greater.saturating_sub(1),
        }
    }

    /// The child at [`child_index`](Self::child_index).
    #[inline]
    pub(crate) fn child_of(self, key: &[u8]) -> Child {
        let (prefix, slots) = self.prefix_and_slots();
        let rest = rest_of(key, prefix, 1..slots.len());
        let found = rest.and_then(|rest| self.search_slots(slots, 1, rest));
        let i = found.unwrap_or_else(|greater| greater.saturating_sub(1));
        let slot = slots.get(i).map_or(Slot::default(), |slot| Slot::decode(*slot));
        Child::decode(self.cell_bytes(slot))
    }
}

#[inline]
fn head_of(slot: &[u8; SLOT_LEN]) -> u32 {
    Slot::decode(*slot).head
}

/// The key behind the page's prefix. Many pages have none: then nothing is compared.
#[inline]
fn strip_prefix<'k>(key: &'k [u8], prefix: &[u8]) -> Option<&'k [u8]> {
    if prefix.is_empty() {
        return Some(key);
    }
    key.strip_prefix(prefix)
}

/// The key behind the page's prefix. A key that does not begin with that stands before or behind all of
/// `slots`.
#[inline]
fn rest_of<'k>(key: &'k [u8], prefix: &[u8], slots: Range<usize>) -> Result<&'k [u8], usize> {
    match strip_prefix(key, prefix) {
        Some(rest) => Ok(rest),
        None => Err(if key < prefix { slots.start } else { slots.end }),
    }
}

/// The first slot from `first` on whose head is at least `head`. Without branches: a comparison selects, it
/// does not jump.
#[inline]
fn lower_bound(slots: &[[u8; SLOT_LEN]], first: usize, head: u32) -> usize {
    let Some(mut rest) = slots.get(first..) else { return slots.len() };
    let mut base = first;
    while rest.len() > FEW {
        let (left, right) = rest.split_at(rest.len() / 2);
        let less = left.last().is_some_and(|slot| head_of(slot) < head);
        base += if less { left.len() } else { 0 };
        rest = if less { right } else { left };
    }
    base + rest.iter().map(|slot| usize::from(head_of(slot) < head)).sum::<usize>()
}
