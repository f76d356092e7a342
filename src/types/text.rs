//! `&str` and `&[u8]`: stored as they are.

use std::borrow::Cow;

use crate::error::Result;
use crate::types::{AsKey, AsValue, Key, KeyPrefix, TypeName, Value};

impl Key for &str {
    type Item<'a> = Cow<'a, str>;
    const NAME: TypeName = TypeName::built_in("str");
    const WIDTH: Option<usize> = None;

    #[inline]
    fn decode(bytes: Cow<'_, [u8]>) -> Result<Cow<'_, str>> {
        match bytes {
            Cow::Borrowed(bytes) => <&str as Value>::decode(bytes).map(Cow::Borrowed),
            Cow::Owned(bytes) => <&str as Value>::decode_owned(bytes).map(Cow::Owned),
        }
    }
}

impl Key for &[u8] {
    type Item<'a> = Cow<'a, [u8]>;
    const NAME: TypeName = TypeName::built_in("bytes");
    const WIDTH: Option<usize> = None;

    #[inline]
    fn decode(bytes: Cow<'_, [u8]>) -> Result<Cow<'_, [u8]>> {
        Ok(bytes)
    }
}

impl Value for &str {
    type Ref<'a> = &'a str;
    type Owned = String;
    const NAME: TypeName = TypeName::built_in("str");
    const WIDTH: Option<usize> = None;

    #[inline]
    fn decode(bytes: &[u8]) -> Result<&str> {
        std::str::from_utf8(bytes).map_err(|error| <Self as Value>::NAME.error(error.to_string()))
    }

    fn into_owned(item: &str) -> String {
        item.to_owned()
    }

    fn decode_owned(bytes: Vec<u8>) -> Result<String> {
        String::from_utf8(bytes).map_err(|error| <Self as Value>::NAME.error(error.utf8_error().to_string()))
    }
}

impl Value for &[u8] {
    type Ref<'a> = &'a [u8];
    type Owned = Vec<u8>;
    const NAME: TypeName = TypeName::built_in("bytes");
    const WIDTH: Option<usize> = None;

    #[inline]
    fn decode(bytes: &[u8]) -> Result<&[u8]> {
        Ok(bytes)
    }

    fn into_owned(item: &[u8]) -> Vec<u8> {
        item.to_owned()
    }

    fn decode_owned(bytes: Vec<u8>) -> Result<Vec<u8>> {
        Ok(bytes)
    }
}

/// What can be given for a stored `&str` or `&[u8]` because it holds just those bytes.
macro_rules! holds_bytes {
    ($stored:ty: $([$($generic:tt)*] $given:ty),+) => { $(
        impl<$($generic)*> AsKey<$stored> for $given {
            type Bytes<'a> = &'a [u8];

            #[inline]
            fn key_bytes(&self) -> &[u8] {
                self.as_ref()
            }
        }

        impl<$($generic)*> AsValue<$stored> for $given {
            type Bytes<'a> = &'a [u8];

            #[inline]
            fn value_bytes(&self) -> &[u8] {
                self.as_ref()
            }
        }

        impl<$($generic)*> KeyPrefix<$stored> for $given {
            type Bytes<'a> = &'a [u8];

            #[inline]
            fn prefix_bytes(&self) -> &[u8] {
                self.as_ref()
            }
        }
    )+ };
}

holds_bytes!(&str: [] str, [] String);
holds_bytes!(&[u8]: [] [u8], [] Vec<u8>, [const N: usize] [u8; N]);
