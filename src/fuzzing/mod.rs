//! What the fuzzers in `fuzz` run, so that `cargo test` can run it too, on everything that they ever found.
//! For them alone: it changes without notice.

mod file;
mod image;
mod keys;
mod mutate;
mod ops;
mod page;
pub(crate) mod seal;
mod seeds;
#[cfg(test)]
mod tests;

pub use file::file;
pub use image::{pack, unpack};
pub use keys::keys;
pub use mutate::{cross_over, mutate};
pub use ops::ops;
pub use page::page;
pub use seal::mark_boot;
pub use seeds::seeds;

/// Numbers from the bytes of an input, and zeros when they have come to their end.
#[derive(Debug)]
struct Bytes<'a> {
    rest: &'a [u8],
}

impl<'a> Bytes<'a> {
    fn new(rest: &'a [u8]) -> Self {
        Bytes { rest }
    }

    fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn u8(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.take(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    /// The next `len` bytes, or as many as there are.
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        taken
    }
}
