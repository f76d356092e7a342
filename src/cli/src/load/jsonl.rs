//! Lines of one JSON object each: `{"key":..,"value":..}`, or `"key_base64"` and `"value_base64"` for bytes
//! beyond text (`"key_hex"` and `"value_hex"` are read, too).

use serde_json::{Map, Value};

use super::lines::Lines;
use super::{Entry, Source};
use crate::column::Column;
use crate::failure::Failure;

/// Entries from such lines.
pub(super) struct Jsonl {
    lines: Lines,
    keys: Column,
    values: Column,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Jsonl {
    pub(super) fn new(lines: Lines, keys: Column, values: Column) -> Self {
        Jsonl { lines, keys, values, key: Vec::new(), value: Vec::new() }
    }

    fn parse(&mut self) -> Result<(), String> {
        let mut object: Map<String, Value> =
            serde_json::from_slice(self.lines.line()).map_err(|error| format!("no JSON object: {error}"))?;
        let mut take = |name: &str| Given {
            text: object.remove(name),
            base64: object.remove(&format!("{name}_base64")),
            hex: object.remove(&format!("{name}_hex")),
        };
        let (key, value) = (take("key"), take("value"));
        if let Some(name) = object.keys().next() {
            return Err(format!("{name:?} means nothing here: give \"key\" and \"value\""));
        }
        parse_member("key", &self.keys, key, &mut self.key)?;
        parse_member("value", &self.values, value, &mut self.value)
    }
}

/// The ways to give a key or value, of which there must be one.
struct Given {
    text: Option<Value>,
    base64: Option<Value>,
    hex: Option<Value>,
}

fn parse_member(name: &str, column: &Column, given: Given, room: &mut Vec<u8>) -> Result<(), String> {
    match given {
        Given { text: Some(text), base64: None, hex: None } => {
            column.parse_json(&text, room).map_err(|error| format!("{name}: {error}"))
        }
        Given { text: None, base64: Some(text), hex: None } => {
            let text =
                text.as_str().ok_or_else(|| format!("{name}_base64: base64 must stand in a string"))?;
            column.parse_base64(text.as_bytes(), room).map_err(|error| format!("{name}_base64: {error}"))
        }
        Given { text: None, base64: None, hex: Some(hex) } => {
            column.parse_hex(&hex, room).map_err(|error| format!("{name}_hex: {error}"))
        }
        Given { text: None, base64: None, hex: None } => Err(format!("there is no {name:?}")),
        _ => Err(format!("\"{name}\", \"{name}_base64\" and \"{name}_hex\" exclude each other")),
    }
}

impl Source for Jsonl {
    fn next(&mut self) -> Result<Option<Entry<'_>>, Failure> {
        if !self.lines.advance()? {
            return Ok(None);
        }
        self.parse().map_err(|reason| self.lines.fault(&reason))?;
        Ok(Some((&self.key, &self.value)))
    }

    fn place(&self) -> String {
        self.lines.place()
    }

    fn bytes_read(&self) -> u64 {
        self.lines.bytes_read()
    }

    fn bytes_total(&self) -> Option<u64> {
        self.lines.bytes_total()
    }
}
