//! Keys: what is stored as one, what may be given for one, and the reader that takes tuple components apart.

use std::borrow::Cow;

use crate::error::Result;
use crate::types::buffer::{END, ESCAPE, special};
use crate::types::{Buffer, TypeName};

/// A type that keys are stored as. [The module](crate::types) shows how to implement it for a type of your
/// own.
///
/// The encoding must keep the order of the type: the engine compares bytes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a type of keys",
    note = "keys are integers other than usize and isize, floats, bool, char, &str, &[u8], (), Option, \
            arrays and tuples of these, and types that implement `folio::Key`"
)]
pub trait Key {
    /// What a range yields. It borrows from the page where it can; a page that stores a common prefix once
    /// makes it own its bytes.
    type Item<'a>;

    /// The name in the catalog.
    const NAME: TypeName;

    /// How many bytes an encoded key has, if every one has the same number.
    const WIDTH: Option<usize>;

    /// Reads a whole key.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`](crate::Error::Decode) if the bytes are not an encoding of this type. It must not
    /// panic, whatever they are.
    fn decode(bytes: Cow<'_, [u8]>) -> Result<Self::Item<'_>>;

    /// Reads a whole key that its page has in two parts.
    ///
    /// The provided method puts them together, on the heap if neither is empty. Scalars need no heap.
    ///
    /// # Errors
    ///
    /// As [`Key::decode`].
    #[doc(hidden)]
    #[inline]
    fn decode_in_parts<'a>(prefix: &'a [u8], suffix: &'a [u8]) -> Result<Self::Item<'a>> {
        Self::decode(match prefix.is_empty() {
            true => Cow::Borrowed(suffix),
            false => Cow::Owned([prefix, suffix].concat()),
        })
    }

    /// Reads this type as a component of a tuple, array or `Option`, `last` if the key ends with it.
    ///
    /// The provided method suits every type that leaves [`AsKey::append_key`] as it is.
    ///
    /// # Errors
    ///
    /// As [`Key::decode`].
    #[inline]
    fn read<'a>(from: &mut KeyReader<'a>, last: bool) -> Result<Self::Item<'a>> {
        match Self::WIDTH {
            Some(width) => {
                let found = from.remaining().len();
                Self::decode(from.take(width).ok_or_else(|| Self::NAME.length_error(width, found))?)
            }
            None => Self::decode(from.component(last).map_err(|reason| Self::NAME.error(reason))?),
        }
    }

    /// Reads `N` components in a row; `last` is for the last of them. Numbers have a faster way.
    ///
    /// # Errors
    ///
    /// As [`Key::decode`].
    #[doc(hidden)]
    #[inline]
    fn read_array<'a, const N: usize>(from: &mut KeyReader<'a>, last: bool) -> Result<[Self::Item<'a>; N]> {
        crate::types::array::try_from_fn(|index| Self::read(from, last && index + 1 == N))
    }
}

/// What may be given where a key of type `K` is wanted.
///
/// A `&str` key can be looked up by `&str`, `String`, `&String`, `Box<str>`, `Cow<str>`; a `&[u8]` key by
/// slices, arrays and vectors of bytes; numbers by themselves and by reference; tuples, arrays and `Option`
/// by the same of anything that their components can be looked up by.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be given for a key of type `{K}`",
    label = "not a key of type `{K}`"
)]
pub trait AsKey<K: Key> {
    /// The encoded key: an array where the width is fixed, a slice where the bytes are there already, a
    /// [`Buffer`] otherwise.
    type Bytes<'a>: AsRef<[u8]>
    where
        Self: 'a;

    /// Encodes a whole key.
    fn key_bytes(&self) -> Self::Bytes<'_>;

    /// Appends the key as a component of a tuple, array or `Option`, `last` if the key ends with it.
    ///
    /// The provided method appends the encoding; if `K` has no fixed width and this is not the last
    /// component, it escapes the encoding and marks its end.
    #[inline]
    fn append_key(&self, to: &mut Buffer, last: bool) {
        to.push_key(self.key_bytes().as_ref(), last || K::WIDTH.is_some());
    }

    /// The encoding of these as components in a row, if it is there already. Only bytes have it.
    #[doc(hidden)]
    #[inline]
    fn raw_key_slice(items: &[Self]) -> Option<&[u8]>
    where
        Self: Sized,
    {
        let _ = items;
        None
    }
}

/// Takes a key apart, component by component.
#[derive(Debug, Clone)]
pub struct KeyReader<'a> {
    bytes: Cow<'a, [u8]>,
    /// How much has been read: at most `bytes.len()`.
    at: usize,
}

impl<'a> KeyReader<'a> {
    /// Begins at the first byte.
    #[inline]
    pub fn new(bytes: Cow<'a, [u8]>) -> Self {
        KeyReader { bytes, at: 0 }
    }

    /// The bytes not yet read.
    #[inline]
    pub fn remaining(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    /// The next `len` bytes. `None` if there are fewer, and then nothing is read.
    ///
    /// They are copied only if the key was put together for the reader.
    #[inline]
    pub fn take(&mut self, len: usize) -> Option<Cow<'a, [u8]>> {
        let end = self.at.checked_add(len).filter(|&end| end <= self.bytes.len())?;
        let taken = self.slice(self.at, end);
        self.at = end;
        Some(taken)
    }

    /// The next `N` bytes by value. `None` if there are fewer, and then nothing is read.
    #[inline]
    pub fn take_array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let array = *self.remaining().first_chunk()?;
        self.at += N;
        Some(array)
    }

    /// The next `N` arrays of `W` bytes by value. `None` if there are fewer, and then nothing is read.
    #[inline]
    pub(super) fn take_arrays<const W: usize, const N: usize>(&mut self) -> Option<[[u8; W]; N]> {
        let arrays = *self.remaining().as_chunks().0.first_chunk()?;
        self.at += size_of_val(&arrays);
        Some(arrays)
    }

    /// The next component of variable length: all that is left if it is `last`, else up to its end mark and
    /// without escapes.
    ///
    /// # Errors
    ///
    /// Says why the bytes are not such a component.
    #[inline]
    pub fn component(&mut self, last: bool) -> Result<Cow<'a, [u8]>, &'static str> {
        let start = self.at;
        if last {
            self.at = self.bytes.len();
            return Ok(self.slice(start, self.at));
        }
        let len = special(self.remaining()).ok_or(NO_END)?;
        if self.remaining().get(len) == Some(&END) {
            self.at = start + len + 1;
            return Ok(self.slice(start, start + len));
        }
        self.escaped_component().map(Cow::Owned)
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`](crate::Error::Decode) in the name of the key's type if there is.
    #[inline]
    pub fn finish(&self, name: TypeName) -> Result<()> {
        match self.remaining().len() {
            0 => Ok(()),
            left => Err(name.error(format!("{left} bytes follow its end"))),
        }
    }

    fn slice(&self, start: usize, end: usize) -> Cow<'a, [u8]> {
        match &self.bytes {
            Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[start..end]),
            Cow::Owned(bytes) => Cow::Owned(bytes[start..end].to_vec()),
        }
    }

    #[cold]
    fn escaped_component(&mut self) -> Result<Vec<u8>, &'static str> {
        let mut plain = Vec::new();
        let mut rest = self.remaining().iter();
        loop {
            match rest.next() {
                None => return Err(NO_END),
                Some(&END) => break,
                Some(&ESCAPE) => match rest.next() {
                    Some(&byte @ (1 | 2)) => plain.push(byte - 1),
                    _ => return Err("byte 01 is not followed by 01 or 02"),
                },
                Some(&byte) => plain.push(byte),
            }
        }
        self.at = self.bytes.len() - rest.len();
        Ok(plain)
    }
}

/// Reads a whole key by its components.
#[inline]
pub(super) fn decode_whole<K: Key>(bytes: Cow<'_, [u8]>) -> Result<K::Item<'_>> {
    let mut reader = KeyReader::new(bytes);
    let item = K::read(&mut reader, true)?;
    reader.finish(K::NAME)?;
    Ok(item)
}

impl<K: Key, T: AsKey<K> + ?Sized> AsKey<K> for &T {
    type Bytes<'a>
        = T::Bytes<'a>
    where
        Self: 'a;

    #[inline]
    fn key_bytes(&self) -> Self::Bytes<'_> {
        (**self).key_bytes()
    }

    #[inline]
    fn append_key(&self, to: &mut Buffer, last: bool) {
        (**self).append_key(to, last);
    }
}

impl<K: Key, T: AsKey<K> + ?Sized> AsKey<K> for Box<T> {
    type Bytes<'a>
        = T::Bytes<'a>
    where
        Self: 'a;

    #[inline]
    fn key_bytes(&self) -> Self::Bytes<'_> {
        (**self).key_bytes()
    }

    #[inline]
    fn append_key(&self, to: &mut Buffer, last: bool) {
        (**self).append_key(to, last);
    }
}

impl<K: Key, T: AsKey<K> + ToOwned + ?Sized> AsKey<K> for Cow<'_, T> {
    type Bytes<'a>
        = T::Bytes<'a>
    where
        Self: 'a;

    #[inline]
    fn key_bytes(&self) -> Self::Bytes<'_> {
        (**self).key_bytes()
    }

    #[inline]
    fn append_key(&self, to: &mut Buffer, last: bool) {
        (**self).append_key(to, last);
    }
}

const NO_END: &str = "a component has no end mark";
