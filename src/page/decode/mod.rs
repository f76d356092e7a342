//! A page taken apart, believed or not: for whoever looks at files that are damaged, or no databases.
//!
//! - Relies on nothing but the bytes, and what a [`Layout`] says of the file they come from.
//! - Guarantees that every step is in bounds for any bytes, that what is wrong is listed and decoding goes
//!   on, and that a page without a fault is one that a first touch would pass ([`super::check()`]), as far as
//!   the page alone can say.

mod cells;
mod fixed;
#[cfg(test)]
pub(super) mod tests;

use std::fmt;

pub use cells::{BranchCell, ChildFields, LeafCell, LeafContent, RunReference, SlotFields};
pub use fixed::{HeadPage, MetaPage, RecordFields, RootFields, TreeFields};

use super::free_log::{NEVER, RECORD_LEN, RECORDS_AT};
use super::{
    HEADER_LEN, KIND_BRANCH, KIND_FREE_LOG, KIND_LEAF, LEVELS_MAX, PAGE_ID_MASK, Seed, free_log_capacity,
    free_log_used, get_u16, get_u32, get_u64, header_pages, is_page_size, run_pages,
};

/// What is known of the file that a page comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Layout {
    /// Bytes of a page.
    pub page_size: u32,
    /// What the checksums depend on. Without it none is looked at.
    pub database_id: Option<[u8; 16]>,
    /// Pages of the file: every page number in a page is smaller.
    pub page_count: Option<u64>,
}

impl Layout {
    /// Pages of this size, and nothing else known; none if no database has such pages.
    pub fn new(page_size: u32) -> Option<Layout> {
        let layout = Layout { page_size, database_id: None, page_count: None };
        is_page_size(u64::from(page_size)).then_some(layout)
    }

    /// The pages of the two meta pages and of the head record.
    pub fn header_pages(&self) -> [u64; 3] {
        header_pages(self.page_size as usize)
    }

    /// Pages that a value of `len` bytes takes outside its leaf.
    pub fn run_pages(&self, len: u32) -> u64 {
        run_pages(u64::from(len), self.page_size as usize)
    }

    /// The checksum of a value that lies outside its leaf, if the database id is known.
    pub fn value_sum(&self, value: &[u8]) -> Option<u32> {
        self.database_id.map(|id| Seed::of(&id).sum(value))
    }
}

/// One thing in a page that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageFault {
    /// Where, from the start of the page.
    pub at: usize,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for PageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// The faults of a page, as they are found.
#[derive(Debug, Default)]
struct Faults(Vec<PageFault>);

impl Faults {
    fn add(&mut self, at: usize, what: impl Into<String>) {
        self.0.push(PageFault { at, what: what.into() });
    }

    fn equal(&mut self, at: usize, what: &str, expected: u64, found: u64) {
        if expected != found {
            self.add(at, format!("{what} is {found}, expected {expected}"));
        }
    }

    /// `bytes` stand at `at`.
    fn zeros(&mut self, at: usize, bytes: &[u8], what: &str) {
        if let Some(first) = bytes.iter().position(|byte| *byte != 0) {
            self.add(at + first, format!("{what}: other bytes than zeros"));
        }
    }
}

/// A field of fixed length, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field {
    /// Where it begins, from the start of the page.
    pub at: usize,
    /// Its bytes.
    pub len: usize,
    /// The structure that it belongs to, as `catalog`; empty for the page itself.
    pub group: &'static str,
    /// Its name in the description of the format.
    pub name: &'static str,
    /// What it says.
    pub value: FieldValue,
}

/// What a field says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldValue {
    /// A number.
    Number(u64),
    /// A checksum, a mask or flags: better read in hexadecimal digits.
    Hex(u64),
    /// A page number in 48 bits, and what stands above it.
    #[non_exhaustive]
    Word {
        /// The page number.
        page: u64,
        /// Flags; in a run of a commit record and in the free-space log a number of pages.
        high: u16,
    },
    /// Bytes without an order, as an id.
    Bytes(Vec<u8>),
}

/// Records the fields of a structure while they are decoded.
struct Fields<'f> {
    bytes: &'f [u8],
    list: Vec<Field>,
}

impl Fields<'_> {
    fn push(&mut self, at: usize, len: usize, (group, name): Name, value: FieldValue) {
        self.list.push(Field { at, len, group, name, value });
    }

    fn number(&mut self, at: usize, len: usize, name: Name) -> u64 {
        let number = get_number(self.bytes, at, len);
        self.push(at, len, name, FieldValue::Number(number));
        number
    }

    fn hex(&mut self, at: usize, len: usize, name: Name) -> u64 {
        let number = get_number(self.bytes, at, len);
        self.push(at, len, name, FieldValue::Hex(number));
        number
    }

    fn sum(&mut self, at: usize) -> u32 {
        self.hex(at, 4, ("", "checksum"));
        get_u32(self.bytes, at)
    }

    fn word(&mut self, at: usize, name: Name) -> (u64, u16) {
        let (page, high) = split_word(get_u64(self.bytes, at));
        self.push(at, 8, name, FieldValue::Word { page, high });
        (page, high)
    }

    fn array_of(&mut self, at: usize, len: usize, name: Name) {
        let bytes = self.bytes.get(at..at + len).unwrap_or(&[]).to_vec();
        self.push(at, len, name, FieldValue::Bytes(bytes));
    }

    fn array(&mut self, at: usize, name: Name) -> [u8; 16] {
        let bytes: [u8; 16] = self.bytes.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
        self.push(at, 16, name, FieldValue::Bytes(bytes.to_vec()));
        bytes
    }
}

/// The structure and the name of a field.
type Name = (&'static str, &'static str);

fn get_number(bytes: &[u8], at: usize, len: usize) -> u64 {
    match len {
        1 => bytes.get(at).copied().unwrap_or(0).into(),
        2 => get_u16(bytes, at).into(),
        4 => get_u32(bytes, at).into(),
        _ => get_u64(bytes, at),
    }
}

/// The page number of a word, and the 16 bits above it.
fn split_word(word: u64) -> (u64, u16) {
    let [.., low, high] = word.to_le_bytes();
    (word & PAGE_ID_MASK, u16::from_le_bytes([low, high]))
}

/// A page that is no header page, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodedPage<'a> {
    /// Where the page was read.
    pub page: u64,
    /// The page header, if the page seems to have one.
    pub header: Option<PageHeader>,
    /// What stands behind the header.
    pub body: PageBody<'a>,
    /// Everything that is wrong, in the order of the page's parts.
    pub faults: Vec<PageFault>,
}

/// FORMAT.md, "Page header".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageHeader {
    /// The checksum that stands there.
    pub checksum: u32,
    /// The checksum that the page has, if the database is known.
    pub computed: Option<u32>,
    /// 1 leaf, 2 branch, 3 page of the free-space log.
    pub kind: u8,
    /// 0 for a leaf.
    pub level: u8,
    /// Cells, or records of the free-space log.
    pub count: u16,
    /// The number that the page gives itself.
    pub page: u64,
    /// The transaction that wrote it.
    pub birth: u64,
    /// Bytes of the common prefix.
    pub prefix_len: u16,
    /// Bytes of removed cells: 0 on disk.
    pub holes: u16,
    /// Where the cells begin.
    pub cells_at: u32,
}

/// What stands behind a page's header.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PageBody<'a> {
    /// Entries of a table.
    #[non_exhaustive]
    Leaf {
        /// What every key begins with.
        prefix: &'a [u8],
        /// The entries, in the order of their slots.
        cells: Vec<LeafCell<'a>>,
    },
    /// Children.
    #[non_exhaustive]
    Branch {
        /// What every separator begins with.
        prefix: &'a [u8],
        /// The children, in the order of their slots.
        cells: Vec<BranchCell<'a>>,
    },
    /// A page of the free-space log.
    #[non_exhaustive]
    FreeLog {
        /// The next older page of the log, if any. The oldest may name one that is gone.
        older: u64,
        /// Its birth.
        older_birth: u64,
        /// What is said of extents, oldest first.
        records: Vec<LogRecord>,
    },
    /// No page header is here: a page of an overflow run, a free page that never was in use, or anything.
    Bare,
}

/// A record of the free-space log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogRecord {
    /// Where it stands in its page.
    pub at: usize,
    /// The first page.
    pub start: u64,
    /// How many pages.
    pub pages: u16,
    /// No root before this needs them.
    pub birth: u64,
    /// No root from here on needs them.
    pub death: u64,
}

impl LogRecord {
    /// Whether no root needs the pages.
    pub fn is_free(&self) -> bool {
        self.birth == self.death
    }

    /// Whether the pages are in use again, whatever earlier records say.
    pub fn is_used(&self) -> bool {
        self.death == NEVER.0
    }
}

impl<'a> DecodedPage<'a> {
    /// Takes the bytes of page `page` apart.
    pub fn new(bytes: &'a [u8], page: u64, layout: &Layout) -> DecodedPage<'a> {
        let header = PageHeader::of(bytes, layout);
        let mut decoded = DecodedPage { page, header: None, body: PageBody::Bare, faults: Vec::new() };
        let mut faults = Faults::default();
        if bytes.len() < layout.page_size as usize {
            faults.add(bytes.len(), format!("the file ends after {} bytes of the page", bytes.len()));
        }
        if !header.is_likely(bytes.len(), page) {
            decoded.faults = faults.0;
            return decoded;
        }
        header.find_faults(page, &mut faults);
        decoded.body = match header.kind {
            KIND_LEAF => cells::leaf(bytes, &header, layout, &mut faults),
            KIND_BRANCH => cells::branch(bytes, &header, layout, &mut faults),
            _ => free_log(bytes, &header, layout, &mut faults),
        };
        decoded.header = Some(header);
        decoded.faults = faults.0;
        decoded
    }

    /// The fields of the page header with their places; nothing where there is no header.
    pub fn fields(&self, bytes: &[u8]) -> Vec<Field> {
        let mut fields = Fields { bytes, list: Vec::new() };
        let Some(header) = self.header else { return fields.list };
        fields.sum(0);
        for (at, len, name) in [(4, 1, "kind"), (5, 1, "level"), (6, 2, "count")] {
            fields.number(at, len, ("", name));
        }
        fields.number(8, 8, ("", "page number"));
        fields.number(16, 8, ("", "birth"));
        for (at, len, name) in [(24, 2, "prefix"), (26, 2, "holes"), (28, 4, "cells")] {
            fields.number(at, len, ("", name));
        }
        if header.kind == KIND_FREE_LOG {
            fields.number(HEADER_LEN, 8, ("", "older page"));
            fields.number(HEADER_LEN + 8, 8, ("", "older birth"));
        }
        fields.list
    }

    /// Bytes in use, of all that the page has.
    pub fn used_bytes(&self, page_size: u32) -> u32 {
        let Some(header) = self.header else { return 0 };
        let before = match header.kind {
            KIND_FREE_LOG => free_log_used(header.count.into()),
            _ => cells::slots_end(&header),
        };
        let behind = match header.kind {
            KIND_FREE_LOG => 0,
            _ => page_size.saturating_sub(header.cells_at),
        };
        u32::try_from(before).unwrap_or(u32::MAX).saturating_add(behind).min(page_size)
    }
}

impl PageHeader {
    fn of(bytes: &[u8], layout: &Layout) -> PageHeader {
        PageHeader {
            checksum: get_u32(bytes, 0),
            computed: layout.database_id.map(|id| Seed::of(&id).page_sum(bytes)),
            kind: bytes.get(4).copied().unwrap_or(0),
            level: bytes.get(5).copied().unwrap_or(0),
            count: get_u16(bytes, 6),
            page: get_u64(bytes, 8),
            birth: get_u64(bytes, 16),
            prefix_len: get_u16(bytes, 24),
            holes: get_u16(bytes, 26),
            cells_at: get_u32(bytes, 28),
        }
    }

    /// Whether there is a header: the checksum says so, or the page number, where either is damaged.
    fn is_likely(&self, len: usize, page: u64) -> bool {
        let is_known = matches!(self.kind, KIND_LEAF | KIND_BRANCH | KIND_FREE_LOG);
        let is_meant = self.page == page || self.computed == Some(self.checksum);
        len >= HEADER_LEN && is_known && is_meant && page != 0
    }

    fn find_faults(&self, page: u64, faults: &mut Faults) {
        if let Some(computed) = self.computed.filter(|computed| *computed != self.checksum) {
            faults.add(0, format!("checksum is {:#010x}, expected {computed:#010x}", self.checksum));
        }
        faults.equal(8, "page number", page, self.page);
        match (self.kind, usize::from(self.level)) {
            (KIND_BRANCH, 1..LEVELS_MAX) | (KIND_LEAF | KIND_FREE_LOG, 0) => {}
            (KIND_BRANCH, level) => faults.add(5, format!("level of a branch is {level}, expected 1 to 31")),
            (_, level) => faults.add(5, format!("level is {level}, expected 0")),
        }
    }

    /// Whether the checksum that stands there is that of the page; none if the database is not known.
    pub fn is_checksum_right(&self) -> Option<bool> {
        self.computed.map(|computed| computed == self.checksum)
    }
}

fn free_log<'a>(bytes: &[u8], header: &PageHeader, layout: &Layout, faults: &mut Faults) -> PageBody<'a> {
    faults.zeros(24, bytes.get(24..HEADER_LEN).unwrap_or(&[]), "reserved bytes of the header");
    let count = usize::from(header.count);
    let most = free_log_capacity(layout.page_size as usize);
    if count > most {
        faults.add(6, format!("number of records is {count}, expected at most {most}"));
    }
    let rooms = bytes.get(RECORDS_AT..).unwrap_or(&[]).chunks_exact(RECORD_LEN).take(count);
    let records: Vec<LogRecord> = (RECORDS_AT..)
        .step_by(RECORD_LEN)
        .zip(rooms)
        .map(|(at, room)| {
            let (start, pages) = split_word(get_u64(room, 0));
            LogRecord { at, start, pages, birth: get_u64(room, 8), death: get_u64(room, 16) }
        })
        .collect();
    for record in &records {
        if record.start == 0 || record.pages == 0 || record.birth > record.death {
            faults.add(record.at, format!("record at {} is no extent", record.at));
        }
    }
    let behind = RECORDS_AT + records.len() * RECORD_LEN;
    faults.zeros(behind, bytes.get(behind..).unwrap_or(&[]), "unused part of the page");
    PageBody::FreeLog {
        older: get_u64(bytes, HEADER_LEN),
        older_birth: get_u64(bytes, HEADER_LEN + 8),
        records,
    }
}
