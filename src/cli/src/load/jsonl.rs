//! Lines of one JSON object each: `{"key":..,"value":..}`, or `"key_hex"` and `"value_hex"` for bytes beyond
//! text.

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
        let key = (object.remove("key"), object.remove("key_hex"));
        let value = (object.remove("value"), object.remove("value_hex"));
        if let Some(name) = object.keys().next() {
            return Err(format!("{name:?} means nothing here: give \"key\" and \"value\""));
        }
        parse_member("key", &self.keys, key, &mut self.key)?;
        parse_member("value", &self.values, value, &mut self.value)
    }
}

fn parse_member(
    name: &str,
    column: &Column,
    given: (Option<Value>, Option<Value>),
    room: &mut Vec<u8>,
) -> Result<(), String> {
    match given {
        (Some(text), None) => column.parse_json(&text, room).map_err(|error| format!("{name}: {error}")),
        (None, Some(hex)) => column.parse_hex(&hex, room).map_err(|error| format!("{name}_hex: {error}")),
        (None, None) => Err(format!("there is no {name:?}")),
        (Some(_), Some(_)) => Err(format!("\"{name}\" and \"{name}_hex\" exclude each other")),
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
