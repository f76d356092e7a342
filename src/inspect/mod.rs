//! The whole of a database: what it consists of, and whether it is what it must be.
//!
//! Beside the reports of [`Database`](crate::Database):
//! - [`PageMap`] says what each page of a snapshot is, [`FreeSpace`] which extents are free and who keeps the
//!   others, [`TreeNode`] how the tree of a table looks: see
//!   [`ReadTransaction`](crate::ReadTransaction::page_map).
//! - [`Examination`] says how a file would open, or why not, [`LockFile`] who has it open.
//! - [`RawFile`] reads any file as it is, damaged or not; [`DecodedPage`], [`MetaPage`] and [`HeadPage`] take
//!   the bytes of its pages apart.

mod free_space;
mod opening;
mod page_map;
mod raw_file;
mod tree;
mod usage;

use std::fmt;
use std::path::PathBuf;

use crate::btree::{self, Census, Depth, TreeCensus};
use crate::catalog;
use crate::error::{Error, Result};
use crate::page::TableRecord;
use crate::pager::{Pager, Pages, ReadSnapshot};

pub use crate::btree::Sizes;
pub use crate::page::decode::{
    BranchCell, ChildFields, DecodedPage, Field, FieldValue, HeadPage, Layout, LeafCell, LeafContent,
    LogRecord, MetaPage, PageBody, PageFault, PageHeader, RecordFields, RootFields, RunReference, SlotFields,
    TreeFields,
};
pub use free_space::{FreeExtent, FreeSpace, Holder};
pub use opening::{Examination, HeadState, LockFile, LockWords, MetaState, Presence};
pub use page_map::{PageKind, PageMap, PageOwner, PageRecord};
pub use raw_file::RawFile;
pub use tree::TreeNode;
pub use usage::Usage;

pub(crate) use free_space::free_space;
pub(crate) use page_map::page_map;
pub(crate) use tree::visit_tree;
pub(crate) use usage::{readers, usage};

/// How far some long work has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Pages that are done.
    pub done: u64,
    /// Pages that there are to do, as far as that is known.
    pub total: u64,
}

/// What a database consists of. Sizes are in pages unless the name says bytes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// The file; none for a database without one.
    pub path: Option<PathBuf>,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes of a page.
    pub page_size: u32,
    /// Pages of the database: below the end of its last one.
    pub pages: u64,
    /// The two meta pages and the head record.
    pub header_pages: u64,
    /// Branch pages of all tables and the catalog.
    pub branch_pages: u64,
    /// Leaf pages of all tables and the catalog.
    pub leaf_pages: u64,
    /// Pages of values that lie outside their leaf.
    pub overflow_pages: u64,
    /// Pages that say which pages are free.
    pub free_space_pages: u64,
    /// Pages that can be reused now.
    pub free_pages: u64,
    /// Pages that were freed and that a live snapshot, or the durable state, still needs.
    pub pending_pages: u64,
    /// The transaction that readers see.
    pub txn: u64,
    /// The transaction that a loss of power leaves.
    pub durable_txn: u64,
    /// What opening the database found.
    pub recovery: Recovery,
    /// Every table, by name.
    pub tables: Vec<TableStats>,
}

/// What a table consists of.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TableStats {
    /// Its name.
    pub name: String,
    /// The name of the type of its keys.
    pub key_type: String,
    /// The name of the type of its values.
    pub value_type: String,
    /// How many entries it has.
    pub entries: u64,
    /// Levels of its tree; an empty table has none.
    pub depth: u32,
    /// Its branch pages.
    pub branch_pages: u64,
    /// Its leaf pages.
    pub leaf_pages: u64,
    /// Pages of its values that lie outside their leaf.
    pub overflow_pages: u64,
    /// Bytes of all keys.
    pub key_bytes: u64,
    /// Bytes of all values.
    pub value_bytes: u64,
    /// The share of its branch and leaf pages that is in use, from 0 to 1.
    pub fill: f64,
    /// How many of its branch pages are in use how far: below a tenth, and so on, and from nine tenths on.
    pub branch_fill: [u64; 10],
    /// The same of its leaf pages.
    pub leaf_fill: [u64; 10],
    /// How long its keys are.
    pub key_sizes: Sizes,
    /// How long its values are.
    pub value_sizes: Sizes,
}

/// What opening a database found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recovery {
    /// It had been closed in good order.
    Clean,
    /// Other processes had it open, and their state is shown.
    Joined,
    /// It had not: the process or the system had ended.
    #[non_exhaustive]
    Recovered {
        /// The transaction that the database was recovered to.
        txn: u64,
        /// Whether the newest meta page did not verify, and the commit before it was taken.
        fell_back: bool,
        /// Pages that were read to verify the last commits.
        pages_verified: u64,
        /// Whether buffered commits behind the last durable one were found whole.
        head_adopted: bool,
        /// Whether one of the two meta pages is torn, or names what is not there. Opening for writing
        /// replaces it.
        bad_meta: bool,
    },
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (txn, fell_back, pages_verified, head_adopted, bad_meta) = match *self {
            Recovery::Clean => return f.write_str("clean"),
            Recovery::Joined => return f.write_str("other processes have it open"),
            Recovery::Recovered { txn, fell_back, pages_verified, head_adopted, bad_meta } => {
                (txn, fell_back, pages_verified, head_adopted, bad_meta)
            }
        };
        write!(f, "unclean: recovered to transaction {txn}, {pages_verified} pages verified")?;
        if fell_back {
            f.write_str(", the newest meta page did not verify")?;
        } else if bad_meta {
            f.write_str(", one of the two meta pages is torn")?;
        }
        if head_adopted {
            f.write_str(", commits that were not durable yet included")?;
        }
        Ok(())
    }
}

/// What the whole-file check found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// Everything that is not as it must be; empty for a sound file.
    pub faults: Vec<Fault>,
    /// Pages that were looked at.
    pub pages: u64,
    /// Entries of all tables.
    pub entries: u64,
    /// Tables.
    pub tables: u64,
    /// Pages that can be reused now.
    pub free_pages: u64,
    /// Pages that were freed and are still needed.
    pub pending_pages: u64,
}

impl CheckReport {
    /// Whether nothing is wrong.
    pub fn is_ok(&self) -> bool {
        self.faults.is_empty()
    }
}

/// One thing that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The page.
    pub page: Option<u64>,
    /// The table that it belongs to.
    pub table: Option<String>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(table) = &self.table {
            write!(f, "table {table:?}: ")?;
        }
        match self.page {
            // The errors of single pages name the page themselves.
            Some(_) if self.what.starts_with("page ") => f.write_str(&self.what),
            Some(page) => write!(f, "page {page}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// What compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactReport {
    /// Bytes of the file before.
    pub bytes_before: u64,
    /// Bytes of the file after, with the room at its end for commits to come, which closing gives back.
    pub bytes_after: u64,
    /// Pages that were laid out anew or copied.
    pub pages_moved: u64,
    /// Transactions that it took.
    pub steps: u64,
}

/// Counts everything in a snapshot. O(pages).
pub(crate) fn stats(pager: &Pager) -> Result<Stats> {
    // Before the snapshot is taken: what is durable is visible.
    let durable_txn = pager.durable();
    let snapshot = &pager.begin_read()?;
    let pages = snapshot.pages();
    let root = *pages.root();
    let survey = snapshot.survey()?;
    let mut census = Census::new(root.page_count);
    let mut all = btree::verify(pages, &root.catalog, Depth::Count, &mut census);
    let mut tables = Vec::new();
    for (name, record) in catalog::list(pages, &root.catalog)? {
        let tree = btree::verify(pages, &record.root, Depth::Count, &mut census);
        add(&mut all, &tree);
        tables.push(table_stats(name, record, &tree, pages.page_size()));
    }
    if let Some((page, what)) = census.faults.into_iter().next() {
        return Err(Error::corrupted(page.unwrap_or(0), "structure of the file", "sound", what));
    }
    let unused: u64 = survey.extents.iter().map(|extent| extent.len).sum();
    let pending_pages = snapshot.pending(&survey);
    let storage = pager.storage();
    Ok(Stats {
        path: (!storage.is_volatile()).then(|| storage.path().to_owned()),
        file_bytes: storage.len()?,
        page_size: u32::try_from(pages.page_size()).expect("a page has at most 65,536 bytes"),
        pages: root.page_count,
        header_pages: 3,
        branch_pages: all.branch_pages,
        leaf_pages: all.leaf_pages,
        overflow_pages: all.overflow_pages,
        free_space_pages: survey.log_pages.len() as u64,
        free_pages: unused - pending_pages,
        pending_pages,
        txn: root.txn.0,
        durable_txn,
        recovery: recovery(pager),
        tables,
    })
}

/// What opening found.
pub(crate) fn recovery(pager: &Pager) -> Recovery {
    let found = pager.recovered();
    if found.clean {
        return Recovery::Clean;
    }
    if found.joined {
        return Recovery::Joined;
    }
    Recovery::Recovered {
        txn: found.txn,
        fell_back: found.fell_back,
        pages_verified: found.pages_verified,
        head_adopted: found.head_adopted,
        bad_meta: found.bad_meta,
    }
}

fn add(all: &mut TreeCensus, tree: &TreeCensus) {
    all.branch_pages += tree.branch_pages;
    all.leaf_pages += tree.leaf_pages;
    all.overflow_pages += tree.overflow_pages;
}

fn table_stats(name: String, record: TableRecord<String>, tree: &TreeCensus, page_size: usize) -> TableStats {
    let empty = record.root.is_empty();
    let tree_bytes = (tree.branch_pages + tree.leaf_pages) * page_size as u64;
    TableStats {
        name,
        entries: record.root.child.count,
        depth: if empty { 0 } else { u32::from(record.root.level) + 1 },
        key_type: record.key_type,
        value_type: record.value_type,
        branch_pages: tree.branch_pages,
        leaf_pages: tree.leaf_pages,
        overflow_pages: tree.overflow_pages,
        key_bytes: tree.key_bytes,
        value_bytes: tree.value_bytes,
        fill: share(tree.used_bytes, tree_bytes),
        branch_fill: tree.branch_fill,
        leaf_fill: tree.leaf_fill,
        key_sizes: tree.key_sizes,
        value_sizes: tree.value_sizes,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share for people to read")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Checks a snapshot: every page of the file is a header page, reachable once, or free or pending; and every
/// page, key, count, birth and checksum is what it must be. O(bytes of the file).
pub(crate) fn check(
    pager: &Pager,
    snapshot: &ReadSnapshot,
    progress: &mut dyn FnMut(Progress),
) -> Result<CheckReport> {
    let pages = snapshot.pages();
    let root = *pages.root();
    let mut census = Census::new(root.page_count);
    let mut faults = Vec::new();
    let mut collect = |census: &mut Census, table: Option<&str>| {
        let found = census.faults.drain(..);
        faults.extend(found.map(|(page, what)| Fault { page, table: table.map(str::to_owned), what }));
        progress(Progress { done: census.pages, total: root.page_count });
    };

    for (page, what) in pager.header_faults()? {
        census.fault(page, what);
    }
    let before = census.fault_count();
    for page in pager.header_pages() {
        census.claim(page, 1, "the header page");
    }
    let (mut free_pages, mut pending_pages) = (0, 0);
    match snapshot.survey() {
        Ok(survey) => {
            for page in &survey.log_pages {
                census.claim(page.0, 1, "the page of the free-space log");
            }
            for extent in &survey.extents {
                census.claim(extent.start, extent.len, "the free or pending page");
            }
            pending_pages = snapshot.pending(&survey);
            free_pages = survey.extents.iter().map(|extent| extent.len).sum::<u64>() - pending_pages;
        }
        Err(error) => census.error(0, &error),
    }
    collect(&mut census, None);

    btree::verify(pages, &root.catalog, Depth::Check, &mut census);
    btree::verify(pages, &root.system, Depth::Check, &mut census);
    let mut tables = Vec::new();
    for table in catalog::each(pages, &root.catalog) {
        match table {
            Ok(table) => tables.push(table),
            // A page of the catalog that is damaged was met before.
            Err(error) if census.has_fault(&error) => {}
            Err(error) => census.error(root.catalog.child.page().0, &error),
        }
    }
    collect(&mut census, None);
    let mut entries = 0u64;
    for (name, record) in &tables {
        entries = entries.saturating_add(record.root.child.count);
        btree::verify(pages, &record.root, Depth::Check, &mut census);
        collect(&mut census, Some(name));
    }
    // What damaged pages led to is lost as well, and says nothing new.
    let is_damaged = census.fault_count() > before;
    let mut from = 0;
    while let Some((start, end)) = census.first_unclaimed(from).filter(|_| !is_damaged) {
        let what = format!("it and the {} pages behind it are neither in use nor free", end - start - 1);
        census.fault(start, what);
        from = end;
    }
    collect(&mut census, None);
    let tables = tables.len() as u64;
    Ok(CheckReport { faults, pages: census.pages, entries, tables, free_pages, pending_pages })
}
