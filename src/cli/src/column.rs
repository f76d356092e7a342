//! One column of a table, its keys or its values: between stored bytes and text.
//!
//! Columns of type `bytes` and `str` are stored as the text's own bytes, so they are read without allocating
//! and written without it when nothing needs escaping. All other types go through `folio::types`.

use std::borrow::Cow;
use std::io::{self, Write};

use serde_json::Value;

use crate::base64;
use crate::failure::{Failure, chain};

/// Which column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Key,
    Value,
}

/// How the type's text stands in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The stored bytes are the text.
    Bytes,
    /// As `Bytes`, and always UTF-8.
    Str,
    /// The text is a number or a truth value of JSON wherever JSON has it.
    Bare,
    /// The text as `folio::types` has it, in a string.
    Other,
}

/// A column of a table: parses and prints what is in it.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    side: Side,
    form: Form,
    type_name: String,
}

impl Column {
    pub(crate) fn of_keys(type_name: &str) -> Self {
        Self::new(Side::Key, type_name)
    }

    pub(crate) fn of_values(type_name: &str) -> Self {
        Self::new(Side::Value, type_name)
    }

    fn new(side: Side, type_name: &str) -> Self {
        let form = match type_name {
            "bytes" => Form::Bytes,
            "str" => Form::Str,
            "u8" | "u16" | "u32" | "u64" | "i8" | "i16" | "i32" | "i64" | "f32" | "f64" | "bool" => {
                Form::Bare
            }
            _ => Form::Other,
        };
        Column { side, form, type_name: type_name.to_owned() }
    }

    /// Whether stored bytes begin alike exactly when their texts do.
    pub(crate) fn has_prefixes(&self) -> bool {
        // `/` stands in the names of users' own types, whose text is their bytes, escaped.
        matches!(self.form, Form::Bytes | Form::Str) || self.type_name.contains('/')
    }

    pub(crate) fn type_name(&self) -> &str {
        &self.type_name
    }

    /// The stored bytes of an argument, which may hold escapes.
    pub(crate) fn parse(&self, text: &str) -> Result<Vec<u8>, Failure> {
        let mut room = Vec::new();
        match self.parse_field(text.as_bytes(), &mut room) {
            Ok(bytes) => Ok(bytes.to_vec()),
            Err(reason) => Err(Failure::Message(format!("{text:?}: {reason}"))),
        }
    }

    /// The stored bytes of a field of a line, which may hold escapes. They are either `field` itself or put
    /// into `room`.
    pub(crate) fn parse_field<'a>(&self, field: &'a [u8], room: &'a mut Vec<u8>) -> Result<&'a [u8], String> {
        match self.form {
            Form::Bytes | Form::Str => {
                let bytes = match field.contains(&b'\\') {
                    true => unescape(field, room)?,
                    false => field,
                };
                self.checked(bytes)
            }
            Form::Bare | Form::Other => {
                let text =
                    str::from_utf8(field).map_err(|_| format!("not text, so no {}", self.type_name))?;
                *room = self.parse_typed(text).map_err(|error| chain(&error))?;
                Ok(room)
            }
        }
    }

    /// The stored bytes of text that holds no escapes: a line as a whole, or the name of a file.
    pub(crate) fn parse_plain<'a>(&self, text: &'a [u8], room: &'a mut Vec<u8>) -> Result<&'a [u8], String> {
        match self.form {
            Form::Bytes | Form::Str => self.checked(text),
            Form::Bare | Form::Other => self.parse_field(text, room),
        }
    }

    /// The stored bytes of a JSON value.
    pub(crate) fn parse_json(&self, value: &Value, room: &mut Vec<u8>) -> Result<(), String> {
        let is_text = matches!(self.form, Form::Bytes | Form::Str);
        let text = match value {
            Value::String(text) if is_text => {
                room.clear();
                room.extend_from_slice(text.as_bytes());
                return Ok(());
            }
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) if !is_text => value.to_string(),
            other => return Err(format!("{other} is no {}", self.type_name)),
        };
        *room = self.parse_typed(&text).map_err(|error| chain(&error))?;
        Ok(())
    }

    /// The stored bytes of a JSON value of hexadecimal digits.
    pub(crate) fn parse_hex(&self, value: &Value, room: &mut Vec<u8>) -> Result<(), String> {
        let digits = value.as_str().ok_or("hexadecimal digits must stand in a string")?.as_bytes();
        let (pairs, rest) = digits.as_chunks::<2>();
        if !rest.is_empty() {
            return Err("an odd number of hexadecimal digits".to_owned());
        }
        room.clear();
        for pair in pairs {
            let (high, low) = (digit(pair[0]), digit(pair[1]));
            let (Some(high), Some(low)) = (high, low) else {
                return Err("a character that is no hexadecimal digit".to_owned());
            };
            room.push(high << 4 | low);
        }
        self.checked(room).map(|_| ())
    }

    /// The stored bytes of base64.
    pub(crate) fn parse_base64(&self, text: &[u8], room: &mut Vec<u8>) -> Result<(), String> {
        base64::read(text, room)?;
        self.checked(room).map(|_| ())
    }

    /// The stored bytes of a cell of CSV.
    pub(crate) fn parse_cell(&self, text: &[u8], room: &mut Vec<u8>) -> Result<(), String> {
        match self.form {
            Form::Bytes | Form::Str => {
                self.checked(text)?;
                room.clear();
                room.extend_from_slice(text);
                Ok(())
            }
            Form::Bare | Form::Other => self.parse_field(text, room).map(|_| ()),
        }
    }

    /// Whether cells of CSV may hold base64.
    pub(crate) fn may_be_base64(&self) -> bool {
        matches!(self.form, Form::Bytes | Form::Str)
    }

    /// The text of a cell of CSV; none where the bytes are no text, or one with control characters other than
    /// tabs and line ends.
    pub(crate) fn cell<'a>(&self, bytes: &'a [u8]) -> Result<Option<Cow<'a, str>>, Failure> {
        if !self.may_be_base64() {
            return Ok(Some(Cow::Owned(self.render(bytes)?)));
        }
        let is_shown = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
        let text = str::from_utf8(bytes).ok().filter(|text| text.chars().all(is_shown));
        Ok(text.map(Cow::Borrowed))
    }

    /// The text of stored bytes, for people and for lines: never a tab or a line end in text.
    pub(crate) fn write(&self, out: &mut impl Write, bytes: &[u8]) -> Result<(), Failure> {
        let is_text = matches!(self.form, Form::Bytes | Form::Str);
        if is_text && bytes.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'\\') {
            out.write_all(bytes)?;
        } else if is_text {
            // Piece by piece, so that a value of gigabytes is never copied as a whole.
            let mut rest = bytes;
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(piece_len(rest));
                out.write_all(self.render(piece)?.as_bytes())?;
                rest = after;
            }
        } else {
            out.write_all(self.render(bytes)?.as_bytes())?;
        }
        Ok(())
    }

    /// A member of a JSON object: `"key":"text"`, or `"key_base64":"AP8="` for bytes that are not UTF-8.
    pub(crate) fn write_json(&self, out: &mut impl Write, bytes: &[u8]) -> Result<(), Failure> {
        let name = match self.side {
            Side::Key => "key",
            Side::Value => "value",
        };
        self.write_json_as(out, name, bytes)
    }

    /// The same with another name.
    pub(crate) fn write_json_as(
        &self,
        out: &mut impl Write,
        name: &str,
        bytes: &[u8],
    ) -> Result<(), Failure> {
        let text = match self.form {
            Form::Bytes | Form::Str => str::from_utf8(bytes).ok(),
            Form::Bare | Form::Other => {
                let text = self.render(bytes)?;
                write!(out, "\"{name}\":")?;
                match self.form == Form::Bare && serde_json::from_str::<Value>(&text).is_ok() {
                    true => out.write_all(text.as_bytes())?,
                    false => write_json_string(out, &text)?,
                }
                return Ok(());
            }
        };
        match text {
            Some(text) => {
                write!(out, "\"{name}\":")?;
                write_json_string(out, text)?;
            }
            None => {
                write!(out, "\"{name}_base64\":\"")?;
                base64::write(out, bytes)?;
                out.write_all(b"\"")?;
            }
        }
        Ok(())
    }

    fn parse_typed(&self, text: &str) -> folio::Result<Vec<u8>> {
        match self.side {
            Side::Key => folio::types::parse_key(&self.type_name, text),
            Side::Value => folio::types::parse_value(&self.type_name, text),
        }
    }

    fn render(&self, bytes: &[u8]) -> folio::Result<String> {
        match self.side {
            Side::Key => folio::types::render_key(&self.type_name, bytes),
            Side::Value => folio::types::render_value(&self.type_name, bytes),
        }
    }

    fn checked<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], String> {
        match self.form == Form::Str && str::from_utf8(bytes).is_err() {
            true => Err("not UTF-8, so no str".to_owned()),
            false => Ok(bytes),
        }
    }
}

/// Replaces the escapes `\t \n \r \\ \xHH`, and a quote that needs none here.
fn unescape<'a>(field: &[u8], room: &'a mut Vec<u8>) -> Result<&'a [u8], String> {
    room.clear();
    let mut rest = field;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let (plain, escape) = rest.split_at(at);
        room.extend_from_slice(plain);
        let (byte, len) = match escape {
            [_, b't', ..] => (b'\t', 2),
            [_, b'n', ..] => (b'\n', 2),
            [_, b'r', ..] => (b'\r', 2),
            [_, mark @ (b'\\' | b'"' | b'\''), ..] => (*mark, 2),
            [_, b'x', high, low, ..] => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, 4),
                _ => return Err("\\x must be followed by two hexadecimal digits".to_owned()),
            },
            [_, b'x', ..] => return Err("\\x must be followed by two hexadecimal digits".to_owned()),
            _ => {
                return Err(
                    "a backslash must begin one of \\t \\n \\r \\\\ \\xHH; itself it is \\\\".to_owned()
                );
            }
        };
        room.push(byte);
        rest = escape.get(len..).unwrap_or_default();
    }
    room.extend_from_slice(rest);
    Ok(room)
}

/// How many bytes can be rendered apart from those behind them: no UTF-8 sequence is cut.
fn piece_len(bytes: &[u8]) -> usize {
    const PIECE: usize = 64 << 10;
    if bytes.len() <= PIECE {
        return bytes.len();
    }
    // A sequence has at most three continuation bytes; where there are more, it is none.
    let is_start = |at: &usize| bytes.get(*at).is_some_and(|byte| byte & 0xc0 != 0x80);
    (PIECE - 3..=PIECE).rev().find(is_start).unwrap_or(PIECE)
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        b'A'..=b'F' => Some(character - b'A' + 10),
        _ => None,
    }
}

fn write_json_string(out: &mut impl Write, text: &str) -> Result<(), Failure> {
    let text = serde_json::to_string(text).map_err(|error| Failure::Output(io::Error::from(error)))?;
    Ok(out.write_all(crate::output::json(&text).as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_and_wrong_ones_refused() {
        let read = |text: &[u8]| unescape(text, &mut Vec::new()).map(<[u8]>::to_vec);
        assert_eq!(read(b"a\\tb\\n\\r\\\\\\x00\\xFfz\\\"").unwrap(), b"a\tb\n\r\\\x00\xffz\"");
        assert_eq!(read(b"\xff\\t").unwrap(), b"\xff\t");
        for wrong in [&b"\\"[..], b"a\\", b"\\q", b"\\x", b"\\x1", b"\\xg0", b"\\x+1"] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn pieces_join_to_the_whole() {
        let column = Column::of_values("bytes");
        for unit in ["\u{1f600}".as_bytes(), "\u{e9}\u{20ac}".as_bytes(), b"\xbf", b"\xf0\x9f", b"\xe2\x82ab"]
        {
            for shift in 0..5 {
                let mut bytes = vec![b'a'; shift];
                bytes.extend(unit.iter().cycle().take(200_000));
                let mut text = Vec::new();
                column.write(&mut text, &bytes).unwrap();
                let whole = folio::types::render_value("bytes", &bytes).unwrap();
                assert!(text == whole.as_bytes(), "{unit:?}, shifted by {shift}");
            }
        }
    }
}
