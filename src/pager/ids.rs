//! The page numbers that a transaction was given and has not used yet.

use std::collections::VecDeque;

use super::space::Runs;
use super::txn::Txn;
use crate::error::Result;
use crate::page::{Extent, PageId};

/// Page numbers that a transaction was given, in runs.
#[derive(Debug, Default)]
pub(super) struct Ids {
    runs: VecDeque<(u64, u64)>,
    /// Kept for branches and the free-space log: the next commits write them anew, and a run of them is free
    /// as a whole again. Among leaves, which stay, each would leave a gap of one page.
    branches: (u64, u64),
}

impl Ids {
    pub(super) fn new(runs: Runs) -> Ids {
        Ids { runs: runs.into(), branches: (0, 0) }
    }

    /// Keeps the end of the longest run for so many branches.
    pub(super) fn keep_for_branches(&mut self, pages: u64) {
        let Some((start, len)) = self.runs.iter_mut().max_by_key(|(_, len)| *len) else { return };
        let kept = pages.min(*len);
        *len -= kept;
        self.branches = (*start + *len, kept);
        self.runs.retain(|(_, len)| *len > 0);
    }

    /// The next page for a branch or for the free-space log.
    pub(super) fn next_branch(&mut self, txn: &mut Txn) -> Result<PageId> {
        let (start, len) = self.branches;
        if len == 0 {
            return self.next_page(txn);
        }
        self.branches = (start + 1, len - 1);
        Ok(PageId(start))
    }

    /// The next single page.
    pub(super) fn next_page(&mut self, txn: &mut Txn) -> Result<PageId> {
        let Some((start, len)) = self.runs.front_mut() else {
            if self.branches.1 > 0 {
                return self.next_branch(txn);
            }
            return txn.allocate_run(1).map(PageId);
        };
        let id = *start;
        (*start, *len) = (*start + 1, *len - 1);
        if *len == 0 {
            self.runs.pop_front();
        }
        Ok(PageId(id))
    }

    /// The next pages that lie side by side; from elsewhere if no run is that long.
    pub(super) fn next_run(&mut self, pages: u64, txn: &mut Txn) -> Result<PageId> {
        let Some(i) = self.runs.iter().position(|(_, len)| *len >= pages) else {
            return txn.allocate_run(pages).map(PageId);
        };
        let (start, len) = self.runs[i];
        if len == pages {
            self.runs.remove(i);
        } else {
            self.runs[i] = (start + pages, len - pages);
        }
        Ok(PageId(start))
    }

    /// The runs that are left.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.runs.iter().copied().chain(Some(self.branches).filter(|(_, len)| *len > 0))
    }

    /// What is left.
    pub(super) fn finish(self) -> impl Iterator<Item = Extent> {
        let left = self.runs.into_iter().chain(Some(self.branches).filter(|(_, len)| *len > 0));
        left.map(|(start, len)| Extent::free(start, len))
    }
}
