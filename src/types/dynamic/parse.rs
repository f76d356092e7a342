//! From text to encoded bytes.

use super::escape::{parse_hex, quoted_len, unescape};
use super::scalar::{Scalar, Text, char_of, with_type};
use super::{Side, Type, take};
use crate::error::{Error, Result};
use crate::types::{Buffer, option};

/// The bytes of a whole key or value.
pub(super) fn parse(side: Side, type_name: &str, text: &str) -> Result<Vec<u8>> {
    let mut parser = Parser { side, rest: text, out: Buffer::new() };
    let parsed = match Type::parse(type_name) {
        // Alone, text has no quotes, and every space counts.
        Some(Type::Str) => unescape(text).map_err(String::from).and_then(|bytes| {
            std::str::from_utf8(&bytes).map_err(|error| error.to_string())?;
            parser.out.push(&bytes);
            Ok(())
        }),
        Some(Type::Bytes) | None => unescape(text).map_err(String::from).map(|bytes| parser.out.push(&bytes)),
        Some(Type::Scalar(Scalar::Char)) => unescape(text).map_err(String::from).and_then(|bytes| {
            let c = char_of(&bytes).ok_or("it is not one character")?;
            parser.push_scalar(c);
            Ok(())
        }),
        Some(found) => parser.whole(&found).map_err(|reason| {
            let at = text.len() - parser.rest.len();
            format!("{reason} at byte {at}")
        }),
    };
    match parsed {
        Ok(()) => Ok(parser.out.as_slice().to_vec()),
        Err(reason) => Err(Error::Parse { type_name: type_name.to_owned(), text: text.to_owned(), reason }),
    }
}

/// Text on one side, bytes on the other. Errors are reasons; `rest` then begins where the text is wrong.
struct Parser<'a> {
    side: Side,
    rest: &'a str,
    out: Buffer,
}

impl<'a> Parser<'a> {
    fn whole(&mut self, item: &Type) -> Result<(), String> {
        self.item(item, true)?;
        self.spaces();
        if self.rest.is_empty() { Ok(()) } else { Err("something follows its end".to_owned()) }
    }

    fn item(&mut self, item: &Type, last: bool) -> Result<(), String> {
        self.spaces();
        match item {
            Type::Scalar(scalar) => with_type!(*scalar, parse_scalar(self)),
            Type::Str | Type::Bytes => {
                let text = self.quoted('"')?;
                let bytes = unescape(&text[1..text.len() - 1])?;
                if *item == Type::Str {
                    std::str::from_utf8(&bytes).map_err(|error| error.to_string())?;
                }
                match self.side {
                    Side::Key => self.out.push_key(&bytes, last),
                    Side::Value => self.out.push_value(&bytes, last),
                }
                self.rest = &self.rest[text.len()..];
                Ok(())
            }
            Type::ByteArray(len) => {
                let word = self.word();
                let bytes = word.strip_prefix("0x").and_then(parse_hex).filter(|bytes| bytes.len() == *len);
                self.out.push(
                    &bytes.ok_or_else(|| format!("0x and two digits for each of {len} bytes are missing"))?,
                );
                self.rest = &self.rest[word.len()..];
                Ok(())
            }
            Type::Array(part, len) => {
                self.token("[")?;
                self.list(std::iter::repeat_n(&**part, *len), last)?;
                self.token("]")
            }
            Type::Tuple(parts) => {
                self.token("(")?;
                self.list(parts.iter(), last)?;
                if parts.len() == 1 {
                    self.token(",")?;
                }
                self.token(")")
            }
            Type::Option(part) => {
                if take(&mut self.rest, "None") {
                    self.out.push(&[option::NONE]);
                    return Ok(());
                }
                self.token("Some")?;
                self.token("(")?;
                self.out.push(&[option::SOME]);
                self.item(part, last)?;
                self.token(")")
            }
        }
    }

    fn list<'t>(&mut self, parts: impl ExactSizeIterator<Item = &'t Type>, last: bool) -> Result<(), String> {
        let len = parts.len();
        for (index, part) in parts.enumerate() {
            if index > 0 {
                self.token(",")?;
            }
            self.item(part, last && index + 1 == len)?;
        }
        Ok(())
    }

    fn push_scalar<T: Text>(&mut self, scalar: T) {
        match self.side {
            Side::Key => scalar.append_key(&mut self.out, true),
            Side::Value => scalar.append_value(&mut self.out, true),
        }
    }

    fn spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn token(&mut self, token: &str) -> Result<(), String> {
        self.spaces();
        if take(&mut self.rest, token) { Ok(()) } else { Err(format!("`{token}` is missing")) }
    }

    /// What stands next, up to a space or the end of a component.
    fn word(&self) -> &'a str {
        let end = self.rest.find(|c: char| c.is_whitespace() || matches!(c, ',' | ')' | ']'));
        &self.rest[..end.unwrap_or(self.rest.len())]
    }

    /// What stands next, with the quotes around it.
    fn quoted(&self, quote: char) -> Result<&'a str, String> {
        let len = self.rest.starts_with(quote).then(|| quoted_len(self.rest)).flatten();
        len.map(|len| &self.rest[..len]).ok_or_else(|| format!("text in {quote} is missing"))
    }
}

fn parse_scalar<T: Text>(parser: &mut Parser<'_>) -> Result<(), String> {
    let text = if parser.rest.starts_with('\'') { parser.quoted('\'')? } else { parser.word() };
    let scalar = T::parse(text).ok_or_else(|| format!("a {} is missing", <T as crate::types::Key>::NAME))?;
    parser.push_scalar(scalar);
    parser.rest = &parser.rest[text.len()..];
    Ok(())
}
