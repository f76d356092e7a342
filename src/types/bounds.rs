//! Ranges and prefixes of keys, in every form that a caller may write them.

use std::borrow::Cow;
use std::ops::{Bound, Range, RangeBounds, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};

use crate::types::{AsKey, Buffer, Key};

/// A range of keys of type `K`: `"a".."m"`, `..`, `"a"..`, `..="z"`, `3..10`, `("a", 1)..("b", 0)`, a pair of
/// [`Bound`]s, a [`Prefix`], or a reference to one of these. The bounds are whatever may be given for a key.
///
/// A range whose end lies before its start is empty.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a range of keys of type `{K}`",
    label = "not a range of `{K}`"
)]
pub trait KeyRange<K: Key> {
    /// The encoded bounds.
    type Bytes<'a>: AsRef<[u8]>
    where
        Self: 'a;

    /// Encodes where the range starts and where it ends.
    fn key_bounds(&self) -> (Bound<Self::Bytes<'_>>, Bound<Self::Bytes<'_>>);
}

/// What the keys of type `K` can begin with: the first bytes of a `&str`, `&[u8]` or `[u8; N]`; the first
/// components of a tuple, each of them whole: `("a",)` or `("a", 1)` for a `(&str, u32, bool)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a prefix of keys of type `{K}`",
    label = "not a prefix of `{K}`",
    note = "a prefix of a tuple is a shorter tuple, as `(\"a\",)`"
)]
pub trait KeyPrefix<K: Key> {
    /// The encoded prefix.
    type Bytes<'a>: AsRef<[u8]>
    where
        Self: 'a;

    /// The bytes that every key with this prefix begins with, and no other.
    fn prefix_bytes(&self) -> Self::Bytes<'_>;
}

/// The range of all keys that begin with something, for every method that takes a range:
/// `words.count(Prefix("fo"))`, `words.remove_range(Prefix("fo"))`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix<P>(pub P);

impl<K: Key, P: KeyPrefix<K>> KeyRange<K> for Prefix<P> {
    type Bytes<'a>
        = Buffer
    where
        Self: 'a;

    fn key_bounds(&self) -> (Bound<Buffer>, Bound<Buffer>) {
        let bytes = self.0.prefix_bytes();
        let prefix = bytes.as_ref();
        let mut start = Buffer::new();
        start.push(prefix);

        // The first string after all that begin with the prefix: without its final FFs, and the byte before
        // them one higher.
        let kept = prefix.iter().rposition(|&byte| byte != 0xFF);
        let end = kept.map_or(Bound::Unbounded, |at| {
            let mut end = Buffer::new();
            end.push(&prefix[..at]);
            end.push(&[prefix[at] + 1]);
            Bound::Excluded(end)
        });
        (Bound::Included(start), end)
    }
}

/// Each range type of the standard library has its own impl: one for `R: RangeBounds<T>` could not tell the
/// `T` of `..`.
macro_rules! ranges {
    ($($range:ty),+) => { $(
        impl<K: Key, T: AsKey<K>> KeyRange<K> for $range {
            type Bytes<'a> = T::Bytes<'a> where Self: 'a;

            #[inline]
            fn key_bounds(&self) -> (Bound<T::Bytes<'_>>, Bound<T::Bytes<'_>>) {
                (self.start_bound().map(T::key_bytes), self.end_bound().map(T::key_bytes))
            }
        }
    )+ };
}

ranges!(Range<T>, RangeInclusive<T>, RangeFrom<T>, RangeTo<T>, RangeToInclusive<T>, (Bound<T>, Bound<T>));

impl<K: Key> KeyRange<K> for RangeFull {
    type Bytes<'a> = [u8; 0];

    #[inline]
    fn key_bounds(&self) -> (Bound<[u8; 0]>, Bound<[u8; 0]>) {
        (Bound::Unbounded, Bound::Unbounded)
    }
}

impl<K: Key, R: KeyRange<K> + ?Sized> KeyRange<K> for &R {
    type Bytes<'a>
        = R::Bytes<'a>
    where
        Self: 'a;

    #[inline]
    fn key_bounds(&self) -> (Bound<R::Bytes<'_>>, Bound<R::Bytes<'_>>) {
        (**self).key_bounds()
    }
}

impl<K: Key, P: KeyPrefix<K> + ?Sized> KeyPrefix<K> for &P {
    type Bytes<'a>
        = P::Bytes<'a>
    where
        Self: 'a;

    #[inline]
    fn prefix_bytes(&self) -> P::Bytes<'_> {
        (**self).prefix_bytes()
    }
}

impl<K: Key, P: KeyPrefix<K> + ?Sized> KeyPrefix<K> for Box<P> {
    type Bytes<'a>
        = P::Bytes<'a>
    where
        Self: 'a;

    #[inline]
    fn prefix_bytes(&self) -> P::Bytes<'_> {
        (**self).prefix_bytes()
    }
}

impl<K: Key, P: KeyPrefix<K> + ToOwned + ?Sized> KeyPrefix<K> for Cow<'_, P> {
    type Bytes<'a>
        = P::Bytes<'a>
    where
        Self: 'a;

    #[inline]
    fn prefix_bytes(&self) -> P::Bytes<'_> {
        (**self).prefix_bytes()
    }
}
