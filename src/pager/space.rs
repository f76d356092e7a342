//! Which pages may be written: free ones, and pending ones with the snapshots that need them.
//!
//! A page is needed by the roots from its birth on and before its death. It is reusable when none of them is
//! pinned, whatever older or younger roots are: a forgotten reader pins what its own snapshot can see and
//! nothing else. **This is what makes slices of the mapping sound.**
//!
//! A pending extent hangs on one of the pinned roots that need it, the oldest (its *holder*), and is looked
//! at again when that one is gone. New pins cannot need it: a root can become pinned after a scan only if it
//! was in the scan or is younger than every death.
//!
//! What is free is in `free_map.rs`, what is pending in `pending.rs`: a bit for each page, and little else
//! for short extents, which are almost all. The three sets of bits take 99 MiB for each TiB of pages of 4 KiB
//! at most, and little where nothing is free or everything is.

use super::free_map::{FreeMap, LONG};
use super::pending::Pending;
use crate::page::{Extent, TxnId};

/// How a commit is given its pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// In runs as long as can be, so that writing them is fast.
    LongRuns,
    /// As near to the beginning of the file as can be, so that its end becomes free.
    Lowest,
}

/// Pages that a commit is given: start and length of each run.
pub(super) type Runs = Vec<(u64, u64)>;

/// A run is worth taking before the file grows if it is that long: writing 1,600 pages in runs of 16 takes a
/// quarter of the time of single pages, and not much more than in one run.
const GOOD_RUN: u64 = LONG;

/// How many places a list may have room for while nothing uses it.
const SPARE_MAX: usize = 4096;

/// Free and pending pages of the head root.
#[derive(Debug, Default)]
pub(super) struct Space {
    free: FreeMap,
    pending: Pending,
    /// What hangs on each pinned root; ascending. They are few.
    held: Vec<Held>,
    /// For the next root on which something hangs.
    spare: Vec<u64>,
}

#[derive(Debug)]
struct Held {
    root: TxnId,
    /// Where the extents begin.
    starts: Vec<u64>,
    pages: u64,
}

impl Space {
    pub(super) fn free_pages(&self) -> u64 {
        self.free.pages()
    }

    pub(super) fn pending_pages(&self) -> u64 {
        self.pending.pages()
    }

    /// How many extents there are, free and pending.
    pub(super) fn len(&self) -> usize {
        self.free.len() + self.pending.len()
    }

    /// Pages that hang on `root` and on no older one.
    pub(super) fn held_by(&self, root: TxnId) -> u64 {
        self.held.binary_search_by_key(&root, |held| held.root).map_or(0, |i| self.held[i].pages)
    }

    /// Pages that hang on `root` or on a younger one.
    pub(super) fn held_since(&self, root: TxnId) -> u64 {
        self.held.iter().rev().take_while(|held| held.root >= root).map(|held| held.pages).sum()
    }

    /// The root before `durable` on which most pages hang, and how many. Only readers pin such roots.
    pub(super) fn most_held(&self, durable: TxnId) -> Option<(TxnId, u64)> {
        let held = self.held.iter().take_while(|held| held.root < durable);
        held.map(|held| (held.root, held.pages)).max_by_key(|(_, pages)| *pages)
    }

    /// Adds pages that nobody needs.
    pub(super) fn add_free(&mut self, start: u64, len: u64) {
        self.free.add(start, len);
    }

    /// Adds an extent that some of the pinned roots may need; `pins` ascend.
    pub(super) fn add(&mut self, extent: Extent, pins: &[TxnId]) {
        match holder(&extent, pins) {
            None => self.free.add(extent.start, extent.len),
            // From here on the births before the holder mean nothing: nobody is pinned there, or will be.
            Some(holder) => self.hang(Extent { birth: holder, ..extent }),
        }
    }

    /// Hangs an extent on the root of its birth.
    fn hang(&mut self, extent: Extent) {
        let i = self.held.binary_search_by_key(&extent.birth, |held| held.root).unwrap_or_else(|i| {
            let starts = std::mem::take(&mut self.spare);
            self.held.insert(i, Held { root: extent.birth, starts, pages: 0 });
            i
        });
        self.held[i].pages += extent.len;
        for piece in extent.pieces() {
            self.held[i].starts.push(piece.start);
            self.pending.add(piece);
        }
    }

    /// Frees what hung on roots that are not pinned any more; `pins` ascend.
    pub(super) fn release(&mut self, pins: &[TxnId]) {
        let mut i = 0;
        while let Some(held) = self.held.get(i) {
            if pins.binary_search(&held.root).is_ok() {
                i += 1;
                continue;
            }
            // What hangs on another root now hangs on a younger one, behind this place.
            let mut starts = self.held.remove(i).starts;
            for start in starts.drain(..) {
                if let Some(extent) = self.pending.take(start) {
                    self.add(extent, pins);
                }
            }
            if starts.capacity() <= SPARE_MAX {
                self.spare = starts;
            }
        }
    }

    /// Takes up to `want` pages, as `placement` says. Fragments shorter than [`GOOD_RUN`] are taken only with
    /// `fragments`.
    pub(super) fn take(&mut self, want: u64, placement: Placement, fragments: bool) -> Runs {
        let mut runs = Runs::new();
        let mut rest = want;
        while rest > 0 {
            let fit = if placement == Placement::LongRuns { self.fit(rest) } else { None };
            let next = match placement {
                // The last ones come from the shortest extent that has them, and long ones stay long.
                _ if fit.is_some() => fit.map(|start| (start, GOOD_RUN.max(rest))),
                Placement::LongRuns => self.free.longest(),
                Placement::Lowest => self.free.lowest(),
            };
            let Some((start, len)) = next.filter(|(_, len)| fragments || *len >= GOOD_RUN) else { break };
            let len = len.min(rest);
            self.free.take(start, len);
            runs.push((start, len));
            rest -= len;
        }
        runs
    }

    /// Where `want` pages lie side by side: in the shortest extent, but not behind a free sixteenth of the
    /// file. Small commits would stay at the end for long, and it could not be given back.
    fn fit(&mut self, want: u64) -> Option<u64> {
        let shortest = self.free.best_fit(want)?;
        if self.free.longest_len() < shortest / 16 {
            return Some(shortest);
        }
        let (longest, _) = self.free.longest()?;
        Some(longest.min(shortest))
    }

    /// Takes `want` pages that lie side by side.
    pub(super) fn take_run(&mut self, want: u64, placement: Placement) -> Option<u64> {
        let start = match placement {
            Placement::LongRuns => self.fit(want),
            Placement::Lowest => self.free.lowest_fit(want),
        }?;
        self.free.take(start, want);
        Some(start)
    }

    /// Whether page `page` is free or pending.
    pub(super) fn contains(&self, page: u64) -> bool {
        self.free.contains(page) || self.pending.contains(page)
    }

    /// The free pages right before page `end`.
    pub(super) fn tail(&self, end: u64) -> Option<(u64, u64)> {
        self.free.ending_at(end)
    }

    /// Takes an extent that is free out.
    pub(super) fn take_extent(&mut self, start: u64, len: u64) {
        self.free.take(start, len);
    }

    /// What is free or pending among the pages of `range`, added to `found`: free runs as a whole, and
    /// pending extents as far as one record can say.
    pub(super) fn state_of(&self, range: &Extent, found: &mut Vec<Extent>) {
        let mut from = range.start;
        while let Some((start, len)) = self.free.first_in(from, range.end()) {
            found.push(Extent::free(start, len));
            from = start + len;
        }
        from = range.start;
        while let Some(extent) = self.pending.first_in(from, range.end()) {
            found.push(extent);
            from = extent.end();
        }
    }

    /// Which of the 64 pages from `64 * word` on are free or pending, the first as the lowest bit.
    #[inline]
    pub(super) fn idle(&self, word: u64) -> u64 {
        self.free.word(word) | self.pending.word(word)
    }

    /// How many chunks of bits take memory.
    #[cfg(test)]
    pub(super) fn chunks(&self) -> usize {
        self.free.chunks() + self.pending.chunks()
    }

    /// Every extent, free and pending.
    #[cfg(test)]
    pub(super) fn extents(&self) -> std::collections::BTreeSet<Extent> {
        let free = self.free.iter().map(|(start, len)| Extent::free(start, len));
        free.chain(self.pending.iter()).collect()
    }
}

/// The oldest pinned root that needs the extent; `pins` ascend.
pub(crate) fn holder(extent: &Extent, pins: &[TxnId]) -> Option<TxnId> {
    let i = pins.partition_point(|pin| *pin < extent.birth);
    pins.get(i).copied().filter(|pin| *pin < extent.death)
}

/// Sorts extents freed by one transaction and joins neighbours that the same roots need.
pub(super) fn coalesce(mut freed: Vec<Extent>, pins: &[TxnId]) -> Vec<Extent> {
    for extent in &mut freed {
        extent.birth = holder(extent, pins).unwrap_or(extent.death);
    }
    freed.sort_unstable();
    let mut joined: Vec<Extent> = Vec::with_capacity(freed.len());
    for extent in freed {
        match joined.last_mut() {
            Some(last) if last.end() == extent.start && last.birth == extent.birth => last.len += extent.len,
            _ => joined.push(extent),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Extents of random lives and lengths, with gaps between some of them.
    fn extents(lives: &[(u64, u64, u64)]) -> Vec<Extent> {
        let mut end = 10;
        let each = lives.iter().map(|&(birth, life, len)| {
            let start = end + len % 3;
            end = start + len;
            Extent { start, len, birth: TxnId(birth), death: TxnId(birth + life) }
        });
        each.collect()
    }

    proptest! {
        /// Goal: what is said of a range is what is free or pending there, and no more than that, whole
        /// extents, each once. Method: extents with random lives beside each other, of which free ones are
        /// joined; every range against all extents.
        #[test]
        fn the_state_of_a_range_is_every_extent_that_reaches_into_it(
            lives in prop::collection::vec((0u64..30, 1u64..20, 1u64..90), 1..40),
            pins in prop::collection::btree_set(0u64..50, 0..6),
            ranges in prop::collection::vec((1u64..2_000, 1u64..300), 20),
        ) {
            let mut space = Space::default();
            let pins: Vec<TxnId> = pins.into_iter().map(TxnId).collect();
            let extents = extents(&lives);
            extents.iter().for_each(|extent| space.add(*extent, &pins));
            let all = space.extents();
            let pages: u64 = extents.iter().map(|e| e.len).sum();
            prop_assert_eq!(all.iter().map(|e| e.len).sum::<u64>(), pages);
            for (start, len) in ranges {
                let mut found = Vec::new();
                space.state_of(&Extent::free(start, len), &mut found);
                found.sort_unstable();
                let inside = all.iter().filter(|e| e.start < start + len && e.end() > start);
                prop_assert!(found.iter().eq(inside));
                let word = start / 64 * 64..start / 64 * 64 + 64;
                let inside = word.filter(|page| all.iter().any(|e| e.start <= *page && *page < e.end()));
                prop_assert_eq!(space.idle(start / 64).count_ones() as usize, inside.count());
                let is_inside = all.iter().any(|e| e.start <= start && start < e.end());
                prop_assert_eq!(space.contains(start), is_inside);
            }
            for extent in extents {
                let holder = holder(&extent, &pins);
                let pending = all.contains(&Extent { birth: holder.unwrap_or_default(), ..extent });
                prop_assert_eq!(pending, holder.is_some());
            }
        }

        /// Goal: pages are free exactly when no pinned root needs them. Method: extents with random lives,
        /// pins that only go or are younger, against the definition.
        #[test]
        fn pages_are_free_when_no_pinned_root_needs_them(
            lives in prop::collection::vec((0u64..30, 1u64..20, 1u64..5), 1..60),
            mut pins in prop::collection::btree_set(0u64..50, 0..12),
            gone in prop::collection::vec(0usize..12, 0..12),
        ) {
            let mut space = Space::default();
            let extents: Vec<Extent> = lives.iter().enumerate().map(|(i, &(birth, life, len))| {
                Extent { start: 10 + 10 * i as u64, len, birth: TxnId(birth), death: TxnId(birth + life) }
            }).collect();
            let list = |pins: &BTreeSet<u64>| pins.iter().copied().map(TxnId).collect::<Vec<_>>();
            extents.iter().for_each(|extent| space.add(*extent, &list(&pins)));
            for i in gone {
                let free = extents.iter().filter(|e| !pins.iter().any(|p| e.birth.0 <= *p && *p < e.death.0));
                prop_assert_eq!(space.free_pages(), free.map(|e| e.len).sum::<u64>());
                let pin = pins.iter().nth(i % pins.len().max(1)).copied().unwrap_or(0);
                pins.remove(&pin);
                space.release(&list(&pins));
            }
            space.release(&[]);
            let all: u64 = extents.iter().map(|e| e.len).sum();
            prop_assert_eq!((space.pending_pages(), space.free_pages()), (0, all));
        }
    }

    #[test]
    fn a_forgotten_reader_pins_only_what_it_sees() {
        let mut space = Space::default();
        let pins = [2, 90].map(TxnId);
        let extent = |start, birth, death| Extent { start, len: 5, birth: TxnId(birth), death: TxnId(death) };
        space.add(extent(10, 1, 50), &pins);
        space.add(extent(20, 3, 50), &pins);
        space.add(extent(30, 3, 91), &pins);
        assert_eq!((space.free_pages(), space.pending_pages()), (5, 10));
        assert_eq!((space.held_by(TxnId(2)), space.held_by(TxnId(90))), (5, 5));
        assert_eq!([2, 3, 90, 91].map(|root| space.held_since(TxnId(root))), [10, 5, 5, 0]);
    }

    #[test]
    fn long_pending_extents_are_kept_in_pieces_that_a_record_can_say() {
        let mut space = Space::default();
        let extent = Extent { start: 100, len: 200_000, birth: TxnId(1), death: TxnId(9) };
        space.add(extent, &[TxnId(1)]);
        assert_eq!((space.pending_pages(), space.held_by(TxnId(1)), space.len()), (200_000, 200_000, 4));
        let mut found = Vec::new();
        space.state_of(&Extent::free(150_000, 1), &mut found);
        assert_eq!(found, [extent.pieces().nth(2).unwrap()]);
        space.release(&[TxnId(9)]);
        assert_eq!((space.pending_pages(), space.free_pages(), space.len()), (0, 200_000, 1));
    }

    #[test]
    fn nothing_is_placed_behind_a_free_sixteenth_of_the_file() {
        let mut space = Space::default();
        space.add_free(300, 70);
        space.add_free(1_000, 5);
        assert_eq!(space.take(3, Placement::LongRuns, false), [(300, 3)]);
        assert_eq!(space.take_run(3, Placement::LongRuns), Some(303));
        space.take_extent(306, 54);
        assert_eq!(space.take(3, Placement::LongRuns, false), [(1_000, 3)]);
    }

    #[test]
    fn long_runs_come_first_and_short_ones_only_on_demand() {
        let mut space = Space::default();
        for (start, len) in [(10, 3), (20, 40), (100, 20), (1_000, 8)] {
            space.add_free(start, len);
        }
        assert_eq!(space.take(8, Placement::LongRuns, false), [(1_000, 8)]);
        assert_eq!(space.take(70, Placement::LongRuns, false), [(20, 40), (100, 20)]);
        assert_eq!(space.take(5, Placement::LongRuns, false), []);
        assert_eq!(space.take(5, Placement::LongRuns, true), [(10, 3)]);
    }
}
