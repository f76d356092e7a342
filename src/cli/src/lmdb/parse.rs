//! Reads the format line by line, whoever wrote it: LMDB, libmdbx, Berkeley DB or Folio.
//!
//! What is accepted beyond what LMDB itself reads: upper-case digits and `\5c` for a backslash, lines that
//! end with a carriage return, header lines in any order, flags that say 0, keywords of the others (ignored),
//! blank lines between sections, and libmdbx's short form, in which a second space at the beginning of a line
//! of digits says "the same key again". (Among printed text that form cannot be told from a key that begins
//! with a space, so it is taken for that.)

use super::{Header, KEY_TYPE, VALUE_TYPE};

/// What a line was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Part of something.
    Nothing,
    /// Something that is ignored and that a person may want to know of.
    Note(String),
    /// The header is complete: [`Parser::header`].
    Begin,
    /// An entry is complete: [`Parser::entry`].
    Entry,
    /// The section is complete.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Outside,
    Header,
    /// A key comes next, or the end.
    Key,
    Value,
}

/// Keywords that say nothing that matters here, of all who write the format.
const IGNORED: &[&str] = &[
    "mapsize",
    "mapaddr",
    "maxreaders",
    "db_pagesize",
    "geometry",
    "txnid",
    "h_nelem",
    "h_ffactor",
    "bt_minkey",
    "db_lorder",
    "recnum",
    "renumber",
    "chksum",
    "extentsize",
    "subdatabase",
    "keys",
];

/// Keywords that say what a table of LMDB's relatives has and one here has not.
const LOST: &[&str] = &["sequence", "canary"];

/// Takes the lines of a stream, one after the other.
#[derive(Debug)]
pub(crate) struct Parser {
    state: State,
    header: Header,
    /// The section before was in the form of text, and this one has not said its own.
    form_is_unclear: bool,
    key: Vec<u8>,
    value: Vec<u8>,
    /// `key` is one of this section.
    has_key: bool,
}

impl Parser {
    pub(crate) fn new() -> Parser {
        Parser {
            state: State::Outside,
            header: Header::default(),
            form_is_unclear: false,
            key: Vec::new(),
            value: Vec::new(),
            has_key: false,
        }
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The last key and value.
    pub(crate) fn entry(&self) -> (&[u8], &[u8]) {
        (&self.key, &self.value)
    }

    /// Takes a line, without its end. The error is a reason.
    pub(crate) fn line(&mut self, line: &[u8]) -> Result<Event, String> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match self.state {
            State::Outside if line.is_empty() => Ok(Event::Nothing),
            State::Outside => {
                if !line.starts_with(b"VERSION=") {
                    return Err("a section begins with a line VERSION=3, as mdb_dump writes it".to_owned());
                }
                self.form_is_unclear = self.header.print;
                self.header = Header::default();
                self.has_key = false;
                self.state = State::Header;
                self.header_line(line)
            }
            State::Header => self.header_line(line),
            State::Key | State::Value => self.data_line(line),
        }
    }

    /// There are no more lines.
    pub(crate) fn end(&self) -> Result<(), String> {
        match self.state {
            State::Outside => Ok(()),
            State::Header => {
                Err("the input ends inside a header, before HEADER=END: it was cut off".to_owned())
            }
            State::Key | State::Value => Err("the input ends before DATA=END: it was cut off".to_owned()),
        }
    }

    fn header_line(&mut self, line: &[u8]) -> Result<Event, String> {
        let Some(at) = line.iter().position(|byte| *byte == b'=') else {
            return Err("a line of a header has the form keyword=value".to_owned());
        };
        let (keyword, value) = (&line[..at], &line[at + 1..]);
        let keyword = str::from_utf8(keyword).map_err(|_| "the keyword is not text".to_owned())?;
        if keyword == "database" {
            // An empty name is how some say that there is none.
            self.header.name = (!value.is_empty()).then(|| value.to_vec());
            return Ok(Event::Nothing);
        }
        let value = str::from_utf8(value).map_err(|_| format!("the value of {keyword} is not text"))?;
        if let Some(flag) = self.header.flags.named(keyword) {
            *flag = match value {
                "0" => false,
                "1" => true,
                _ => return Err(format!("{keyword} is 0 or 1, not {value:?}")),
            };
            return Ok(Event::Nothing);
        }
        match (keyword, value) {
            ("VERSION", "1" | "2" | "3") | ("type", "btree") => {}
            ("VERSION", _) => return Err(format!("version {value:?} of the format is not known, only 3 is")),
            ("type", _) => return Err(format!("type={value}: only tables of type btree can be loaded")),
            ("keys", "0") => return Err("keys=0: a table without keys cannot be loaded".to_owned()),
            ("format", "print" | "bytevalue") => {
                self.header.print = value == "print";
                self.form_is_unclear = false;
            }
            ("format", _) => return Err(format!("format={value}: it is print or bytevalue")),
            (KEY_TYPE, _) => self.header.key_type = Some(value.to_owned()),
            (VALUE_TYPE, _) => self.header.value_type = Some(value.to_owned()),
            ("HEADER", "END") if self.form_is_unclear => {
                return Err(
                    "there is no line format=.. here, and the section before was in the form print: \
                            say format=print or format=bytevalue"
                        .to_owned(),
                );
            }
            ("HEADER", "END") => {
                self.state = State::Key;
                return Ok(Event::Begin);
            }
            _ if IGNORED.contains(&keyword) => {}
            _ if LOST.contains(&keyword) => {
                return Ok(Event::Note(format!("{keyword}={value} is not kept: Folio has nothing like it")));
            }
            _ => return Ok(Event::Note(format!("the keyword {keyword:?} is not known, and ignored"))),
        }
        Ok(Event::Nothing)
    }

    fn data_line(&mut self, line: &[u8]) -> Result<Event, String> {
        let Some(text) = line.strip_prefix(b" ") else {
            return match (line, self.state) {
                (b"DATA=END", State::Key) => {
                    self.state = State::Outside;
                    Ok(Event::End)
                }
                (b"DATA=END", _) => Err("the last key has no value".to_owned()),
                _ => Err("a line of data begins with a space; the end is DATA=END".to_owned()),
            };
        };
        if self.state == State::Key
            && !self.header.print
            && let Some(text) = text.strip_prefix(b" ")
        {
            if !self.has_key || !self.header.flags.dup_sort {
                return Err("a second space says \"the same key again\", which cannot be here".to_owned());
            }
            decode(false, text, &mut self.value)?;
            return Ok(Event::Entry);
        }
        if self.state == State::Key {
            decode(self.header.print, text, &mut self.key)?;
            (self.state, self.has_key) = (State::Value, true);
            return Ok(Event::Nothing);
        }
        decode(self.header.print, text, &mut self.value)?;
        self.state = State::Key;
        Ok(Event::Entry)
    }
}

fn decode(print: bool, text: &[u8], room: &mut Vec<u8>) -> Result<(), String> {
    room.clear();
    if print { decode_text(text, room) } else { decode_digits(text, room) }
}

fn decode_digits(text: &[u8], room: &mut Vec<u8>) -> Result<(), String> {
    let (pairs, rest) = text.as_chunks::<2>();
    room.reserve(pairs.len());
    for (pair, at) in pairs.iter().zip((0..).step_by(2)) {
        let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else {
            return Err(format!("no hexadecimal digit at or behind column {}", at + 2));
        };
        room.push(high << 4 | low);
    }
    match rest {
        [] => Ok(()),
        _ => Err(format!("an odd number of hexadecimal digits: {}", text.len())),
    }
}

fn decode_text(text: &[u8], room: &mut Vec<u8>) -> Result<(), String> {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let (plain, escape) = rest.split_at(at);
        room.extend_from_slice(plain);
        rest = match escape {
            [_, b'\\', after @ ..] => {
                room.push(b'\\');
                after
            }
            [_, high, low, after @ ..] => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    room.push(high << 4 | low);
                    after
                }
                _ => return Err(wrong_escape(text, escape)),
            },
            _ => return Err(wrong_escape(text, escape)),
        };
    }
    room.extend_from_slice(rest);
    Ok(())
}

fn wrong_escape(text: &[u8], escape: &[u8]) -> String {
    let column = text.len() - escape.len() + 2;
    format!(
        "the backslash in column {column} is followed neither by another nor by two hexadecimal digits; \
         mdb_dump -p of LMDB before 0.9.25 writes backslashes so that nobody can read them back: dump \
         without -p"
    )
}

fn digit(character: u8) -> Option<u8> {
    char::from(character).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Entries = Vec<(String, Vec<u8>, Vec<u8>)>;

    /// Every entry of a stream, with the names of the sections; or the line that is wrong, and why.
    fn read(text: &[u8]) -> Result<Entries, (usize, String)> {
        let mut parser = Parser::new();
        let mut entries = Vec::new();
        let lines: Vec<&[u8]> =
            text.strip_suffix(b"\n").unwrap_or(text).split(|byte| *byte == b'\n').collect();
        for (line, number) in lines.iter().zip(1..) {
            match parser.line(line).map_err(|reason| (number, reason))? {
                Event::Entry => {
                    let name = parser.header().name.clone().unwrap_or_default();
                    let (key, value) = parser.entry();
                    entries.push((String::from_utf8(name).unwrap(), key.to_vec(), value.to_vec()));
                }
                Event::Nothing | Event::Note(_) | Event::Begin | Event::End => {}
            }
        }
        parser.end().map_err(|reason| (lines.len() + 1, reason))?;
        Ok(entries)
    }

    fn entry(name: &str, key: &[u8], value: &[u8]) -> (String, Vec<u8>, Vec<u8>) {
        (name.to_owned(), key.to_vec(), value.to_vec())
    }

    #[test]
    fn both_forms_and_all_dialects_are_read() {
        let check = |text: &[u8], expected: &[(String, Vec<u8>, Vec<u8>)]| {
            assert_eq!(read(text).unwrap(), expected, "{}", text.escape_ascii());
        };
        check(b"", &[]);
        check(b"VERSION=3\nHEADER=END\nDATA=END\n", &[]);
        check(b"VERSION=3\nHEADER=END\n 61\n 62\nDATA=END", &[entry("", b"a", b"b")]);
        check(b"VERSION=3\nHEADER=END\n \n \nDATA=END\n", &[entry("", b"", b"")]);
        check(b"VERSION=3\nHEADER=END\n aF\n Fa\nDATA=END\n", &[entry("", b"\xaf", b"\xfa")]);
        let print = b"VERSION=3\nformat=print\ndatabase=t=1\ntype=btree\nHEADER=END\n\
                      \\\\\\5c\\5C a\n  \\0a\nDATA=END\n";
        check(print, &[entry("t=1", b"\\\\\\ a", b" \n")]);
        check(b"VERSION=3\r\nHEADER=END\r\n 61\r\n \r\nDATA=END\r\n", &[entry("", b"a", b"")]);
        // libmdbx's short form.
        let short =
            b"VERSION=3\ndatabase=d\ndupsort=1\nHEADER=END\n 61\n 01\n  02\n  03\n 62\n 04\nDATA=END\n";
        let dups = [(b"a", 1), (b"a", 2), (b"a", 3), (b"b", 4)];
        check(short, &dups.map(|(key, value)| entry("d", key, &[value])));
        // Sections, with a blank line between them; the form is each section's own.
        let two = b"VERSION=3\nformat=print\nHEADER=END\n a\n 61\nDATA=END\n\nVERSION=3\nformat=bytevalue\n\
                    database=b\nHEADER=END\n 61\n 61\nDATA=END\n";
        check(two, &[entry("", b"a", b"61"), entry("b", b"a", b"a")]);
    }

    #[test]
    fn every_byte_that_is_printed_is_read() {
        for print in [false, true] {
            for byte in 0..=255_u8 {
                let mut text = Vec::new();
                crate::lmdb::write::data_line(&mut text, print, &[byte, b'x', byte]).unwrap();
                let line = text.strip_suffix(b"\n").unwrap().strip_prefix(b" ").unwrap();
                let mut bytes = Vec::new();
                decode(print, line, &mut bytes).unwrap();
                assert_eq!(bytes, [byte, b'x', byte]);
            }
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let check = |text: &str, line: usize, part: &str| {
            let (found, reason) = read(text.as_bytes()).unwrap_err();
            assert!(found == line && reason.contains(part), "{text:?}: line {found}: {reason}");
        };
        check("a\tb\n", 1, "VERSION=3");
        check("VERSION=4\n", 1, "version");
        check("VERSION=3\nformat=json\n", 2, "format=json");
        check("VERSION=3\ntype=hash\n", 2, "btree");
        check("VERSION=3\nkeys=0\n", 2, "keys");
        check("VERSION=3\ndupsort=yes\n", 2, "dupsort");
        check("VERSION=3\nHEADER\n", 2, "keyword=value");
        check("VERSION=3\nmapsize=1\n", 3, "HEADER=END");
        check("VERSION=3\nHEADER=END\n 61\n", 4, "DATA=END");
        check("VERSION=3\nHEADER=END\n 61\n 62\n", 5, "DATA=END");
        check("VERSION=3\nHEADER=END\n 61\nDATA=END\n", 4, "no value");
        check("VERSION=3\nHEADER=END\n 6\n", 3, "odd");
        check("VERSION=3\nHEADER=END\n 6g\n", 3, "column 2");
        check("VERSION=3\nHEADER=END\n61\n", 3, "space");
        check("VERSION=3\nHEADER=END\n\n", 3, "space");
        check("VERSION=3\nHEADER=END\n  61\n", 3, "second space");
        check("VERSION=3\nHEADER=END\n 61\n  62\n", 4, "column 2");
        for escape in ["\\", "\\6", "\\x61", "\\g1", "a\\n"] {
            check(&format!("VERSION=3\nformat=print\nHEADER=END\n {escape}\n"), 4, "backslash");
        }
        check("VERSION=3\nformat=print\nHEADER=END\nDATA=END\nVERSION=3\nHEADER=END\n", 6, "no line format");
    }
}
