//! Parts of the engine for the benches in `benches/parts`, and for nobody else: they change without notice.

use crate::page::{
    Cell, Page, PageId, PageMut, Seed, TxnId, build, build_part, cell_cost, finalize, inline_fixed,
};

/// A leaf page on the heap.
#[derive(Debug)]
pub struct Leaf {
    bytes: Box<[u8]>,
    scratch: Vec<u8>,
}

/// Of no database.
fn seed() -> Seed {
    Seed::of(&[0; 16])
}

impl Leaf {
    /// An empty one.
    pub fn new(page_size: usize) -> Leaf {
        let mut bytes = vec![0; page_size].into_boxed_slice();
        build(&mut bytes, 0, &[]);
        Leaf { bytes, scratch: Vec::new() }
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let page = Page::new(&self.bytes);
        let slot = page.search(0, key).ok()?;
        Some(page.cell(slot).tail)
    }

    /// Inserts a new key, if there is room.
    pub fn insert(&mut self, key: &[u8], value: &[u8]) -> bool {
        let fixed = inline_fixed(value.len());
        let cell = Cell { prefix: &[], suffix: key, fixed: &fixed, tail: value, extended: false };
        let page = Page::new(&self.bytes);
        match page.search(0, key) {
            Err(slot) if page.free_len() >= cell_cost(&cell) => {
                PageMut::new(&mut self.bytes).insert(slot, &cell, &mut self.scratch);
                true
            }
            _ => false,
        }
    }

    /// Makes two leaves of the halves.
    pub fn split_into(&self, left: &mut Leaf, right: &mut Leaf) {
        let page = Page::new(&self.bytes);
        let (half, len) = (page.len() / 2, page.len());
        build_part(&mut left.bytes, page, 0..half, 0);
        build_part(&mut right.bytes, page, half..len, 0);
    }

    /// Makes it fit for the disk; its checksum.
    pub fn seal(&mut self) -> u32 {
        finalize(&mut self.bytes, PageId(7), TxnId(7), seed(), &mut self.scratch)
    }
}

/// The checksum of any bytes.
pub fn checksum(bytes: &[u8]) -> u32 {
    seed().sum(bytes)
}
