//! How much of the file is in use and who reads it, without a look at the tables' pages.

use std::time::Duration;

use crate::error::Result;
use crate::page::TxnId;
use crate::pager::{Pager, Reading};
use crate::reader::Reader;
use crate::storage::coarse_ms;

/// How much of a database is in use, and by whom, as of one snapshot: what [`Stats`](crate::Stats) has of
/// it that can be had without counting pages.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes of a page.
    pub page_size: u32,
    /// Pages of the database: below the end of its last one.
    pub pages: u64,
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
    /// Who reads, the oldest first.
    pub readers: Vec<Reader>,
}

/// Who reads, the oldest first.
pub(crate) fn readers(pager: &Pager) -> Result<Vec<Reader>> {
    Ok(usage(pager)?.readers)
}

/// O(reader slots + records of the free-space log).
pub(crate) fn usage(pager: &Pager) -> Result<Usage> {
    // Before the snapshot is taken, which is one too; and what is durable is visible.
    let (mut list, durable_txn) = (pager.readers()?, pager.durable());
    let snapshot = pager.begin_read()?;
    let survey = snapshot.survey()?;
    let root = *snapshot.pages().root();
    let page_size = pager.page_size() as u64;
    list.sort_by_key(|reading| (reading.txn, reading.since_ms));
    let mut readers = Vec::with_capacity(list.len());
    // Many read the same.
    let mut last: Option<(TxnId, u64)> = None;
    for reading in &list {
        let known = last.filter(|(txn, _)| *txn == reading.txn);
        let (_, needed) = *last.insert(known.unwrap_or_else(|| (reading.txn, survey.needed_by(reading.txn))));
        readers.push(reader_of(reading, root.txn, needed * page_size));
    }
    let unused: u64 = survey.extents.iter().map(|extent| extent.len).sum();
    let pending_pages = snapshot.pending(&survey);
    Ok(Usage {
        file_bytes: pager.storage().len()?,
        page_size: u32::try_from(pager.page_size()).expect("a page has at most 65,536 bytes"),
        pages: root.page_count,
        free_space_pages: survey.log_pages.len() as u64,
        free_pages: unused - pending_pages,
        pending_pages,
        txn: root.txn.0,
        durable_txn,
        readers,
    })
}

/// What is told of who reads, beside a snapshot of `visible`.
pub(super) fn reader_of(reading: &Reading, visible: TxnId, pinned_bytes: u64) -> Reader {
    Reader {
        pid: reading.process,
        age: Duration::from_millis(coarse_ms().saturating_sub(reading.since_ms)),
        txn: reading.txn.0,
        behind: visible.0.saturating_sub(reading.txn.0),
        pinned_bytes,
    }
}

#[cfg(test)]
mod tests {
    use crate::{Database, Durability};

    /// At every step, with snapshots that come and go and commits that are not durable yet.
    #[test]
    fn usage_says_what_stats_and_readers_say() {
        let db = Database::in_memory().unwrap();
        let mut held = Vec::new();
        for step in 0..60_u32 {
            let mut tx = db.begin_write().unwrap();
            tx.set_durability(if step % 3 == 0 { Durability::Immediate } else { Durability::Buffered });
            let value = vec![0; 300 * (step as usize % 40)];
            tx.create_raw("t", "bytes", "bytes").unwrap().insert(&(step % 7).to_le_bytes(), &value).unwrap();
            tx.commit().unwrap();
            // Some of them twice.
            held.extend((0..step % 3).map(|_| db.begin_read().unwrap()));
            if step % 5 == 4 {
                held.drain(..held.len() / 2);
            }
            let (usage, stats) = (db.usage().unwrap(), db.stats().unwrap());
            assert_eq!((usage.file_bytes, usage.page_size), (stats.file_bytes, stats.page_size));
            assert_eq!((usage.pages, usage.free_pages), (stats.pages, stats.free_pages));
            assert_eq!(usage.pending_pages, stats.pending_pages);
            assert_eq!(usage.free_space_pages, stats.free_space_pages);
            assert_eq!((usage.txn, usage.durable_txn), (stats.txn, stats.durable_txn));
            let mut txns: Vec<u64> = held.iter().map(crate::ReadTransaction::txn).collect();
            txns.sort_unstable();
            assert_eq!(usage.readers.iter().map(|reader| reader.txn).collect::<Vec<_>>(), txns);
            // Who reads the same pins the same; nobody pins more than is pending.
            for pair in usage.readers.windows(2).filter(|pair| pair[0].txn == pair[1].txn) {
                assert_eq!(pair[0].pinned_bytes, pair[1].pinned_bytes);
            }
            let pending = usage.pending_pages * u64::from(usage.page_size);
            assert!(usage.readers.iter().all(|reader| reader.pinned_bytes <= pending));
        }
        assert!(held.len() > 1);
    }
}
