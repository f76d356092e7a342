//! Where a transaction's pages are placed: the policy, and how the file grows.

use std::sync::atomic::Ordering;

use super::gather::{GATHER_MIN, Gathering};
use super::ids::Ids;
use super::space::{Placement, Runs};
use super::txn::Txn;
use super::write_set::WriteSet;
use super::writer::Need;
use crate::error::{Error, Result};
use crate::page::TxnId;

/// Pages that are always kept for transactions that free as much as they take; of a large file a 64th.
const RESERVE_MIN: u64 = 64;

/// More children than a branch usually has: 4 KiB and short separators.
const CHILDREN_MAX: u64 = 128;

/// A commit of so many pages is small: it takes two or three places at most.
const SMALL: u64 = 16;

impl Txn {
    /// Numbers for `want` pages, in as few runs as the policy allows: good runs, then the end of the file as
    /// far as [`may_grow`](Self::may_grow) lets it, then fragments, the longest first.
    ///
    /// `branches` of them are for branches and for the free-space log.
    pub(super) fn allocate(&mut self, want: u64, branches: u64) -> Result<Ids> {
        self.start()?;
        // What a large commit is given, it writes.
        let need = if want <= SMALL { Need::Commits } else { Need::Written };
        let mut runs = Runs::new();
        let mut rest = want;
        while let Some((start, len)) = self.own_free.longest().filter(|_| rest > 0) {
            let len = len.min(rest);
            self.take_own(start, len);
            runs.push((start, len));
            rest -= len;
        }
        rest -= self.take_free(rest, false, &mut runs);
        let is_small = want <= SMALL && self.placement == Placement::LongRuns;
        if rest > 0 && self.placement == Placement::LongRuns && self.may_grow(rest) {
            // A disk that is full may still have fragments.
            match self.grow(rest, need) {
                Ok(start) => {
                    runs.push((start, rest));
                    rest = 0;
                }
                Err(error) if !error.is_out_of_space() => return Err(error),
                Err(_) => {}
            }
        }
        rest -= self.take_free(rest, true, &mut runs);
        while rest > 0 {
            match self.grow(rest, need) {
                Ok(start) => {
                    runs.push((start, rest));
                    rest = 0;
                }
                Err(error) if self.settles(&error)? => rest -= self.take_free(rest, true, &mut runs),
                Err(error) => return Err(error),
            }
        }
        self.keep_reserve(want)?;
        if is_small {
            // The longest run is last: the root, the catalog and the log, which the next commit frees, lie
            // there side by side, and leave a hole that the one after that can use for its own.
            runs.sort_unstable_by_key(|(start, len)| (*len, *start));
            return Ok(Ids::new(runs));
        }
        runs.sort_unstable();
        let mut ids = Ids::new(runs);
        // With the lowest places, the last ones are those that may be left over.
        if self.placement == Placement::LongRuns {
            ids.keep_for_branches(branches);
        }
        Ok(ids)
    }

    /// What the commit of `sets` could take along, if it pays to.
    pub(crate) fn gathering<'s>(
        &mut self,
        sets: impl Iterator<Item = &'s WriteSet> + Clone,
    ) -> Result<Option<Gathering>> {
        let pages: u64 = sets.clone().map(WriteSet::unsealed_pages).sum();
        if pages < GATHER_MIN || self.placement == Placement::Lowest {
            return Ok(None);
        }
        self.start()?;
        let branches: u64 = sets.clone().map(WriteSet::unsealed_branches).sum();
        // Windows can be emptied only if most of the pages lie below branches that are written anyway.
        if self.room() >= 2 * pages || branches * CHILDREN_MAX < self.live() / 2 {
            return Ok(None);
        }
        let freed = sets.flat_map(WriteSet::freed);
        Ok(Some(Gathering::new(&self.writer.space, freed, pages, self.end)))
    }

    /// Chooses what the commit takes along; whether it is anything.
    pub(crate) fn choose(&mut self, gathering: &mut Gathering) -> bool {
        // Relaxed: one thread has the transaction.
        let heap = self.heap_bytes.load(Ordering::Relaxed);
        let memory = (self.memory_limit().saturating_sub(heap) / self.page_size()) as u64;
        let free = (self.free_pages() + self.room()).saturating_sub(gathering.pages()) / 2;
        self.taken_along = gathering.choose(self.room(), gathering.pages().min(memory).min(free));
        self.taken_along > 0
    }

    fn take_own(&mut self, start: u64, len: u64) {
        self.own_free.take(start, len);
        self.rewrote |= self.own_written;
    }

    fn take_free(&mut self, want: u64, fragments: bool, runs: &mut Runs) -> u64 {
        if want == 0 {
            return 0;
        }
        let taken = self.writer.space.take(want, self.placement, fragments);
        self.taken.extend(&taken);
        runs.extend(&taken);
        taken.iter().map(|(_, len)| len).sum()
    }

    /// `want` pages side by side.
    pub(super) fn allocate_run(&mut self, want: u64) -> Result<u64> {
        self.start()?;
        if let Some(start) = self.own_free.best_fit(want) {
            self.take_own(start, want);
            return Ok(start);
        }
        let start = loop {
            if let Some(start) = self.writer.space.take_run(want, self.placement) {
                self.taken.push((start, want));
                break start;
            }
            match self.grow(want, Need::Written) {
                Ok(start) => break start,
                Err(error) if self.settles(&error)? => {}
                Err(error) => return Err(error),
            }
        };
        self.keep_reserve(want)?;
        Ok(start)
    }

    /// Where the disk is full: frees what the durable root alone still needs, by making the head durable.
    /// Whether there was anything to do.
    fn settles(&mut self, error: &Error) -> Result<bool> {
        let durable = self.pager.base.shared.durable();
        let is_worth_it = durable < self.head.root.txn && self.writer.space.held_by(durable) > 0;
        if !error.is_out_of_space() || !is_worth_it {
            return Ok(false);
        }
        self.pager.sync_all()?;
        self.pins = self.pager.base.shared.pins();
        self.writer.space.release(&self.pins);
        Ok(true)
    }

    /// Pages that are in use, what is taken along counted once.
    fn live(&self) -> u64 {
        let space = &self.writer.space;
        let unused = space.free_pages() + space.pending_pages() + self.own_free.pages() + self.taken_along;
        self.end.saturating_sub(unused)
    }

    /// Whether the file may grow by so many pages rather than be filled in its gaps.
    fn may_grow(&self, want: u64) -> bool {
        let end = self.end + want;
        end <= self.writer.file_pages
            || self.writer.grown(end, self.page_size()) <= self.pager.config.most_pages(self.live())
    }

    /// About how many pages the file may grow by.
    fn room(&self) -> u64 {
        let most = self.pager.config.most_pages(self.live());
        let step = self.writer.growth_step(self.page_size());
        self.writer.file_pages.max(most.saturating_sub(step)).saturating_sub(self.end)
    }

    /// Adds pages at the end of the file, with blocks behind them.
    fn grow(&mut self, pages: u64, need: Need) -> Result<u64> {
        let start = self.end;
        if start + pages >= 1 << 48 {
            return Err(Error::Full { what: "a file has 2^48 pages at most" });
        }
        if !self.writer.has_room(start + pages) {
            self.grow_file(start + pages, need)?;
        }
        self.end += pages;
        Ok(start)
    }

    /// Makes the file at least `pages` long, if no reader is the reason.
    fn grow_file(&mut self, pages: u64, need: Need) -> Result<()> {
        if let Some(limit) = self.pager.config.refuse_pinned
            && self.pinned_beyond(limit).is_some()
        {
            // When this transaction began. What was durable then is no reader, and readers may have gone.
            self.pager.base.shared.clear_dead_readers()?;
            self.pins = self.pager.base.shared.pins();
            self.writer.space.release(&self.pins);
            if let Some((txn, pinned)) = self.pinned_beyond(limit) {
                return Err(Error::PinLimit { txn: txn.0, pinned, limit });
            }
        }
        self.writer.ensure_file(&self.pager, self.end, pages, need)
    }

    /// The root before the durable one that pins most, if that is more than `limit` bytes.
    fn pinned_beyond(&self, limit: u64) -> Option<(TxnId, u64)> {
        let (txn, pages) = self.writer.space.most_held(self.pager.base.shared.durable())?;
        Some((txn, pages * self.page_size() as u64)).filter(|(_, bytes)| *bytes > limit)
    }

    /// Keeps some space for transactions that free what they take, so that a full disk can be emptied: to
    /// remove an entry, a page is written anew for each that is freed.
    fn keep_reserve(&mut self, taken: u64) -> Result<()> {
        let reserve = (self.end / 64).max(RESERVE_MIN);
        let mut free = self.free_pages();
        loop {
            let room = free + self.writer.file_pages.saturating_sub(self.end);
            if room >= reserve {
                return Ok(());
            }
            // A whole step if there is room for it, and no more than is missing if there is not.
            let missing = (reserve - room).min(self.writer.growth_step(self.page_size()));
            let wanted = self.writer.file_pages + missing;
            match self.grow_file(wanted, Need::Reserve) {
                Ok(()) => {}
                Err(error) if error.is_out_of_space() && self.frees >= taken => return Ok(()),
                Err(error) if self.settles(&error)? => free = self.free_pages(),
                Err(error) => return Err(error),
            }
        }
    }

    fn free_pages(&self) -> u64 {
        self.writer.space.free_pages() + self.own_free.pages()
    }
}
