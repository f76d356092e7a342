//! The cells of a leaf or a branch, each by itself: one that is damaged hides no other.

use super::{Faults, Layout, PageBody, PageHeader, split_word};
use crate::page::key_len_max;
use crate::page::leaf::EXTENDED_OVERFLOW;
use crate::page::slotted::{BRANCH_KEY_AT, EXTENDED_TAIL, LEAF_KEY_AT, Slot, head, slots_at};
use crate::page::{Child, HAS_OVERFLOW, HEADER_LEN, KIND_LEAF, OverflowRef, PAGE_ID_MASK, SLOT_LEN, get_u16};

/// FORMAT.md, "Slot".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlotFields {
    /// Where the slot stands in its page.
    pub at: usize,
    /// The first four bytes of the suffix, as a number.
    pub head: u32,
    /// Where the cell begins.
    pub offset: u16,
    /// Bytes of the suffix.
    pub key_len: u16,
    /// Whether the cell is extended.
    pub is_extended: bool,
}

/// FORMAT.md, "Leaf cell".
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeafCell<'a> {
    /// Its slot.
    pub slot: SlotFields,
    /// The key behind the page's prefix; empty where the cell is not inside the page.
    pub suffix: &'a [u8],
    /// The value.
    pub content: LeafContent<'a>,
}

/// What a leaf cell has beside its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeafContent<'a> {
    /// The value.
    Inline(&'a [u8]),
    /// Where the value is.
    Overflow(RunReference),
    /// An extended cell of a kind that this version does not know.
    Unknown(u8),
    /// Nothing: the cell is not inside the page.
    Outside,
}

/// FORMAT.md, "Overflow reference".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunReference {
    /// The first page of the run.
    pub page: u64,
    /// What stands above the page number: zero.
    pub flags: u16,
    /// Bytes of the value.
    pub len: u32,
    /// The transaction that wrote the run.
    pub birth: u64,
    /// The checksum of the value: see [`Layout::value_sum`].
    pub checksum: u32,
}

/// FORMAT.md, "Branch cell".
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BranchCell<'a> {
    /// Its slot.
    pub slot: SlotFields,
    /// The separator behind the page's prefix; empty in the first cell, which has none.
    pub suffix: &'a [u8],
    /// The child; none where the cell is not inside the page.
    pub child: Option<ChildFields>,
}

/// What a branch says of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildFields {
    /// Its page.
    pub page: u64,
    /// What stands above the page number.
    pub flags: u16,
    /// Whether overflow runs may lie in or below it.
    pub has_overflow: bool,
    /// Its birth.
    pub birth: u64,
    /// Entries in or below it.
    pub count: u64,
}

/// Where the slots end, as the header says.
pub(super) fn slots_end(header: &PageHeader) -> usize {
    slots_at(header.prefix_len.into()) + usize::from(header.count) * SLOT_LEN
}

/// What is common to the cells of a page while they are decoded.
struct Decoder<'a, 'd> {
    bytes: &'a [u8],
    header: &'d PageHeader,
    layout: &'d Layout,
    faults: &'d mut Faults,
    prefix: &'a [u8],
    /// Where each cell lies that is inside the page: offset and length.
    places: Vec<(usize, usize)>,
}

/// A cell in its parts.
struct Parts<'a> {
    suffix: &'a [u8],
    fixed: &'a [u8],
    tail: &'a [u8],
}

pub(super) fn leaf<'a>(
    bytes: &'a [u8],
    header: &PageHeader,
    layout: &Layout,
    faults: &mut Faults,
) -> PageBody<'a> {
    let mut decoder = Decoder::new(bytes, header, layout, faults);
    let slots = decoder.slots();
    let mut cells = Vec::with_capacity(slots.len());
    for slot in slots {
        let kind = bytes.get(usize::from(slot.offset)).copied().unwrap_or(0);
        let tail_len =
            if slot.is_extended { EXTENDED_TAIL } else { get_u16(bytes, slot.offset.into()).into() };
        let (suffix, content) = match decoder.parts(&slot, LEAF_KEY_AT, tail_len) {
            None => (&[][..], LeafContent::Outside),
            Some(parts) if !slot.is_extended => (parts.suffix, LeafContent::Inline(parts.tail)),
            Some(parts) if kind != EXTENDED_OVERFLOW => {
                decoder.faults.add(slot.offset.into(), format!("cell kind {kind} is not supported"));
                (parts.suffix, LeafContent::Unknown(kind))
            }
            Some(parts) => (parts.suffix, LeafContent::Overflow(decoder.run(&slot, &parts))),
        };
        cells.push(LeafCell { slot, suffix, content });
    }
    decoder
        .check_keys(cells.iter().map(|cell| (&cell.slot, cell.suffix, cell.content != LeafContent::Outside)));
    decoder.check_places();
    PageBody::Leaf { prefix: decoder.prefix, cells }
}

pub(super) fn branch<'a>(
    bytes: &'a [u8],
    header: &PageHeader,
    layout: &Layout,
    faults: &mut Faults,
) -> PageBody<'a> {
    let mut decoder = Decoder::new(bytes, header, layout, faults);
    let slots = decoder.slots();
    let mut cells = Vec::with_capacity(slots.len());
    for slot in slots {
        if slot.is_extended {
            decoder.faults.add(slot.at + 6, "a cell of a branch is extended");
        }
        let (suffix, child) = match decoder.parts(&slot, BRANCH_KEY_AT, 0) {
            None => (&[][..], None),
            Some(parts) => (parts.suffix, Some(decoder.child(&slot, &parts))),
        };
        cells.push(BranchCell { slot, suffix, child });
    }
    let counts = cells.iter().filter_map(|cell| cell.child).map(|child| child.count);
    if counts.into_iter().try_fold(0_u64, u64::checked_add).is_none() {
        decoder.faults.add(6, "entries below the branch are 2^64 or more");
    }
    decoder.check_keys(cells.iter().map(|cell| (&cell.slot, cell.suffix, cell.child.is_some())));
    decoder.check_places();
    PageBody::Branch { prefix: decoder.prefix, cells }
}

impl<'a, 'd> Decoder<'a, 'd> {
    /// Looks at where things lie.
    fn new(bytes: &'a [u8], header: &'d PageHeader, layout: &'d Layout, faults: &'d mut Faults) -> Self {
        let (slots_at, slots_end) = (slots_at(header.prefix_len.into()), slots_end(header));
        let prefix = bytes.get(HEADER_LEN..HEADER_LEN + usize::from(header.prefix_len));
        if prefix.is_none() {
            faults.add(24, format!("prefix of {} bytes does not fit the page", header.prefix_len));
        }
        faults.equal(26, "length of holes", 0, header.holes.into());
        if header.count == 0 {
            faults.add(6, "number of cells is 0, expected at least 1");
        }
        let cells_at = header.cells_at as usize;
        if slots_end > cells_at || cells_at > bytes.len() {
            let bounds = format!("{slots_end} to {}", bytes.len());
            faults.add(28, format!("start of cells is {cells_at}, expected {bounds}"));
        }
        let padding_at = HEADER_LEN + usize::from(header.prefix_len);
        faults.zeros(padding_at, bytes.get(padding_at..slots_at).unwrap_or(&[]), "padding of the prefix");
        faults.zeros(slots_end, bytes.get(slots_end..cells_at).unwrap_or(&[]), "unused part of the page");
        Decoder { bytes, header, layout, faults, prefix: prefix.unwrap_or(&[]), places: Vec::new() }
    }

    /// The slots that are inside the page.
    fn slots(&mut self) -> Vec<SlotFields> {
        let (from, count) = (slots_at(self.header.prefix_len.into()), usize::from(self.header.count));
        let rooms = self.bytes.get(from..).unwrap_or(&[]).as_chunks::<SLOT_LEN>().0;
        if rooms.len() < count {
            self.faults.add(6, format!("{count} slots do not fit the page"));
        }
        let slots = (from..).step_by(SLOT_LEN).zip(rooms).take(count).map(|(at, room)| {
            let slot = Slot::decode(*room);
            SlotFields {
                at,
                head: slot.head,
                offset: slot.offset,
                key_len: u16::try_from(slot.key_len()).unwrap_or(u16::MAX),
                is_extended: slot.is_extended(),
            }
        });
        slots.collect()
    }

    /// The cell of a slot, if it is inside the page.
    fn parts(&mut self, slot: &SlotFields, key_at: usize, tail_len: usize) -> Option<Parts<'a>> {
        let (offset, key_len) = (usize::from(slot.offset), usize::from(slot.key_len));
        let end = offset + key_at + key_len + tail_len;
        let found = self.bytes.get(offset..end).filter(|_| offset >= self.header.cells_at as usize);
        let Some(cell) = found else {
            let bounds = format!("{} to {}", self.header.cells_at, self.bytes.len());
            self.faults.add(slot.at + 4, format!("cell from {offset} to {end} is not inside {bounds}"));
            return None;
        };
        self.places.push((offset, cell.len()));
        let (fixed, rest) = cell.split_at_checked(key_at)?;
        let (suffix, tail) = rest.split_at_checked(key_len)?;
        Some(Parts { suffix, fixed, tail })
    }

    fn run(&mut self, slot: &SlotFields, parts: &Parts<'_>) -> RunReference {
        let at = usize::from(slot.offset);
        if parts.fixed.get(1) != Some(&0) {
            self.faults.add(at + 1, "reserved byte of a cell is not zero");
        }
        let run = OverflowRef::decode(parts.tail);
        let (page, flags) = split_word(run.word);
        let pages = self.layout.run_pages(run.len);
        self.reference(
            at + LEAF_KEY_AT + parts.suffix.len(),
            run.word & !PAGE_ID_MASK,
            page,
            pages,
            run.birth.0,
        );
        RunReference { page, flags, len: run.len, birth: run.birth.0, checksum: run.sum }
    }

    fn child(&mut self, slot: &SlotFields, parts: &Parts<'_>) -> ChildFields {
        let at = usize::from(slot.offset);
        let child = Child::decode(parts.fixed);
        let (page, flags) = split_word(child.word);
        self.reference(at, child.word & !PAGE_ID_MASK & !HAS_OVERFLOW, page, 1, child.birth.0);
        if child.count == 0 {
            self.faults.add(at + 16, "entries below a child are 0, expected at least 1");
        }
        let (birth, count) = (child.birth.0, child.count);
        ChildFields { page, flags, has_overflow: child.has_overflow(), birth, count }
    }

    /// A reference to other pages that stands at `at`.
    fn reference(&mut self, at: usize, flags: u64, page: u64, pages: u64, birth: u64) {
        if flags != 0 {
            self.faults.add(at, format!("flags of a page number are {:#x}", flags >> 48));
        }
        let end = self.layout.page_count.unwrap_or(u64::MAX);
        if page == 0 || pages == 0 || page.saturating_add(pages) > end {
            let bounds = self.layout.page_count.map_or(String::new(), |end| format!(" of {end}"));
            self.faults
                .add(at, format!("reference to {pages} pages from {page} is not inside the pages{bounds}"));
        }
        if birth > self.header.birth {
            let most = self.header.birth;
            self.faults
                .add(at + 8, format!("birth of a referenced page is {birth}, expected at most {most}"));
        }
    }

    /// Heads and order of the keys: each slot with its suffix, and whether its cell is there.
    fn check_keys<'c>(&mut self, keys: impl Iterator<Item = (&'c SlotFields, &'c [u8], bool)>) {
        let is_leaf = self.header.kind == KIND_LEAF;
        let longest = key_len_max(self.layout.page_size as usize);
        let mut last: Option<&[u8]> = None;
        for (i, (slot, suffix, is_there)) in keys.enumerate() {
            if !is_there {
                continue;
            }
            if head(suffix) != slot.head {
                // Not what it is: who hides keys shows the faults.
                self.faults.add(slot.at, format!("key head of cell {i} is not the beginning of its key"));
            }
            if !is_leaf && i == 0 {
                self.faults.equal(slot.at + 6, "length of the first separator", 0, suffix.len() as u64);
                continue;
            }
            let len = self.prefix.len() + suffix.len();
            if len > longest {
                self.faults
                    .add(slot.at + 6, format!("key of cell {i} has {len} bytes, expected at most {longest}"));
            }
            if last.is_some_and(|last| suffix <= last) {
                self.faults.add(slot.at, format!("key of cell {i} is not greater than the one before"));
            }
            if !is_leaf && i == 1 && len == 0 {
                self.faults.add(slot.at + 6, "second separator is empty");
            }
            last = Some(suffix);
        }
    }

    /// The cells lie side by side, from the start of the cells to the end of the page.
    fn check_places(&mut self) {
        self.places.sort_unstable();
        let mut end = self.header.cells_at as usize;
        for (offset, len) in &self.places {
            if *offset != end {
                self.faults.add(*offset, format!("a cell begins at {offset}, expected one at {end}"));
                return;
            }
            end += len;
        }
        if end != self.bytes.len() {
            self.faults.add(end, format!("cells end at {end}, expected {}", self.bytes.len()));
        }
    }
}
