//! What is free, and who keeps the rest.

use super::usage::reader_of;
use crate::error::Result;
use crate::page::TxnId;
use crate::pager::{Pages, ReadSnapshot, holder};
use crate::reader::Reader;

/// The free space of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FreeSpace {
    /// The transaction whose snapshot it is.
    pub txn: u64,
    /// The transaction that a loss of power leaves.
    pub durable_txn: u64,
    /// Bytes of a page.
    pub page_size: u32,
    /// Pages of the database.
    pub page_count: u64,
    /// Pages of the free-space log itself.
    pub log_pages: u64,
    /// Pages that can be reused now.
    pub free_pages: u64,
    /// Pages that are out of use and still needed.
    pub pending_pages: u64,
    /// Free and pending extents, ascending. Neighbours may be in extents of their own.
    pub extents: Vec<FreeExtent>,
    /// Who needs the pending ones, the oldest snapshot first.
    pub holders: Vec<Holder>,
}

/// Neighbouring pages that are out of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FreeExtent {
    /// The first page.
    pub page: u64,
    /// How many pages.
    pub pages: u64,
    /// No snapshot before this transaction needs them.
    pub birth: u64,
    /// No snapshot from this transaction on needs them.
    pub death: u64,
    /// The oldest snapshot that needs them; none where they are free. When it has ended, another may.
    pub holder: Option<u64>,
}

/// A snapshot that needs pages which are out of use.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// Its transaction.
    pub txn: u64,
    /// Pending pages that it is the oldest to need.
    pub pages: u64,
    /// The extents that they are in.
    pub extents: u64,
    /// Whether it is what a loss of power leaves: the next sync moves that on.
    pub is_durable: bool,
    /// Who reads it, but for the snapshot that is asked. Where nobody does and it is not durable, a commit or
    /// a sync is under way.
    pub readers: Vec<Reader>,
}

/// As [`ReadTransaction::free_space`](crate::ReadTransaction::free_space).
pub(crate) fn free_space(snapshot: &ReadSnapshot) -> Result<FreeSpace> {
    snapshot.check_process()?;
    let survey = snapshot.survey()?;
    let pins = snapshot.pins();
    let pages = snapshot.pages();
    let root = *pages.root();
    let extents = survey.extents.iter().map(|extent| FreeExtent {
        page: extent.start,
        pages: extent.len,
        birth: extent.birth.0,
        death: extent.death.0,
        holder: holder(extent, &pins).map(|txn| txn.0),
    });
    let extents: Vec<FreeExtent> = extents.collect();
    let readers = snapshot.other_readers()?;
    let mut holders: Vec<Holder> = Vec::new();
    for TxnId(txn) in pins {
        let held = || extents.iter().filter(|extent| extent.holder == Some(txn));
        if held().next().is_none() {
            continue;
        }
        let needed_bytes = survey.needed_by(TxnId(txn)) * pages.page_size() as u64;
        let of_it = readers.iter().filter(|reading| reading.txn.0 == txn);
        holders.push(Holder {
            txn,
            pages: held().map(|extent| extent.pages).sum(),
            extents: held().count() as u64,
            is_durable: snapshot.durable() == txn,
            readers: of_it.map(|reading| reader_of(reading, root.txn, needed_bytes)).collect(),
        });
    }
    let pending_pages = holders.iter().map(|holder| holder.pages).sum();
    Ok(FreeSpace {
        txn: root.txn.0,
        durable_txn: snapshot.durable(),
        page_size: u32::try_from(pages.page_size()).expect("a page has at most 65,536 bytes"),
        page_count: root.page_count,
        log_pages: survey.log_pages.len() as u64,
        free_pages: extents.iter().map(|extent| extent.pages).sum::<u64>() - pending_pages,
        pending_pages,
        extents,
        holders,
    })
}
