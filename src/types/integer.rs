//! Integers and `char`. As keys: big-endian, with the sign bit flipped where there is one. As values:
//! little-endian.
#![expect(clippy::big_endian_bytes, reason = "the order of big-endian bytes is the order of the numbers")]

use crate::types::scalar::{number, scalar};

macro_rules! unsigned {
    ($type:ty, $name:literal $(, $slices:ident $of:tt)?) => {
        number!($type, $name,
            key: <$type>::to_be_bytes, <$type>::from_be_bytes,
            value: <$type>::to_le_bytes, <$type>::from_le_bytes
            $(, $slices $of)?);
    };
}

macro_rules! signed {
    ($type:ty, $name:literal) => {
        number!($type, $name,
            key: |number: $type| (number ^ <$type>::MIN).to_be_bytes(),
                |bytes| <$type>::from_be_bytes(bytes) ^ <$type>::MIN,
            value: <$type>::to_le_bytes, <$type>::from_le_bytes);
    };
}

unsigned!(u8, "u8", slices(u8));
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
