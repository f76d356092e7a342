//! The free-space log: how free and pending pages are kept across commits.
//!
//! Every commit adds records of what it took and freed to the newest page, which is written anew, or in
//! further pages. Nothing else is written, however much is free. So that the log does not grow for ever, a
//! commit also takes some of the oldest pages out: what they say of pages that are still free is said again
//! at the newest end. Later records win, so replaying the log from its oldest page gives the free space of
//! its root.
//!
//! Saving the free space is no loop: the pages of the log are counted before page numbers are given out, with
//! room for the worst case, and what is left over is free again in the same commit.

use std::collections::{BTreeMap, VecDeque};

use super::bits::Bits;
use super::snapshot::Snapshot;
use crate::error::{Error, Result};
use crate::page::{Extent, FreeLogPage, FreeRoot, LogLink, PageId, Seed, TxnId, free_log_capacity};

/// The log of one root.
#[derive(Debug, Default)]
pub(super) struct FreeLog {
    /// From the oldest to the newest.
    pages: VecDeque<LogLink>,
    /// What the newest page says.
    newest: Vec<Extent>,
    /// How many old records may be looked at for what was added: three for each record, and for each that a
    /// page has room for and never gets. What is said again does not count, so no commit does more than its
    /// share; and as less than half of a log that is too long is current, the log never outruns its cleaning.
    credit: usize,
}

/// What a commit does to the log.
#[derive(Debug, Default)]
pub(super) struct LogPlan {
    /// How many of the oldest pages are taken out.
    retired: usize,
    /// What they say: it is said again, as far as it is still true.
    pub(super) said_by_retired: Vec<Extent>,
    /// Whether the newest page is written anew with further records.
    rewrites_newest: bool,
}

/// The pages of a root's log, from the newest on; the last one is said to be at fault if it cannot be read.
#[derive(Debug)]
pub(crate) struct LogPages<'s> {
    snapshot: &'s Snapshot,
    next: LogLink,
    left: u64,
    /// A log that was made to hurt may lead round for ever.
    met: Bits,
}

impl LogPages<'_> {
    pub(super) fn of(snapshot: &Snapshot) -> LogPages<'_> {
        let root = snapshot.root().free;
        let next = LogLink { page: root.page, birth: root.birth };
        LogPages { snapshot, next, left: root.pages, met: Bits::default() }
    }

    fn read(&mut self) -> Result<FreeLogPage> {
        let page = read_page(self.snapshot, self.next)?;
        if self.met.claim(self.next.page.0, 1) {
            return Ok(page);
        }
        let (page, expected) = (self.next.page, "a page that was not met before");
        Err(Error::corrupted(page.0, "link of the free-space log", expected, page))
    }
}

impl Iterator for LogPages<'_> {
    type Item = (LogLink, Result<FreeLogPage>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (link, page) = (self.next, self.read());
        match &page {
            Ok(page) => self.next = page.older,
            Err(_) => self.left = 0,
        }
        Some((link, page))
    }
}

fn read_page(snapshot: &Snapshot, link: LogLink) -> Result<FreeLogPage> {
    FreeLogPage::decode(snapshot.raw(link.page)?, link, snapshot.view.base.seed)
}

impl FreeLog {
    /// Reads the log of `snapshot`'s root, and what it says, oldest first.
    pub(super) fn read(snapshot: &Snapshot) -> Result<(FreeLog, Vec<Extent>)> {
        let root = snapshot.root().free;
        if root.pages >= snapshot.root().page_count {
            let bound = format!("below {}", snapshot.root().page_count);
            return Err(Error::corrupted(root.page.0, "length of the free-space log", bound, root.pages));
        }
        let mut log = FreeLog::default();
        let mut pages: Vec<Vec<Extent>> = Vec::new();
        for (link, page) in LogPages::of(snapshot) {
            log.pages.push_front(link);
            pages.push(page?.records);
        }
        log.newest = pages.first().cloned().unwrap_or_default();
        Ok((log, pages.into_iter().rev().flatten().collect()))
    }

    /// The pages of the log.
    pub(super) fn pages(&self) -> impl Iterator<Item = PageId> {
        self.pages.iter().map(|link| link.page)
    }

    /// Decides what a commit with so many records of its own does; `extents` are free or pending in all. With
    /// `renew` the whole log is written anew, so that it has no page far behind.
    pub(super) fn plan(
        &mut self,
        snapshot: &Snapshot,
        records: usize,
        extents: usize,
        renew: bool,
    ) -> Result<LogPlan> {
        let capacity = free_log_capacity(snapshot.raw_len());
        let rewrites_newest = !renew && !self.pages.is_empty() && self.newest.len() + records <= capacity;
        let new_pages = records / capacity + 1;
        // Twice what the extents need: then a page is at least half current when it is taken out.
        let enough = 2 * (extents / capacity + 1) + 4;
        if !rewrites_newest && !self.pages.is_empty() {
            self.earn(capacity - self.newest.len());
        }
        let surplus = (self.pages.len() + new_pages).saturating_sub(enough);
        let retired = match renew {
            true => self.pages.len(),
            // A large commit may leave much credit: a small one does not spend it all at once. Beside 200,000
            // free extents a single insertion wrote 8 pages on the average without this bound, and 5 with it.
            false => surplus
                .min(self.credit / capacity)
                .min(2 + records / 16)
                .min(self.pages.len().saturating_sub(1)),
        };
        self.credit = self.credit.saturating_sub(retired * capacity).min(1024 * capacity);
        let mut said = Vec::new();
        for link in self.pages.iter().take(retired) {
            said.extend(read_page(snapshot, *link)?.records);
        }
        said.retain(|extent| !extent.is_used());
        Ok(LogPlan { retired, said_by_retired: said, rewrites_newest })
    }

    /// The pages of the log that a commit following `plan` frees.
    pub(super) fn freed(&self, plan: &LogPlan, death: TxnId) -> Vec<Extent> {
        let newest = self.pages.back().filter(|_| plan.rewrites_newest);
        let links = self.pages.iter().take(plan.retired).chain(newest);
        links.map(|link| Extent { start: link.page.0, len: 1, birth: link.birth, death }).collect()
    }

    /// Records that the first new page has already.
    pub(super) fn carried(&self, plan: &LogPlan) -> usize {
        if plan.rewrites_newest { self.newest.len() } else { 0 }
    }

    /// A commit adds so many records that say something new.
    pub(super) fn earn(&mut self, records: usize) {
        self.credit += 3 * records;
    }

    /// Follows `plan`: puts `records` into pages `ids`, which have room for them, and encodes them.
    pub(super) fn write(
        &mut self,
        plan: &LogPlan,
        records: Vec<Extent>,
        ids: &[PageId],
        birth: TxnId,
        seed: Seed,
        page_size: usize,
    ) -> Vec<(u64, Box<[u8]>)> {
        let capacity = free_log_capacity(page_size);
        self.pages.drain(..plan.retired);
        // What the newest page says, and what is to come, stays in one place: most commits write one page.
        let mut all = std::mem::take(&mut self.newest);
        if plan.rewrites_newest {
            self.pages.pop_back();
        } else {
            all.clear();
        }
        all.extend(records);
        let total = all.len();
        let mut older = self.pages.back().copied().unwrap_or_default();
        let mut written = Vec::with_capacity(ids.len());
        for id in ids {
            let rest = all.split_off(all.len().min(capacity));
            let page = FreeLogPage { older, records: all };
            let mut bytes = vec![0; page_size].into_boxed_slice();
            page.encode(&mut bytes, *id, birth, seed);
            written.push((id.0, bytes));
            older = LogLink { page: *id, birth };
            self.pages.push_back(older);
            (self.newest, all) = (page.records, rest);
        }
        assert!(all.is_empty(), "the pages of the log were counted with all records");
        self.earn(ids.len().saturating_sub(1) * capacity - (total - self.newest.len()));
        written
    }

    /// What a root says of this log.
    pub(super) fn root(&self) -> FreeRoot {
        let newest = self.pages.back().copied().unwrap_or_default();
        FreeRoot { page: newest.page, birth: newest.birth, pages: self.pages.len() as u64 }
    }
}

/// What is free or pending after all records, the later ones winning, below `page_count`; in no order.
///
/// The newest record of a page is all that counts, so they are read from the newest on, with a bit for each
/// page that was spoken of. An aged file of 80,000 pages has 60,000 records: its first write transaction
/// began after 9 ms with a tree of extents, and after 3 this way.
pub(super) fn replay(records: &[Extent], page_count: u64) -> Result<Vec<Extent>> {
    if let Some(extent) = free_behind(records, page_count) {
        let found = format!("{} pages from {}", extent.len, extent.start);
        let bound = format!("pages below {page_count}");
        return Err(Error::corrupted(extent.start, "free-space record", bound, found));
    }
    let mut known = Bits::default();
    let mut extents = Vec::new();
    for record in records.iter().rev() {
        let end = record.end().min(page_count);
        let mut from = record.start;
        while let Some(start) = known.first_missing(from, end) {
            from = known.first(start, end).unwrap_or(end);
            if !record.is_used() {
                extents.push(Extent { start, len: from - start, ..*record });
            }
        }
        if record.start < end {
            known.add(record.start, end - record.start);
        }
    }
    Ok(extents)
}

/// A record that calls pages at or behind the end free and that none behind it takes back. The file was
/// longer once, so there are such records; but should it grow again, these pages are taken without a look.
fn free_behind(records: &[Extent], page_count: u64) -> Option<&Extent> {
    // Pages behind the end that later records speak of, from the first of each run to the end of it.
    let mut spoken: BTreeMap<u64, u64> = BTreeMap::new();
    for record in records.iter().rev().filter(|record| record.end() > page_count) {
        let (mut from, mut to) = (record.start.max(page_count), record.end());
        if let Some((start, end)) = spoken.range(..=from).next_back().map(|(start, end)| (*start, *end))
            && end >= from
        {
            if end >= to {
                continue;
            }
            from = start;
        }
        if !record.is_used() {
            return Some(record);
        }
        while let Some((start, end)) = spoken.range(from..=to).next().map(|(start, end)| (*start, *end)) {
            spoken.remove(&start);
            to = to.max(end);
        }
        spoken.insert(from, to);
    }
    None
}

/// The records for `extents`, each no longer than a record can be.
pub(super) fn records(extents: impl IntoIterator<Item = Extent>) -> Vec<Extent> {
    extents.into_iter().flat_map(Extent::pieces).collect()
}

/// Whole extents, each once, that are free or pending where the retired pages of `plan` said something.
pub(super) fn still_true(plan: &LogPlan, space: &super::space::Space) -> Vec<Extent> {
    let mut found = Vec::with_capacity(plan.said_by_retired.len());
    for range in &plan.said_by_retired {
        space.state_of(range, &mut found);
    }
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Goal: the last record that covers a page says what it is. Method: random records against a page
        /// map.
        #[test]
        fn later_records_win(records in prop::collection::vec((1u64..60, 1u64..20, 0u8..3, 1u64..9), 0..40)) {
            let mut model = BTreeMap::new();
            let records: Vec<Extent> = records.into_iter().map(|(start, len, kind, birth)| match kind {
                0 => Extent::free(start, len),
                1 => Extent::used(start, len),
                _ => Extent { start, len, birth: TxnId(birth), death: TxnId(birth + 3) },
            }).collect();
            for record in &records {
                for page in record.start..record.end() {
                    model.insert(page, *record);
                }
            }
            model.retain(|page, record| !record.is_used() && *page < 70);
            // What is said of pages behind the end has to be taken back.
            let taken_back = Extent::used(70, 30);
            let records = [&records[..], &[taken_back]].concat();
            let mut state = replay(&records, 70).unwrap();
            state.sort_unstable_by_key(|extent| extent.start);
            let pages = state.iter().flat_map(|e| (e.start..e.end()).map(|page| (page, (e.birth, e.death))));
            let expected = model.iter().map(|(page, e)| (*page, (e.birth, e.death)));
            prop_assert!(pages.eq(expected));
        }

        /// Goal: nothing behind the end stays free. Method: random records against a page map.
        #[test]
        fn pages_behind_the_end_are_taken_back(
            records in prop::collection::vec((50u64..90, 1u64..20, any::<bool>()), 0..12),
        ) {
            let mut model = BTreeMap::new();
            let records: Vec<Extent> = records.into_iter().map(|(start, len, free)| {
                if free { Extent::free(start, len) } else { Extent::used(start, len) }
            }).collect();
            for record in &records {
                model.extend((record.start..record.end()).map(|page| (page, record.is_used())));
            }
            let is_sound = model.range(70..).all(|(_, used)| *used);
            prop_assert_eq!(replay(&records, 70).is_ok(), is_sound);
        }
    }
}
