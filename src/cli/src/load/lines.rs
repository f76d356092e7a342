//! Lines of several files one after the other, and the format in which each of them is a key.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::{Entry, Source, VALUE_MAX};
use crate::column::Column;
use crate::failure::Failure;

const BUFFER: usize = 1 << 20;

/// So much is read before memory for more is asked for.
const PART: usize = 64 << 10;

/// Longer than this is no entry: the longest value, each byte of it written with four characters.
pub(super) const LONGEST: usize = 4 * VALUE_MAX + (1 << 20);

/// Fails for the first input that does not exist or cannot be opened, so that nothing is created before.
/// Folders are for those who look into them.
pub(super) fn check_inputs(inputs: &[PathBuf], folders_too: bool) -> Result<(), Failure> {
    for path in inputs.iter().filter(|path| !is_stdin(path)) {
        let opened = fs::metadata(path).and_then(|found| match found.is_file() {
            true => File::open(path).map(drop),
            false if found.is_dir() && !folders_too => Err(Errno::ISDIR.into()),
            false => Ok(()),
        });
        opened.map_err(|source| Failure::Input { name: path.display().to_string(), source })?;
    }
    Ok(())
}

pub(super) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The lines of files, without their ends.
pub(super) struct Lines {
    /// Still to be read, last first.
    waiting: Vec<PathBuf>,
    current: Option<Box<dyn BufRead>>,
    /// How many were opened.
    opened: u64,
    name: String,
    line: Vec<u8>,
    /// What ended it.
    end: &'static [u8],
    number: u64,
    bytes_read: u64,
    bytes_total: Option<u64>,
}

impl Lines {
    pub(super) fn new(inputs: &[PathBuf]) -> Self {
        let mut waiting = inputs.to_vec();
        if waiting.is_empty() {
            waiting.push(PathBuf::from("-"));
        }
        waiting.reverse();
        let size =
            |path: &PathBuf| fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|found| found.len());
        let bytes_total = waiting.iter().map(size).sum();
        let (name, line) = (String::new(), Vec::new());
        let end: &[u8] = b"";
        let (current, opened, number, bytes_read) = (None, 0, 0, 0);
        Lines { waiting, current, opened, name, line, end, number, bytes_read, bytes_total }
    }

    /// Reads the next line; false if there is none. It is then in [`Lines::line`].
    pub(super) fn advance(&mut self) -> Result<bool, Failure> {
        loop {
            let reader = match &mut self.current {
                Some(reader) => reader,
                None => {
                    let Some(path) = self.waiting.pop() else { return Ok(false) };
                    let (reader, name) = open(&path)?;
                    (self.name, self.number) = (name, 0);
                    self.opened += 1;
                    self.current.insert(reader)
                }
            };
            let read = read_line(reader.as_mut(), &mut self.line);
            let place = || format!("{}:{}", self.name, self.number + 1);
            let len = read.map_err(|source| Failure::Input { name: place(), source })?;
            if len == 0 {
                self.current = None;
                continue;
            }
            self.bytes_read += len as u64;
            self.number += 1;
            self.end = b"";
            if self.line.pop_if(|byte| *byte == b'\n').is_some() {
                let returned = self.line.pop_if(|byte| *byte == b'\r').is_some();
                self.end = if returned { b"\r\n" } else { b"\n" };
            }
            return Ok(true);
        }
    }

    pub(super) fn line(&self) -> &[u8] {
        &self.line
    }

    /// What ended the line just read.
    pub(super) fn end(&self) -> &[u8] {
        self.end
    }

    /// Its number in its file, from 1 on.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Which file it is in, from 1 on: a name may be given twice.
    pub(super) fn file(&self) -> u64 {
        self.opened
    }

    /// A failure of the line just read.
    pub(super) fn fault(&self, reason: &str) -> Failure {
        self.fault_in(self.number, reason)
    }

    /// A failure of an earlier line of the same file.
    pub(super) fn fault_in(&self, number: u64, reason: &str) -> Failure {
        Failure::Message(format!("{}: {reason}", self.place_of(number)))
    }

    pub(super) fn place(&self) -> String {
        self.place_of(self.number)
    }

    pub(super) fn place_of(&self, number: u64) -> String {
        format!("{}:{number}", self.name)
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    pub(super) fn bytes_total(&self) -> Option<u64> {
        self.bytes_total
    }
}

/// Reads a line with its end. A line that does not fit into memory is an error and not the end of the tool.
fn read_line(reader: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    line.clear();
    loop {
        line.try_reserve(PART)?;
        let read = reader.take(PART as u64).read_until(b'\n', line)?;
        if read < PART || line.ends_with(b"\n") {
            return Ok(line.len());
        }
        if line.len() > LONGEST {
            return Err(io::Error::other("the line is longer than any entry"));
        }
    }
}

fn open(path: &Path) -> Result<(Box<dyn BufRead>, String), Failure> {
    if is_stdin(path) {
        return Ok((Box::new(BufReader::with_capacity(BUFFER, io::stdin())), "standard input".to_owned()));
    }
    let name = path.display().to_string();
    match File::open(path) {
        Ok(file) => Ok((Box::new(BufReader::with_capacity(BUFFER, file)), name)),
        Err(source) => Err(Failure::Input { name, source }),
    }
}

/// Each line is a key. The value is empty.
pub(super) struct KeyLines {
    lines: Lines,
    keys: Column,
    values: Column,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl KeyLines {
    pub(super) fn new(lines: Lines, keys: Column, values: Column) -> Self {
        KeyLines { lines, keys, values, key: Vec::new(), value: Vec::new() }
    }
}

impl Source for KeyLines {
    fn next(&mut self) -> Result<Option<Entry<'_>>, Failure> {
        if !self.lines.advance()? {
            return Ok(None);
        }
        let lines = &self.lines;
        let key = self.keys.parse_plain(lines.line(), &mut self.key).map_err(|e| lines.fault(&e))?;
        let value = self.values.parse_plain(b"", &mut self.value).map_err(|e| lines.fault(&e))?;
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
