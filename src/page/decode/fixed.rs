//! Meta pages and head records, field by field.

use super::{Faults, Field, Fields, PageFault};
use crate::page::commit_record::{CommitRecord, RECORD_PAGES_MAX, RECORD_RUNS_MAX};
use crate::page::meta::{
    FLAG_CLEAN, FLAGS_AT, FORMAT_VERSION, HEAD_LEN, HEAD_MAGIC, HEAD_ROOT_AT, META_LEN, META_MAGIC, ROOT_AT,
    RUNS_AT, SEQUENCE_END, SUM_AT,
};
use crate::page::root::{ROOT_LEN, Root, TREE_ROOT_LEN};
use crate::page::{get_u32, is_page_size};

/// A meta page, taken apart. Its numbers mean something only if [`is_known`](Self::is_known).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetaPage {
    /// Whether it begins as a meta page does.
    pub has_magic: bool,
    /// The checksum that stands there.
    pub checksum: u32,
    /// The checksum that the page has.
    pub computed: u32,
    /// The version of the format.
    pub version: u32,
    /// Bytes of a page.
    pub page_size: u32,
    /// Features without which the file must not be opened, without which it must not be written, and the
    /// others.
    pub features: [u64; 3],
    /// What the checksums of the pages depend on.
    pub database_id: [u8; 16],
    /// Opaque.
    pub lineage_id: [u8; 16],
    /// Counts the meta pages written.
    pub sequence: u64,
    /// Every transaction number in the file is less.
    pub ceiling: u64,
    /// The start of the system that wrote this.
    pub boot_id: [u8; 16],
    /// The state that it names.
    pub root: RootFields,
    /// Whether it was written when the database was closed in order.
    pub is_clean: bool,
    /// Its commit record: the pages that it relies on.
    pub record: Vec<RecordFields>,
    /// Every field with its place; the runs of the commit record are in `record`.
    pub fields: Vec<Field>,
    /// Everything that is wrong, as far as the page alone can say.
    pub faults: Vec<PageFault>,
}

/// FORMAT.md, "Root".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RootFields {
    /// The transaction that made it.
    pub txn: u64,
    /// Pages of the file.
    pub page_count: u64,
    /// The tree of tables.
    pub catalog: TreeFields,
    /// The tree of what is not user data.
    pub system: TreeFields,
    /// The newest page of the free-space log.
    pub free_page: u64,
    /// Its birth.
    pub free_birth: u64,
    /// How many pages the log has.
    pub free_pages: u64,
}

/// FORMAT.md, "Tree root".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TreeFields {
    /// The root page; 0 for an empty tree.
    pub page: u64,
    /// Its birth.
    pub birth: u64,
    /// Entries in the tree.
    pub count: u64,
    /// The level of the root page.
    pub level: u8,
}

/// A run of a commit record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordFields {
    /// Where it stands in the meta page.
    pub at: usize,
    /// The first page.
    pub start: u64,
    /// How many pages.
    pub pages: u16,
    /// The checksum over the checksums of the pages.
    pub sum: u32,
}

impl MetaPage {
    /// Takes a meta page apart: the first 4,096 bytes of its page, or fewer where the file ends.
    pub fn new(bytes: &[u8]) -> MetaPage {
        let bytes = &bytes[..bytes.len().min(META_LEN)];
        let mut fields = Fields { bytes, list: Vec::new() };
        fields.array_of(0, 8, ("", "magic"));
        let version = fields.number(8, 4, ("", "version"));
        let page_size = fields.number(12, 4, ("", "page size"));
        let incompatible = fields.hex(16, 8, ("", "incompatible"));
        let read_only = fields.hex(24, 8, ("", "read-only"));
        let compatible = fields.hex(32, 8, ("", "compatible"));
        let database_id = fields.array(40, ("", "database id"));
        let lineage_id = fields.array(56, ("", "lineage id"));
        let sequence = fields.number(72, 8, ("", "sequence"));
        let ceiling = fields.number(80, 8, ("", "ceiling"));
        let boot_id = fields.array(88, ("", "boot id"));
        let root = RootFields::of(&mut fields, ROOT_AT);
        let flags = fields.hex(FLAGS_AT, 4, ("", "flags"));
        let runs = fields.number(FLAGS_AT + 4, 4, ("", "runs"));
        let checksum = fields.sum(SUM_AT);
        let known = get_u32(bytes, FLAGS_AT + 4).min(u32::try_from(RECORD_RUNS_MAX).unwrap_or(0)) as usize;
        let decoded = CommitRecord::decode(bytes.get(RUNS_AT..SUM_AT).unwrap_or(&[]), known);
        let place = |(i, run): (usize, &crate::page::RecordRun)| RecordFields {
            at: RUNS_AT + 12 * i,
            start: run.start,
            pages: run.len,
            sum: run.sum,
        };
        let low = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let mut meta = MetaPage {
            has_magic: bytes.starts_with(&META_MAGIC),
            checksum,
            computed: crc32fast::hash(bytes.get(..SUM_AT).unwrap_or(bytes)),
            version: low(version),
            page_size: low(page_size),
            features: [incompatible, read_only, compatible],
            database_id,
            lineage_id,
            sequence,
            ceiling,
            boot_id,
            root,
            is_clean: flags & u64::from(FLAG_CLEAN) != 0,
            record: decoded.runs.iter().enumerate().map(place).collect(),
            fields: fields.list,
            faults: Vec::new(),
        };
        meta.faults = meta.find_faults(bytes, flags, runs, decoded.pages());
        meta
    }

    fn find_faults(&self, bytes: &[u8], flags: u64, runs: u64, pages: u64) -> Vec<PageFault> {
        let mut faults = Faults::default();
        if bytes.len() < META_LEN {
            faults.add(bytes.len(), format!("the file ends after {} bytes of the meta page", bytes.len()));
        }
        if !self.has_magic {
            faults.add(0, "magic of a meta page is not there");
        }
        if self.checksum != self.computed {
            let (found, expected) = (self.checksum, self.computed);
            faults.add(SUM_AT, format!("checksum is {found:#010x}, expected {expected:#010x}"));
        }
        faults.equal(8, "version", FORMAT_VERSION.into(), self.version.into());
        if self.features[0] != 0 {
            faults.add(16, format!("incompatible features {:#x} are not known", self.features[0]));
        }
        if !is_page_size(self.page_size.into()) {
            let found = self.page_size;
            faults.add(12, format!("page size is {found}, expected a power of two from 4096 to 65536"));
        }
        if runs > RECORD_RUNS_MAX as u64 || pages > RECORD_PAGES_MAX {
            faults.add(220, format!("commit record has {runs} runs, {pages} pages: more than can be"));
        }
        if flags & !u64::from(FLAG_CLEAN) != 0 {
            faults.add(FLAGS_AT, format!("flags are {flags:#x}, expected 0 or 1"));
        }
        if self.sequence >= SEQUENCE_END {
            faults.add(72, format!("sequence is {}, expected less than 2^62", self.sequence));
        }
        let root = Root::decode(bytes.get(ROOT_AT..FLAGS_AT).unwrap_or(&[]));
        let size = is_page_size(self.page_size.into()).then_some(self.page_size as usize);
        if let Some((what, expected, found)) = size.and_then(|size| root.fault(size, self.ceiling)) {
            faults.add(ROOT_AT, format!("{what} is {found}, expected {expected}"));
        }
        faults.zeros(FLAGS_AT + 8, bytes.get(FLAGS_AT + 8..RUNS_AT).unwrap_or(&[]), "reserved bytes");
        let behind = RUNS_AT + self.record.len() * 12;
        faults.zeros(behind, bytes.get(behind..SUM_AT).unwrap_or(&[]), "bytes behind the commit record");
        faults.0
    }

    /// Whether the page is whole: it has the magic, and its checksum is right.
    pub fn is_whole(&self) -> bool {
        self.has_magic && self.checksum == self.computed
    }

    /// Whether it is whole and as this version of Folio knows it.
    pub fn is_known(&self) -> bool {
        self.faults.is_empty()
    }
}

impl RootFields {
    fn of(fields: &mut Fields<'_>, at: usize) -> RootFields {
        let free = at + 16 + 2 * TREE_ROOT_LEN;
        const _: () = assert!(ROOT_LEN == 16 + 3 * TREE_ROOT_LEN, "FORMAT.md, Root");
        RootFields {
            txn: fields.number(at, 8, ("root", "transaction")),
            page_count: fields.number(at + 8, 8, ("root", "page count")),
            catalog: TreeFields::of(fields, at + 16, "catalog"),
            system: TreeFields::of(fields, at + 16 + TREE_ROOT_LEN, "system"),
            free_page: fields.word(free, ("free", "page")).0,
            free_birth: fields.number(free + 8, 8, ("free", "birth")),
            free_pages: fields.number(free + 16, 8, ("free", "pages")),
        }
    }
}

impl TreeFields {
    fn of(fields: &mut Fields<'_>, at: usize, group: &'static str) -> TreeFields {
        TreeFields {
            page: fields.word(at, (group, "page")).0,
            birth: fields.number(at + 8, 8, (group, "birth")),
            count: fields.number(at + 16, 8, (group, "count")),
            level: u8::try_from(fields.number(at + 24, 1, (group, "level"))).unwrap_or(u8::MAX),
        }
    }
}

/// A head record, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeadPage {
    /// Whether it begins as a head record does.
    pub has_magic: bool,
    /// The checksum that stands there.
    pub checksum: u32,
    /// The checksum that the record has.
    pub computed: u32,
    /// The checksums of the meta pages that it builds on; the second may be 0, for none.
    pub bases: [u32; 2],
    /// The start of the system that wrote this.
    pub boot_id: [u8; 16],
    /// The state that it names.
    pub root: RootFields,
    /// Every field with its place.
    pub fields: Vec<Field>,
}

impl HeadPage {
    /// Takes a head record apart: 512 bytes, or fewer where the file ends.
    pub fn new(bytes: &[u8]) -> HeadPage {
        let bytes = &bytes[..bytes.len().min(HEAD_LEN)];
        let mut fields = Fields { bytes, list: Vec::new() };
        fields.array_of(0, 8, ("", "magic"));
        let bases = [8, 12].map(|at| {
            fields.hex(at, 4, ("", "base"));
            get_u32(bytes, at)
        });
        let boot_id = fields.array(16, ("", "boot id"));
        let root = RootFields::of(&mut fields, HEAD_ROOT_AT);
        let checksum = fields.sum(HEAD_LEN - 4);
        HeadPage {
            has_magic: bytes.starts_with(&HEAD_MAGIC),
            checksum,
            computed: crc32fast::hash(bytes.get(..HEAD_LEN - 4).unwrap_or(bytes)),
            bases,
            boot_id,
            root,
            fields: fields.list,
        }
    }

    /// Whether there is a head record: its absence is no damage.
    pub fn is_whole(&self) -> bool {
        self.has_magic && self.checksum == self.computed
    }
}
