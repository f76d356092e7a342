//! The whole of one tree, page by page: what the whole-file check and the statistics are made of.

use std::ops::Range;

use super::cuts::{merge_limit, must_merge};
use super::sizes::{Fills, Sizes, add_fill};
use crate::error::{Error, Result};
use crate::page::{Child, LeafValue, OverflowRef, Page, TreeRoot, check_unused, merged_len, run_pages};
use crate::pager::{Bits, Pages};

/// How closely [`verify`] looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Count; believe what was checked before.
    Count,
    /// Compute every checksum again and check every rule.
    Check,
}

/// So many faults are listed: a file made to hurt may have one for every few bytes.
const FAULTS_MAX: usize = 10_000;

/// What was found in the trees so far, and which pages are theirs.
#[derive(Debug)]
pub(crate) struct Census {
    /// Who claims a page twice shares it.
    claimed: Bits,
    page_count: u64,
    pub(crate) faults: Vec<(Option<u64>, String)>,
    /// How many faults may still be listed.
    room: usize,
    /// Pages claimed so far, for whoever shows progress.
    pub(crate) pages: u64,
}

/// What one tree consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TreeCensus {
    pub(crate) branch_pages: u64,
    pub(crate) leaf_pages: u64,
    pub(crate) overflow_pages: u64,
    pub(crate) key_bytes: u64,
    pub(crate) value_bytes: u64,
    /// Bytes of branch and leaf pages that are in use.
    pub(crate) used_bytes: u64,
    pub(crate) branch_fill: Fills,
    pub(crate) leaf_fill: Fills,
    pub(crate) key_sizes: Sizes,
    pub(crate) value_sizes: Sizes,
}

impl Census {
    /// Nothing claimed in a file of `page_count` pages.
    pub(crate) fn new(page_count: u64) -> Census {
        Census { claimed: Bits::default(), page_count, faults: Vec::new(), room: FAULTS_MAX, pages: 0 }
    }

    /// How much was found wrong so far.
    pub(crate) fn fault_count(&self) -> usize {
        FAULTS_MAX - self.room
    }

    /// Whether this error is among the faults that were found last.
    pub(crate) fn has_fault(&self, error: &Error) -> bool {
        let text = error.to_string();
        self.faults.iter().any(|(_, what)| *what == text)
    }

    pub(crate) fn fault(&mut self, page: impl Into<Option<u64>>, what: impl ToString) {
        match self.room {
            0 => return,
            1 => self.faults.push((None, "there are more faults, which are not listed".to_owned())),
            _ => self.faults.push((page.into(), what.to_string())),
        }
        self.room -= 1;
    }

    /// Adds what an error says; `page` is where it was met.
    pub(crate) fn error(&mut self, page: u64, error: &Error) {
        match error {
            Error::Corrupted { page, .. } => self.fault(*page, error),
            _ => self.fault(page, error),
        }
    }

    /// The first pages at or behind `from` that were claimed by nobody: the first, and their end.
    pub(crate) fn first_unclaimed(&self, from: u64) -> Option<(u64, u64)> {
        let start = self.claimed.first_missing(from, self.page_count)?;
        Some((start, self.claimed.first(start, self.page_count).unwrap_or(self.page_count)))
    }

    /// Takes a page out again.
    pub(crate) fn disclaim(&mut self, page: u64) {
        if self.claimed.contains(page) {
            self.claimed.remove(page, 1);
        }
    }

    /// The pages that were claimed, as runs, ascending.
    pub(crate) fn claimed_runs(&self) -> Vec<Range<u64>> {
        let mut runs: Vec<Range<u64>> = Vec::new();
        let mut from = 0;
        while let Some(start) = self.claimed.first(from, self.page_count) {
            from = self.claimed.first_missing(start, self.page_count).unwrap_or(self.page_count);
            runs.push(start..from);
        }
        runs
    }

    /// Claims pages for one owner; whether they were inside the file and nobody's.
    pub(crate) fn claim(&mut self, start: u64, len: u64, owner: &str) -> bool {
        let end = start.saturating_add(len);
        let inside = end.min(self.page_count);
        // As far as nothing is in the way.
        let to = self.claimed.first(start, inside).unwrap_or(inside);
        if to > start {
            self.claimed.claim(start, to - start);
            self.pages += to - start;
        }
        if to < inside {
            self.fault(to, format!("{owner} is in use by something else as well"));
        } else if inside < end {
            let page = start.max(self.page_count);
            self.fault(page, format!("{owner} lies beyond the last of {} pages", self.page_count));
        }
        to == end
    }

    /// As [`claim`](Self::claim), and what lies behind pages of others as well: the runs that were nobody's.
    pub(crate) fn claim_rest(&mut self, start: u64, len: u64, owner: &str) -> Vec<Range<u64>> {
        let (before, inside) = (self.pages, start.saturating_add(len).min(self.page_count));
        let is_whole = self.claim(start, len, owner);
        let mut end = start + (self.pages - before);
        let mut runs = Vec::from_iter((end > start).then_some(start..end));
        while let Some(from) = self.claimed.first_missing(end, inside).filter(|_| !is_whole) {
            end = self.claimed.first(from, inside).unwrap_or(inside);
            self.claimed.add(from, end - from);
            self.pages += end - from;
            runs.push(from..end);
        }
        runs
    }
}

/// Walks one tree, adds its pages to `census` and what is wrong with it to the faults. O(pages).
pub(crate) fn verify(pages: &dyn Pages, root: &TreeRoot, depth: Depth, census: &mut Census) -> TreeCensus {
    let mut walk = Walk { pages, depth, census, tree: TreeCensus::default() };
    if !root.is_empty() {
        walk.subtree(&root.child, root.level, None, None);
    }
    walk.tree
}

struct Walk<'w> {
    pages: &'w dyn Pages,
    depth: Depth,
    census: &'w mut Census,
    tree: TreeCensus,
}

impl<'w> Walk<'w> {
    fn page(&self, child: &Child, level: u8) -> Result<Page<'w>> {
        match self.depth {
            Depth::Count => self.pages.page(child, level),
            Depth::Check => self.pages.recheck(child, level),
        }
    }

    /// Every key below `child` is at least `lower` and less than `upper`. The page, if it could be walked.
    fn subtree(
        &mut self,
        child: &Child,
        level: u8,
        lower: Option<&[u8]>,
        upper: Option<&[u8]>,
    ) -> Option<Page<'w>> {
        let id = child.page().0;
        // A page that has an owner is not walked again: a damaged file may lead here exponentially often.
        if !self.census.claim(id, 1, "the page") {
            return None;
        }
        let page = self.page(child, level).inspect_err(|error| self.census.error(id, error)).ok()?;
        let (used, page_size) = (page.bytes().len() - page.free_len(), page.bytes().len());
        self.tree.used_bytes += used as u64;
        if self.depth == Depth::Check {
            self.check_page(page, id, lower, upper);
        }
        if page.is_leaf() {
            self.tree.leaf_pages += 1;
            add_fill(&mut self.tree.leaf_fill, used, page_size);
            self.leaf(page, child);
        } else {
            self.tree.branch_pages += 1;
            add_fill(&mut self.tree.branch_fill, used, page_size);
            self.branch(page, child, lower, upper);
        }
        Some(page)
    }

    fn check_page(&mut self, page: Page<'_>, id: u64, lower: Option<&[u8]>, upper: Option<&[u8]>) {
        if let Err(error) = check_unused(page.bytes(), page.id()) {
            self.census.error(id, &error);
        }
        let first = usize::from(!page.is_leaf());
        if page.len() == first {
            return;
        }
        if lower.is_some_and(|lower| page.key(first).as_slice() < lower) {
            self.census.fault(id, "its first key is smaller than the separator before it");
        }
        if upper.is_some_and(|upper| page.key(page.len() - 1).as_slice() >= upper) {
            self.census.fault(id, "its last key is not smaller than the separator behind it");
        }
    }

    fn leaf(&mut self, page: Page<'_>, child: &Child) {
        for i in 0..page.len() {
            let key_len = page.prefix().len() + page.suffix(i).len();
            self.tree.key_bytes += key_len as u64;
            self.tree.key_sizes.add(key_len);
            let value_len = match page.value(i) {
                LeafValue::Inline(value) => value.len(),
                LeafValue::Overflow(run) => {
                    self.run(&run, child);
                    run.len as usize
                }
            };
            self.tree.value_bytes += value_len as u64;
            self.tree.value_sizes.add(value_len);
        }
    }

    fn run(&mut self, run: &OverflowRef, leaf: &Child) {
        let (id, len) = (run.page().0, run_pages(u64::from(run.len), self.pages.page_size()));
        self.tree.overflow_pages += len;
        if !leaf.has_overflow() {
            self.census.fault(leaf.page().0, "its parent does not say that it has an overflow run");
        }
        if self.census.claim(id, len, "the overflow run")
            && self.depth == Depth::Check
            && let Err(error) = self.pages.recheck_run(run)
        {
            self.census.error(id, &error);
        }
    }

    fn branch(&mut self, page: Page<'_>, child: &Child, lower: Option<&[u8]>, upper: Option<&[u8]>) {
        let mut lower = lower.map(<[u8]>::to_vec);
        let mut left: Option<Page<'w>> = None;
        for i in 0..page.len() {
            let below = page.child(i);
            if below.has_overflow() && !child.has_overflow() {
                self.census.fault(page.id().0, "its parent does not say that overflow runs lie below");
            }
            let next = (i + 1 < page.len()).then(|| page.key(i + 1));
            let level = page.level().saturating_sub(1);
            let right = self.subtree(&below, level, lower.as_deref(), next.as_deref().or(upper));
            if self.depth == Depth::Check
                && let (Some(left), Some(right)) = (left, right)
            {
                self.neighbours(left, right, &page.key(i));
            }
            (left, lower) = (right, next.or(lower));
        }
    }

    /// No two neighbours that take half a page at most fit together into 3/4 of one.
    fn neighbours(&mut self, left: Page<'_>, right: Page<'_>, separator: &[u8]) {
        let merged = merged_len(left, right, separator);
        let limit = merge_limit(self.pages.page_size());
        if must_merge(left, right) && merged <= limit {
            let what = format!("it and page {} fit together: {merged} of {limit} bytes", right.id());
            self.census.fault(left.id().0, what);
        }
    }
}
