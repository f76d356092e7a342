//! Files put together by hand, page by page, with checksums that fit.

use super::bytes::{crc, put, put_u16, put_u32, put_u64, seal, seeded};
use super::metas::{META_AT, META_LEN, ROOT_IN_META, header_pages};
use super::page::slots_at;

pub(super) const SIZE: usize = 4096;
pub(super) const ID: [u8; 16] = *b"a crafted file!!";
/// The transaction of the root, and what pages are born at where nothing else is said.
pub(super) const TXN: u64 = 9;

/// What refers to a page of a tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Child {
    pub(super) page: u64,
    pub(super) birth: u64,
    pub(super) count: u64,
    pub(super) level: u8,
}

impl Child {
    pub(super) fn of(page: u64, count: u64, level: u8) -> Child {
        Child { page, birth: TXN, count, level }
    }

    /// As a tree root of 32 bytes.
    fn root(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        put_u64(&mut bytes, 0, self.page | 1 << 48);
        put_u64(&mut bytes, 8, self.birth);
        put_u64(&mut bytes, 16, self.count);
        bytes[24] = self.level;
        bytes
    }
}

/// A file under construction: pages are added behind the header pages.
pub(super) struct File {
    pub(super) bytes: Vec<u8>,
    next: u64,
    records: Vec<[u64; 3]>,
}

/// A key, what is before it, what is behind it, and whether the cell is extended.
type CellParts<'k> = (&'k [u8], Vec<u8>, Vec<u8>, bool);

impl File {
    pub(super) fn new() -> File {
        // Behind the last header page.
        File { bytes: vec![0; 33 * SIZE], next: 33, records: Vec::new() }
    }

    /// The number of the page that is added next.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn page(&mut self, page: u64) -> &mut [u8] {
        let at = usize::try_from(page).unwrap() * SIZE;
        &mut self.bytes[at..at + SIZE]
    }

    pub(super) fn seal(&mut self, page: u64) {
        seal(&ID, self.page(page));
    }

    pub(super) fn add(&mut self, page: Vec<u8>) -> u64 {
        self.bytes.extend(page);
        self.next += 1;
        let number = self.next - 1;
        let at = usize::try_from(number).unwrap() * SIZE;
        put_u64(&mut self.bytes, at + 8, number);
        self.seal(number);
        number
    }

    /// Cells of a leaf or branch: key, what is before it, what is behind it, and whether it is extended.
    fn slotted(level: u8, cells: &[CellParts<'_>]) -> Vec<u8> {
        let mut page = vec![0; SIZE];
        (page[4], page[5]) = (if level == 0 { 1 } else { 2 }, level);
        put_u16(&mut page, 6, cells.len());
        put_u64(&mut page, 16, TXN);
        let (mut slot, mut at) = (slots_at(0), SIZE);
        for (key, fixed, tail, extended) in cells {
            let cell = [fixed, *key, tail].concat();
            at -= cell.len();
            put(&mut page, at, &cell);
            let head = (0..4).fold(0u32, |head, i| head << 8 | u32::from(*key.get(i).unwrap_or(&0)));
            put_u32(&mut page, slot, head);
            put_u16(&mut page, slot + 4, at);
            put_u16(&mut page, slot + 6, key.len() | if *extended { 0x8000 } else { 0 });
            slot += 8;
        }
        put_u32(&mut page, 28, u32::try_from(at).unwrap());
        page
    }

    pub(super) fn leaf(&mut self, entries: &[(&[u8], &[u8])]) -> Child {
        let cells: Vec<_> = entries
            .iter()
            .map(|(key, value)| {
                let len = u16::try_from(value.len()).unwrap().to_le_bytes().to_vec();
                (*key, len, value.to_vec(), false)
            })
            .collect();
        Child::of(self.add(File::slotted(0, &cells)), entries.len() as u64, 0)
    }

    /// A leaf of one entry, whose value is the run from `first` on.
    pub(super) fn leaf_with_run(&mut self, key: &[u8], first: u64, len: u32, sum: u32) -> Child {
        let mut reference = vec![0; 24];
        put_u64(&mut reference, 0, first);
        put_u32(&mut reference, 8, len);
        put_u64(&mut reference, 12, TXN);
        put_u32(&mut reference, 20, sum);
        let page = File::slotted(0, &[(key, vec![1, 0], reference, true)]);
        Child::of(self.add(page), 1, 0)
    }

    pub(super) fn branch(&mut self, children: &[(&[u8], Child)]) -> Child {
        let level = children[0].1.level + 1;
        let count = children.iter().fold(0u64, |sum, (_, child)| sum.wrapping_add(child.count));
        let cells: Vec<_> = children
            .iter()
            .map(|(key, child)| (*key, child.root()[..24].to_vec(), Vec::new(), false))
            .collect();
        Child::of(self.add(File::slotted(level, &cells)), count, level)
    }

    /// A page that belongs to a value.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> u64 {
        let mut page = bytes.to_vec();
        page.resize(SIZE, 0);
        self.bytes.extend(page);
        self.next += 1;
        self.next - 1
    }

    pub(super) fn sum_of(value: &[u8]) -> u32 {
        seeded(&ID, value)
    }

    /// A table record with names of the types.
    pub(super) fn record(root: Child, key_type: &str, value_type: &str) -> Vec<u8> {
        let mut record = vec![0; 48];
        put(&mut record, 0, &root.root());
        record[32] = 1;
        put_u16(&mut record, 34, 1);
        put_u16(&mut record, 36, 1);
        put_u16(&mut record, 38, key_type.len());
        put_u16(&mut record, 40, value_type.len());
        record.extend(key_type.bytes().chain(value_type.bytes()));
        record
    }

    /// A catalog of one leaf with these tables.
    pub(super) fn catalog(&mut self, tables: &[(&str, Child)]) -> Child {
        let records: Vec<Vec<u8>> =
            tables.iter().map(|(_, root)| File::record(*root, "[u8]", "[u8]")).collect();
        let entries: Vec<(&[u8], &[u8])> =
            tables.iter().zip(&records).map(|((name, _), record)| (name.as_bytes(), &record[..])).collect();
        self.leaf(&entries)
    }

    /// A record of the log: `pages` pages from `first` on are free.
    pub(super) fn free(&mut self, first: u64, pages: u64) {
        self.records.push([first | pages << 48, 0, 0]);
    }

    /// The last page, which is the log: what lies between the header pages is free, and what was asked for.
    /// Then the meta pages, and the file.
    pub(super) fn finish(mut self, catalog: Child) -> Vec<u8> {
        self.free(1, 15);
        self.free(17, 15);
        let records = std::mem::take(&mut self.records);
        let log = self.log(&records, (0, 0));
        let end = self.next;
        self.finish_with(catalog, (log, TXN, 1), end)
    }

    pub(super) fn log(&mut self, records: &[[u64; 3]], older: (u64, u64)) -> u64 {
        let mut page = vec![0; SIZE];
        page[4] = 3;
        put_u16(&mut page, 6, records.len());
        put_u64(&mut page, 16, TXN);
        put_u64(&mut page, 32, older.0);
        put_u64(&mut page, 40, older.1);
        for (i, number) in records.iter().flatten().enumerate() {
            put_u64(&mut page, 48 + 8 * i, *number);
        }
        self.add(page)
    }

    /// The file with this catalog, this log (page, birth, pages) and this page count.
    pub(super) fn finish_with(mut self, catalog: Child, log: (u64, u64, u64), page_count: u64) -> Vec<u8> {
        assert_eq!(header_pages(SIZE), [0, 16, 32]);
        for (at, sequence) in META_AT.into_iter().zip([2, 1]) {
            let meta = &mut self.bytes[at..at + META_LEN];
            put(meta, 0, b"\x89FOLIO\r\n");
            put_u32(meta, 8, 1);
            put_u32(meta, 12, u32::try_from(SIZE).unwrap());
            put(meta, 40, &ID);
            put(meta, 56, &ID);
            put_u64(meta, 72, sequence);
            put_u64(meta, 80, TXN + 1);
            let root = &mut meta[ROOT_IN_META..];
            put_u64(root, 0, TXN);
            put_u64(root, 8, page_count);
            put(root, 16, &catalog.root());
            put_u64(root, 80, log.0);
            put_u64(root, 88, log.1);
            put_u64(root, 96, log.2);
            meta[216] = 1;
            reseal_meta(meta);
        }
        self.bytes
    }
}

pub(super) fn reseal_meta(meta: &mut [u8]) {
    let sum = crc(&meta[..4092]);
    put_u32(meta, 4092, sum);
}
