//! One root as a file of its own: the same pages in the same places, and around them what a database needs.
//!
//! `docs/DURABILITY.md`, "A copy of a snapshot", says why the result is whole: the pages keep their numbers,
//! births and bytes, all else is free, and the free-space log and both meta pages are written anew.

use std::ops::Range;

use super::free_log::records;
use super::recovery::{boot_id, random_id};
use super::snapshot::ReadSnapshot;
use crate::error::{Error, Result};
use crate::page::{
    CommitRecord, Extent, FreeLogPage, FreeRoot, LogLink, META_AT, Meta, PageId, Root, free_log_capacity,
    header_pages, index,
};

/// Pages are read and written in pieces of this many bytes at most.
const PIECE: u64 = 1 << 20;

/// Takes bytes at ascending offsets. What is left out between them has no meaning.
pub(crate) trait Sink {
    /// Takes the bytes that belong at `offset`.
    fn put(&mut self, offset: u64, bytes: &[u8]) -> Result<()>;
    /// The file is so many bytes long.
    fn end(&mut self, len: u64) -> Result<()>;
}

/// What the copy of a snapshot consists of.
#[derive(Debug)]
pub(crate) struct CopyPlan<'s> {
    snapshot: &'s ReadSnapshot,
    root: Root,
    /// Pages of the snapshot, ascending.
    runs: Vec<Range<u64>>,
    /// Bytes that the snapshot does not have, by their offset.
    made: Vec<(u64, Vec<u8>)>,
}

impl ReadSnapshot {
    /// The pages of the database that are always there.
    pub(crate) fn header_pages(&self) -> [u64; 3] {
        header_pages(self.pages().view.base.page_size)
    }

    /// Who may read and write the file.
    pub(crate) fn mode(&self) -> Result<u32> {
        self.pages().view.base.storage.mode()
    }

    /// Bytes of a page.
    pub(crate) fn page_size(&self) -> u32 {
        u32::try_from(self.pages().view.base.page_size).expect("a page has at most 65,536 bytes")
    }

    /// Plans the copy; `used` are the pages that the trees of the root reach, ascending, apart from each
    /// other and from the header pages.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the database has a feature with which nothing may be written;
    /// [`Error::Io`] where the system has no random numbers.
    pub(crate) fn plan_copy(&self, used: Vec<Range<u64>>) -> Result<CopyPlan<'_>> {
        let base = &self.pages().view.base;
        if base.read_only_compatible != 0 {
            let what = "read-only-compatible feature";
            return Err(Error::Unsupported { what, found: base.read_only_compatible });
        }
        let page_size = base.page_size;
        let headers = header_pages(page_size);
        let last_header = headers.iter().copied().max().unwrap_or(0);
        let mut end = used.last().map_or(0, |run| run.end).max(last_header + 1);
        // 1. What lies between is free: no other root needs anything in this file.
        let mut taken: Vec<Range<u64>> = headers.iter().map(|page| *page..page + 1).collect();
        taken.extend(used.iter().cloned());
        taken.sort_unstable_by_key(|run| run.start);
        let mut free: Vec<Range<u64>> = Vec::new();
        let mut from = 0;
        for run in &taken {
            if from < run.start {
                free.push(from..run.start);
            }
            from = run.end;
        }
        // 2. The log takes the first free pages, and new ones where these are not enough. That leaves it no
        //    more extents to speak of.
        let extents = |free: &[Range<u64>]| {
            records(free.iter().map(|run| Extent::free(run.start, run.end - run.start)))
        };
        let capacity = free_log_capacity(page_size);
        let pages = extents(&free).len().div_ceil(capacity).max(1);
        let mut ids = Vec::with_capacity(pages);
        while ids.len() < pages {
            match free.first_mut() {
                Some(run) if run.start < run.end => {
                    ids.push(run.start);
                    run.start += 1;
                }
                Some(_) => drop(free.remove(0)),
                None => {
                    ids.push(end);
                    end += 1;
                }
            }
        }
        free.retain(|run| run.start < run.end);
        let (log, made) = self.write_log(&extents(&free), &ids);
        let root = Root { page_count: end, free: log, ..*self.pages().root() };
        let mut plan = CopyPlan { snapshot: self, root, runs: used, made };
        plan.write_metas()?;
        plan.made.sort_unstable_by_key(|(offset, _)| *offset);
        Ok(plan)
    }

    /// The pages `ids` of a log that says `records`.
    fn write_log(&self, records: &[Extent], ids: &[u64]) -> (FreeRoot, Vec<(u64, Vec<u8>)>) {
        let base = &self.pages().view.base;
        let birth = self.pages().root().txn;
        let mut older = LogLink::default();
        let mut made = Vec::with_capacity(ids.len());
        let mut parts = records.chunks(free_log_capacity(base.page_size));
        for id in ids {
            let page = FreeLogPage { older, records: parts.next().unwrap_or_default().to_vec() };
            let mut bytes = vec![0; base.page_size];
            page.encode(&mut bytes, PageId(*id), birth, base.seed);
            made.push((id * base.page_size as u64, bytes));
            older = LogLink { page: PageId(*id), birth };
        }
        (FreeRoot { page: older.page, birth, pages: ids.len() as u64 }, made)
    }
}

impl CopyPlan<'_> {
    /// Both meta pages, as a clean close leaves them.
    fn write_metas(&mut self) -> Result<()> {
        let base = &self.snapshot.pages().view.base;
        let meta = Meta {
            page_size: self.snapshot.page_size(),
            database_id: base.database_id,
            lineage_id: random_id()?,
            read_only_compatible: 0,
            compatible: base.compatible,
            sequence: 1,
            ceiling: self.root.txn.0 + 1,
            boot_id: boot_id()?,
            root: self.root,
            clean: true,
            record: CommitRecord::default(),
        };
        self.made.push((META_AT[0], meta.encode()));
        self.made.push((META_AT[1], Meta { sequence: 0, ..meta }.encode()));
        Ok(())
    }

    /// Bytes of the file.
    pub(crate) fn len(&self) -> u64 {
        self.root.page_count * self.snapshot.pages().view.base.page_size as u64
    }

    /// Pages that are copied.
    pub(crate) fn pages(&self) -> u64 {
        self.runs.iter().map(|run| run.end - run.start).sum()
    }

    /// Gives everything to `sink`, in the order of the file, and says after each piece how many pages that
    /// was.
    pub(crate) fn write(&self, sink: &mut dyn Sink, done: &mut dyn FnMut(u64)) -> Result<()> {
        let snapshot = self.snapshot.pages();
        let page_size = snapshot.view.base.page_size as u64;
        let mut made = self.made.iter().peekable();
        for run in &self.runs {
            let offset = run.start * page_size;
            while let Some((at, bytes)) = made.next_if(|(at, _)| *at < offset) {
                sink.put(*at, bytes)?;
            }
            let mut at = run.start;
            while at < run.end {
                let pages = (PIECE / page_size).min(run.end - at);
                let bytes = snapshot.raw_pages(PageId(at), pages)?;
                sink.put(at * page_size, &bytes[..index(pages * page_size)])?;
                at += pages;
                done(pages);
            }
        }
        for (at, bytes) in made {
            sink.put(*at, bytes)?;
        }
        sink.end(self.len())
    }
}
