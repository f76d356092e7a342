//! `Option<T>`: byte 0, or byte 1 and the item.

use std::borrow::Cow;

use crate::error::Result;
use crate::types::name::Kind;
use crate::types::{AsKey, AsValue, Buffer, Key, KeyReader, TypeName, Value, ValueReader, key, value};

impl<T: Key> Key for Option<T> {
    type Item<'a> = Option<T::Item<'a>>;
    const NAME: TypeName = TypeName { kind: Kind::Option { part: &T::NAME } };
    const WIDTH: Option<usize> = None;

    #[inline]
    fn decode(bytes: Cow<'_, [u8]>) -> Result<Self::Item<'_>> {
        key::decode_whole::<Self>(bytes)
    }

    #[inline]
    fn read<'a>(from: &mut KeyReader<'a>, last: bool) -> Result<Self::Item<'a>> {
        match from.take_array() {
            Some([NONE]) => Ok(None),
            Some([SOME]) => T::read(from, last).map(Some),
            _ => Err(<Self as Key>::NAME.error(NO_TAG)),
        }
    }
}

impl<K: Key, T: AsKey<K>> AsKey<Option<K>> for Option<T> {
    type Bytes<'a>
        = Buffer
    where
        Self: 'a;

    #[inline]
    fn key_bytes(&self) -> Buffer {
        let mut buffer = Buffer::new();
        self.append_key(&mut buffer, true);
        buffer
    }

    #[inline]
    fn append_key(&self, to: &mut Buffer, last: bool) {
        match self {
            None => to.push(&[NONE]),
            Some(item) => {
                to.push(&[SOME]);
                item.append_key(to, last);
            }
        }
    }
}

impl<T: Value> Value for Option<T> {
    type Ref<'a> = Option<T::Ref<'a>>;
    type Owned = Option<T::Owned>;
    const NAME: TypeName = TypeName { kind: Kind::Option { part: &T::NAME } };
    const WIDTH: Option<usize> = None;

    #[inline]
    fn decode(bytes: &[u8]) -> Result<Self::Ref<'_>> {
        value::decode_whole::<Self>(bytes)
    }

    fn into_owned(item: Self::Ref<'_>) -> Self::Owned {
        item.map(T::into_owned)
    }

    #[inline]
    fn read<'a>(from: &mut ValueReader<'a>, last: bool) -> Result<Self::Ref<'a>> {
        match from.take_array() {
            Some([NONE]) => Ok(None),
            Some([SOME]) => T::read(from, last).map(Some),
            _ => Err(<Self as Value>::NAME.error(NO_TAG)),
        }
    }
}

impl<V: Value, T: AsValue<V>> AsValue<Option<V>> for Option<T> {
    type Bytes<'a>
        = Buffer
    where
        Self: 'a;

    #[inline]
    fn value_bytes(&self) -> Buffer {
        let mut buffer = Buffer::new();
        self.append_value(&mut buffer, true);
        buffer
    }

    #[inline]
    fn append_value(&self, to: &mut Buffer, last: bool) {
        match self {
            None => to.push(&[NONE]),
            Some(item) => {
                to.push(&[SOME]);
                item.append_value(to, last);
            }
        }
    }
}

pub(super) const NONE: u8 = 0;
pub(super) const SOME: u8 = 1;
pub(super) const NO_TAG: &str = "its first byte is neither 0 nor 1";
