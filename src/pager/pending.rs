//! The pending pages: what some pinned root still needs.
//!
//! Every look at the free space asks for these, too, and mostly there is nothing: so a bit for each page
//! answers first. A second bit says where an extent begins, and a hash map what it is. No extent is longer
//! than a record of the log can say, so its beginning is at most 1024 words before any page of it.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use super::bits::Bits;
use crate::page::Extent;

/// Pending extents by place.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pages: Bits,
    starts: Bits,
    extents: HashMap<u64, Extent, PageHash>,
    count: u64,
}

impl Pending {
    /// How many pages there are.
    pub(super) fn pages(&self) -> u64 {
        self.count
    }

    /// How many extents there are.
    pub(super) fn len(&self) -> usize {
        self.extents.len()
    }

    pub(super) fn contains(&self, page: u64) -> bool {
        self.pages.contains(page)
    }

    /// The pages from `64 * word` on, the first as the lowest bit.
    #[inline]
    pub(super) fn word(&self, word: u64) -> u64 {
        self.pages.word(word)
    }

    /// Adds an extent that fits a record, none of whose pages is there.
    pub(super) fn add(&mut self, extent: Extent) {
        debug_assert!(extent.records() == 1, "{extent:?}");
        debug_assert!(self.first_in(extent.start, extent.end()).is_none(), "{extent:?}");
        self.pages.add(extent.start, extent.len);
        self.starts.add(extent.start, 1);
        self.extents.insert(extent.start, extent);
        self.count += extent.len;
    }

    /// Takes the extent that begins at `start` out.
    pub(super) fn take(&mut self, start: u64) -> Option<Extent> {
        let extent = self.extents.remove(&start)?;
        self.pages.remove(extent.start, extent.len);
        self.starts.remove(extent.start, 1);
        self.count -= extent.len;
        Some(extent)
    }

    /// The first extent that reaches into the pages from `from` on and before `end`.
    #[inline]
    pub(super) fn first_in(&self, from: u64, end: u64) -> Option<Extent> {
        let start = self.starts.last(self.pages.first(from, end)?)?;
        Some(self.extents[&start])
    }

    #[cfg(test)]
    pub(super) fn chunks(&self) -> usize {
        self.pages.chunks() + self.starts.chunks()
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = Extent> {
        self.extents.values().copied()
    }
}

/// Hashes page numbers with a multiplication. The factor is chosen at random, so that no file can be made to
/// have pages that meet in one place of the map.
#[derive(Debug)]
struct PageHash {
    factor: u64,
}

impl Default for PageHash {
    fn default() -> PageHash {
        PageHash { factor: RandomState::new().hash_one(0) | 1 }
    }
}

impl BuildHasher for PageHash {
    type Hasher = PageHasher;

    fn build_hasher(&self) -> PageHasher {
        PageHasher { factor: self.factor, state: 0 }
    }
}

struct PageHasher {
    factor: u64,
    state: u64,
}

impl Hasher for PageHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    #[inline]
    fn write_u64(&mut self, page: u64) {
        let mixed = (self.state ^ page).wrapping_mul(self.factor);
        // The map takes the place from the low bits: the high ones are mixed best.
        self.state = mixed ^ mixed >> 32;
    }

    fn finish(&self) -> u64 {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::page::TxnId;

    proptest! {
        /// Goal: an extent is found from each of its pages, and nothing of those that were taken out is.
        /// Method: random steps among few pages, against a list of extents.
        #[test]
        fn extents_are_found_from_all_their_pages(
            steps in prop::collection::vec((1u64..150, 1u64..90, 0u64..9), 1..80),
        ) {
            let (mut pending, mut model) = (Pending::default(), Vec::<Extent>::new());
            for (start, len, birth) in steps {
                let extent = Extent { start, len, birth: TxnId(birth), death: TxnId(10) };
                let inside = |e: &Extent| e.start < extent.end() && e.end() > start;
                match model.iter().position(inside) {
                    Some(i) => {
                        let taken = model.swap_remove(i);
                        prop_assert_eq!(pending.take(taken.start), Some(taken));
                        prop_assert_eq!(pending.take(taken.start), None);
                    }
                    None => {
                        pending.add(extent);
                        model.push(extent);
                    }
                }
                let pages = model.iter().map(|e| e.len).sum::<u64>();
                prop_assert_eq!((pending.pages(), pending.len()), (pages, model.len()));
                for page in 0..250 {
                    let expected = model.iter().find(|e| e.start <= page && page < e.end()).copied();
                    prop_assert_eq!(pending.first_in(page, page + 1), expected);
                    prop_assert_eq!(pending.contains(page), expected.is_some());
                }
            }
        }
    }
}
