//! Roots: what a commit makes. And the lives of pages that are out of use.

use std::fmt;

use super::disk::{Content, PAGES};

/// A transaction's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Txn(pub(super) u32);

impl Txn {
    pub(super) fn next(self) -> Txn {
        Txn(self.0 + 1)
    }
}

impl fmt::Display for Txn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a commit is to survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Level {
    /// It is durable, and only then visible, when it returns.
    Immediate,
    /// It is visible when it returns, and survives the end of the process.
    Buffered,
}

/// What a root says of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Page {
    /// The root needs it, with this content.
    Live(Content),
    /// Roots from `birth` on and before `death` may need it; when both are the same, none does: it is free.
    Dead { birth: Txn, death: Txn },
}

/// Free from the beginning.
pub(super) const UNUSED: Page = Page::Dead { birth: Txn(0), death: Txn(0) };

/// One committed state: the trees, as the pages that they consist of, and the free-space log, as what it says
/// of the others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Root {
    pub(super) txn: Txn,
    pub(super) level: Level,
    /// Its transaction has written a place twice.
    pub(super) rewrote: bool,
    pub(super) page_count: usize,
    pub(super) pages: [Page; PAGES],
}

impl Root {
    pub(super) fn live(&self) -> impl Iterator<Item = (usize, Content)> {
        self.pages.iter().enumerate().filter_map(|(page, state)| match state {
            Page::Live(content) => Some((page, *content)),
            Page::Dead { .. } => None,
        })
    }

    /// The live pages that are younger than `durable`, each once, as they were written last: what a commit
    /// record lists, and what a head record relies on.
    ///
    /// A page that is free in this root must not be in a record: the next transaction may write it, while
    /// this root is the newest durable one and its record has to hold.
    pub(super) fn younger_than(&self, durable: Txn) -> impl Iterator<Item = (usize, Content)> {
        self.live().filter(move |(_, content)| content.birth() > Some(durable))
    }

    pub(super) fn is_free(&self, page: usize) -> bool {
        matches!(self.pages[page], Page::Dead { birth, death } if birth == death)
    }

    /// Hangs each page that is out of use on the oldest pinned root that needs it, its holder; without one it
    /// is free.
    ///
    /// Births before the holder are forgotten. That is right as long as a root can become pinned after a scan
    /// only if it was in the scan or is younger than every death: the rule that makes reuse safe.
    pub(super) fn hang(&mut self, pins: &[Txn]) {
        for page in &mut self.pages {
            if let Page::Dead { birth, death } = page {
                let needs = pins.iter().copied().filter(|pin| *birth <= *pin && *pin < *death);
                *birth = needs.min().unwrap_or(*death);
            }
        }
    }

    /// Where the file could end: behind the last page that is not free.
    pub(super) fn trimmed(&self) -> usize {
        (0..self.page_count).rev().find(|page| !self.is_free(*page)).map_or(0, |page| page + 1)
    }
}
