//! Mutated copies of a sound file, with and without the checksums that fit.

use std::collections::BTreeSet;
use std::ops::Range;

use super::bytes::{NUMBER, Rng, crc, put, put_u32, put_u64, seal, seeded, u16_at, u32_at, u64_at};
use super::format::{Kind, Sound};
use super::metas::{HEAD_AT, HEAD_LEN, META_AT, META_LEN, ROOT_IN_HEAD, ROOT_IN_META, record, sum_of_run};
use super::page::slots_at;

/// A copy under change.
struct Copy<'s> {
    sound: &'s Sound,
    file: Vec<u8>,
    /// What was done, in words.
    what: Vec<String>,
    touched: BTreeSet<u64>,
}

/// A mutated copy, and what was done to it.
pub(super) struct Mutated {
    pub(super) file: Vec<u8>,
    pub(super) what: String,
    pub(super) repaired: bool,
}

/// The copy that belongs to what `rng` says.
pub(super) fn mutate(bytes: &[u8], sound: &Sound, rng: &mut Rng) -> Mutated {
    let mut copy = Copy { sound, file: bytes.to_vec(), what: Vec::new(), touched: BTreeSet::new() };
    let repaired = rng.one_in(2);
    let rounds = 1 + rng.below(2) * rng.below(3);
    for _ in 0..rounds {
        match rng.below(if repaired { 14 } else { 9 }) {
            0 => copy.flip_bits(rng),
            1 => copy.splice(rng),
            2 => copy.zero_range(rng),
            3 => copy.swap_pages(rng),
            4 => copy.move_page(rng, repaired),
            5 if rng.one_in(2) => copy.truncate(rng),
            5 | 6 => copy.meta_number(rng),
            7 | 8 => copy.page_number(rng),
            9 => copy.graft_child(rng),
            10 => copy.graft_record(rng),
            11 => copy.graft_log(rng),
            12 => copy.graft_run(rng),
            _ => copy.page_number(rng),
        }
    }
    if repaired {
        copy.repair();
        copy.what.push("checksums repaired".to_owned());
    }
    Mutated { what: copy.what.join("; "), file: copy.file, repaired }
}

/// A number that is likely to be handled badly, of `width` bytes.
fn extreme(rng: &mut Rng, was: u64, page_count: u64, width: usize) -> u64 {
    let max = if width == 8 { u64::MAX } else { (1 << (width * 8)) - 1 };
    let number = match rng.below(14) {
        0 => 0,
        1 => 1,
        2 => max,
        3 => max - 1,
        4 => max / 2 + 1,
        5 => was.wrapping_add(1),
        6 => was.wrapping_sub(1),
        7 => was ^ 1 << rng.below(width * 8),
        8 => page_count,
        9 => page_count.saturating_sub(1),
        10 => NUMBER,
        11 => was | 1 << 48,
        12 => rng.below(usize::try_from(page_count).unwrap_or(1 << 20)) as u64,
        _ => rng.next(),
    };
    number & max
}

impl Copy<'_> {
    fn page_size(&self) -> usize {
        self.sound.page_size
    }

    fn page_count(&self) -> u64 {
        u64_at(&self.sound.root, 8)
    }

    /// A page that has a structure, and is still in the file.
    fn structured(&self, rng: &mut Rng, kinds: &[Kind]) -> Option<u64> {
        let of_kind = |(_, kind): &&(u64, Kind)| kinds.is_empty() || kinds.contains(kind);
        let pages: Vec<u64> = self.sound.pages.iter().filter(of_kind).map(|(page, _)| *page).collect();
        rng.pick(&pages).filter(|page| self.at(*page) + self.page_size() <= self.file.len())
    }

    fn at(&self, page: u64) -> usize {
        usize::try_from(page).unwrap() * self.page_size()
    }

    fn touch(&mut self, range: Range<usize>) {
        let pages = range.start / self.page_size()..range.end.div_ceil(self.page_size());
        self.touched.extend(pages.map(|page| page as u64));
    }

    /// A place that means something in most cases: in a page that has a structure, a meta page, or anywhere.
    fn somewhere(&self, rng: &mut Rng) -> usize {
        let at = match rng.below(6) {
            0 => META_AT[rng.below(2)] + rng.below(300),
            1 => HEAD_AT + rng.below(HEAD_LEN),
            2 => rng.below(self.file.len()),
            _ => match self.structured(rng, &[]) {
                // Most of what matters stands at the beginning or at the end.
                Some(page) if rng.one_in(2) => self.at(page) + rng.below(200),
                Some(page) => self.at(page) + rng.below(self.page_size()),
                None => rng.below(self.file.len()),
            },
        };
        at.min(self.file.len().saturating_sub(1))
    }

    fn flip_bits(&mut self, rng: &mut Rng) {
        for _ in 0..1 + rng.below(3) {
            let (at, bit) = (self.somewhere(rng), rng.below(8));
            let Some(byte) = self.file.get_mut(at) else { return };
            *byte ^= 1 << bit;
            self.what.push(format!("bit {bit} of byte {at} flipped"));
            self.touch(at..at + 1);
        }
    }

    fn splice(&mut self, rng: &mut Rng) {
        let (to, from) = (self.somewhere(rng), self.somewhere(rng));
        let longest = if rng.one_in(2) { 64 } else { 3 * self.page_size() };
        let len = (1 + rng.below(longest)).min(self.file.len() - to.max(from));
        self.file.copy_within(from..from + len, to);
        self.what.push(format!("{len} bytes from {from} copied to {to}"));
        self.touch(to..to + len);
    }

    fn zero_range(&mut self, rng: &mut Rng) {
        let from = self.somewhere(rng);
        let longest = if rng.one_in(2) { 64 } else { 3 * self.page_size() };
        let len = (1 + rng.below(longest)).min(self.file.len() - from);
        self.file[from..from + len].fill(0);
        self.what.push(format!("{len} bytes from {from} on zeroed"));
        self.touch(from..from + len);
    }

    fn truncate(&mut self, rng: &mut Rng) {
        let len = match rng.below(4) {
            0 => rng.below(self.file.len() + 1),
            1 => rng.below(self.file.len() / self.page_size() + 1) * self.page_size(),
            2 => self.file.len().saturating_sub(1 + rng.below(5000)),
            _ => {
                let end = self.at(self.page_count());
                end.min(self.file.len()).saturating_sub(rng.below(3) * self.page_size())
            }
        };
        self.file.truncate(len);
        self.what.push(format!("truncated to {len} bytes"));
    }

    fn swap_pages(&mut self, rng: &mut Rng) {
        let (Some(a), Some(b)) = (self.structured(rng, &[]), self.structured(rng, &[])) else { return };
        let (at_a, at_b, size) = (self.at(a), self.at(b), self.page_size());
        let kept = self.file[at_a..at_a + size].to_vec();
        self.file.copy_within(at_b..at_b + size, at_a);
        self.file[at_b..at_b + size].copy_from_slice(&kept);
        self.what.push(format!("pages {a} and {b} swapped"));
        if rng.one_in(2) {
            put_u64(&mut self.file, at_a + 8, a);
            put_u64(&mut self.file, at_b + 8, b);
            self.touch(at_a..at_a + size);
            self.touch(at_b..at_b + size);
        }
    }

    /// Copies a page over another, with the number of that place if `named`.
    fn move_page(&mut self, rng: &mut Rng, named: bool) {
        let Some(from) = self.structured(rng, &[]) else { return };
        let to = rng.below(self.file.len() / self.page_size()) as u64;
        let (at, size) = (self.at(to), self.page_size());
        let from_at = self.at(from);
        self.file.copy_within(from_at..from_at + size, at);
        if named {
            put_u64(&mut self.file, at + 8, to);
            // In most cases with the birth that is expected there.
            let birth = self.sound_birth(to);
            if let (Some(birth), false) = (birth, rng.one_in(3)) {
                put_u64(&mut self.file, at + 16, birth);
            }
        }
        self.what.push(format!("page {from} copied over page {to}"));
        self.touch(at..at + size);
    }

    fn sound_birth(&self, page: u64) -> Option<u64> {
        self.sound.pages.iter().find(|(number, _)| *number == page)?;
        Some(u64_at(&self.file, self.at(page) + 16))
    }

    fn set(&mut self, at: usize, width: usize, what: &str, rng: &mut Rng) {
        let Some(bytes) = self.file.get(at..at + width) else { return };
        let was = bytes.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        let number = extreme(rng, was, self.page_count(), width);
        put(&mut self.file, at, &number.to_le_bytes()[..width]);
        self.what.push(format!("{what} at byte {at}: {was} is {number:#x} now"));
        self.touch(at..at + width);
    }

    /// A number of a meta page or of the head record.
    fn meta_number(&mut self, rng: &mut Rng) {
        let at = if rng.one_in(4) { HEAD_AT } else { META_AT[rng.below(2)] };
        if at + META_LEN > self.file.len() {
            return;
        }
        let root = if at == HEAD_AT { ROOT_IN_HEAD } else { ROOT_IN_META };
        if rng.one_in(3) && at != HEAD_AT {
            let (offset, width) =
                [(8, 4), (12, 4), (16, 8), (24, 8), (32, 8), (72, 8), (80, 8), (216, 4), (220, 4), (256, 8)]
                    [rng.below(10)];
            self.set(at + offset, width, "a number of a meta page", rng);
        } else {
            let offset = rng.below(14) * 8;
            self.set(at + root + offset, 8, "a number of a root", rng);
        }
    }

    /// A number of a page that has a structure.
    fn page_number(&mut self, rng: &mut Rng) {
        let Some(page) = self.structured(rng, &[]) else { return };
        let at = self.at(page);
        let header = [(4, 1), (5, 1), (6, 2), (8, 8), (16, 8), (24, 2), (26, 2), (28, 4)];
        if rng.one_in(3) {
            let (offset, width) = header[rng.below(header.len())];
            return self.set(at + offset, width, "a number of a header", rng);
        }
        if self.file[at + 4] == 3 {
            let (records, offset) = (u16_at(&self.file, at + 6), 8 * rng.below(3));
            return match rng.one_in(3) {
                true => self.set(at + 32 + 8 * rng.below(2), 8, "a link of the log", rng),
                false => self.set(at + 48 + 24 * rng.below(records) + offset, 8, "a record of the log", rng),
            };
        }
        let Some((slot, cell)) = self.cell(page, rng) else { return };
        let key = u16_at(&self.file, slot + 6) & 0x7FFF;
        if rng.one_in(3) {
            let (offset, width) = [(0, 4), (4, 2), (6, 2)][rng.below(3)];
            return self.set(slot + offset, width, "a number of a slot", rng);
        }
        let is_branch = self.file[at + 4] == 2;
        if is_branch {
            self.set(cell + 8 * rng.below(3), 8, "a number of a branch cell", rng);
        } else if u16_at(&self.file, slot + 6) & 0x8000 != 0 {
            let (offset, width) = [(0, 8), (8, 4), (12, 8), (20, 4)][rng.below(4)];
            self.set(cell + 2 + key + offset, width, "a number of an overflow reference", rng);
        } else if self.kind(page) == Some(Kind::CatalogLeaf) {
            let (offset, width) =
                [(0, 8), (8, 8), (16, 8), (24, 1), (32, 2), (34, 2), (36, 2), (38, 2), (40, 2)][rng.below(9)];
            self.set(cell + 2 + key + offset, width, "a number of a table record", rng);
        } else {
            self.set(cell, 2, "the length of a value", rng);
        }
    }

    fn kind(&self, page: u64) -> Option<Kind> {
        self.sound.pages.iter().find(|(number, _)| *number == page).map(|(_, kind)| *kind)
    }

    /// Some slot of a page and its cell, as places in the file.
    fn cell(&self, page: u64, rng: &mut Rng) -> Option<(usize, usize)> {
        let at = self.at(page);
        let slot = at + slots_at(u16_at(&self.file, at + 24)) + 8 * rng.below(u16_at(&self.file, at + 6));
        let cell = at + u16_at(self.file.get(slot..slot + 8)?, 4);
        (cell + 24 + 2 + (u16_at(&self.file, slot + 6) & 0x7FFF) + 24 <= at + self.page_size())
            .then_some((slot, cell))
    }

    fn copy_part(&mut self, from: usize, to: usize, len: usize, what: &str) {
        if from.max(to) + len > self.file.len() {
            return;
        }
        self.file.copy_within(from..from + len, to);
        self.what.push(format!("{what} at byte {from} copied to {to}"));
        self.touch(to..to + len);
    }

    /// A child is another's as well: two parents, or a page among its own descendants.
    fn graft_child(&mut self, rng: &mut Rng) {
        let pages = [self.structured(rng, &[Kind::Branch]), self.structured(rng, &[Kind::Branch])];
        let [Some(a), Some(b)] = pages else { return };
        let (Some((_, from)), Some((_, to))) = (self.cell(a, rng), self.cell(b, rng)) else { return };
        // With the number of entries that was there, the parent's own number still fits.
        let len = if rng.one_in(2) { 24 } else { 16 };
        self.copy_part(from, to, len, "a child");
    }

    fn tail(&self, rng: &mut Rng, kind: Kind) -> Option<usize> {
        let page = self.structured(rng, &[kind])?;
        let (slot, cell) = self.cell(page, rng)?;
        Some(cell + 2 + (u16_at(&self.file, slot + 6) & 0x7FFF))
    }

    /// Two tables are one tree; or a table is the catalog.
    fn graft_record(&mut self, rng: &mut Rng) {
        let tails = [self.tail(rng, Kind::CatalogLeaf), self.tail(rng, Kind::CatalogLeaf)];
        let [Some(from), Some(to)] = tails else { return };
        match rng.one_in(3) {
            true => self.copy_part(META_AT[0] + ROOT_IN_META + 16, to, 32, "the root of the catalog"),
            false => self.copy_part(from, to, 32, "the root of a table"),
        }
    }

    /// The log says something of a page that something else needs.
    fn graft_log(&mut self, rng: &mut Rng) {
        let (Some(log), Some(page)) = (self.structured(rng, &[Kind::Log]), self.structured(rng, &[])) else {
            return;
        };
        let at = self.at(log);
        let records = u16_at(&self.file, at + 6);
        let place = at + 48 + 24 * rng.below(records);
        if place + 24 > at + self.page_size() {
            return;
        }
        put_u64(&mut self.file, place, page | 1 << 48);
        if rng.one_in(2) {
            put_u64(&mut self.file, place + 8, 0);
            put_u64(&mut self.file, place + 16, 0);
        }
        self.what.push(format!("a record at byte {place} says page {page}"));
        self.touch(place..place + 24);
    }

    /// Two entries have one value.
    fn graft_run(&mut self, rng: &mut Rng) {
        let (Some(from), Some(to)) = (rng.pick(&self.sound.runs), rng.pick(&self.sound.runs)) else { return };
        self.copy_part(from.reference_at, to.reference_at, 24, "a reference to a value");
    }

    /// Gives everything that was touched the checksum that it must have.
    fn repair(&mut self) {
        let (id, size) = (self.sound.id, self.page_size());
        for run in &self.sound.runs {
            let pages = run.first..run.first + run.len.div_ceil(size as u64);
            if !pages.clone().any(|page| self.touched.contains(&page)) {
                continue;
            }
            let at = self.at(run.first);
            let value = at..at + usize::try_from(run.len).unwrap();
            if let (Some(value), true) = (self.file.get(value), run.reference_at + 24 <= self.file.len()) {
                let sum = seeded(&id, value);
                put_u32(&mut self.file, run.reference_at + 20, sum);
                self.touched.insert(run.leaf);
            }
        }
        let in_runs = |page: u64| {
            let inside = |run: &&super::format::Run| {
                (run.first..run.first + run.len.div_ceil(size as u64)).contains(&page)
            };
            self.sound.runs.iter().any(|run| inside(&run))
        };
        let headers = [META_AT[0], META_AT[1], HEAD_AT].map(|at| (at / size) as u64);
        for page in &self.touched {
            let at = self.at(*page);
            if headers.contains(page) || in_runs(*page) {
                continue;
            }
            if let Some(bytes) = self.file.get_mut(at..at + size) {
                seal(&id, bytes);
            }
        }
        self.repair_metas();
    }

    fn repair_metas(&mut self) {
        let (id, size) = (self.sound.id, self.page_size());
        for at in META_AT {
            let Some(meta) = self.file.get(at..at + META_LEN) else { continue };
            let meta = meta.to_vec();
            for (i, (first, pages, _)) in record(&meta).enumerate() {
                if let Some(sum) = sum_of_run(&self.file, &id, size, first, pages) {
                    put_u32(&mut self.file, at + 256 + i * 12 + 8, sum);
                }
            }
            let (old, new) = (u32_at(&self.file, at + 4092), crc(&self.file[at..at + 4092]));
            put_u32(&mut self.file, at + 4092, new);
            for base in [HEAD_AT + 8, HEAD_AT + 12] {
                if self.file.len() > base + 4 && u32_at(&self.file, base) == old {
                    put_u32(&mut self.file, base, new);
                }
            }
        }
        if let Some(head) = self.file.get_mut(HEAD_AT..HEAD_AT + HEAD_LEN)
            && head.starts_with(b"\x89FOHEAD\n")
        {
            let sum = crc(&head[..508]);
            put_u32(head, 508, sum);
        }
    }
}
