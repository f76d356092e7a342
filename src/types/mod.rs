//! How Rust types become bytes: keys whose byte order is their natural order, values that borrow from the
//! page.
//!
//! A table is declared with two types, `Table<K, V>`. [`Key`] and [`Value`] say how stored bytes are read as
//! these types; [`AsKey`] and [`AsValue`] say what may be given where a key or value of the type is wanted
//! (`&str`, `String` and `&String` for a `&str`, say). [`KeyRange`] and [`KeyPrefix`] do the same for ranges
//! and prefixes.
//!
//! # Keys
//!
//! The engine knows one order, that of the bytes. Every encoding keeps the order of its type:
//!
//! | type | encoded as a key | order |
//! |---|---|---|
//! | `u8` ... `u128` | big-endian | numeric |
//! | `i8` ... `i128` | big-endian, sign bit flipped | numeric |
//! | `f32`, `f64` | big-endian, sign bit set if it was clear, else every bit flipped | IEEE `totalOrder` |
//! | `bool`, `char` | one byte 0 or 1; as `u32` | `false < true`; by scalar value |
//! | `&str`, `&[u8]` | as they are | by bytes |
//! | `()` | no bytes | |
//! | `Option<T>` | byte 0, or byte 1 and `T` | `None` first |
//! | `[T; N]`, tuples | their components, one after the other | by the first component that differs |
//!
//! Where a component of variable length (`&str`, `&[u8]`, a user's type without [`Key::WIDTH`]) is not the
//! very last thing in the key, it ends with the byte `00`, and in it `00` becomes `01 01` and `01` becomes
//! `01 02`. So the end is found without knowing what follows, and `("a", u64::MAX)` sorts before `("a\0",
//! 0)`.
//!
//! # Values
//!
//! | type | encoded as a value |
//! |---|---|
//! | integers, `f32`, `f64`, `char` | little-endian (`char` as `u32`) |
//! | `bool`, `()`, `Option<T>`, `[T; N]`, tuples | as for keys, the components as values |
//! | `&str`, `&[u8]` | as they are |
//!
//! Where a component of variable length is not the very last thing in the value, its length stands before it,
//! as an unsigned LEB128 number in as few bytes as possible (one byte up to 127).
//!
//! # Guarantees
//!
//! - Each item of a built-in type has one encoding, and every other byte string is refused with
//!   [`Error::Decode`](crate::Error::Decode): decoding never panics.
//! - Encoding allocates nothing for numbers and other scalars, `[u8; N]`, plain `&str` and `&[u8]`, nor for
//!   anything else that fits into [`Buffer::INLINE`] bytes.
//!
//! # Types of your own
//!
//! ```
//! use std::borrow::Cow;
//! use folio::types::{AsKey, Key, TypeName};
//!
//! /// A day, counted from 1970-01-01.
//! #[derive(Debug, Clone, Copy, PartialEq)]
//! struct Day(u32);
//!
//! impl Key for Day {
//!     type Item<'a> = Day;
//!     const NAME: TypeName = TypeName::new("calendar::Day/1");
//!     const WIDTH: Option<usize> = Some(4);
//!
//!     fn decode(bytes: Cow<'_, [u8]>) -> folio::Result<Day> {
//!         <u32 as Key>::decode(bytes).map(Day)
//!     }
//! }
//!
//! impl AsKey<Day> for Day {
//!     type Bytes<'a> = [u8; 4];
//!
//!     fn key_bytes(&self) -> [u8; 4] {
//!         self.0.to_be_bytes()
//!     }
//! }
//!
//! // It stands anywhere a key can: alone, in tuples, in an Option.
//! let bytes = (Day(20_000), "supper").key_bytes();
//! let item = <(Day, &str) as Key>::decode(Cow::Borrowed(bytes.as_ref()))?;
//! assert_eq!(item, (Day(20_000), Cow::Borrowed("supper")));
//! # Ok::<(), folio::Error>(())
//! ```

mod array;
mod bounds;
mod buffer;
mod dynamic;
mod float;
mod integer;
mod key;
mod name;
mod option;
mod scalar;
mod text;
mod tuple;
mod value;

pub use bounds::{KeyPrefix, KeyRange, Prefix};
pub use buffer::{Buffer, Encoded};
pub use dynamic::{parse_key, parse_value, render_key, render_value};
pub use key::{AsKey, Key, KeyReader};
pub use name::TypeName;
pub use value::{AsValue, Value, ValueReader};

#[cfg(test)]
mod tests;
