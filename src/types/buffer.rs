//! Where encoded components are put together: a small buffer that goes to the heap only when it overflows.

use std::fmt;

/// Bytes of a key or value that is put together from components.
///
/// Up to [`Buffer::INLINE`] bytes are kept in place; longer contents move to the heap.
#[derive(Clone)]
pub struct Buffer {
    /// The contents while they fit; `inline[len..]` is zero.
    inline: [u8; Buffer::INLINE],
    /// Bytes used of `inline`.
    len: usize,
    /// All of the contents once they do not fit; empty before that.
    heap: Vec<u8>,
}

impl Buffer {
    /// How many bytes fit without the heap.
    pub const INLINE: usize = 64;

    /// An empty buffer.
    #[inline]
    pub const fn new() -> Self {
        Buffer { inline: [0; Self::INLINE], len: 0, heap: Vec::new() }
    }

    /// What has been written so far.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        if self.heap.is_empty() { &self.inline[..self.len] } else { &self.heap }
    }

    /// Appends `bytes` as they are.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) {
        if self.heap.is_empty()
            && let Some(room) = self.inline.get_mut(self.len..self.len + bytes.len())
        {
            room.copy_from_slice(bytes);
            self.len += bytes.len();
            return;
        }
        self.push_to_heap(bytes);
    }

    /// Appends a key component of variable length. If it is not `last` in the key, it is escaped and ended
    /// with `00`.
    #[inline]
    pub fn push_key(&mut self, bytes: &[u8], last: bool) {
        if last { self.push(bytes) } else { self.push_escaped(bytes) }
    }

    /// Appends a value component of variable length. If it is not `last` in the value, its length goes first.
    #[inline]
    pub fn push_value(&mut self, bytes: &[u8], last: bool) {
        if !last {
            self.push_length(bytes.len());
        }
        self.push(bytes);
    }

    #[cold]
    fn push_to_heap(&mut self, bytes: &[u8]) {
        if self.heap.is_empty() {
            self.heap.reserve(self.len + bytes.len());
            self.heap.extend_from_slice(&self.inline[..self.len]);
        }
        self.heap.extend_from_slice(bytes);
    }

    fn push_escaped(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(at) = special(rest) {
            self.push(&rest[..at]);
            self.push(&[ESCAPE, rest[at] + 1]);
            rest = &rest[at + 1..];
        }
        self.push(rest);
        self.push(&[END]);
    }

    fn push_length(&mut self, len: usize) {
        let mut rest = len;
        while rest > 0x7F {
            self.push(&[rest.to_le_bytes()[0] | 0x80]);
            rest >>= 7;
        }
        self.push(&[rest.to_le_bytes()[0]]);
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self::new()
    }
}

impl AsRef<[u8]> for Buffer {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Buffer").field(&self.as_slice()).finish()
    }
}

/// An encoding that is either there already or put together.
#[derive(Debug, Clone)]
pub enum Encoded<'a> {
    /// The bytes lie in what was given.
    Borrowed(&'a [u8]),
    /// The bytes were put together.
    Built(Buffer),
}

impl AsRef<[u8]> for Encoded<'_> {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        match self {
            Encoded::Borrowed(bytes) => bytes,
            Encoded::Built(buffer) => buffer.as_slice(),
        }
    }
}

/// Ends a key component of variable length that is not last. No escaped component contains it.
pub(super) const END: u8 = 0;
/// Stands before the bytes 00 and 01 of such a component, which are then written one higher.
///
/// Not `00 FF` for an inner 00, as other stores have it: their end mark is followed by a type code that is
/// never FF, while here any byte may follow, and `61 00 FF` could be read both ways.
pub(super) const ESCAPE: u8 = 1;

/// Where the first byte stands that ends or escapes something: 00 or 01.
///
/// Eight bytes at a time: this is most of the work of encoding a tuple that begins with text.
#[inline]
pub(super) fn special(bytes: &[u8]) -> Option<usize> {
    let (words, rest) = bytes.as_chunks();
    for (index, word) in words.iter().enumerate() {
        // A special byte without its lowest bit is zero, and subtracting one borrows into the top bit of a
        // zero byte. A borrow may mark bytes above it falsely, but not below, and the lowest is the first.
        let word = u64::from_le_bytes(*word) & !LOWEST_BITS;
        let zeros = word.wrapping_sub(LOWEST_BITS) & !word & (LOWEST_BITS << 7);
        if zeros != 0 {
            let in_word = zeros.to_le_bytes().iter().position(|&byte| byte != 0)?;
            return Some(index * size_of::<u64>() + in_word);
        }
    }
    let at = rest.iter().position(|&byte| byte <= ESCAPE)?;
    Some(bytes.len() - rest.len() + at)
}

/// The lowest bit of each byte.
const LOWEST_BITS: u64 = u64::from_le_bytes([1; 8]);
