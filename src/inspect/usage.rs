//! How much of the file is in use and who reads it, without a look at the tables' pages.

use super::{age, reader_of};
use crate::error::Result;
use crate::pager::Pager;
use crate::reader::Reader;

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
    list.sort_by_key(|reading| (reading.txn, reading.since_ms));
    let mut readers: Vec<Reader> = Vec::with_capacity(list.len());
    for reading in &list {
        readers.push(match readers.last() {
            // Many read the same.
            Some(last) if last.txn == reading.txn.0 => {
                Reader { pid: reading.process, age: age(reading), ..*last }
            }
            _ => reader_of(reading, &survey, root.txn, pager.page_size()),
        });
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
