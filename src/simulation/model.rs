//! What a database must be: a map per version. And the driver that does every operation to both.
//!
//! The driver panics where the database differs from its model, and returns the errors that the database
//! returns.

use std::ops::Bound;
use std::sync::Arc;

use super::ops::{Key, Op, READERS, Setup, Value};
use super::seen::Seen;
use super::version::{Entries, Version, changed, names, same, same_many, sound};
use crate::storage::sim::SimDisk;
use crate::{Database, Durability, Error, ReadTransaction, Result, WriteTransaction};

const TYPE: &str = "[u8]";

/// A version, and where in the disk's log its commit began and was acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) version: Version,
    /// Its number, when the commit has returned.
    pub(crate) txn: Option<u64>,
    pub(crate) began: usize,
    /// When the commit returned.
    pub(crate) acknowledged: Option<usize>,
    /// When something returned that had made it durable.
    pub(crate) durable: Option<usize>,
}

/// A database on a simulated disk and its model.
pub(crate) struct Driver {
    pub(crate) disk: SimDisk,
    pub(crate) setup: Setup,
    db: Option<Database>,
    tx: Option<WriteTransaction>,
    /// What the running transaction has made of the newest version.
    draft: Version,
    /// Every version from the first on; the last is the newest.
    pub(crate) attempts: Vec<Attempt>,
    readers: Vec<(ReadTransaction, Version)>,
    /// Whether the whole file is checked after every commit.
    pub(crate) checks: bool,
    pub(crate) seen: Seen,
}

impl Driver {
    /// A new database.
    pub(crate) fn new(setup: Setup) -> Result<Driver> {
        Driver::on(SimDisk::new()?, setup, Version::new())
    }

    /// The database on `disk`, which holds `version`.
    pub(crate) fn on(disk: SimDisk, setup: Setup, version: Version) -> Result<Driver> {
        let db = Database::over(&setup.options(), disk.storage()?)?;
        let now = Some(disk.event_count());
        let first = Attempt { version, txn: None, began: 0, acknowledged: now, durable: now };
        Ok(Driver {
            disk,
            setup,
            db: Some(db),
            tx: None,
            draft: Version::new(),
            attempts: vec![first],
            readers: Vec::new(),
            checks: true,
            seen: Seen::default(),
        })
    }

    pub(crate) fn db(&self) -> &Database {
        self.db.as_ref().expect("open between operations")
    }

    /// Whether the last operation left it open.
    pub(crate) fn is_open(&self) -> bool {
        self.db.is_some()
    }

    /// Somebody else has committed this.
    pub(crate) fn push_durable(&mut self, version: Version) {
        let now = self.disk.event_count();
        self.attempts.push(Attempt {
            version,
            txn: None,
            began: 0,
            acknowledged: Some(now),
            durable: Some(now),
        });
        self.all_durable();
    }

    /// The newest version.
    pub(crate) fn newest(&self) -> &Version {
        &self.attempts.last().expect("there is a first").version
    }

    pub(crate) fn run(&mut self, ops: &[Op]) -> Result<()> {
        ops.iter().try_for_each(|op| {
            let before = self.disk.counters();
            self.apply(op)?;
            let after = self.disk.counters();
            // A change writes when it raises the ceiling, which syncs; when its value is long; or to make
            // room in memory.
            let spilled = op.is_small_change() && after.writes > before.writes && after.syncs == before.syncs;
            self.seen.count("changes that outgrew the memory", spilled.into());
            let cuts = if *op == Op::Reopen { 0 } else { after.truncates.saturating_sub(before.truncates) };
            self.seen.count("cuts of the file", cuts);
            let compacted = *op == Op::Compact && after.writes > before.writes;
            self.seen.count("compactions", compacted.into());
            Ok(())
        })
    }

    /// Does `op` to the database and to the model.
    pub(crate) fn apply(&mut self, op: &Op) -> Result<()> {
        match *op {
            Op::Insert { table, key, value } => self.insert(table, key, value, false),
            Op::Replace { table, key, value } => self.insert(table, key, value, true),
            Op::Append { table, key, value } => self.append(table, key, value),
            Op::Remove { table, key } => self.remove(table, key, false),
            Op::Take { table, key } => self.remove(table, key, true),
            Op::RemoveRange { table, from, to } => self.remove_range(table, from, to),
            Op::Clear { table } => self.clear(table),
            Op::DropTable { table } => self.drop_table(table),
            Op::Ascend { table, from, count, value } => {
                (0..count).try_for_each(|i| self.insert(table, Key::Text(from + u16::from(i)), value, false))
            }
            Op::Scatter { table, from, count, value } => (0..count)
                .map(|i| Key::Short(from.wrapping_add(u16::from(i).wrapping_mul(40_503))))
                .try_for_each(|key| self.insert(table, key, value, false)),
            Op::Thin { table, from, count, step } => (0..count)
                .step_by(usize::from(step))
                .try_for_each(|i| self.remove(table, Key::Text(from + u16::from(i)), false)),
            Op::Look { table, key } => self.look(table, key),
            Op::Commit { durability, two_phase } => self.commit(durability, two_phase),
            Op::Abort => {
                self.abort();
                Ok(())
            }
            Op::BeginRead => self.begin_read(),
            Op::CheckRead { reader } => self.reader(reader).map_or(Ok(()), |(tx, version)| same(tx, version)),
            Op::GetMany { reader, table, ref keys } => self.get_many(reader, table, keys),
            Op::EndRead { reader } => {
                if !self.readers.is_empty() {
                    let (tx, version) = self.readers.swap_remove(usize::from(reader) % self.readers.len());
                    same(&tx, &version)?;
                }
                Ok(())
            }
            Op::Compare { older, newer, from, to } => self.compare(older, newer, from, to),
            Op::Sync => {
                self.db().sync()?;
                self.all_durable();
                Ok(())
            }
            Op::WaitDurable { back } => self.wait_durable(usize::from(back)),
            Op::Compact => self.compact(),
            Op::Reopen => self.reopen(),
            Op::Kill => self.kill(),
        }
    }

    /// Ends every snapshot, and looks once more at what it shows.
    pub(crate) fn end_readers(&mut self) -> Result<()> {
        self.readers.drain(..).try_for_each(|(tx, version)| same(&tx, &version))
    }

    fn reader(&self, number: u8) -> Option<&(ReadTransaction, Version)> {
        self.readers.get(usize::from(number).checked_rem(self.readers.len())?)
    }

    fn get_many(&self, reader: u8, table: u8, keys: &[Key]) -> Result<()> {
        let keys: Vec<_> = keys.iter().map(|key| self.key(*key)).collect();
        self.reader(reader).map_or(Ok(()), |(tx, version)| same_many(tx, version, &name(table), &keys))
    }

    fn compare(&self, older: u8, newer: u8, from: Key, to: Key) -> Result<()> {
        let (Some(older), Some(newer)) = (self.reader(older), self.reader(newer)) else { return Ok(()) };
        let (from, to) = (self.key(from), self.key(to));
        changed(older, newer, (Bound::Unbounded, Bound::Unbounded))?;
        changed(older, newer, (Bound::Included(&from), Bound::Excluded(&to)))
    }

    fn key(&self, key: Key) -> Vec<u8> {
        key.bytes(self.setup.page_size as usize)
    }

    /// The running transaction, begun if there is none, and what it has.
    fn draft(&mut self) -> Result<(&WriteTransaction, &mut Version)> {
        if self.tx.is_none() {
            self.tx = Some(self.db().try_begin_write()?);
            self.draft = self.newest().clone();
        }
        Ok((self.tx.as_ref().expect("begun above"), &mut self.draft))
    }

    fn insert(&mut self, table: u8, key: Key, value: Value, replaces: bool) -> Result<()> {
        let key = self.key(key);
        let value = value.bytes(key.len(), self.setup.page_size as usize);
        let (tx, draft) = self.draft()?;
        let mut handle = tx.create_raw(&name(table), TYPE, TYPE)?;
        if replaces {
            let old = handle.replace(&key, &value)?;
            let entries = Arc::make_mut(draft.entry(name(table)).or_default());
            assert_eq!(old.as_deref(), entries.insert(key, value.into()).as_deref());
        } else {
            let replaced = handle.insert(&key, &value)?;
            let entries = Arc::make_mut(draft.entry(name(table)).or_default());
            assert_eq!(replaced, entries.insert(key, value.into()).is_some());
        }
        assert_eq!(handle.len(), draft[&name(table)].len() as u64);
        Ok(())
    }

    fn append(&mut self, table: u8, key: Key, value: Value) -> Result<()> {
        let key = self.key(key);
        let value = value.bytes(key.len(), self.setup.page_size as usize);
        let (tx, draft) = self.draft()?;
        let mut handle = tx.create_raw(&name(table), TYPE, TYPE)?;
        let entries = Arc::make_mut(draft.entry(name(table)).or_default());
        let is_behind = entries.last_key_value().is_none_or(|(last, _)| *last < key);
        match handle.append(&key, &value) {
            Err(crate::Error::NotAscending) => assert!(!is_behind),
            appended => {
                appended?;
                assert!(is_behind);
                entries.insert(key, value.into());
            }
        }
        assert_eq!(handle.len(), entries.len() as u64);
        Ok(())
    }

    fn remove(&mut self, table: u8, key: Key, takes: bool) -> Result<()> {
        let key = self.key(key);
        self.change(table, |handle, entries| {
            let old = entries.remove(&key);
            if takes {
                assert_eq!(handle.take(&key)?.as_deref(), old.as_deref());
            } else {
                assert_eq!(handle.remove(&key)?, old.is_some());
            }
            Ok(())
        })
    }

    fn remove_range(&mut self, table: u8, from: Key, to: Key) -> Result<()> {
        let (from, to) = (self.key(from), self.key(to));
        self.change(table, |handle, entries| {
            let before = entries.len();
            entries.retain(|key, _| *key < from || *key >= to);
            let range = (Bound::Included(&from[..]), Bound::Excluded(&to[..]));
            assert_eq!(handle.remove_range(range)?, (before - entries.len()) as u64);
            Ok(())
        })
    }

    fn clear(&mut self, table: u8) -> Result<()> {
        self.change(table, |handle, entries| {
            assert_eq!(handle.clear()?, std::mem::take(entries).len() as u64);
            Ok(())
        })
    }

    /// Changes a table that may not exist.
    fn change(
        &mut self,
        table: u8,
        change: impl Fn(&mut crate::RawTableMut<'_>, &mut Entries) -> Result<()>,
    ) -> Result<()> {
        let (tx, draft) = self.draft()?;
        let mut handle = match (tx.open_raw(&name(table)), draft.contains_key(&name(table))) {
            (Err(Error::NoSuchTable { .. }), false) => return Ok(()),
            (handle, there) => handle.inspect(|_| assert!(there, "the table was dropped"))?,
        };
        let entries = Arc::make_mut(draft.get_mut(&name(table)).expect("looked at above"));
        change(&mut handle, entries)?;
        assert_eq!(handle.len(), entries.len() as u64);
        Ok(())
    }

    fn drop_table(&mut self, table: u8) -> Result<()> {
        let (tx, draft) = self.draft()?;
        assert_eq!(tx.drop_table(&name(table))?, draft.remove(&name(table)).is_some());
        Ok(())
    }

    fn look(&mut self, table: u8, key: Key) -> Result<()> {
        let key = self.key(key);
        self.change(table, |handle, entries| {
            assert_eq!(handle.get(&key)?, entries.get(&key).map(|value| &value[..]));
            let rank = entries.range(..key.clone()).count() as u64;
            assert_eq!(handle.rank(&key)?, rank);
            let next = entries.range(key.clone()..).next();
            let nth = handle.nth(rank)?;
            assert_eq!(nth.as_ref().map(|(k, v)| (&k[..], *v)), next.map(|(k, v)| (&k[..], &v[..])));
            assert_eq!(
                handle.count((Bound::Excluded(&key), Bound::Unbounded))?,
                entries.range((Bound::Excluded(key.clone()), Bound::Unbounded)).count() as u64
            );
            let mut expected = entries.iter();
            for entry in handle.range((Bound::Unbounded, Bound::Unbounded))? {
                let (k, v) = entry?;
                assert!(expected.next().is_some_and(|(key, value)| k[..] == key[..] && *v == value[..]));
            }
            assert_eq!(expected.next(), None);
            Ok(())
        })
    }

    fn commit(&mut self, durability: Durability, two_phase: bool) -> Result<()> {
        self.draft()?;
        let Some(mut tx) = self.tx.take() else { return Ok(()) };
        tx.set_durability(durability);
        tx.set_two_phase(two_phase);
        let version = std::mem::take(&mut self.draft);
        let began = self.disk.event_count();
        self.attempts.push(Attempt { version, txn: None, began, acknowledged: None, durable: None });
        let info = tx.commit()?;
        self.attempts.last_mut().expect("pushed above").txn = Some(info.txn);
        let now = Some(self.disk.event_count());
        for attempt in &mut self.attempts {
            attempt.acknowledged = attempt.acknowledged.or(now);
        }
        if durability == Durability::Immediate || info.durable {
            assert!(info.durable);
            self.all_durable();
        }
        self.check()
    }

    fn wait_durable(&mut self, back: usize) -> Result<()> {
        let Some(last) = self.attempts.len().checked_sub(1 + back) else { return Ok(()) };
        let Some(txn) = self.attempts[last].txn else { return Ok(()) };
        self.db().wait_durable(txn)?;
        assert!(self.db().durable() >= txn);
        let now = Some(self.disk.event_count());
        for attempt in &mut self.attempts[..=last] {
            attempt.durable = attempt.durable.or(now);
        }
        Ok(())
    }

    /// Drops the running transaction.
    pub(crate) fn abort(&mut self) {
        if let Some(tx) = self.tx.take() {
            tx.abort();
        }
    }

    fn all_durable(&mut self) {
        let now = Some(self.disk.event_count());
        for attempt in &mut self.attempts {
            attempt.durable = attempt.durable.or(now);
        }
    }

    /// The whole file is sound, and what is free in memory is what the file says.
    pub(crate) fn check(&self) -> Result<()> {
        if self.checks {
            sound(self.db())?;
        }
        Ok(())
    }

    fn begin_read(&mut self) -> Result<()> {
        let tx = self.db().begin_read()?;
        if self.readers.len() == READERS {
            self.readers.remove(0);
        }
        let version = self.newest().clone();
        names(&tx, &version)?;
        self.readers.push((tx, version));
        Ok(())
    }

    fn compact(&mut self) -> Result<()> {
        self.abort();
        self.db().compact()?;
        self.all_durable();
        self.check()
    }

    fn reopen(&mut self) -> Result<()> {
        self.abort();
        self.end_readers()?;
        self.db.take().expect("open between operations").close()?;
        self.all_durable();
        let db = Database::over(&self.setup.options(), self.disk.storage()?)?;
        assert_eq!(db.stats()?.recovery, crate::Recovery::Clean);
        self.db = Some(db);
        self.all_there()
    }

    /// Ends everything, and says whether closing went well.
    pub(crate) fn close_in_order(&mut self) -> Result<()> {
        self.abort();
        self.readers.clear();
        let closed = self.db.take().map_or(Ok(()), Database::close);
        if closed.is_ok() {
            self.all_durable();
        }
        closed
    }

    /// Closes whatever happens: after it the disk's log is complete.
    pub(crate) fn close(&mut self) {
        self.abort();
        self.readers.clear();
        self.db = None;
    }

    fn kill(&mut self) -> Result<()> {
        // What was written so far is what another process finds. What this one does from here on is
        // elsewhere.
        let disk = SimDisk::with_content(self.disk.content()?)?;
        self.close();
        let version = self.newest().clone();
        *self = Driver { checks: self.checks, ..Driver::on(disk, self.setup.clone(), version)? };
        self.all_there()
    }

    /// The newest version and nothing else is there.
    pub(crate) fn all_there(&self) -> Result<()> {
        same(&self.db().begin_read()?, self.newest())?;
        self.check()
    }

    /// Deletes everything: then all pages but those of the header and of the log are free again.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.commit(Durability::Immediate, false)?;
        self.all_there()?;
        self.end_readers()?;
        for table in 0..u8::MAX {
            if self.newest().contains_key(&name(table)) {
                self.drop_table(table)?;
            }
        }
        self.commit(Durability::Immediate, false)?;
        // Another commit, which leaves nothing of its own.
        self.insert(0, Key::Empty, Value { near: super::ops::Near::Zero, off: 0, fill: 0 }, false)?;
        self.drop_table(0)?;
        self.commit(Durability::Immediate, false)?;
        let stats = self.db().stats()?;
        let used = stats.header_pages + stats.free_space_pages;
        assert_eq!((stats.branch_pages, stats.leaf_pages, stats.overflow_pages), (0, 0, 0));
        assert_eq!(stats.pages, used + stats.free_pages + stats.pending_pages);
        assert_eq!(stats.pending_pages, 0, "nobody looks at anything");
        sound(self.db())
    }
}

fn name(table: u8) -> String {
    // One name is long, so that catalogs have long keys as well.
    if table == 3 { "table/".repeat(20) } else { format!("table {table}") }
}
