//! The whole of one tree, page by page: what the whole-file check and the statistics are made of.

use std::ops::Range;

use super::cuts::{merge_limit, must_merge};
use super::sizes::{Fills, Sizes, add_fill};
use crate::error::{Error, Result};
use crate::page::{
    Child, LeafValue, OverflowRef, Page, TreeRoot, check_unused, index, merged_len, run_pages,
};
use crate::pager::Pages;

/// How closely [`verify`] looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Count; believe what was checked before.
    Count,
    /// Compute every checksum again and check every rule.
    Check,
}

/// What was found in the trees so far, and which pages are theirs.
#[derive(Debug)]
pub(crate) struct Census {
    /// A bit a page: who claims one twice shares it.
    claimed: Vec<u64>,
    page_count: u64,
    pub(crate) faults: Vec<(Option<u64>, String)>,
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
        let words = index(page_count.div_ceil(64));
        Census { claimed: vec![0; words], page_count, faults: Vec::new(), pages: 0 }
    }

    pub(crate) fn fault(&mut self, page: impl Into<Option<u64>>, what: impl ToString) {
        self.faults.push((page.into(), what.to_string()));
    }

    /// Adds what an error says; `page` is where it was met.
    pub(crate) fn error(&mut self, page: u64, error: &Error) {
        match error {
            Error::Corrupted { page, .. } => self.fault(*page, error),
            _ => self.fault(page, error),
        }
    }

    /// Whether some page of the file was claimed by nobody; the first such at or behind `from`.
    pub(crate) fn first_unclaimed(&self, from: u64) -> Option<u64> {
        (from..self.page_count).find(|page| !self.is_claimed(*page))
    }

    pub(crate) fn is_claimed(&self, page: u64) -> bool {
        self.claimed.get(index(page / 64)).is_some_and(|word| word >> (page % 64) & 1 == 1)
    }

    /// Takes a page out again.
    pub(crate) fn disclaim(&mut self, page: u64) {
        if let Some(word) = self.claimed.get_mut(index(page / 64)) {
            *word &= !(1 << (page % 64));
        }
    }

    /// The pages that were claimed, as runs, ascending.
    pub(crate) fn claimed_runs(&self) -> Vec<Range<u64>> {
        let mut runs: Vec<Range<u64>> = Vec::new();
        for (word, from) in self.claimed.iter().zip((0_u64..).step_by(64)) {
            let mut rest = *word;
            while rest != 0 {
                let page = from + u64::from(rest.trailing_zeros());
                rest &= rest - 1;
                match runs.last_mut() {
                    Some(run) if run.end == page => run.end += 1,
                    _ => runs.push(page..page + 1),
                }
            }
        }
        runs
    }

    /// Claims pages for one owner; whether they were inside the file and nobody's.
    pub(crate) fn claim(&mut self, start: u64, len: u64, owner: &str) -> bool {
        for page in start..start.saturating_add(len) {
            if page >= self.page_count {
                self.fault(page, format!("{owner} lies beyond the last of {} pages", self.page_count));
                return false;
            }
            if self.is_claimed(page) {
                self.fault(page, format!("{owner} is in use by something else as well"));
                return false;
            }
            self.claimed[index(page / 64)] |= 1 << (page % 64);
            self.pages += 1;
        }
        true
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

    /// Every key below `child` is at least `lower` and less than `upper`.
    fn subtree(&mut self, child: &Child, level: u8, lower: Option<&[u8]>, upper: Option<&[u8]>) {
        let id = child.page().0;
        // A page that has an owner is not walked again: a damaged file may lead here exponentially often.
        if !self.census.claim(id, 1, "the page") {
            return;
        }
        let page = match self.page(child, level) {
            Ok(page) => page,
            Err(error) => return self.census.error(id, &error),
        };
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
        for i in 0..page.len() {
            let below = page.child(i);
            if below.has_overflow() && !child.has_overflow() {
                self.census.fault(page.id().0, "its parent does not say that overflow runs lie below");
            }
            let next = (i + 1 < page.len()).then(|| page.key(i + 1));
            let level = page.level().saturating_sub(1);
            self.subtree(&below, level, lower.as_deref(), next.as_deref().or(upper));
            lower = next.or(lower);
        }
        if self.depth == Depth::Check {
            self.neighbours(page);
        }
    }

    /// No two neighbours that take half a page at most fit together into 3/4 of one.
    fn neighbours(&mut self, parent: Page<'_>) {
        let level = parent.level().saturating_sub(1);
        for i in 1..parent.len() {
            let (left, right) = (parent.child(i - 1), parent.child(i));
            let (Ok(a), Ok(b)) = (self.page(&left, level), self.page(&right, level)) else { continue };
            let merged = merged_len(a, b, &parent.key(i));
            let limit = merge_limit(self.pages.page_size());
            if must_merge(a, b) && merged <= limit {
                let what = format!("it and page {} fit together: {merged} of {limit} bytes", right.page());
                self.census.fault(left.page().0, what);
            }
        }
    }
}
