//! Sets of page numbers, a bit each.
//!
//! The bits lie in chunks of 4096 pages. A chunk has words of its own, 512 bytes, only if something less than
//! all of it was added or removed. So a set takes 33 MiB for each TiB of pages of 4 KiB at most, and mostly
//! much less. A damaged or hostile file can name far pages and long extents: what a set takes is bounded by
//! the number of its extents, a few words each, and 16 bytes for each chunk before the last page.

use crate::page::index;

/// Pages of a word.
const WORD: u64 = 64;
/// Words of a chunk.
const WORDS: usize = 64;
/// Pages of a chunk.
pub(super) const CHUNK: u64 = 4096;

/// A set of page numbers.
#[derive(Debug, Default)]
pub(crate) struct Bits {
    chunks: Vec<Chunk>,
}

#[derive(Debug, Clone)]
enum Chunk {
    Empty,
    Full,
    Words(Box<[u64; WORDS]>),
}

impl Chunk {
    #[inline]
    fn word(&self, word: usize) -> u64 {
        match self {
            Chunk::Empty => 0,
            Chunk::Full => u64::MAX,
            Chunk::Words(words) => words[word],
        }
    }

    /// Its words, to be changed.
    fn words(&mut self) -> &mut [u64; WORDS] {
        if !matches!(self, Chunk::Words(_)) {
            *self = Chunk::Words(Box::new([self.word(0); WORDS]));
        }
        match self {
            Chunk::Words(words) => words,
            Chunk::Empty | Chunk::Full => unreachable!("it has words since the line above"),
        }
    }
}

impl Bits {
    /// The pages from `64 * word` on, the first as the lowest bit.
    #[inline]
    pub(super) fn word(&self, word: u64) -> u64 {
        let (chunk, word) = (index(word) / WORDS, index(word) % WORDS);
        self.chunks.get(chunk).map_or(0, |chunk| chunk.word(word))
    }

    /// The 64 pages from `page` on, the first as the lowest bit.
    #[inline]
    pub(super) fn window(&self, page: u64) -> u64 {
        let (word, shift) = (page / WORD, page % WORD);
        let low = self.word(word) >> shift;
        if shift == 0 { low } else { low | self.word(word + 1) << (WORD - shift) }
    }

    #[inline]
    pub(crate) fn contains(&self, page: u64) -> bool {
        self.word(page / WORD) >> (page % WORD) & 1 == 1
    }

    /// The words of a chunk, unless it is empty or full.
    pub(super) fn chunk(&self, chunk: usize) -> Option<&[u64; WORDS]> {
        match self.chunks.get(chunk)? {
            Chunk::Words(words) => Some(words),
            Chunk::Empty | Chunk::Full => None,
        }
    }

    /// How many chunks have words of their own.
    #[cfg(test)]
    pub(super) fn chunks(&self) -> usize {
        self.chunks.iter().filter(|chunk| matches!(chunk, Chunk::Words(_))).count()
    }

    pub(crate) fn add(&mut self, start: u64, len: u64) {
        let chunks = index((start + len).div_ceil(CHUNK));
        if chunks > self.chunks.len() {
            self.chunks.resize(chunks, Chunk::Empty);
        }
        self.change(start, len, Chunk::Full, |word, mask| *word |= mask);
    }

    /// Adds pages, as far as none of them is there: whether none was.
    pub(crate) fn claim(&mut self, start: u64, len: u64) -> bool {
        let end = start + len;
        let to = self.first(start, end).unwrap_or(end);
        if to > start {
            self.add(start, to - start);
        }
        to == end
    }

    /// Takes pages out that are in the set.
    pub(crate) fn remove(&mut self, start: u64, len: u64) {
        self.change(start, len, Chunk::Empty, |word, mask| *word &= !mask);
    }

    /// Makes whole chunks what they are to be, and the bits of others.
    fn change(&mut self, start: u64, len: u64, whole: Chunk, mut bits: impl FnMut(&mut u64, u64)) {
        let (mut from, end) = (start, start + len);
        while from < end {
            let (number, to) = (from / CHUNK, end.min((from / CHUNK + 1) * CHUNK));
            let chunk = &mut self.chunks[index(number)];
            if to - from == CHUNK {
                *chunk = whole.clone();
            } else {
                let (words, base) = (chunk.words(), number * CHUNK);
                masks(from - base, to - base).for_each(|(word, mask)| bits(&mut words[word], mask));
            }
            from = to;
        }
    }

    /// The first page of the set from `from` on and before `end`.
    pub(crate) fn first(&self, from: u64, end: u64) -> Option<u64> {
        self.first_of(from, end.min(self.chunks.len() as u64 * CHUNK), |word| word)
    }

    /// The first page from `from` on and before `end` that is not in the set.
    pub(crate) fn first_missing(&self, from: u64, end: u64) -> Option<u64> {
        self.first_of(from, end, |word| !word)
    }

    /// The first page whose bit is set in what `wanted` makes of its word.
    #[inline]
    fn first_of(&self, mut from: u64, end: u64, wanted: impl Fn(u64) -> u64) -> Option<u64> {
        while from < end {
            let rest = wanted(self.word(from / WORD)) >> (from % WORD);
            if rest != 0 {
                return Some(from + u64::from(rest.trailing_zeros())).filter(|page| *page < end);
            }
            let has_words = matches!(self.chunks.get(index(from / CHUNK)), Some(Chunk::Words(_)));
            let step = if has_words { WORD } else { CHUNK };
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

/// The words of a chunk that its bits from `from` on and before `to` lie in, and which of theirs they are.
fn masks(from: u64, to: u64) -> impl Iterator<Item = (usize, u64)> {
    (from / WORD..to.div_ceil(WORD)).map(move |word| {
        let (first, last) = (from.max(word * WORD) - word * WORD, to.min((word + 1) * WORD) - word * WORD);
        (index(word), (u64::MAX >> (WORD - (last - first))) << first)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn len() -> impl Strategy<Value = u64> {
        prop_oneof![4 => 1u64..200, 1 => CHUNK - 9..2 * CHUNK]
    }

    /// A step may concern tens of thousands of pages, which take Miri seconds.
    const STEPS_MAX: usize = if cfg!(miri) { 6 } else { 60 };

    proptest! {
        /// Goal: bits are a set, across words and chunks. Method: random steps against a `BTreeSet`.
        #[test]
        fn bits_are_a_set_of_pages(
            steps in prop::collection::vec((any::<bool>(), 0u64..3 * CHUNK, len()), 1..STEPS_MAX),
        ) {
            let (mut bits, mut model) = (Bits::default(), BTreeSet::new());
            for (add, start, len) in steps {
                if add {
                    bits.add(start, len);
                    model.extend(start..start + len);
                } else {
                    // A set may be asked to remove only what it has, as far as it knows the chunks.
                    bits.add(start, len);
                    bits.remove(start, len);
                    model.retain(|page| !(start..start + len).contains(page));
                }
                let end = start + 2 * len;
                prop_assert_eq!(bits.first(start, end), model.range(start..end).next().copied());
                let missing = (start..end).find(|page| !model.contains(page));
                prop_assert_eq!(bits.first_missing(start, end), missing);
                prop_assert_eq!(bits.last(start), model.range(..=start).next_back().copied());
                prop_assert_eq!(bits.contains(start), model.contains(&start));
                let window = (0..64).filter(|i| model.contains(&(start + i))).map(|i| 1u64 << i);
                prop_assert_eq!(bits.window(start), window.sum::<u64>());
            }
        }
    }

    #[test]
    fn whole_chunks_take_no_words() {
        let mut bits = Bits::default();
        let far = if cfg!(miri) { 1 << 20 } else { 1 << 30 };
        bits.add(far, far);
        assert_eq!((bits.chunks(), bits.first(0, u64::MAX)), (0, Some(far)));
        bits.remove(far + 1, far - 2);
        assert_eq!((bits.chunks(), bits.last(2 * far)), (2, Some(2 * far - 1)));
    }
}
