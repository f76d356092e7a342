//! Integers and `char`. As keys: big-endian, with the sign bit flipped where there is one. As values: little-endian.
#![expect(clippy::big_endian_bytes, reason = "the order of big-endian bytes is the order of the numbers")]

use crate::error::Result;
use crate::types::scalar::scalar;
use crate::types::{Key, KeyReader, Value, ValueReader};

macro_rules! unsigned {
    ($type:ty, $name:literal $(, $more:tt)?) => {
        scalar!($type, $name, size_of::<$type>(), not: "it is out of range",
            key: <$type>::to_be_bytes, |bytes| Some(<$type>::from_be_bytes(bytes)),
            value: <$type>::to_le_bytes, |bytes| Some(<$type>::from_le_bytes(bytes))
            $(, $more)?);
    };
}

macro_rules! signed {
    ($type:ty, $name:literal) => {
        scalar!($type, $name, size_of::<$type>(), not: "it is out of range",
            key: |number: $type| (number ^ <$type>::MIN).to_be_bytes(),
                |bytes| Some(<$type>::from_be_bytes(bytes) ^ <$type>::MIN),
            value: <$type>::to_le_bytes, |bytes| Some(<$type>::from_le_bytes(bytes)));
    };
}

unsigned!(u8, "u8", {
    key {
        #[inline]
        fn read_array<const N: usize>(from: &mut KeyReader<'_>, _last: bool) -> Result<[u8; N]> {
            let found = from.remaining().len();
            from.take_array().ok_or_else(|| <[u8; N] as Key>::NAME.length_error(N, found))
        }
    }
    as_key {
        #[inline]
        fn raw_key_slice(items: &[u8]) -> Option<&[u8]> {
            Some(items)
        }
    }
    value {
        #[inline]
        fn read_array<const N: usize>(from: &mut ValueReader<'_>, _last: bool) -> Result<[u8; N]> {
            let found = from.remaining().len();
            from.take_array().ok_or_else(|| <[u8; N] as Value>::NAME.length_error(N, found))
        }
    }
    as_value {
        #[inline]
        fn raw_value_slice(items: &[u8]) -> Option<&[u8]> {
            Some(items)
        }
    }
});
unsigned!(u16, "u16");
unsigned!(u32, "u32");
unsigned!(u64, "u64");
unsigned!(u128, "u128");

signed!(i8, "i8");
signed!(i16, "i16");
signed!(i32, "i32");
signed!(i64, "i64");
signed!(i128, "i128");

scalar!(char, "char", 4, not: "it is not a Unicode scalar value",
    key: |scalar| u32::from(scalar).to_be_bytes(), |bytes| char::from_u32(u32::from_be_bytes(bytes)),
    value: |scalar| u32::from(scalar).to_le_bytes(), |bytes| char::from_u32(u32::from_le_bytes(bytes)));
