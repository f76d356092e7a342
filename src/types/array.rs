//! `[T; N]`: the items one after the other. `[u8; N]` is its own encoding, as a key and as a value.

use std::borrow::Cow;

use crate::error::Result;
use crate::types::name::{Kind, product};
use crate::types::{
    AsKey, AsValue, Buffer, Encoded, Key, KeyPrefix, KeyReader, TypeName, Value, ValueReader, key, value,
};

impl<T: Key, const N: usize> Key for [T; N] {
    type Item<'a> = [T::Item<'a>; N];
    const NAME: TypeName = TypeName { kind: Kind::Array { part: &T::NAME, len: N } };
    const WIDTH: Option<usize> = product(T::WIDTH, N);

    #[inline]
    fn decode(bytes: Cow<'_, [u8]>) -> Result<Self::Item<'_>> {
        key::decode_whole::<Self>(bytes)
    }

    #[inline]
    fn read<'a>(from: &mut KeyReader<'a>, last: bool) -> Result<Self::Item<'a>> {
        T::read_array(from, last)
    }
}

impl<K: Key, T: AsKey<K>, const N: usize> AsKey<[K; N]> for [T; N] {
    type Bytes<'a>
        = Encoded<'a>
    where
        Self: 'a;

    #[inline]
    fn key_bytes(&self) -> Encoded<'_> {
        if let Some(bytes) = T::raw_key_slice(self) {
            return Encoded::Borrowed(bytes);
        }
        let mut buffer = Buffer::new();
        self.append_key(&mut buffer, true);
        Encoded::Built(buffer)
    }

    #[inline]
    fn append_key(&self, to: &mut Buffer, last: bool) {
        if let Some(bytes) = T::raw_key_slice(self) {
            return to.push(bytes);
        }
        for (index, item) in self.iter().enumerate() {
            item.append_key(to, last && index + 1 == N);
        }
    }
}

impl<T: Value, const N: usize> Value for [T; N] {
    type Ref<'a> = [T::Ref<'a>; N];
    type Owned = [T::Owned; N];
    const NAME: TypeName = TypeName { kind: Kind::Array { part: &T::NAME, len: N } };
    const WIDTH: Option<usize> = product(T::WIDTH, N);

    #[inline]
    fn decode(bytes: &[u8]) -> Result<Self::Ref<'_>> {
        value::decode_whole::<Self>(bytes)
    }

    fn into_owned(item: Self::Ref<'_>) -> Self::Owned {
        item.map(T::into_owned)
    }

    #[inline]
    fn read<'a>(from: &mut ValueReader<'a>, last: bool) -> Result<Self::Ref<'a>> {
        T::read_array(from, last)
    }
}

impl<V: Value, T: AsValue<V>, const N: usize> AsValue<[V; N]> for [T; N] {
    type Bytes<'a>
        = Encoded<'a>
    where
        Self: 'a;

    #[inline]
    fn value_bytes(&self) -> Encoded<'_> {
        if let Some(bytes) = T::raw_value_slice(self) {
            return Encoded::Borrowed(bytes);
        }
        let mut buffer = Buffer::new();
        self.append_value(&mut buffer, true);
        Encoded::Built(buffer)
    }

    #[inline]
    fn append_value(&self, to: &mut Buffer, last: bool) {
        if let Some(bytes) = T::raw_value_slice(self) {
            return to.push(bytes);
        }
        for (index, item) in self.iter().enumerate() {
            item.append_value(to, last && index + 1 == N);
        }
    }
}

/// The first bytes of a `[u8; N]`.
macro_rules! byte_prefix {
    ($([$($generic:tt)*] $given:ty),+) => { $(
        impl<const N: usize, $($generic)*> KeyPrefix<[u8; N]> for $given {
            type Bytes<'a> = &'a [u8];

            #[inline]
            fn prefix_bytes(&self) -> &[u8] {
                self.as_ref()
            }
        }
    )+ };
}

byte_prefix!([] [u8], [] Vec<u8>, [const M: usize] [u8; M]);

/// `std::array::try_from_fn`, which is not stable yet: calls `item` for 0 to `N - 1` and stops calling at the
/// first error.
#[inline]
pub(super) fn try_from_fn<T, const N: usize>(mut item: impl FnMut(usize) -> Result<T>) -> Result<[T; N]> {
    let mut failed = None;
    let items: [Option<T>; N] = std::array::from_fn(|index| {
        if failed.is_some() {
            return None;
        }
        item(index).map_err(|error| failed = Some(error)).ok()
    });
    match failed {
        Some(error) => Err(error),
        None => Ok(items.map(|item| item.expect("every item is there, or one has failed"))),
    }
}
