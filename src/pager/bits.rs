//! Sets of page numbers, a bit each.
//!
//! The bits lie in chunks of 4096 pages, and a chunk exists only where a page was added. So a set takes 512
//! bytes for each chunk that it has pages in, 32 MiB for each TiB of pages of 4 KiB at most, and 2 MiB for its
//! list of chunks: what a damaged or hostile file can ask for is bounded by what it really holds, not by the
//! page numbers that it names.

use crate::page::index;

/// Pages of a word.
const WORD: u64 = 64;
/// Words of a chunk.
const WORDS: usize = 64;
/// Pages of a chunk.
pub(super) const CHUNK: u64 = 4096;

/// A set of page numbers.
#[derive(Debug, Default)]
pub(super) struct Bits {
    chunks: Vec<Option<Box<[u64; WORDS]>>>,
}

impl Bits {
    /// The pages from `64 * word` on, the first as the lowest bit.
    #[inline]
    pub(super) fn word(&self, word: u64) -> u64 {
        let (chunk, word) = (index(word) / WORDS, index(word) % WORDS);
        match self.chunks.get(chunk) {
            Some(Some(words)) => words[word],
            _ => 0,
        }
    }

    /// The 64 pages from `page` on, the first as the lowest bit.
    #[inline]
    pub(super) fn window(&self, page: u64) -> u64 {
        let (word, shift) = (page / WORD, page % WORD);
        let low = self.word(word) >> shift;
        if shift == 0 { low } else { low | self.word(word + 1) << (WORD - shift) }
    }

    #[inline]
    pub(super) fn contains(&self, page: u64) -> bool {
        self.word(page / WORD) >> (page % WORD) & 1 == 1
    }

    /// The words of a chunk, if it ever had a page.
    pub(super) fn chunk(&self, chunk: usize) -> Option<&[u64; WORDS]> {
        self.chunks.get(chunk)?.as_deref()
    }

    /// How many chunks take memory.
    #[cfg(test)]
    pub(super) fn chunks(&self) -> usize {
        self.chunks.iter().flatten().count()
    }

    pub(super) fn add(&mut self, start: u64, len: u64) {
        for (word, mask) in masks(start, len) {
            let (chunk, word) = (index(word) / WORDS, index(word) % WORDS);
            if chunk >= self.chunks.len() {
                self.chunks.resize_with(chunk + 1, || None);
            }
            self.chunks[chunk].get_or_insert_with(|| Box::new([0; WORDS]))[word] |= mask;
        }
    }

    pub(super) fn remove(&mut self, start: u64, len: u64) {
        for (word, mask) in masks(start, len) {
            if let Some(Some(words)) = self.chunks.get_mut(index(word) / WORDS) {
                words[index(word) % WORDS] &= !mask;
            }
        }
    }

    /// The first page of the set from `from` on and before `end`.
    pub(super) fn first(&self, from: u64, end: u64) -> Option<u64> {
        let mut from = from;
        while from < end {
            let chunk = self.chunks.get(index(from / CHUNK))?;
            let rest = self.word(from / WORD) >> (from % WORD);
            if rest != 0 {
                return Some(from + u64::from(rest.trailing_zeros())).filter(|page| *page < end);
            }
            let step = if chunk.is_some() { WORD } else { CHUNK };
            from = (from / step + 1) * step;
        }
        None
    }

    /// The last page of the set up to `page`. O(distance).
    pub(super) fn last(&self, page: u64) -> Option<u64> {
        let mut word = page / WORD;
        let mut rest = self.word(word) << (WORD - 1 - page % WORD);
        let mut top = page;
        while rest == 0 {
            word = word.checked_sub(1)?;
            rest = self.word(word);
            top = word * WORD + WORD - 1;
        }
        Some(top - u64::from(rest.leading_zeros()))
    }
}

/// The words that the pages lie in, and their bits there.
fn masks(start: u64, len: u64) -> impl Iterator<Item = (u64, u64)> {
    let end = start + len;
    let words = start / WORD..end.div_ceil(WORD);
    words.map(move |word| {
        let (from, to) = (start.max(word * WORD) - word * WORD, end.min((word + 1) * WORD) - word * WORD);
        (word, (u64::MAX >> (WORD - (to - from))) << from)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Goal: bits are a set, across words and chunks. Method: random steps against a `BTreeSet`.
        #[test]
        fn bits_are_a_set_of_pages(
            steps in prop::collection::vec((any::<bool>(), 0u64..3 * CHUNK, 1u64..200), 1..60),
        ) {
            let (mut bits, mut model) = (Bits::default(), BTreeSet::new());
            for (add, start, len) in steps {
                if add {
                    bits.add(start, len);
                    model.extend(start..start + len);
                } else {
                    bits.remove(start, len);
                    model.retain(|page| !(start..start + len).contains(page));
                }
                let end = start + 5 * len;
                prop_assert_eq!(bits.first(start, end), model.range(start..end).next().copied());
                prop_assert_eq!(bits.last(start), model.range(..=start).next_back().copied());
                prop_assert_eq!(bits.contains(start), model.contains(&start));
                let window = (0..64).filter(|i| model.contains(&(start + i))).map(|i| 1u64 << i);
                prop_assert_eq!(bits.window(start), window.sum::<u64>());
            }
        }
    }
}
