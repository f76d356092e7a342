//! The data: keys and values as functions of a seed and a number, and the checksum of what is read.
//!
//! Nothing is stored: the key of entry 7 costs a few multiplications, for every engine the same.

use serde::{Deserialize, Serialize};

/// What the keys of a data set look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum KeyShape {
    /// 24 random bytes.
    Random24,
    /// 8 random bytes, each number once: the big-endian form of a random `u64`.
    Random8,
    /// `user/000123/orders/000000045678`: long shared prefixes, random order.
    Path,
}

/// A key, in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    bytes: [u8; 32],
    len: usize,
}

impl AsRef<[u8]> for Key {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The keys of a data set, by number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keys {
    shape: KeyShape,
    seed: u64,
}

impl Keys {
    pub(crate) fn new(shape: KeyShape, seed: u64) -> Keys {
        Keys { shape, seed: mix(seed) }
    }

    /// The key of entry `index`. Different entries have different keys.
    #[inline]
    pub(crate) fn key(&self, index: u64) -> Key {
        let mut key = Key { bytes: [0; 32], len: 0 };
        let first = mix(index.wrapping_add(self.seed));
        match self.shape {
            KeyShape::Random24 => {
                let second = mix(first ^ 0x5851_F42D_4C95_7F2D);
                key.bytes[..8].copy_from_slice(&first.to_le_bytes());
                key.bytes[8..16].copy_from_slice(&second.to_le_bytes());
                key.bytes[16..24].copy_from_slice(&mix(second ^ first).to_le_bytes());
                key.len = 24;
            }
            KeyShape::Random8 => {
                key.bytes[..8].copy_from_slice(&first.swap_bytes().to_le_bytes());
                key.len = 8;
            }
            KeyShape::Path => {
                // A thousand users; order numbers jump about below 10^8, each comes once.
                let order = index.wrapping_mul(38_742_049) % 100_000_000;
                key.bytes[..31].copy_from_slice(b"user/000000/orders/000000000000");
                digits(&mut key.bytes[5..11], first % 1000);
                digits(&mut key.bytes[19..31], order);
                key.len = 31;
            }
        }
        key
    }

    /// The first `count` keys with their numbers, in ascending order of the keys.
    pub(crate) fn sorted(&self, count: u64) -> Vec<(Key, u64)> {
        let mut keys: Vec<_> = (0..count).map(|index| (self.key(index), index)).collect();
        keys.sort_unstable();
        keys
    }
}

/// Writes a number in decimal, right-aligned, over zeros.
#[inline]
fn digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// The values: slices of one pool of random bytes, so that making one costs nothing.
#[derive(Debug)]
pub(crate) struct Values {
    pool: Vec<u8>,
    len: usize,
}

impl Values {
    pub(crate) fn new(len: usize, seed: u64) -> Values {
        // At least 1 MiB, more for large values: they must differ, and not compress.
        let size = (1 << 20).max(4 * len);
        let mut random = Random::new(seed ^ 0x76_61_6C_75_65);
        let mut pool = Vec::with_capacity(size);
        while pool.len() < size {
            pool.extend_from_slice(&random.next().to_le_bytes());
        }
        Values { pool, len }
    }

    /// The value of entry `index` when it was written for the `version`th time.
    #[inline]
    pub(crate) fn value(&self, index: u64, version: u64) -> &[u8] {
        let places = (self.pool.len() - self.len) as u64;
        let start = to_usize(mix(index ^ (version << 40)) % places);
        &self.pool[start..start + self.len]
    }
}

/// SplitMix64: small, fast, good enough to choose keys.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(mix(seed))
    }

    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number below `bound`.
    #[inline]
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// This program runs on 64-bit systems only.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "a usize has 64 bits, see below")]
pub(crate) fn to_usize(number: u64) -> usize {
    number as usize
}
const _: () = assert!(usize::BITS == 64, "the engines map files of 16 GiB");

/// A permutation of all `u64`.
#[inline]
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A checksum of byte strings in their order. It reads every byte, and is as cheap as reading them: the words
/// of one string are added up, strings are chained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Checksum(u64);

impl Checksum {
    #[inline]
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut sum =
            words.iter().fold(bytes.len() as u64, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        sum = sum.wrapping_add(u64::from_le_bytes(last));
        self.0 = (self.0.rotate_left(29) ^ sum).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    /// Joins the checksum of another thread, in any order.
    pub(crate) fn join(&mut self, other: Checksum) {
        self.0 = self.0.wrapping_add(other.0);
    }

    pub(crate) fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what is measured is what is said. Method: small examples of keys and checksums.

    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_differ_and_have_their_shape() {
        for (shape, len) in [(KeyShape::Random24, 24), (KeyShape::Random8, 8), (KeyShape::Path, 31)] {
            let keys = Keys::new(shape, 1);
            let set: HashSet<Vec<u8>> = (0..100_000).map(|i| keys.key(i).as_ref().to_vec()).collect();
            assert_eq!(set.len(), 100_000, "{shape:?}");
            assert!(set.iter().all(|key| key.len() == len), "{shape:?}");
        }
        let key = Keys::new(KeyShape::Path, 1).key(3);
        let text = str::from_utf8(key.as_ref()).expect("text");
        assert!(text.starts_with("user/000") && text[11..].starts_with("/orders/0000"), "{text}");
    }

    #[test]
    fn a_checksum_sees_every_byte_and_the_order() {
        let of = |parts: &[&[u8]]| {
            let mut sum = Checksum::default();
            parts.iter().for_each(|part| sum.add(part));
            sum
        };
        let text = *b"0123456789abcdef+!";
        for at in 0..text.len() {
            let mut other = text;
            other[at] ^= 1;
            assert_ne!(of(&[&text]), of(&[&other]), "byte {at}");
        }
        assert_ne!(of(&[b"a", b"b"]), of(&[b"b", b"a"]));
        assert_ne!(of(&[b"a"]), of(&[b"a\0"]));
    }
}
