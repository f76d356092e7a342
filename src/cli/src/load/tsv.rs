//! Lines of a key, a tab and a value.

use super::lines::Lines;
use super::{Entry, Source};
use crate::column::Column;
use crate::failure::Failure;

/// Entries from such lines.
pub(super) struct Tsv {
    lines: Lines,
    keys: Column,
    values: Column,
    /// Where keys and values go that are not in the line as they are stored.
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Tsv {
    pub(super) fn new(lines: Lines, keys: Column, values: Column) -> Self {
        Tsv { lines, keys, values, key: Vec::new(), value: Vec::new() }
    }
}

impl Source for Tsv {
    fn next(&mut self) -> Result<Option<Entry<'_>>, Failure> {
        if !self.lines.advance()? {
            return Ok(None);
        }
        let lines = &self.lines;
        let line = lines.line();
        let Some(tab) = line.iter().position(|byte| *byte == b'\t') else {
            return Err(lines.fault("there is no tab between a key and a value"));
        };
        let (key, value) = (&line[..tab], &line[tab + 1..]);
        let key = self.keys.parse_field(key, &mut self.key).map_err(|e| lines.fault(&format!("key: {e}")))?;
        let value = self
            .values
            .parse_field(value, &mut self.value)
            .map_err(|e| lines.fault(&format!("value: {e}")))?;
        Ok(Some((key, value)))
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
