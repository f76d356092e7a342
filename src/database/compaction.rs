//! Compaction: ordinary commits that fill pages up and move them to the beginning.

use super::Database;
use crate::error::{Error, Result};
use crate::inspect::Progress;
use crate::transaction::WriteTransaction;

/// Pages that one step of compaction changes, so that it holds up other writers for moments only.
const STEP_PAGES: usize = 1024;

/// A compaction under way.
pub(super) struct Compaction<'c> {
    pub(super) db: &'c Database,
    pub(super) progress: &'c mut dyn FnMut(Progress),
    pub(super) steps: u64,
    pub(super) moved: u64,
}

impl Compaction<'_> {
    /// Runs `change` on every table, in steps: it gets the table's name and where to begin, and says where to
    /// go on and how many pages it has changed. How many were in all.
    fn each_table(
        &mut self,
        change: impl Fn(&WriteTransaction, &str, &[u8]) -> Result<(Option<Vec<u8>>, u64)>,
    ) -> Result<u64> {
        let tables = self.db.begin_read()?.tables()?;
        let mut moved = 0;
        for table in tables {
            let mut from = Some(Vec::new());
            while let Some(key) = from {
                let mut tx = self.db.begin_write()?;
                tx.place_lowest();
                let (next, pages) = match change(&tx, &table.name, &key) {
                    // Somebody has dropped the table meanwhile.
                    Err(Error::NoSuchTable { .. }) => (None, 0),
                    result => result?,
                };
                self.steps += 1;
                moved += pages;
                from = next;
                let total = self.db.pager().page_count();
                tx.commit()?;
                (self.progress)(Progress { done: (self.moved + moved).min(total), total });
            }
        }
        self.moved += moved;
        Ok(moved)
    }

    /// Fills leaves up.
    pub(super) fn repack(&mut self) -> Result<()> {
        self.each_table(|tx, name, from| tx.open_raw(name)?.repack(from, STEP_PAGES)).map(|_| ())
    }

    /// Moves what lies behind the place where the file could end, as long as that makes it shorter.
    pub(super) fn relocate(&mut self) -> Result<()> {
        let mut before = u64::MAX;
        loop {
            // What the last round has freed is free when its commits are durable: another makes it so.
            self.touch()?;
            let end = self.db.pager().page_count();
            if end >= before {
                return Ok(());
            }
            before = end;
            let limit = self.db.pager().live_pages()?;
            let moved =
                self.each_table(|tx, name, from| tx.open_raw(name)?.relocate(from, limit, STEP_PAGES))?;
            if moved == 0 {
                self.touch()?;
                return Ok(());
            }
        }
    }

    /// A commit that changes nothing but where the catalog and the free-space log are.
    fn touch(&mut self) -> Result<()> {
        let mut tx = self.db.begin_write()?;
        tx.place_lowest();
        tx.touch()?;
        self.steps += 1;
        tx.commit().map(|_| ())
    }
}
