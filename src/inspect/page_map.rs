//! What each page of a snapshot is.

use std::collections::VecDeque;

use super::{Fault, Progress};
use crate::btree::Census;
use crate::error::Result;
use crate::page::{
    Child, Extent, LeafValue, OverflowRef, Page, PageId, TableRecord, TreeRoot, free_log_used, index,
    run_pages,
};
use crate::pager::{Pages, ReadSnapshot, Snapshot, holder};

/// What each page of a snapshot is, in the order of the file. Takes 24 bytes for each page of a tree, for
/// each value outside its leaf and for each free extent.
///
/// ```
/// # use folio::{Database, Table, inspect::PageKind};
/// # const WORDS: Table<&str, u64> = Table::new("words");
/// # let db = Database::in_memory()?;
/// # db.write(|tx| tx.open(WORDS)?.insert("folio", 1))?;
/// let map = db.begin_read()?.page_map()?;
/// let leaves = map.iter().filter(|record| record.kind == PageKind::Leaf).count();
/// let pages: u64 = map.iter().map(|record| record.pages).sum();
/// assert_eq!((leaves, pages), (2, map.page_count()));
/// # Ok::<(), folio::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct PageMap {
    txn: u64,
    page_size: u32,
    page_count: u64,
    tables: Vec<String>,
    /// Ascending, no page twice.
    records: Vec<Compact>,
    faults: Vec<Fault>,
}

/// Neighbouring pages that are one thing: a page of a tree, a value outside its leaf, a free extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageRecord {
    /// The first page.
    pub page: u64,
    /// How many pages: 1 but for overflow runs, free and pending extents, and pages of no known use.
    pub pages: u64,
    /// What they are.
    pub kind: PageKind,
    /// 0 for a leaf; a branch is one above its children.
    pub level: u8,
    /// Entries of a leaf, children of a branch, records of the free-space log.
    pub entries: u32,
    /// Bytes in use: of a page of a tree or of the free-space log, or of the value in an overflow run.
    pub used_bytes: u64,
    /// The transaction that wrote the pages, where that is known; 0 elsewhere.
    pub birth: u64,
    /// Whose they are.
    pub owner: PageOwner,
}

/// What a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum PageKind {
    /// One of the two meta pages.
    Meta,
    /// The page of the head record.
    Head,
    /// A page of the free-space log.
    FreeLog,
    /// A branch of a tree.
    Branch,
    /// A leaf of a tree.
    Leaf,
    /// A value outside its leaf.
    Overflow,
    /// It can be reused now.
    Free,
    /// It is out of use, and a live snapshot or the durable state still needs it.
    Pending,
    /// It is in use, and not what it must be: see [`PageMap::faults`].
    Damaged,
    /// Neither in use nor free, or below a damaged page.
    Unknown,
}

const KINDS: [PageKind; 10] = [
    PageKind::Meta,
    PageKind::Head,
    PageKind::FreeLog,
    PageKind::Branch,
    PageKind::Leaf,
    PageKind::Overflow,
    PageKind::Free,
    PageKind::Pending,
    PageKind::Damaged,
    PageKind::Unknown,
];

impl PageKind {
    /// Every kind, in the order of the file's parts.
    pub const ALL: [PageKind; 10] = KINDS;

    /// Its name, a word in small letters.
    pub fn name(self) -> &'static str {
        match self {
            PageKind::Meta => "meta",
            PageKind::Head => "head",
            PageKind::FreeLog => "freelog",
            PageKind::Branch => "branch",
            PageKind::Leaf => "leaf",
            PageKind::Overflow => "overflow",
            PageKind::Free => "free",
            PageKind::Pending => "pending",
            PageKind::Damaged => "damaged",
            PageKind::Unknown => "unknown",
        }
    }
}

/// Whose a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum PageOwner {
    /// The database's, or nobody's.
    File,
    /// The tree of tables.
    Catalog,
    /// The tree of what is not user data.
    System,
    /// A table: its index in [`PageMap::tables`].
    Table(u32),
}

impl PageMap {
    pub(crate) fn of(snapshot: &ReadSnapshot, progress: &mut dyn FnMut(Progress)) -> PageMap {
        let pages = snapshot.pages();
        let root = *pages.root();
        let mut walk = Walk {
            pages,
            census: Census::new(root.page_count),
            owner: PageOwner::File,
            tables: Vec::new(),
            found: VecDeque::new(),
            records: Vec::new(),
            faults: Vec::new(),
            progress,
        };
        walk.header_pages();
        let extents = walk.free_log(snapshot);
        walk.tree(&root.catalog, PageOwner::Catalog);
        walk.tree(&root.system, PageOwner::System);
        while let Some((name, root)) = walk.found.pop_front() {
            let number = u32::try_from(walk.tables.len()).unwrap_or(u32::MAX);
            walk.tables.push(name);
            walk.tree(&root, PageOwner::Table(number));
        }
        let pins = snapshot.pins();
        walk.owner = PageOwner::File;
        for extent in &extents {
            let kind = if holder(extent, &pins).is_some() { PageKind::Pending } else { PageKind::Free };
            walk.spare(extent, kind);
        }
        walk.tell();
        walk.records.sort_unstable_by_key(Compact::page);
        PageMap {
            txn: root.txn.0,
            page_size: page_size(pages),
            page_count: root.page_count,
            tables: walk.tables,
            records: walk.records,
            faults: walk.faults,
        }
    }

    /// The transaction whose snapshot it is.
    pub fn txn(&self) -> u64 {
        self.txn
    }

    /// Bytes of a page.
    pub fn page_size(&self) -> u32 {
        self.page_size
    }

    /// Pages of the database: the sum of all records' pages.
    pub fn page_count(&self) -> u64 {
        self.page_count
    }

    /// The names of the tables, ascending.
    pub fn tables(&self) -> &[String] {
        &self.tables
    }

    /// What is wrong, in the order in which it was met: 10,000 faults at most, the last of which says so.
    /// [`Database::check`](crate::Database::check) finds more: here no value outside its leaf is read.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// What the pages are, ascending; every page is in one record.
    pub fn iter(&self) -> impl Iterator<Item = PageRecord> {
        let mut records = self.records.iter().peekable();
        let mut next = 0;
        std::iter::from_fn(move || {
            if next >= self.page_count {
                return None;
            }
            let record = match records.peek().map(|record| record.page()) {
                Some(page) if page <= next => self.open(records.next()?),
                following => unknown(next, following.unwrap_or(self.page_count)),
            };
            next = record.page + record.pages;
            Some(record)
        })
    }

    /// The record that a page is in; none beyond the last page.
    pub fn get(&self, page: u64) -> Option<PageRecord> {
        if page >= self.page_count {
            return None;
        }
        let behind = self.records.partition_point(|record| record.page() <= page);
        let before = behind.checked_sub(1).and_then(|i| self.records.get(i)).map(|record| self.open(record));
        let end = self.records.get(behind).map_or(self.page_count, Compact::page);
        Some(match before {
            Some(record) if page < record.page + record.pages => record,
            before => unknown(before.map_or(0, |record| record.page + record.pages), end),
        })
    }

    fn open(&self, record: &Compact) -> PageRecord {
        record.open(self.page_size)
    }
}

fn unknown(from: u64, to: u64) -> PageRecord {
    let owner = PageOwner::File;
    let kind = PageKind::Unknown;
    PageRecord { page: from, pages: to - from, kind, level: 0, entries: 0, used_bytes: 0, birth: 0, owner }
}

fn page_size(pages: &Snapshot) -> u32 {
    u32::try_from(pages.page_size()).expect("a page has at most 65,536 bytes")
}

/// A record in 24 bytes. Of each number as many bits as its largest value needs, but the tables: those behind
/// the first 2^26 share a number.
#[derive(Debug, Clone, Copy)]
struct Compact {
    /// The page in 48 bits; above it the entries.
    place: u64,
    birth: u64,
    /// From bit 0: the length of a value, the number of pages of an extent, or bytes in use (32 bits);
    /// the kind (4 bits), the owner (28 bits).
    rest: u64,
}

/// Where what is in a [`Compact`].
const ENTRIES_AT: u32 = 48;
const KIND_AT: u32 = 32;
const OWNER_AT: u32 = 36;
const OWNER_MAX: u64 = (1 << 28) - 1;

impl Compact {
    fn new(record: &PageRecord) -> Compact {
        let kind = KINDS.iter().position(|kind| *kind == record.kind).unwrap_or(KINDS.len() - 1) as u64;
        let owner = match record.owner {
            PageOwner::File => 0,
            PageOwner::Catalog => 1,
            PageOwner::System => 2,
            PageOwner::Table(number) => (u64::from(number) + 3).min(OWNER_MAX),
        };
        let low = match record.kind {
            PageKind::Free | PageKind::Pending => record.pages,
            // A page of a tree has at most 2^16 bytes: its level stands above them.
            PageKind::Branch => record.used_bytes | u64::from(record.level) << 24,
            _ => record.used_bytes,
        };
        debug_assert!(low <= u64::from(u32::MAX) && record.entries <= u32::from(u16::MAX));
        Compact {
            place: record.page | u64::from(record.entries) << ENTRIES_AT,
            birth: record.birth,
            rest: low | kind << KIND_AT | owner << OWNER_AT,
        }
    }

    fn page(&self) -> u64 {
        self.place & ((1 << ENTRIES_AT) - 1)
    }

    fn open(&self, page_size: u32) -> PageRecord {
        let low = self.rest & u64::from(u32::MAX);
        let kind = KINDS.get(index(self.rest >> KIND_AT & 15)).copied().unwrap_or(PageKind::Unknown);
        let owner = match self.rest >> OWNER_AT {
            0 => PageOwner::File,
            1 => PageOwner::Catalog,
            2 => PageOwner::System,
            number => PageOwner::Table(u32::try_from(number - 3).unwrap_or(u32::MAX)),
        };
        let (pages, used_bytes) = match kind {
            PageKind::Free | PageKind::Pending => (low, 0),
            PageKind::Overflow => (run_pages(low, page_size as usize), low),
            PageKind::Branch => (1, low & 0xFF_FFFF),
            _ => (1, low),
        };
        let level = if kind == PageKind::Branch { (low >> 24).to_le_bytes()[0] } else { 0 };
        let entries = u32::try_from(self.place >> ENTRIES_AT).unwrap_or(0);
        PageRecord { page: self.page(), pages, kind, level, entries, used_bytes, birth: self.birth, owner }
    }
}

/// A walk over everything that a root reaches. A page has one record, whoever comes first.
struct Walk<'w> {
    pages: &'w Snapshot,
    census: Census,
    owner: PageOwner,
    tables: Vec<String>,
    /// Tables that the catalog names and that were not walked yet.
    found: VecDeque<(String, TreeRoot)>,
    records: Vec<Compact>,
    faults: Vec<Fault>,
    progress: &'w mut dyn FnMut(Progress),
}

impl Walk<'_> {
    fn header_pages(&mut self) {
        let [first, second, head] = crate::page::header_pages(self.pages.page_size());
        for (page, kind) in [(first, PageKind::Meta), (second, PageKind::Meta), (head, PageKind::Head)] {
            if self.census.claim(page, 1, "the header page") {
                self.record(page, kind, 0, 0, 0, 0);
            }
        }
    }

    /// The pages of the log, and the free and pending extents that it tells of; none if it is damaged.
    fn free_log(&mut self, snapshot: &ReadSnapshot) -> Vec<Extent> {
        for (link, page) in snapshot.log_pages() {
            let id = link.page.0;
            let is_ours = self.census.claim(id, 1, "the page of the free-space log");
            match page {
                Ok(page) if is_ours => {
                    let records = page.records.len();
                    self.record(
                        id,
                        PageKind::FreeLog,
                        0,
                        records,
                        free_log_used(records) as u64,
                        link.birth.0,
                    );
                }
                Ok(_) => {}
                Err(error) => {
                    if is_ours {
                        self.record(id, PageKind::Damaged, 0, 0, 0, 0);
                    }
                    self.census.error(id, &error);
                    return Vec::new();
                }
            }
        }
        match snapshot.survey() {
            Ok(survey) => survey.extents,
            Err(error) => {
                self.census.error(snapshot.pages().root().free.page.0, &error);
                Vec::new()
            }
        }
    }

    /// An extent that the log calls free: what of it nobody uses.
    fn spare(&mut self, extent: &Extent, kind: PageKind) {
        for unused in self.census.claim_rest(extent.start, extent.len, "the free or pending page") {
            self.records.push(Compact::new(&PageRecord {
                page: unused.start,
                pages: unused.end - unused.start,
                kind,
                level: 0,
                entries: 0,
                used_bytes: 0,
                birth: extent.birth.0,
                owner: PageOwner::File,
            }));
        }
    }

    fn tree(&mut self, root: &TreeRoot, owner: PageOwner) {
        self.owner = owner;
        if !root.is_empty() {
            self.page(&root.child, root.level);
        }
        self.tell();
    }

    /// No page is walked twice: a damaged file may lead here exponentially often. Levels go down, so this
    /// ends.
    fn page(&mut self, child: &Child, level: u8) {
        let id = child.page();
        if !self.census.claim(id.0, 1, "the page") {
            return;
        }
        let page = match self.pages.page(child, level) {
            Ok(page) => page,
            Err(error) => {
                self.record(id.0, PageKind::Damaged, 0, 0, 0, child.birth.0);
                return self.census.error(id.0, &error);
            }
        };
        let used = (page.bytes().len() - page.free_len()) as u64;
        let kind = if page.is_leaf() { PageKind::Leaf } else { PageKind::Branch };
        self.record(id.0, kind, page.level(), page.len(), used, page.birth().0);
        if page.is_leaf() {
            return self.leaf(page);
        }
        for i in 0..page.len() {
            self.page(&page.child(i), level.saturating_sub(1));
        }
        self.tell();
    }

    fn leaf(&mut self, page: Page<'_>) {
        for i in 0..page.len() {
            match page.value(i) {
                LeafValue::Overflow(run) => self.run(&run),
                LeafValue::Inline(record) if self.owner == PageOwner::Catalog => {
                    self.table(page.id(), page.key(i), record);
                }
                LeafValue::Inline(_) => {}
            }
        }
    }

    fn run(&mut self, run: &OverflowRef) {
        let (id, len) = (run.page().0, u64::from(run.len));
        if self.census.claim(id, run_pages(len, self.pages.page_size()), "the overflow run") {
            self.record(id, PageKind::Overflow, 0, 0, len, run.birth.0);
        }
    }

    /// A table that the catalog names.
    fn table(&mut self, page: PageId, name: Vec<u8>, record: &[u8]) {
        match TableRecord::decode(record, page) {
            Ok(record) => {
                let name = String::from_utf8(name)
                    .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
                self.found.push_back((name, record.root));
            }
            Err(error) => self.census.error(page.0, &error),
        }
    }

    fn record(&mut self, page: u64, kind: PageKind, level: u8, entries: usize, used_bytes: u64, birth: u64) {
        let entries = u32::try_from(entries).unwrap_or(u32::MAX);
        let record =
            PageRecord { page, pages: 1, kind, level, entries, used_bytes, birth, owner: self.owner };
        self.records.push(Compact::new(&record));
    }

    /// Ends one part of the walk: its faults are its owner's.
    fn tell(&mut self) {
        let table = match self.owner {
            PageOwner::Table(number) => self.tables.get(number as usize),
            _ => None,
        };
        let found = self.census.faults.drain(..);
        self.faults.extend(found.map(|(page, what)| Fault { page, table: table.cloned(), what }));
        (self.progress)(Progress { done: self.census.pages, total: self.pages.root().page_count });
    }
}

/// As [`ReadTransaction::page_map_with`](crate::ReadTransaction::page_map_with).
pub(crate) fn page_map(snapshot: &ReadSnapshot, progress: &mut dyn FnMut(Progress)) -> Result<PageMap> {
    snapshot.check_process()?;
    Ok(PageMap::of(snapshot, progress))
}
