//! The scalars by name, and the text of each.

use super::escape;
use crate::types::{AsKey, AsValue, Key, Value};

/// A scalar that can be told by its name and go through text.
pub(super) trait Text:
    Copy + AsKey<Self> + AsValue<Self> + for<'a> Key<Item<'a> = Self> + for<'a> Value<Ref<'a> = Self>
{
    /// Appends the text that stands for it inside something else.
    fn write(self, out: &mut String);

    /// Reads that text.
    fn parse(text: &str) -> Option<Self>;
}

/// The scalars that the catalog can name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar {
    Bool,
    Char,
    U8,
    U16,
    U32,
    U64,
    U128,
    I8,
    I16,
    I32,
    I64,
    I128,
    F32,
    F64,
}

impl Scalar {
    pub(super) fn named(name: &str) -> Option<Scalar> {
        Some(match name {
            "bool" => Scalar::Bool,
            "char" => Scalar::Char,
            "u8" => Scalar::U8,
            "u16" => Scalar::U16,
            "u32" => Scalar::U32,
            "u64" => Scalar::U64,
            "u128" => Scalar::U128,
            "i8" => Scalar::I8,
            "i16" => Scalar::I16,
            "i32" => Scalar::I32,
            "i64" => Scalar::I64,
            "i128" => Scalar::I128,
            "f32" => Scalar::F32,
            "f64" => Scalar::F64,
            _ => return None,
        })
    }
}

/// `with_type!(scalar, call(arguments))` calls a generic function with the type behind a scalar.
macro_rules! with_type {
    ($scalar:expr, $call:ident($($argument:expr),*)) => {
        match $scalar {
            Scalar::Bool => $call::<bool>($($argument),*),
            Scalar::Char => $call::<char>($($argument),*),
            Scalar::U8 => $call::<u8>($($argument),*),
            Scalar::U16 => $call::<u16>($($argument),*),
            Scalar::U32 => $call::<u32>($($argument),*),
            Scalar::U64 => $call::<u64>($($argument),*),
            Scalar::U128 => $call::<u128>($($argument),*),
            Scalar::I8 => $call::<i8>($($argument),*),
            Scalar::I16 => $call::<i16>($($argument),*),
            Scalar::I32 => $call::<i32>($($argument),*),
            Scalar::I64 => $call::<i64>($($argument),*),
            Scalar::I128 => $call::<i128>($($argument),*),
            Scalar::F32 => $call::<f32>($($argument),*),
            Scalar::F64 => $call::<f64>($($argument),*),
        }
    };
}

pub(super) use with_type;

macro_rules! printed_by_rust {
    ($($type:ty),+) => { $(
        impl Text for $type {
            fn write(self, out: &mut String) {
                out.push_str(&self.to_string());
            }

            fn parse(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        }
    )+ };
}

printed_by_rust!(bool, u8, u16, u32, u64, u128, i8, i16, i32, i64, i128);

macro_rules! float {
    ($type:ty, $bits:ty) => {
        impl Text for $type {
            fn write(self, out: &mut String) {
                let bits = self.to_bits();
                if self.is_nan() && bits != <$type>::NAN.to_bits() {
                    out.push_str(&format!("{NAN_BITS}{bits:x}"));
                } else {
                    out.push_str(&format!("{self:?}"));
                }
            }

            fn parse(text: &str) -> Option<Self> {
                match text.strip_prefix(NAN_BITS) {
                    Some(bits) => {
                        let bits = <$bits>::from_str_radix(bits, 16).ok()?;
                        Some(<$type>::from_bits(bits)).filter(|number| number.is_nan())
                    }
                    None if text == "NaN" => Some(<$type>::NAN),
                    None => text.parse().ok().filter(|number: &$type| !number.is_nan()),
                }
            }
        }
    };
}

float!(f32, u32);
float!(f64, u64);

impl Text for char {
    fn write(self, out: &mut String) {
        out.push('\'');
        escape::escape(self.encode_utf8(&mut [0; 4]).as_bytes(), Some('\''), out);
        out.push('\'');
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes = escape::unescape(text.strip_prefix('\'')?.strip_suffix('\'')?).ok()?;
        char_of(&bytes)
    }
}

/// The one character that these bytes are.
pub(super) fn char_of(bytes: &[u8]) -> Option<char> {
    let mut chars = std::str::from_utf8(bytes).ok()?.chars();
    chars.next().filter(|_| chars.next().is_none())
}

/// Stands before the bits of a NaN that is not the usual one.
const NAN_BITS: &str = "NaN:0x";
