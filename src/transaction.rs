//! Transactions: a snapshot to read, or a snapshot and what is changed of it.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::catalog;
use crate::error::{Error, Result};
use crate::inspect::{self, FreeSpace, PageMap, Progress, TreeNode};
use crate::instance::Instance;
use crate::options::Durability;
use crate::page::{TableRecord, TreeRoot};
use crate::pager::{Pages, Placement, ReadSnapshot, Txn};
use crate::raw::{OpenTables, RawTable, RawTableMut};
use crate::table::{ReadTable, TableDef, TableMut, type_names, type_names_match};

/// A snapshot of the database: what it held when the transaction began, whatever is committed since.
///
/// Waits for nobody and nobody waits for it. What is read borrows from the transaction. As long as it lives,
/// the pages that it can see are not reused; drop it when it is not needed.
///
/// ```
/// use folio::{Database, Table};
///
/// const WORDS: Table<&str, u64> = Table::new("words");
///
/// let db = Database::in_memory()?;
/// db.write(|tx| tx.open(WORDS)?.insert("leaf", 2))?;
/// let tx = db.begin_read()?;
/// let words = tx.open(WORDS)?;
/// assert_eq!(words.get("leaf")?, Some(2));
/// # Ok::<(), folio::Error>(())
/// ```
pub struct ReadTransaction {
    snapshot: ReadSnapshot,
}

impl ReadTransaction {
    pub(crate) fn new(snapshot: ReadSnapshot) -> ReadTransaction {
        ReadTransaction { snapshot }
    }

    pub(crate) fn snapshot(&self) -> &ReadSnapshot {
        &self.snapshot
    }

    /// Opens a table. One that does not exist reads as an empty one.
    ///
    /// # Errors
    /// [`Error::TableTypeMismatch`] if it was made with other types; [`Error::Corrupted`].
    #[inline]
    pub fn open<T: TableDef>(&self, table: T) -> Result<ReadTable<'_, T::Key, T::Value>> {
        let name = table.table_name();
        let Some(record) = self.find(name)? else { return Ok(ReadTable::new(None)) };
        // Names that are those of the types are text.
        if !type_names_match::<T::Key, T::Value>(record.key_type, record.value_type) {
            let TableRecord { key_type, value_type, .. } = record.text(self.catalog().child.page())?;
            return Err(other_types::<T>(name, key_type, value_type));
        }
        Ok(ReadTable::new(Some(RawTable::new(self.snapshot.pages(), name, record))))
    }

    /// Opens a table as bytes, whatever its types are.
    ///
    /// # Errors
    /// [`Error::NoSuchTable`]; [`Error::Corrupted`]; [`Error::Forked`].
    pub fn open_raw(&self, name: &str) -> Result<RawTable<'_>> {
        let Some(record) = self.find(name)? else {
            return Err(Error::NoSuchTable { table: name.to_owned() });
        };
        record.text(self.catalog().child.page())?;
        Ok(RawTable::new(self.snapshot.pages(), name, record))
    }

    #[inline]
    fn find(&self, name: &str) -> Result<Option<TableRecord<&[u8]>>> {
        self.snapshot.check_process()?;
        catalog::find(self.snapshot.pages(), self.catalog(), name)
    }

    fn catalog(&self) -> &TreeRoot {
        &self.snapshot.pages().root().catalog
    }

    /// Every table, by name. O(tables).
    ///
    /// # Errors
    /// [`Error::Corrupted`]; [`Error::Forked`].
    pub fn tables(&self) -> Result<Vec<TableInfo>> {
        self.snapshot.check_process()?;
        let pages = self.snapshot.pages();
        Ok(TableInfo::of(catalog::list(pages, &pages.root().catalog)?))
    }

    /// What each page of the file is in this snapshot. O(pages).
    ///
    /// # Errors
    /// [`Error::Forked`]. What is damaged stands in the map, with what is wrong.
    pub fn page_map(&self) -> Result<PageMap> {
        self.page_map_with(&mut |_| {})
    }

    /// [`page_map`](Self::page_map), saying now and then how far it is.
    ///
    /// # Errors
    /// As [`page_map`](Self::page_map).
    pub fn page_map_with(&self, progress: &mut dyn FnMut(Progress)) -> Result<PageMap> {
        inspect::page_map(&self.snapshot, progress)
    }

    /// The free space of this snapshot, and who needs what is out of use. O(records of the free-space log).
    ///
    /// # Errors
    /// [`Error::Corrupted`]; [`Error::Io`]; [`Error::Forked`].
    pub fn free_space(&self) -> Result<FreeSpace> {
        inspect::free_space(&self.snapshot)
    }

    /// Calls `visit` with the pages of a table's tree, each parent before its children and the keys
    /// ascending: the root, and as many levels below it as make `depth` levels. O(pages met).
    ///
    /// ```
    /// # use folio::{Database, Table};
    /// # const WORDS: Table<&str, u64> = Table::new("words");
    /// # let db = Database::in_memory()?;
    /// # db.write(|tx| tx.open(WORDS)?.insert("folio", 1))?;
    /// db.begin_read()?.visit_tree("words", 2, &mut |node| {
    ///     println!("{}page {}: {} entries", "  ".repeat(node.depth as usize), node.page, node.count);
    /// })?;
    /// # Ok::<(), folio::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSuchTable`]; [`Error::Corrupted`] in the catalog; [`Error::Forked`]. Pages of the tree that
    /// are damaged say so.
    pub fn visit_tree(&self, table: &str, depth: u32, visit: &mut dyn FnMut(TreeNode)) -> Result<()> {
        inspect::visit_tree(&self.snapshot, table, depth, visit)
    }

    /// Bytes of a page of the database.
    pub fn page_size(&self) -> u32 {
        u32::try_from(self.snapshot.pages().page_size()).expect("a page has at most 65,536 bytes")
    }

    /// The number of the transaction whose commit this snapshot is.
    pub fn txn(&self) -> u64 {
        self.snapshot.pages().root().txn.0
    }
}

impl fmt::Debug for ReadTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadTransaction").field("txn", &self.txn()).finish_non_exhaustive()
    }
}

/// A transaction that changes the database: all of it becomes visible with [`commit`](Self::commit), or
/// nothing when it is dropped. There is one at a time.
///
/// `Send`, not `Sync`.
///
/// ```
/// use folio::{Database, Table};
///
/// const FROM: Table<&str, u64> = Table::new("from");
/// const TO: Table<&str, u64> = Table::new("to");
///
/// let db = Database::in_memory()?;
/// let tx = db.begin_write()?;
/// {
///     // Several tables may be open at once, and a value borrowed from one be stored in another.
///     let (mut from, mut to) = (tx.open(FROM)?, tx.open(TO)?);
///     from.insert("leaf", 2)?;
///     if let Some(number) = from.get("leaf")? {
///         to.insert("leaf", number)?;
///     }
/// }
/// assert!(tx.commit()?.durable);
/// # Ok::<(), folio::Error>(())
/// ```
pub struct WriteTransaction {
    // Dropped before the instance, which may be closed then.
    tables: OpenTables,
    instance: Arc<Instance>,
    durability: Durability,
    two_phase: bool,
    id: u64,
}

impl WriteTransaction {
    pub(crate) fn new(instance: Arc<Instance>, txn: Txn) -> WriteTransaction {
        let id = txn.id().0;
        let durability = Durability::default();
        WriteTransaction { tables: OpenTables::new(txn), instance, durability, two_phase: false, id }
    }

    /// Lets the commit place its pages as near to the beginning of the file as can be.
    pub(crate) fn place_lowest(&mut self) {
        self.tables.txn().lock().set_placement(Placement::Lowest);
    }

    /// Changes nothing but where the catalog lies.
    pub(crate) fn touch(&self) -> Result<()> {
        self.tables.touch()
    }

    /// Opens a table, and makes it if it does not exist.
    ///
    /// # Errors
    /// [`Error::TableTypeMismatch`]; [`Error::TableInUse`] if it is open in this transaction already;
    /// [`Error::TableName`]; [`Error::Corrupted`].
    #[track_caller]
    pub fn open<T: TableDef>(&self, table: T) -> Result<TableMut<'_, T::Key, T::Value>> {
        let types = || Some(type_names::<T::Key, T::Value>());
        let taken = self.tables.take(table.table_name(), types, Location::caller())?;
        let raw = RawTableMut::new(&self.tables, taken);
        check_types::<T>(raw.name(), raw.key_type(), raw.value_type())?;
        Ok(TableMut::new(raw))
    }

    /// Opens a table as bytes, whatever its types are.
    ///
    /// # Errors
    /// [`Error::NoSuchTable`]; [`Error::TableInUse`]; [`Error::Corrupted`].
    #[track_caller]
    pub fn open_raw(&self, name: &str) -> Result<RawTableMut<'_>> {
        let taken = self.tables.take(name, || None, Location::caller())?;
        Ok(RawTableMut::new(&self.tables, taken))
    }

    /// Opens a table as bytes, and makes it with these types if it does not exist.
    ///
    /// # Errors
    /// [`Error::TableTypeMismatch`]; [`Error::TableInUse`]; [`Error::TableName`]; [`Error::Corrupted`].
    #[track_caller]
    pub fn create_raw(&self, name: &str, key_type: &str, value_type: &str) -> Result<RawTableMut<'_>> {
        let types = || Some((key_type.to_owned(), value_type.to_owned()));
        let taken = self.tables.take(name, types, Location::caller())?;
        let raw = RawTableMut::new(&self.tables, taken);
        if (raw.key_type(), raw.value_type()) != (key_type, value_type) {
            let expected = format!("{key_type} -> {value_type}");
            return Err(mismatch(name, expected, raw.key_type(), raw.value_type()));
        }
        Ok(raw)
    }

    /// Removes a table and everything in it; whether there was one. As fast as
    /// [`clear`](crate::RawTableMut::clear).
    ///
    /// # Errors
    /// [`Error::TableInUse`]; [`Error::Corrupted`].
    #[track_caller]
    pub fn drop_table(&self, name: &str) -> Result<bool> {
        self.tables.drop_table(name, Location::caller())
    }

    /// Every table, by name, as this transaction has it; a table that is open now as it was when it was
    /// opened. O(tables).
    ///
    /// # Errors
    /// [`Error::Corrupted`].
    pub fn tables(&self) -> Result<Vec<TableInfo>> {
        Ok(TableInfo::of(self.tables.list()?))
    }

    /// When the commit is durable. Default: [`Durability::Immediate`].
    pub fn set_durability(&mut self, durability: Durability) {
        self.durability = durability;
    }

    /// Whether the sync that makes this commit durable is preceded by one of its pages, so that nothing rests
    /// on a checksum. Default: what the database was opened with.
    pub fn set_two_phase(&mut self, yes: bool) {
        self.two_phase = yes;
    }

    /// The number of this transaction.
    pub fn txn(&self) -> u64 {
        self.id
    }

    /// Makes the changes visible, and durable as [`set_durability`](Self::set_durability) says. Returns when
    /// new read transactions see them.
    ///
    /// # Errors
    /// [`Error::Poisoned`]; [`Error::Io`] where the pages could not be written: nothing is changed, and after
    /// `ENOSPC` the next transaction may succeed; [`Error::OutcomeUnknown`] if the sync failed: the commit
    /// may be on the disk or not; [`Error::WritingEnded`].
    pub fn commit(self) -> Result<CommitInfo> {
        let WriteTransaction { tables, instance, durability, two_phase, .. } = self;
        let pager = instance.pager();
        pager.check_process()?;
        let page_size = pager.page_size() as u64;
        let immediate = durability == Durability::Immediate;
        // The writer lock is free from here on: the next transaction begins while this one waits for the
        // disk.
        let done = tables.commit(!immediate, two_phase)?;
        let txn = done.map_or_else(|| pager.newest(), |done| done.root.txn);
        let checkpoint_due = done.is_some_and(|done| done.checkpoint_due);
        if immediate || checkpoint_due || !pager.is_visible(txn) {
            pager.sync_to(txn)?;
        } else if done.is_some_and(|done| done.checkpoint_near) {
            instance.checkpoint(txn)?;
        }
        let durable = pager.durable() >= txn.0;
        if let Durability::Background { within } = durability
            && !durable
        {
            instance.sync_within(txn, within)?;
        }
        if let Some((reader, bytes)) = done.and_then(|done| done.most_pinned) {
            // The commit is done, whatever becomes of the warning.
            let _ = instance.warn_of_pinned(reader, bytes);
        }
        let (pages, runs) = done.map_or((0, 0), |done| (done.pages, done.runs));
        Ok(CommitInfo { txn: txn.0, pages, bytes: pages * page_size, runs, durable })
    }

    /// Ends the transaction without a change. Dropping it does the same.
    pub fn abort(self) {}
}

impl fmt::Debug for WriteTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WriteTransaction { id, durability, .. } = self;
        f.debug_struct("WriteTransaction")
            .field("txn", id)
            .field("durability", durability)
            .finish_non_exhaustive()
    }
}

fn check_types<T: TableDef>(name: &str, key_type: &str, value_type: &str) -> Result<()> {
    match type_names_match::<T::Key, T::Value>(key_type.as_bytes(), value_type.as_bytes()) {
        true => Ok(()),
        false => Err(other_types::<T>(name, key_type, value_type)),
    }
}

#[cold]
fn other_types<T: TableDef>(name: &str, key_type: &str, value_type: &str) -> Error {
    let (key, value) = type_names::<T::Key, T::Value>();
    mismatch(name, format!("{key} -> {value}"), key_type, value_type)
}

fn mismatch(table: &str, expected: String, key_type: &str, value_type: &str) -> Error {
    let found = format!("{key_type} -> {value_type}");
    Error::TableTypeMismatch { table: table.to_owned(), expected, found }
}

/// What a commit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommitInfo {
    /// The number of the transaction; of the newest one if this changed nothing.
    pub txn: u64,
    /// Pages written.
    pub pages: u64,
    /// Bytes of these pages.
    pub bytes: u64,
    /// Runs of neighbouring pages that they were written in.
    pub runs: u64,
    /// Whether the commit is on the disk.
    pub durable: bool,
}

/// A table, as the catalog knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableInfo {
    /// Its name.
    pub name: String,
    /// The name of the type of its keys.
    pub key_type: String,
    /// The name of the type of its values.
    pub value_type: String,
    /// How many entries it has.
    pub entries: u64,
}

impl TableInfo {
    fn of(tables: Vec<(String, TableRecord<String>)>) -> Vec<TableInfo> {
        let info = |(name, record): (String, TableRecord<String>)| TableInfo {
            name,
            key_type: record.key_type,
            value_type: record.value_type,
            entries: record.root.child.count,
        };
        tables.into_iter().map(info).collect()
    }
}
