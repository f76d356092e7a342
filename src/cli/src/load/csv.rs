//! Rows of RFC 4180 under a row that names the columns.

use super::lines::{LONGEST, Lines};
use super::{Entry, Source};
use crate::column::Column;
use crate::csv::Row;
use crate::failure::Failure;

/// Entries from such rows.
pub(super) struct Csv {
    lines: Lines,
    keys: Column,
    values: Column,
    row: Row,
    /// The line that the row began with.
    began: u64,
    /// That of a file, which has this number.
    header: Option<(u64, Header)>,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// Where the columns are.
#[derive(Debug, Clone, Copy)]
struct Header {
    columns: usize,
    key: usize,
    value: usize,
    base64: Option<usize>,
}

impl Csv {
    pub(super) fn new(lines: Lines, keys: Column, values: Column) -> Self {
        let (row, key, value) = (Row::default(), Vec::new(), Vec::new());
        Csv { lines, keys, values, row, began: 0, header: None, key, value }
    }

    /// Reads the next row; false if there is none.
    fn advance(&mut self) -> Result<bool, Failure> {
        self.row.clear();
        let (mut is_open, mut len) = (false, 0);
        loop {
            let before = self.lines.file();
            if !self.lines.advance()? {
                return match is_open {
                    true => Err(self.fault("a quote is not closed")),
                    false => Ok(false),
                };
            }
            if !is_open {
                self.began = self.lines.number();
                if self.lines.line().is_empty() {
                    continue;
                }
            } else if self.lines.file() != before {
                let reason = "a quote in the last row of the file before is not closed";
                return Err(self.lines.fault(reason));
            }
            let mut line = self.lines.line();
            len += line.len();
            if len > LONGEST {
                return Err(self.fault("the row is longer than any entry: is a quote not closed?"));
            }
            if self.lines.number() == 1 {
                // The mark of the byte order that spreadsheets write.
                line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
            }
            match self.row.line(line, self.lines.end()) {
                Ok(true) => return Ok(true),
                Ok(false) => is_open = true,
                Err(reason) => return Err(self.fault(&reason)),
            }
        }
    }

    fn fault(&self, reason: &str) -> Failure {
        self.lines.fault_in(self.began, reason)
    }

    fn parse(&mut self, header: Header) -> Result<(), String> {
        let cells = self.row.cells();
        if cells.len() != header.columns {
            return Err(format!("{} cells, where the first row has {}", cells.len(), header.columns));
        }
        let is_base64 = match header.base64.and_then(|at| cells.get(at)).map(Vec::as_slice) {
            None | Some(b"") => [false, false],
            Some(b"key") => [true, false],
            Some(b"value") => [false, true],
            Some(b"key value" | b"value key") => [true, true],
            Some(_) => return Err("base64: it is empty, key, value, or both with a space".to_owned()),
        };
        let cell = |at: usize| cells.get(at).map_or(&[][..], Vec::as_slice);
        let sides = [
            ("key", cell(header.key), &self.keys, &mut self.key),
            ("value", cell(header.value), &self.values, &mut self.value),
        ];
        for ((name, text, column, room), is_base64) in sides.into_iter().zip(is_base64) {
            let parsed = match is_base64 {
                true => column.parse_base64(text, room),
                false => column.parse_cell(text, room),
            };
            parsed.map_err(|reason| format!("{name}: {reason}"))?;
        }
        Ok(())
    }
}

impl Header {
    fn of(cells: &[Vec<u8>]) -> Option<Header> {
        let at = |wanted: &str| cells.iter().position(|cell| cell == wanted.as_bytes());
        let (columns, base64) = (cells.len(), at("base64"));
        let known = 2 + usize::from(base64.is_some());
        (columns == known).then_some(Header { columns, key: at("key")?, value: at("value")?, base64 })
    }
}

impl Source for Csv {
    fn next(&mut self) -> Result<Option<Entry<'_>>, Failure> {
        loop {
            if !self.advance()? {
                return Ok(None);
            }
            // Each file names its columns.
            let file = self.lines.file();
            let Some((_, header)) = self.header.filter(|(of, _)| *of == file) else {
                let Some(header) = Header::of(self.row.cells()) else {
                    return Err(self
                        .fault("the first row of a file names the columns: key,value or key,value,base64"));
                };
                self.header = Some((file, header));
                continue;
            };
            self.parse(header).map_err(|reason| self.fault(&reason))?;
            return Ok(Some((&self.key, &self.value)));
        }
    }

    fn place(&self) -> String {
        self.lines.place_of(self.began)
    }

    fn bytes_read(&self) -> u64 {
        self.lines.bytes_read()
    }

    fn bytes_total(&self) -> Option<u64> {
        self.lines.bytes_total()
    }
}
