//! Keys and values as text, by the names of their types: for tools that know a table only from its catalog
//! record.
//!
//! | type | text |
//! |---|---|
//! | integers, `bool` | as Rust prints them |
//! | `f32`, `f64` | the shortest decimal; `inf`, `-inf`, `NaN`, `NaN:0x...` with the bits of another NaN |
//! | `str`, `bytes`, `char` | escaped; alone as they are, inside something else in quotes: `"a\tb"`, `'x'` |
//! | `[u8;N]` | `0x` and two hexadecimal digits for each byte |
//! | other arrays, tuples, `Option` | `[1, 2]`, `("a", 1)`, `("a",)`, `()`, `None`, `Some("a")` |
//! | a type of your own, or anything that contains one | its bytes, escaped |
//!
//! Escapes are `\t`, `\n`, `\r`, `\\`, the quote in use, and `\xHH` for a byte. Escaped are control
//! characters, invisible ones that change how text is shown, and bytes that are not UTF-8. What is printed is
//! read back as the same bytes.
//!
//! Names and bytes may come from a damaged file: the depth of types is bounded, and the text is not longer
//! than a fixed multiple of the bytes and the name.

mod escape;
mod parse;
mod render;
mod scalar;

use crate::error::Result;
use parse::parse;
use render::render;

/// The text of an encoded key. O(length of the key).
///
/// # Errors
///
/// [`Error::Decode`](crate::Error::Decode) if the bytes are not a key of this type.
///
/// ```
/// use folio::types::{AsKey, render_key};
///
/// assert_eq!(render_key("str", b"tab\there")?, r"tab\there");
/// let key = AsKey::<(&str, i32)>::key_bytes(&("a", -1));
/// assert_eq!(render_key("(str,i32)", key.as_ref())?, r#"("a", -1)"#);
/// # Ok::<(), folio::Error>(())
/// ```
pub fn render_key(type_name: &str, bytes: &[u8]) -> Result<String> {
    render(Side::Key, type_name, bytes)
}

/// The text of an encoded value. O(length of the value).
///
/// # Errors
///
/// [`Error::Decode`](crate::Error::Decode) if the bytes are not a value of this type.
pub fn render_value(type_name: &str, bytes: &[u8]) -> Result<String> {
    render(Side::Value, type_name, bytes)
}

/// The encoded key that a text stands for, in the form that [`render_key`] gives; spaces between components
/// may vary.
///
/// # Errors
///
/// [`Error::Parse`](crate::Error::Parse) if the text is not an item of this type.
///
/// ```
/// use folio::types::parse_key;
///
/// assert_eq!(parse_key("u16", "258")?, [1, 2]);
/// assert_eq!(parse_key("(str,u8)", r#"("a", 7)"#)?, b"a\0\x07");
/// assert!(parse_key("u8", "256").is_err());
/// # Ok::<(), folio::Error>(())
/// ```
pub fn parse_key(type_name: &str, text: &str) -> Result<Vec<u8>> {
    parse(Side::Key, type_name, text)
}

/// The encoded value that a text stands for, in the form that [`render_value`] gives; spaces between
/// components may vary.
///
/// # Errors
///
/// [`Error::Parse`](crate::Error::Parse) if the text is not an item of this type.
pub fn parse_value(type_name: &str, text: &str) -> Result<Vec<u8>> {
    parse(Side::Value, type_name, text)
}

/// Which of the two encodings is meant.
#[derive(Debug, Clone, Copy)]
enum Side {
    Key,
    Value,
}

/// A built-in type, as its name says.
#[derive(Debug, PartialEq)]
enum Type {
    Scalar(scalar::Scalar),
    Str,
    Bytes,
    /// `[u8;N]`, which has a text of its own.
    ByteArray(usize),
    Array(Box<Type>, usize),
    /// Also `()`.
    Tuple(Vec<Type>),
    Option(Box<Type>),
}

impl Type {
    /// Reads a whole name. `None` if it is not, or does not only consist of, built-in types.
    fn parse(name: &str) -> Option<Type> {
        let mut rest = name;
        let found = Type::parse_next(&mut rest, DEPTH_MAX)?;
        rest.is_empty().then_some(found)
    }

    fn parse_next(rest: &mut &str, depth: usize) -> Option<Type> {
        let depth = depth.checked_sub(1)?;
        if take(rest, "(") {
            return Type::parse_tuple(rest, depth);
        }
        if take(rest, "[") {
            let part = Type::parse_next(rest, depth)?;
            let (len, after) = rest.strip_prefix(';')?.split_once(']')?;
            *rest = after;
            let len = len.parse().ok()?;
            return Some(match part {
                Type::Scalar(scalar::Scalar::U8) => Type::ByteArray(len),
                part => Type::Array(Box::new(part), len),
            });
        }
        let end = rest.find(['<', '>', '(', ')', '[', ']', ',', ';']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        *rest = after;
        match name {
            "str" => Some(Type::Str),
            "bytes" => Some(Type::Bytes),
            "Option" if take(rest, "<") => {
                let part = Type::parse_next(rest, depth)?;
                take(rest, ">").then(|| Type::Option(Box::new(part)))
            }
            name => scalar::Scalar::named(name).map(Type::Scalar),
        }
    }

    /// Reads what follows an opening parenthesis. One component has a comma behind it, several have commas
    /// between them.
    fn parse_tuple(rest: &mut &str, depth: usize) -> Option<Type> {
        if take(rest, ")") {
            return Some(Type::Tuple(Vec::new()));
        }
        let mut parts = vec![Type::parse_next(rest, depth)?];
        if take(rest, ",)") {
            return Some(Type::Tuple(parts));
        }
        while take(rest, ",") {
            parts.push(Type::parse_next(rest, depth)?);
        }
        (parts.len() > 1 && take(rest, ")")).then_some(Type::Tuple(parts))
    }
}

/// Takes `token` off the front of `rest` if it is there.
fn take(rest: &mut &str, token: &str) -> bool {
    match rest.strip_prefix(token) {
        Some(after) => {
            *rest = after;
            true
        }
        None => false,
    }
}

/// How deep types may be nested before their bytes are shown instead: the recursion over them must end.
const DEPTH_MAX: usize = 16;

#[cfg(test)]
mod tests;
