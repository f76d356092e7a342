//! From encoded bytes to renderer.

use std::borrow::Cow;

use super::escape::{escape, push_hex};
use super::scalar::{Scalar, Text, with_type};
use super::{Side, Type};
use crate::error::{Error, Result};
use crate::types::{Key, KeyReader, Value, ValueReader, option};

/// The text of a whole key or value.
pub(super) fn render(side: Side, type_name: &str, bytes: &[u8]) -> Result<String> {
    let mut renderer = Renderer::new(side, type_name, bytes);
    match Type::parse(type_name) {
        // Alone, text needs no quotes.
        Some(Type::Str) => renderer.check_utf8(bytes).map(|()| escape(bytes, None, &mut renderer.out))?,
        Some(Type::Bytes) | None => escape(bytes, None, &mut renderer.out),
        Some(Type::Scalar(Scalar::Char)) => {
            let c = renderer.reader.scalar::<char>()?;
            renderer.finish()?;
            escape(c.encode_utf8(&mut [0; 4]).as_bytes(), None, &mut renderer.out);
        }
        Some(found) => {
            renderer.render(&found, true)?;
            renderer.finish()?;
        }
    }
    Ok(renderer.out)
}

/// Bytes on one side, text on the other.
struct Renderer<'a> {
    reader: Reader<'a>,
    type_name: &'a str,
    out: String,
    /// How many items may still be written. Items without bytes, as in `[();N]`, would otherwise have no
    /// limit.
    left: usize,
}

impl<'a> Renderer<'a> {
    fn new(side: Side, type_name: &'a str, bytes: &'a [u8]) -> Self {
        let reader = match side {
            Side::Key => Reader::Key(KeyReader::new(Cow::Borrowed(bytes))),
            Side::Value => Reader::Value(ValueReader::new(bytes)),
        };
        let left = bytes.len().saturating_add(type_name.len()).saturating_add(EMPTY_ITEMS_MAX);
        Renderer { reader, type_name, out: String::new(), left }
    }

    fn render(&mut self, item: &Type, last: bool) -> Result<()> {
        self.left = self.left.checked_sub(1).ok_or_else(|| self.error("it has too many empty items"))?;
        match item {
            Type::Scalar(scalar) => with_type!(*scalar, render_scalar(self)),
            Type::Str | Type::Bytes => {
                let bytes = self.component(last)?;
                if *item == Type::Str {
                    self.check_utf8(&bytes)?;
                }
                self.out.push('"');
                escape(&bytes, Some('"'), &mut self.out);
                self.out.push('"');
                Ok(())
            }
            Type::ByteArray(len) => {
                let bytes = self.take(*len)?;
                self.out.push_str("0x");
                push_hex(&bytes, "", &mut self.out);
                Ok(())
            }
            Type::Array(part, len) => {
                let parts = std::iter::repeat_n(&**part, *len);
                self.render_list("[", parts, "]", last)
            }
            Type::Tuple(parts) => {
                let close = if parts.len() == 1 { ",)" } else { ")" };
                self.render_list("(", parts.iter(), close, last)
            }
            Type::Option(part) => match *self.take(1)? {
                [option::NONE] => {
                    self.out.push_str("None");
                    Ok(())
                }
                [option::SOME] => self.render_list("Some(", [&**part].into_iter(), ")", last),
                _ => Err(self.error(option::NO_TAG)),
            },
        }
    }

    fn render_list<'t>(
        &mut self,
        open: &str,
        parts: impl ExactSizeIterator<Item = &'t Type>,
        close: &str,
        last: bool,
    ) -> Result<()> {
        let len = parts.len();
        self.out.push_str(open);
        for (index, part) in parts.enumerate() {
            if index > 0 {
                self.out.push_str(", ");
            }
            self.render(part, last && index + 1 == len)?;
        }
        self.out.push_str(close);
        Ok(())
    }

    fn component(&mut self, last: bool) -> Result<Cow<'a, [u8]>> {
        let component = match &mut self.reader {
            Reader::Key(reader) => reader.component(last),
            Reader::Value(reader) => reader.component(last).map(Cow::Borrowed),
        };
        component.map_err(|reason| self.error(reason))
    }

    fn take(&mut self, len: usize) -> Result<Cow<'a, [u8]>> {
        let taken = match &mut self.reader {
            Reader::Key(reader) => reader.take(len),
            Reader::Value(reader) => reader.take(len).map(Cow::Borrowed),
        };
        taken.ok_or_else(|| self.error("it is cut short"))
    }

    fn check_utf8(&self, bytes: &[u8]) -> Result<()> {
        std::str::from_utf8(bytes).map(drop).map_err(|error| self.error(error.to_string()))
    }

    /// Checks that all bytes were used.
    fn finish(&self) -> Result<()> {
        let left = match &self.reader {
            Reader::Key(reader) => reader.remaining(),
            Reader::Value(reader) => reader.remaining(),
        };
        match left.len() {
            0 => Ok(()),
            left => Err(self.error(format!("{left} bytes follow its end"))),
        }
    }

    fn error(&self, reason: impl Into<String>) -> Error {
        Error::Decode { type_name: self.type_name.to_owned(), reason: reason.into() }
    }
}

/// Where the bytes come from, with the rules of keys or of values.
enum Reader<'a> {
    Key(KeyReader<'a>),
    Value(ValueReader<'a>),
}

impl Reader<'_> {
    fn scalar<T: Text>(&mut self) -> Result<T> {
        match self {
            Reader::Key(reader) => <T as Key>::read(reader, true),
            Reader::Value(reader) => <T as Value>::read(reader, true),
        }
    }
}

fn render_scalar<T: Text>(to: &mut Renderer<'_>) -> Result<()> {
    to.reader.scalar::<T>()?.write(&mut to.out);
    Ok(())
}

/// How many items beyond one for each byte are written before the bytes are taken for damaged.
const EMPTY_ITEMS_MAX: usize = 1024;
