//! The commit protocol, up to the point where the transaction is the head. What makes it durable: `sync.rs`.
//!
//! 1. What the transaction frees is known: sort it, and plan the pages of the free-space log.
//! 2. Give out page numbers for all pages at once, in runs.
//! 3. Seal the trees: page numbers, births and checksums, from the leaves up.
//! 4. Say in the log what was taken, freed, and is free again.
//! 5. Write the runs. Until here a failure leaves nothing behind: no root refers to any of these pages.
//! 6. Publish the new head.

use parking_lot::MutexGuard;

use super::free_log::{LogPlan, records, still_true};
use super::head::Head;
use super::ids::Ids;
use super::space::{Placement, coalesce};
use super::txn::Txn;
use super::write_set::{Bytes, Sealed, WriteSet};
use crate::error::{Error, Result};
use crate::page::{Extent, PageId, Root, TreeRoot, TxnId, free_log_capacity, header_pages};

/// What came of a commit before it is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) root: Root,
    /// Pages that the transaction wrote.
    pub(crate) pages: u64,
    /// Runs that they lie in.
    pub(crate) runs: u64,
    /// Buffered commits pin so much that a sync is due.
    pub(crate) checkpoint_due: bool,
    /// They pin half as much.
    pub(crate) checkpoint_near: bool,
    /// What a reader keeps from being used again: the transaction that it reads, and bytes.
    pub(crate) most_pinned: Option<(TxnId, u64)>,
}

/// A commit under way.
pub(crate) struct Commit<'t> {
    txn: MutexGuard<'t, Txn>,
    freed: Vec<Extent>,
    plan: LogPlan,
    ids: Ids,
    sealed: Sealed,
}

impl<'t> Commit<'t> {
    /// Steps 1 and 2: page numbers for all pages of `sets`, whose trees change no more.
    pub(crate) fn begin(mut txn: MutexGuard<'t, Txn>, sets: &mut [&mut WriteSet]) -> Result<Commit<'t>> {
        txn.start()?;
        let id = txn.id();
        let pages: u64 = sets.iter().map(|set| set.unsealed_pages()).sum();
        let mut freed: Vec<Extent> = sets.iter_mut().flat_map(|set| set.take_freed()).collect();
        txn.give_back_written(freed.extract_if(.., |extent| extent.birth == id));
        let frees: u64 = freed.iter().map(|extent| extent.len).sum();

        check_freed(&txn, &mut freed)?;
        let page_size = txn.pager.base.page_size;
        let mut freed = coalesce(freed, &txn.pins);
        let extents = txn.writer.space.len() + freed.len();
        let renew = txn.placement == Placement::Lowest;
        let snapshot = txn.snapshot();
        let plan = txn.writer.log.plan(&snapshot, freed.len() + 8, extents, renew)?;
        freed.extend(coalesce(txn.writer.log.freed(&plan, id), &txn.pins));

        // Every page may come from an extent of its own, and then takes a record of its own. What retired
        // pages said is not looked at yet: should it be more now, further pages are taken when it is.
        let known = txn.writer.log.carried(&plan) + plan.said_by_retired.len() + records_of(&txn, &freed, 0);
        let log_pages = (known as u64 + pages + 16) / (free_log_capacity(page_size) as u64 - 2) + 1;
        txn.frees = frees + log_pages;
        let branches: u64 = sets.iter().map(|set| set.unsealed_branches()).sum();
        let ids = txn.allocate(pages + log_pages, branches + log_pages)?;
        Ok(Commit { txn, freed, plan, ids, sealed: Sealed::default() })
    }

    /// Step 3: seals one tree; its root is final afterwards.
    pub(crate) fn seal(&mut self, set: &mut WriteSet, root: &mut TreeRoot) -> Result<()> {
        set.seal(root, &mut self.txn, &mut self.ids, &mut self.sealed)
    }

    /// Steps 4 to 6. `catalog` is the sealed root of the catalog.
    pub(crate) fn finish(mut self, catalog: TreeRoot, buffered: bool, two_phase: bool) -> Result<Committed> {
        let page_count = self.write_log()?;
        let Commit { mut txn, mut freed, mut sealed, .. } = self;
        txn.write(&mut sealed, !buffered)?;
        txn.writer.keep(sealed.arenas);
        txn.fill_end(page_count)?;

        let root = Root {
            txn: txn.id(),
            page_count,
            catalog,
            system: txn.head.root.system,
            free: txn.writer.log.root(),
        };
        let durable = txn.pager.base.shared.durable();
        freed.sort_unstable();
        let is_freed = |page| {
            let behind = freed.partition_point(|extent| extent.start <= page);
            behind > 0 && page < freed[behind - 1].end()
        };
        let own = txn.sums.take().filter(|_| !two_phase);
        let written = txn.head.written_by_next(durable, is_freed, own);
        if page_count < txn.head.root.page_count {
            txn.pager.base.shared.set_lowered(Some(root.txn));
        }
        let page_size = txn.pager.base.page_size as u64;
        // While a sync runs it pins what it has captured as well as what is durable.
        let pinned = txn.writer.space.held_since(durable) * page_size;
        let most_pinned = txn.writer.space.most_held(durable).map(|(txn, pages)| (txn, pages * page_size));
        let limit = txn.pager.config.checkpoint_bytes(page_count * page_size);
        let (checkpoint_due, checkpoint_near) = (pinned > limit, pinned > limit / 2);
        // A head record is believed by the births of pages: it must not name one that was written twice.
        txn.pager.publish(Head { root, written }, buffered && !txn.rewrote)?;
        txn.finished();
        let (pages, runs) = (txn.written_pages, txn.written_runs);
        Ok(Committed { root, pages, runs, checkpoint_due, checkpoint_near, most_pinned })
    }

    /// Step 4: the free space as it is after this commit, in memory and in the pages of the log. The new page
    /// count.
    fn write_log(&mut self) -> Result<u64> {
        let Commit { txn, freed, plan, ids, sealed } = self;
        let capacity = free_log_capacity(txn.pager.base.page_size);
        // What holds before this commit gives anything back, and after it has taken what it needs; should the
        // log itself take more, it says so. All that is said below comes later, and wins.
        let said = still_true(plan, &txn.writer.space);
        let mut all = records(said);
        let unused = ids.iter().map(|(start, len)| Extent::free(start, len).records()).sum();
        let known = txn.writer.log.carried(plan) + all.len() + records_of(txn, freed, unused);
        let mut pages: Vec<PageId> = Vec::new();
        // Where the numbers are used up, each further page is a record more.
        while pages.len() * capacity < known + pages.len() {
            pages.push(ids.next_branch(txn)?);
        }
        let rest = std::mem::take(ids);
        txn.give_back(rest.finish());

        // From here on nothing is taken any more.
        let taken: Vec<Extent> = txn.taken.iter().map(|(start, len)| Extent::used(*start, *len)).collect();
        let unused: Vec<Extent> = txn.own_free.iter().map(|(start, len)| Extent::free(start, len)).collect();
        let pins = std::mem::take(&mut txn.pins);
        unused.iter().for_each(|extent| txn.writer.space.add_free(extent.start, extent.len));
        freed.iter().for_each(|extent| txn.writer.space.add(*extent, &pins));
        txn.pins = pins;
        let (page_count, cut_off) = trim(txn);

        let new = records(taken.into_iter().chain(unused).chain(freed.iter().copied()).chain(cut_off));
        txn.writer.log.earn(new.len());
        all.extend(new);
        let (id, seed, page_size) = (txn.id(), txn.pager.base.seed, txn.pager.base.page_size);
        let pages = txn.writer.log.write(plan, all, &pages, id, seed, page_size);
        sealed.pages.extend(pages.into_iter().map(|(id, bytes)| (id, Bytes::Own(bytes))));
        Ok(page_count)
    }
}

/// What is freed was in use, by one owner: in a damaged file two trees may have one page, or a tree one that
/// the log calls free. To free such a page would give it out twice.
fn check_freed(txn: &Txn, freed: &mut [Extent]) -> Result<()> {
    freed.sort_unstable();
    let headers = header_pages(txn.pager.base.page_size);
    let end = txn.head.root.page_count;
    let mut taken = txn.taken.clone();
    taken.sort_unstable();
    let mut last = 0;
    for extent in freed {
        let pages = extent.start..extent.start.saturating_add(extent.len);
        let fault = |page: u64, found: &str| {
            Err(Error::corrupted(page, "page reference", "a page that nothing else has", found))
        };
        if pages.end > end || headers.iter().any(|page| pages.contains(page)) {
            return fault(extent.start, "one outside, or a header page");
        }
        if pages.start < last {
            return fault(extent.start, "one that something else has as well");
        }
        let behind = taken.partition_point(|(start, _)| *start < pages.end);
        let was_free = behind > 0 && taken[behind - 1].0 + taken[behind - 1].1 > pages.start;
        if was_free || pages.clone().any(|page| txn.writer.space.contains(page)) {
            return fault(extent.start, "one that the free-space log calls free");
        }
        last = pages.end;
    }
    Ok(())
}

/// How many records say at most what a commit changes, as far as it has taken pages; `unused` are for what it
/// may give back.
fn records_of(txn: &Txn, freed: &[Extent], unused: usize) -> usize {
    let count = |extents: &mut dyn Iterator<Item = Extent>| extents.map(|e| e.records()).sum::<usize>();
    let taken = count(&mut txn.taken.iter().map(|(start, len)| Extent::used(*start, *len)));
    let given_back = count(&mut txn.own_free.iter().map(|(start, len)| Extent::free(start, len)));
    // The end of the file may be longer than one record can say.
    let cut_off = Extent::used(0, txn.end).records();
    taken + given_back + unused + count(&mut freed.iter().copied()) + cut_off
}

/// Lowers the page count by what is free at the end, if that is worth it; the record that takes it back.
fn trim(txn: &mut Txn) -> (u64, Option<Extent>) {
    let end = txn.end;
    let Some((start, len)) = txn.writer.space.tail(end) else { return (end, None) };
    let worth_it = match txn.placement {
        Placement::Lowest => 1,
        Placement::LongRuns => txn.writer.growth_step(txn.pager.base.page_size),
    };
    if len < worth_it {
        return (end, None);
    }
    txn.writer.space.take_extent(start, len);
    (start, Some(Extent::used(start, len)))
}
