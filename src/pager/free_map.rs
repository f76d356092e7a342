//! The free pages: a bit each, and where the runs of them are.
//!
//! After many small commits almost every free run is a page or two, and there are tens of thousands of them.
//! So a short run, of fewer than [`LONG`] pages, is nothing but its bits: adding or taking it touches a word
//! or two, and its neighbours are found by looking at the bits beside it. Long runs are few, or hold much:
//! they are in maps by place and by length, too.
//!
//! Short runs are found by their length. How many there are of each is counted, so the best length is known
//! at once. For each chunk of 4096 pages, and for each 64 chunks, a mask says which lengths *may* begin
//! there: adding a run sets its bit, and a search that finds nothing clears it. So a search reads a mask for
//! each 64 chunks (1 GiB of pages of 4 KiB), 64 more, and the words of a chunk; and it is at most once in
//! vain for each run that was added.

use std::collections::{BTreeMap, BTreeSet};

use super::bits::{Bits, CHUNK};
use crate::page::index;

/// A run of so many pages is long.
pub(super) const LONG: u64 = 16;

/// Chunks that share a mask.
const GROUP: usize = 64;

/// Free pages, by place and by length.
#[derive(Debug, Default)]
pub(super) struct FreeMap {
    bits: Bits,
    /// How many short runs there are of each length.
    short: [usize; index(LONG)],
    /// For each chunk a bit for each length: whether a short run of it may begin there.
    chunks: Vec<u16>,
    /// For each [`GROUP`] of chunks all their bits.
    groups: Vec<u16>,
    long_by_start: BTreeMap<u64, u64>,
    /// (length, start): the last is the longest.
    long_by_len: BTreeSet<(u64, u64)>,
    pages: u64,
}

/// Which runs a search is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lengths {
    Exactly(u64),
    AtLeast(u64),
}

impl FreeMap {
    /// How many pages there are.
    pub(super) fn pages(&self) -> u64 {
        self.pages
    }

    /// How many runs there are.
    pub(super) fn len(&self) -> usize {
        self.short.iter().sum::<usize>() + self.long_by_start.len()
    }

    pub(super) fn contains(&self, page: u64) -> bool {
        self.bits.contains(page)
    }

    /// The pages from `64 * word` on, the first as the lowest bit.
    #[inline]
    pub(super) fn word(&self, word: u64) -> u64 {
        self.bits.word(word)
    }

    /// The first run that reaches into the pages from `from` on and before `end`: where it begins, maybe
    /// before them, and its length.
    #[inline]
    pub(super) fn first_in(&self, from: u64, end: u64) -> Option<(u64, u64)> {
        self.run_at(self.bits.first(from, end)?)
    }

    /// Adds pages, none of which is there, and joins them with their neighbours.
    pub(super) fn add(&mut self, start: u64, len: u64) {
        debug_assert!(len > 0 && self.first_in(start, start + len).is_none(), "{len} pages from {start}");
        let (mut from, mut to) = (start, start + len);
        if let Some((s, l)) = start.checked_sub(1).and_then(|before| self.run_at(before)) {
            self.forget(s, l);
            from = s;
        }
        if let Some((s, l)) = self.run_at(to) {
            self.forget(s, l);
            to += l;
        }
        self.bits.add(start, len);
        self.remember(from, to - from);
    }

    /// Takes the pages from `start` on, which are there, out.
    pub(super) fn take(&mut self, start: u64, len: u64) {
        let (s, l) = self.run_at(start).expect("the pages are there");
        assert!(start + len <= s + l, "{len} pages from {start} are not in {l} from {s}");
        self.forget(s, l);
        self.bits.remove(start, len);
        if start > s {
            self.remember(s, start - s);
        }
        if s + l > start + len {
            self.remember(start + len, s + l - start - len);
        }
    }

    /// The shortest run of at least `len` pages, the lowest of them: its start.
    pub(super) fn best_fit(&mut self, len: u64) -> Option<u64> {
        match (len..LONG).find(|len| self.short[index(*len)] > 0) {
            Some(len) => self.find(Lengths::Exactly(len)),
            None => self.long_by_len.range((len, 0)..).next().map(|(_, start)| *start),
        }
    }

    /// How long the longest run is.
    pub(super) fn longest_len(&self) -> u64 {
        let longest_short = || (1..LONG).rev().find(|len| self.short[index(*len)] > 0);
        self.long_by_len.last().map(|(len, _)| *len).or_else(longest_short).unwrap_or(0)
    }

    /// The longest run; of short ones the lowest, of long ones the last.
    pub(super) fn longest(&mut self) -> Option<(u64, u64)> {
        match self.longest_len() {
            0 => None,
            len if len < LONG => self.find(Lengths::Exactly(len)).map(|start| (start, len)),
            _ => self.long_by_len.last().map(|(len, start)| (*start, *len)),
        }
    }

    /// The run at the lowest place.
    pub(super) fn lowest(&mut self) -> Option<(u64, u64)> {
        self.lowest_fit(1).and_then(|start| self.run_at(start))
    }

    /// The lowest run of at least `len` pages: its start. O(long runs).
    pub(super) fn lowest_fit(&mut self, len: u64) -> Option<u64> {
        let long = self.long_by_start.iter().find(|(_, l)| **l >= len).map(|(start, _)| *start);
        let short = if len < LONG { self.find(Lengths::AtLeast(len)) } else { None };
        // What was found among the bits may be long, too.
        short.into_iter().chain(long).min()
    }

    /// The run that ends where page `end` begins, and the file with it.
    pub(super) fn ending_at(&self, end: u64) -> Option<(u64, u64)> {
        self.run_at(end.checked_sub(1)?).filter(|(start, len)| start + len == end)
    }

    /// The run that page `page` lies in.
    #[inline]
    fn run_at(&self, page: u64) -> Option<(u64, u64)> {
        let base = page.saturating_sub(LONG);
        let (window, at) = (self.bits.window(base), page - base);
        let after = u64::from((window >> at).trailing_ones());
        if after == 0 {
            return None;
        }
        let before = if at == 0 { 0 } else { u64::from((window << (64 - at)).leading_ones()) };
        if before + after < LONG {
            return Some((page - before, before + after));
        }
        self.long_by_start.range(..=page).next_back().map(|(start, len)| (*start, *len))
    }

    fn remember(&mut self, start: u64, len: u64) {
        self.pages += len;
        if len >= LONG {
            self.long_by_start.insert(start, len);
            self.long_by_len.insert((len, start));
            return;
        }
        self.short[index(len)] += 1;
        let chunk = index(start / CHUNK);
        if chunk >= self.chunks.len() {
            self.chunks.resize(chunk + 1, 0);
            self.groups.resize(chunk / GROUP + 1, 0);
        }
        self.chunks[chunk] |= 1 << len;
        self.groups[chunk / GROUP] |= 1 << len;
    }

    fn forget(&mut self, start: u64, len: u64) {
        self.pages -= len;
        if len >= LONG {
            self.long_by_start.remove(&start);
            self.long_by_len.remove(&(len, start));
        } else {
            self.short[index(len)] -= 1;
        }
    }

    /// The lowest run of one of the lengths where short ones may begin: its start.
    fn find(&mut self, lengths: Lengths) -> Option<u64> {
        let wanted: u16 = match lengths {
            Lengths::Exactly(len) => 1 << len,
            Lengths::AtLeast(len) => u16::MAX << len,
        };
        let mut group = 0;
        while let Some(skipped) = self.groups[group..].iter().position(|may| may & wanted != 0) {
            group += skipped;
            let mut chunk = group * GROUP;
            let end = self.chunks.len().min(chunk + GROUP);
            while let Some(skipped) = self.chunks[chunk..end].iter().position(|may| may & wanted != 0) {
                chunk += skipped;
                if let Some(start) = self.find_in(chunk, lengths) {
                    return Some(start);
                }
                self.chunks[chunk] &= !wanted;
            }
            self.groups[group] &= !wanted;
        }
        None
    }

    /// The lowest run of one of the lengths that begins in the chunk.
    fn find_in(&self, chunk: usize, lengths: Lengths) -> Option<u64> {
        let (len, is_exact) = match lengths {
            Lengths::Exactly(len) => (len, true),
            Lengths::AtLeast(len) => (len, false),
        };
        let words = self.bits.chunk(chunk)?;
        let first = chunk as u64 * (CHUNK / 64);
        let mut before = first.checked_sub(1).map_or(0, |word| self.bits.word(word) >> 63);
        for (i, word) in (first..).zip(words) {
            let starts = word & !(word << 1 | before);
            before = word >> 63;
            if starts == 0 {
                continue;
            }
            let next = self.bits.word(i + 1);
            let fits = starts & runs_of(len, *word, next);
            let fits = if is_exact { fits & !(word >> len | next << (64 - len)) } else { fits };
            if fits != 0 {
                return Some(i * 64 + u64::from(fits.trailing_zeros()));
            }
        }
        None
    }

    #[cfg(test)]
    pub(super) fn chunks(&self) -> usize {
        self.bits.chunks()
    }

    /// All runs, start and length, ascending.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut from = 0;
        std::iter::from_fn(move || {
            let (start, len) = self.first_in(from, u64::MAX)?;
            from = start + len;
            Some((start, len))
        })
    }
}

/// The bits of `word` that `len` bits in a row begin with, the rest of them in `next`; fewer than 64.
fn runs_of(len: u64, word: u64, next: u64) -> u64 {
    let (mut low, mut high) = (word, next);
    let mut have = 1;
    while have < len {
        let by = have.min(len - have);
        low &= low >> by | high << (64 - by);
        high &= high >> by;
        have += by;
    }
    low
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Runs of the model, joined.
    fn runs(model: &BTreeSet<u64>) -> Vec<(u64, u64)> {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for page in model {
            match runs.last_mut() {
                Some((start, len)) if *start + *len == *page => *len += 1,
                _ => runs.push((*page, 1)),
            }
        }
        runs
    }

    /// The shortest run of at least `want` pages, the lowest of them.
    fn shortest(runs: &[(u64, u64)], want: u64) -> Option<u64> {
        let fits = runs.iter().filter(|(_, len)| *len >= want);
        fits.min_by_key(|(start, len)| (*len, *start)).map(|(start, _)| *start)
    }

    fn check(map: &mut FreeMap, model: &BTreeSet<u64>, start: u64, want: u64) -> Result<(), TestCaseError> {
        let runs = runs(model);
        prop_assert!(map.iter().eq(runs.iter().copied()));
        prop_assert_eq!((map.pages(), map.len()), (model.len() as u64, runs.len()));
        prop_assert_eq!(map.best_fit(want), shortest(&runs, want));
        let longest = runs.iter().map(|(_, len)| *len).max();
        prop_assert_eq!(map.longest_len(), longest.unwrap_or(0));
        prop_assert_eq!(map.longest().map(|(_, len)| len), longest);
        prop_assert!(map.longest().is_none_or(|run| runs.contains(&run)));
        prop_assert_eq!(map.lowest(), runs.first().copied());
        let fits = runs.iter().find(|(_, len)| *len >= want);
        prop_assert_eq!(map.lowest_fit(want), fits.map(|(start, _)| *start));
        prop_assert_eq!(map.contains(start), model.contains(&start));
        let inside = runs.iter().find(|(s, len)| *s < start + want && s + len > start);
        prop_assert_eq!(map.first_in(start, start + want), inside.copied());
        for end in runs.iter().map(|(s, len)| s + len).chain([start]) {
            let ending = runs.iter().find(|(s, len)| s + len == end);
            prop_assert_eq!(map.ending_at(end), ending.copied());
        }
        Ok(())
    }

    /// Places near the edges of words, chunks and groups, where mistakes would hide.
    fn places() -> impl Strategy<Value = u64> {
        let edges = [1, 64, 640, CHUNK, 2 * CHUNK, GROUP as u64 * CHUNK];
        (prop::sample::select(edges.to_vec()), 0u64..120).prop_map(|(edge, by)| (edge + by).max(60) - 60)
    }

    /// Steps of a test: what is done, where, and with how many pages.
    fn steps() -> impl Strategy<Value = Vec<(u8, u64, u64)>> {
        let len = prop_oneof![6 => 1u64..4, 3 => 4u64..20, 1 => 20u64..150];
        let steps_max = if cfg!(miri) { 5 } else { 150 };
        prop::collection::vec((0u8..6, places(), len), 1..steps_max)
    }

    proptest! {
        /// Goal: free pages are a set of joined runs, and every search finds what it says. Method: random
        /// steps, most of them with short runs, against a set of pages, at the edges of words, chunks and
        /// groups of chunks.
        #[test]
        fn free_pages_are_a_set_of_runs(steps in steps()) {
            let (mut map, mut model) = (FreeMap::default(), BTreeSet::new());
            for (step, place, len) in steps {
                let found = match step {
                    0 => map.best_fit(len).map(|start| (start, len)),
                    1 => map.longest(),
                    2 => map.run_at(place).map(|(start, had)| (place, len.min(start + had - place))),
                    _ => None,
                };
                if let Some((start, len)) = found {
                    map.take(start, len);
                    for page in start..start + len {
                        prop_assert!(model.remove(&page), "a page that was not free was given out");
                    }
                } else if model.range(place..place + len).next().is_none() {
                    map.add(place, len);
                    model.extend(place..place + len);
                }
                check(&mut map, &model, place, len)?;
            }
        }
    }

    #[test]
    fn a_far_page_takes_no_memory_for_those_before_it() {
        let mut map = FreeMap::default();
        let far = if cfg!(miri) { 1 << 20 } else { 1 << 32 };
        map.add(far, 3);
        assert_eq!(
            (map.best_fit(2), map.lowest(), map.longest()),
            (Some(far), Some((far, 3)), Some((far, 3)))
        );
        assert_eq!(map.chunks(), 1);
    }
}
