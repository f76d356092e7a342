//! Small sets of pages: neighbours are one extent, and the longest are found first.

use std::collections::{BTreeMap, BTreeSet};

/// Free pages, by place and by length. Every operation is O(log n) in the number of extents.
#[derive(Debug, Clone, Default)]
pub(super) struct Extents {
    by_start: BTreeMap<u64, u64>,
    /// (length, start): the last is the longest.
    by_len: BTreeSet<(u64, u64)>,
    pages: u64,
}

impl Extents {
    /// How many pages there are.
    pub(super) fn pages(&self) -> u64 {
        self.pages
    }

    /// All extents, start and length, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.by_start.iter().map(|(start, len)| (*start, *len))
    }

    /// Extents that lie in or reach into the pages from `start` on, descending.
    fn overlapping(&self, start: u64, len: u64) -> impl Iterator<Item = (u64, u64)> {
        let before = self.by_start.range(..start + len).rev().map(|(s, l)| (*s, *l));
        before.take_while(move |(s, l)| s + l > start)
    }

    /// Adds pages, none of which is there, and joins them with their neighbours.
    pub(super) fn add(&mut self, start: u64, len: u64) {
        debug_assert!(len > 0 && self.overlapping(start, len).next().is_none(), "{len} pages from {start}");
        let (mut from, mut to) = (start, start + len);
        if let Some((&s, &l)) = self.by_start.range(..start).next_back()
            && s + l == start
        {
            self.remove(s, l);
            from = s;
        }
        if let Some(&l) = self.by_start.get(&to) {
            self.remove(to, l);
            to += l;
        }
        self.insert(from, to - from);
    }

    /// Takes the pages from `start` on, which are there, out.
    pub(super) fn take(&mut self, start: u64, len: u64) {
        let found = self.by_start.range(..=start).next_back();
        let (s, l) = found.map(|(s, l)| (*s, *l)).expect("the pages are there");
        assert!(start + len <= s + l, "{len} pages from {start} are not in {l} from {s}");
        self.remove(s, l);
        if start > s {
            self.insert(s, start - s);
        }
        if s + l > start + len {
            self.insert(start + len, s + l - start - len);
        }
    }

    /// The shortest extent of at least `len` pages: its start.
    pub(super) fn best_fit(&self, len: u64) -> Option<u64> {
        self.by_len.range((len, 0)..).next().map(|(_, start)| *start)
    }

    /// The longest extent.
    pub(super) fn longest(&self) -> Option<(u64, u64)> {
        self.by_len.last().map(|(len, start)| (*start, *len))
    }

    fn insert(&mut self, start: u64, len: u64) {
        self.by_start.insert(start, len);
        self.by_len.insert((len, start));
        self.pages += len;
    }

    fn remove(&mut self, start: u64, len: u64) {
        self.by_start.remove(&start);
        self.by_len.remove(&(len, start));
        self.pages -= len;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn extents_are_a_set_of_pages(
            ops in prop::collection::vec((any::<bool>(), 0u64..200, 1u64..20), 1..200),
        ) {
            let (mut extents, mut model) = (Extents::default(), BTreeSet::new());
            for (add, start, len) in ops {
                let pages = start..start + len;
                let inside = pages.clone().filter(|page| model.contains(page)).count() as u64;
                prop_assert_eq!(extents.overlapping(start, len).next().is_some(), inside > 0);
                if add && inside == 0 {
                    extents.add(start, len);
                    model.extend(pages);
                } else if !add && inside == len {
                    extents.take(start, len);
                    model.retain(|page| !pages.contains(page));
                }
                let listed: Vec<u64> = extents.iter().flat_map(|(start, len)| start..start + len).collect();
                prop_assert!(listed.iter().eq(model.iter()));
                prop_assert_eq!(extents.pages(), model.len() as u64);
                let joined = extents.iter().zip(extents.iter().skip(1)).all(|(a, b)| a.0 + a.1 < b.0);
                prop_assert!(joined, "neighbours are one extent");
                prop_assert_eq!(extents.longest().map(|(_, l)| l), extents.iter().map(|(_, l)| l).max());
                if let Some(start) = extents.best_fit(len) {
                    prop_assert!(extents.overlapping(start, 1).next().unwrap().1 >= len);
                }
            }
        }
    }
}
