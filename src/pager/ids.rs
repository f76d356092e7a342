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
}

impl Ids {
    pub(super) fn new(runs: Runs) -> Ids {
        Ids { runs: runs.into() }
    }

    /// The next single page.
    pub(super) fn next_page(&mut self, txn: &mut Txn) -> Result<PageId> {
        let Some((start, len)) = self.runs.front_mut() else {
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
        self.runs.iter().copied()
    }

    /// What is left.
    pub(super) fn finish(self) -> impl Iterator<Item = Extent> {
        self.runs.into_iter().map(|(start, len)| Extent::free(start, len))
    }
}
