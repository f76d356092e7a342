//! Rows of cells, as RFC 4180 has them.

use std::io::{self, Write};

/// Writes one cell, in quotes where it needs them.
pub(crate) fn write_cell(out: &mut impl Write, text: &str) -> io::Result<()> {
    let is_plain = !text.contains(['"', ',', '\n', '\r']) && !text.starts_with(' ') && !text.ends_with(' ');
    if is_plain {
        return out.write_all(text.as_bytes());
    }
    out.write_all(b"\"")?;
    for (i, part) in text.split('"').enumerate() {
        if i > 0 {
            out.write_all(b"\"\"")?;
        }
        out.write_all(part.as_bytes())?;
    }
    out.write_all(b"\"")
}

/// What ends a row.
pub(crate) const END: &[u8] = b"\r\n";

/// One row, read line by line: a cell in quotes may have line ends.
#[derive(Debug, Default)]
pub(crate) struct Row {
    cells: Vec<Vec<u8>>,
    /// How many of `cells` are of this row; the others keep their memory.
    len: usize,
    in_quotes: bool,
}

impl Row {
    /// Forgets the row, for the next one.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
        self.in_quotes = false;
    }

    /// Takes a line and what ended it. Whether the row is complete. The error is a reason.
    pub(crate) fn line(&mut self, line: &[u8], end: &[u8]) -> Result<bool, String> {
        let mut rest = line;
        if !self.in_quotes {
            rest = self.begin_cell(rest);
        }
        loop {
            let cell = &mut self.cells[self.len - 1];
            if self.in_quotes {
                let Some(at) = rest.iter().position(|byte| *byte == b'"') else {
                    extend(cell, rest)?;
                    extend(cell, end)?;
                    return Ok(false);
                };
                extend(cell, &rest[..at])?;
                rest = &rest[at + 1..];
                match rest {
                    [] => self.in_quotes = false,
                    [b',', ..] => self.in_quotes = false,
                    [b'"', after @ ..] => {
                        cell.push(b'"');
                        rest = after;
                    }
                    _ => return Err("behind a closing quote comes a comma or the end of the row".to_owned()),
                }
                continue;
            }
            let at = rest.iter().position(|byte| matches!(byte, b',' | b'"')).unwrap_or(rest.len());
            extend(cell, &rest[..at])?;
            match rest.get(at) {
                None => return Ok(true),
                Some(b',') => rest = self.begin_cell(&rest[at + 1..]),
                Some(_) => {
                    return Err(
                        "a quote inside a cell: the cell must be in quotes, this one twice".to_owned()
                    );
                }
            }
        }
    }

    /// Adds a cell that begins with `rest`; what is left of that.
    fn begin_cell<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        if self.len == self.cells.len() {
            self.cells.push(Vec::new());
        }
        self.cells[self.len].clear();
        self.len += 1;
        match rest.strip_prefix(b"\"") {
            Some(rest) => {
                self.in_quotes = true;
                rest
            }
            None => rest,
        }
    }

    pub(crate) fn cells(&self) -> &[Vec<u8>] {
        &self.cells[..self.len]
    }
}

/// A cell that does not fit into memory is an error: after a stray quote the rest of the file is one.
fn extend(cell: &mut Vec<u8>, bytes: &[u8]) -> Result<(), String> {
    cell.try_reserve(bytes.len())
        .map_err(|_| "there is not enough memory for the cell: is a quote not closed?".to_owned())?;
    cell.extend_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Vec<String>>, String> {
        let (mut row, mut rows, mut is_whole) = (Row::default(), Vec::new(), true);
        for line in text.split_inclusive('\n') {
            let content = line.trim_end_matches('\n').trim_end_matches('\r');
            is_whole = row.line(content.as_bytes(), &line.as_bytes()[content.len()..])?;
            if is_whole {
                let text = |cell: &Vec<u8>| String::from_utf8(cell.clone()).unwrap();
                rows.push(row.cells().iter().map(text).collect());
                row.clear();
            }
        }
        if is_whole { Ok(rows) } else { Err("open".to_owned()) }
    }

    #[test]
    fn cells_come_back_as_they_were_written() {
        let cells =
            ["", " ", "a", "a,b", "\"", "\"\"", "a\"b", ",", "\n", "\r\n", "a\r", "\n\n\"", " x ", "\t", "'"];
        for first in cells {
            for second in cells {
                let mut out = Vec::new();
                write_cell(&mut out, first).unwrap();
                out.push(b',');
                write_cell(&mut out, second).unwrap();
                out.extend_from_slice(END);
                let text = String::from_utf8(out).unwrap();
                assert_eq!(read(&text).unwrap(), [[first, second]], "{text:?}");
            }
        }
    }

    #[test]
    fn other_spellings_are_read_and_wrong_ones_refused() {
        assert_eq!(read("a,b\nc,\"d\"\r\n\"\",").unwrap(), [["a", "b"], ["c", "d"], ["", ""]]);
        assert_eq!(read("a b,\" c\"\n").unwrap(), [["a b", " c"]]);
        for wrong in ["a\"b,c\n", "\"a\"b,c\n", "\"a\n", "a,\"b", "a,\"\"\""] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
