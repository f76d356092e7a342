//! Writes the format, line by line as LMDB 0.9 does.

use std::io::{self, Write};

use super::{KEY_TYPE, VALUE_TYPE};
use crate::lmdb::shape::Shape;

/// LMDB's longest key, and its longest value where a key may have several.
const LONGEST_KEY: usize = 511;

/// What the header of a section says.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    /// The table's name; none for LMDB's main database.
    pub(crate) name: Option<&'a str>,
    pub(crate) shape: Shape,
    /// Types that LMDB's own lines do not say.
    pub(crate) key_type: Option<&'a str>,
    pub(crate) value_type: Option<&'a str>,
    /// Text stands as it is.
    pub(crate) print: bool,
    /// How large LMDB may let its file grow.
    pub(crate) map_size: u64,
}

impl Section<'_> {
    /// Writes the header.
    pub(crate) fn begin(&self, out: &mut impl Write) -> io::Result<()> {
        let form = if self.print { "print" } else { "bytevalue" };
        writeln!(out, "VERSION=3\nformat={form}")?;
        if let Some(name) = self.name {
            writeln!(out, "database={name}")?;
        }
        writeln!(out, "type=btree\nmapsize={}\nmaxreaders=126", self.map_size)?;
        let flags = self.shape.flags();
        if flags.dup_sort {
            writeln!(out, "duplicates=1")?;
        }
        flags.names().try_for_each(|name| writeln!(out, "{name}=1"))?;
        for (keyword, name) in [(KEY_TYPE, self.key_type), (VALUE_TYPE, self.value_type)] {
            if let Some(name) = name {
                writeln!(out, "{keyword}={name}")?;
            }
        }
        writeln!(out, "db_pagesize=4096\nHEADER=END")
    }

    /// Writes an entry as it is stored. Whether LMDB can hold it.
    pub(crate) fn entry(
        &self,
        out: &mut impl Write,
        key: &[u8],
        value: &[u8],
    ) -> folio::Result<io::Result<bool>> {
        if self.shape.is_plain() {
            return Ok(self.lines(out, key, value));
        }
        let (key, dup) = self.shape.decode(key)?;
        Ok(self.lines(out, &key, dup.as_deref().unwrap_or(value)))
    }

    fn lines(&self, out: &mut impl Write, key: &[u8], value: &[u8]) -> io::Result<bool> {
        data_line(out, self.print, key)?;
        data_line(out, self.print, value)?;
        let value_fits = !self.shape.has_dups() || value.len() <= LONGEST_KEY;
        Ok(value_fits && (1..=LONGEST_KEY).contains(&key.len()))
    }

    /// Writes what follows the last entry.
    pub(crate) fn end(out: &mut impl Write) -> io::Result<()> {
        out.write_all(b"DATA=END\n")
    }
}

/// One key or value.
pub(super) fn data_line(out: &mut impl Write, print: bool, bytes: &[u8]) -> io::Result<()> {
    const PIECE: usize = 1024;
    out.write_all(b" ")?;
    // At most three characters for a byte.
    let mut room = [0; 3 * PIECE];
    for piece in bytes.chunks(PIECE) {
        let mut len = 0;
        let mut put = |characters: &[u8]| {
            room[len..len + characters.len()].copy_from_slice(characters);
            len += characters.len();
        };
        for &byte in piece {
            let digits = [hex(byte >> 4), hex(byte & 15)];
            match byte {
                _ if !print => put(&digits),
                b'\\' => put(b"\\\\"),
                b' '..=b'~' => put(&[byte]),
                _ => put(&[b'\\', digits[0], digits[1]]),
            }
        }
        out.write_all(&room[..len])?;
    }
    out.write_all(b"\n")
}

fn hex(digit: u8) -> u8 {
    if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
}
