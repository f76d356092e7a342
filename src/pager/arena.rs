//! Heap pages in a few large pieces of memory.
//!
//! A page is found from its index without a look-up that could miss the cache, it begins at a page of the
//! system, and neither making nor dropping it calls the allocator.

use crate::storage::prefault;

/// Pages of a chunk, and of the first one: most transactions need no second.
const CHUNK: usize = 256;
const FIRST: usize = 16;

/// The address at which pages are aligned.
const ALIGN: usize = 4096;

/// Pages of one size, by index.
#[derive(Debug)]
pub(super) struct Arena {
    page_size: usize,
    chunks: Vec<Chunk>,
    /// A bit an index: whether the page is in use.
    live: Vec<u64>,
    /// Pages that were made, and those of them that can be given out again.
    made: usize,
    free: Vec<usize>,
}

#[derive(Debug)]
struct Chunk {
    /// Never grows beyond its capacity, so that pages stay where they are.
    bytes: Vec<u8>,
    /// Where the first page begins.
    start: usize,
}

impl Chunk {
    fn new(page_size: usize, pages: usize) -> Chunk {
        let capacity = pages * page_size + ALIGN;
        // The first chunk is cleared page by page: small transactions need few.
        let mut bytes: Vec<u8> =
            if pages == FIRST { Vec::with_capacity(capacity) } else { vec![0; capacity] };
        let start = bytes.as_ptr().align_offset(ALIGN).min(ALIGN);
        match pages {
            FIRST => bytes.resize(start, 0),
            _ => prefault(&mut bytes[start..]),
        }
        Chunk { bytes, start }
    }
}

/// The chunk of a page, and which page of it.
#[inline]
fn place(index: usize) -> (usize, usize) {
    // As if the first chunk had as many pages as the others, and the first ones of it were missing.
    let number = index + CHUNK - FIRST;
    match number / CHUNK {
        0 => (0, index),
        chunk => (chunk, number % CHUNK),
    }
}

impl Arena {
    pub(super) fn new(page_size: usize) -> Arena {
        Arena { page_size, chunks: Vec::new(), live: Vec::new(), made: 0, free: Vec::new() }
    }

    /// Takes all pages out.
    pub(super) fn take(&mut self) -> Arena {
        std::mem::replace(self, Arena::new(self.page_size))
    }

    /// How many chunks there are beside the first.
    pub(super) fn further_chunks(&self) -> usize {
        self.chunks.len().saturating_sub(1)
    }

    /// For another transaction: no pages, and the memory of the first chunk and of up to `further` others,
    /// whatever is in it. None if it has no memory.
    pub(super) fn emptied(mut self, further: usize) -> Option<Arena> {
        self.chunks.truncate(1 + further);
        self.live.clear();
        self.free.clear();
        self.made = 0;
        (!self.chunks.is_empty()).then_some(self)
    }

    /// Pages in use.
    pub(super) fn len(&self) -> usize {
        self.made - self.free.len()
    }

    /// A page with any content; its index.
    pub(super) fn make(&mut self) -> usize {
        let index = self.free.pop().unwrap_or_else(|| self.grow());
        self.live[index / 64] |= 1 << (index % 64);
        index
    }

    fn grow(&mut self) -> usize {
        let index = self.made;
        let (chunk, page) = place(index);
        if chunk == self.chunks.len() {
            self.chunks.push(Chunk::new(self.page_size, if chunk == 0 { FIRST } else { CHUNK }));
        }
        let Chunk { bytes, start } = &mut self.chunks[chunk];
        let end = *start + (page + 1) * self.page_size;
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        self.made += 1;
        self.live.resize(self.made.div_ceil(64), 0);
        index
    }

    /// Gives a page back; whether it was in use.
    pub(super) fn release(&mut self, index: usize) -> bool {
        let was_live = self.is_live(index);
        if was_live {
            self.live[index / 64] &= !(1 << (index % 64));
            self.free.push(index);
        }
        was_live
    }

    /// The pages in use.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.made).filter_map(|index| self.get(index))
    }

    #[inline]
    fn is_live(&self, index: usize) -> bool {
        self.live.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    #[inline]
    fn range(&self, index: usize) -> Option<(usize, std::ops::Range<usize>)> {
        let (chunk, page) = place(index);
        let at = self.chunks.get(chunk)?.start + page * self.page_size;
        self.is_live(index).then_some((chunk, at..at + self.page_size))
    }

    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<&[u8]> {
        let (chunk, range) = self.range(index)?;
        self.chunks[chunk].bytes.get(range)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut [u8]> {
        let (chunk, range) = self.range(index)?;
        self.chunks[chunk].bytes.get_mut(range)
    }

    /// Two different pages.
    pub(super) fn pair_mut(&mut self, a: usize, b: usize) -> Option<(&mut [u8], &mut [u8])> {
        let ((a_chunk, a), (b_chunk, b)) = (self.range(a)?, self.range(b)?);
        if a_chunk == b_chunk {
            let [a, b] = self.chunks[a_chunk].bytes.get_disjoint_mut([a, b]).ok()?;
            return Some((a, b));
        }
        let [a_chunk, b_chunk] = self.chunks.get_disjoint_mut([a_chunk, b_chunk]).ok()?;
        Some((a_chunk.bytes.get_mut(a)?, b_chunk.bytes.get_mut(b)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_keep_their_content_and_their_place() {
        for page_size in [4096, 16384] {
            let mut arena = Arena::new(page_size);
            let fill = |index: usize| u8::try_from(index % 251).unwrap();
            let mut at = Vec::new();
            for index in 0..3 * CHUNK {
                assert_eq!(arena.make(), index);
                let page = arena.get_mut(index).unwrap();
                page.fill(fill(index));
                at.push(page.as_ptr());
            }
            for (index, at) in at.iter().enumerate() {
                let page = arena.get(index).unwrap();
                assert!(page.len() == page_size && page.iter().all(|byte| *byte == fill(index)), "{index}");
                assert!(page.as_ptr() == *at && at.align_offset(ALIGN) == 0, "{index}");
            }
            let pairs = [(0, 1), (1, 0), (FIRST - 1, FIRST), (FIRST + CHUNK, FIRST), (20, 3 * CHUNK - 1)];
            for (a, b) in pairs {
                let (page_a, page_b) = arena.pair_mut(a, b).unwrap();
                assert_eq!((page_a[9], page_b[9]), (fill(a), fill(b)));
            }
        }
    }

    #[test]
    fn an_emptied_arena_is_as_a_new_one_in_the_same_place() {
        assert!(Arena::new(4096).emptied(1).is_none());
        let mut arena = Arena::new(4096);
        let made = (0..3 * CHUNK).map(|_| arena.make()).count();
        assert_eq!(arena.len(), made);
        arena.release(7);
        let at = arena.get(0).unwrap().as_ptr();
        let mut arena = arena.emptied(1).unwrap();
        assert_eq!(arena.further_chunks(), 1);
        assert!(arena.len() == 0 && (0..3 * CHUNK).all(|index| arena.get(index).is_none()));
        assert_eq!((0..2 * CHUNK).map(|_| arena.make()).collect::<Vec<_>>(), Vec::from_iter(0..2 * CHUNK));
        assert_eq!((arena.get(0).unwrap().as_ptr(), arena.len()), (at, 2 * CHUNK));
        assert!(arena.get(2 * CHUNK).is_none() && arena.get(2 * CHUNK - 1).unwrap().len() == 4096);
    }

    #[test]
    fn a_released_page_is_gone_until_it_is_made_again() {
        let mut arena = Arena::new(4096);
        assert!(arena.get(0).is_none() && !arena.release(0));
        let made: Vec<_> = (0..100).map(|_| arena.make()).collect();
        assert!(arena.release(70) && !arena.release(70));
        assert_eq!((made.len(), arena.len()), (100, 99));
        assert!(arena.get(70).is_none() && arena.get_mut(70).is_none() && arena.pair_mut(70, 1).is_none());
        assert!(arena.get(100).is_none() && arena.pair_mut(3, 3).is_none());
        assert_eq!(arena.make(), 70);
        assert!(arena.get(70).is_some());
    }
}
