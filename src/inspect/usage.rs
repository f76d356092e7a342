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
    let (list, durable_txn) = (pager.readers()?, pager.durable());
    let snapshot = pager.begin_read()?;
    let survey = snapshot.survey()?;
    let root = *snapshot.pages().root();
    let page_size = pager.page_size() as u64;
    let mut list = list;
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
        page_size: u32::try_from(page_size).expect("a page has at most 65,536 bytes"),
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
