//! Where a list of cells is cut into pages.

use std::ops::Range;

use crate::page::{Cell, Page, cell_cost, len_under, packed_len_of, shared_len};

/// Two neighbours that together take no more than this are merged: 3/4 of a page.
pub(crate) fn merge_limit(page_size: usize) -> usize {
    page_size / 4 * 3
}

/// Whether two neighbours have to become one: neither takes more than half a page, and as they stand they fit
/// together into [`merge_limit`]. (With a longer prefix than they have, they might fit in any case.)
///
/// Of a page that takes more than half, no neighbour is looked at: that would be two cache misses for almost
/// every removal. Only headers are read.
pub(super) fn must_merge(left: Page<'_>, right: Page<'_>) -> bool {
    !is_settled(left) && !is_settled(right) && fit_together(left, right)
}

/// Whether a page takes more than half of its bytes.
pub(super) fn is_settled(page: Page<'_>) -> bool {
    page.used_len() > page.bytes().len() / 2
}

/// Whether two neighbours fit into [`merge_limit`] together, under the shorter of their prefixes.
pub(super) fn fit_together(left: Page<'_>, right: Page<'_>) -> bool {
    let prefix_len = left.prefix().len().min(right.prefix().len());
    let keyed = |page: Page<'_>| page.len().saturating_sub(usize::from(!page.is_leaf()));
    let cost = |page: Page<'_>| page.total_cost() + keyed(page) * page.prefix().len();
    let len = len_under(prefix_len, keyed(left) + keyed(right), cost(left) + cost(right));
    len <= merge_limit(left.bytes().len())
}

/// How full pages are after a group is laid out: the rest is room for what comes next.
pub(super) fn fill_limit(page_size: usize) -> usize {
    page_size / 10 * 9
}

/// Where a page is cut that grows at the edge of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// Keys descend: the first cell gets a page of its own.
    First,
    /// Keys ascend: the last cell gets a page of its own, and the others stay full.
    Last,
}

/// Cells to be cut into pages, with what they cost up to each of them, so that the length of a page is known
/// without looking at its cells.
pub(super) struct Cells<'a> {
    level: u8,
    cells: Vec<Cell<'a>>,
    /// One more than there are cells: what those before cost.
    costs: Vec<usize>,
}

impl<'a> Cells<'a> {
    pub(super) fn new(level: u8, cells: Vec<Cell<'a>>) -> Cells<'a> {
        let mut costs = Vec::with_capacity(cells.len() + 1);
        let mut total = 0;
        costs.push(0);
        costs.extend(cells.iter().map(|cell| {
            total += cell_cost(cell);
            total
        }));
        Cells { level, cells, costs }
    }

    pub(super) fn slice(&self, range: Range<usize>) -> &[Cell<'a>] {
        &self.cells[range]
    }

    fn len(&self) -> usize {
        self.cells.len()
    }

    /// What the keys of a page of these cells share, how many cells have a key, and what all of them cost.
    fn measure(&self, range: Range<usize>) -> (usize, usize, usize) {
        let cost = self.costs[range.end] - self.costs[range.start];
        let (cells, unkeyed) = match self.level {
            0 => (&self.cells[range], 0),
            _ => (&self.cells[range.start + 1..range.end], self.cells[range.start].key_len()),
        };
        let shared = match cells {
            [first, .., last] => shared_len(first, last),
            _ => 0,
        };
        (shared, cells.len(), cost - unkeyed)
    }

    /// Bytes of a page of these cells.
    pub(super) fn packed_len(&self, range: Range<usize>) -> usize {
        let (shared, keyed, cost) = self.measure(range);
        packed_len_of(self.level == 0, shared, keyed, cost)
    }

    /// Where to cut into pages: the ends of the pages, no two neighbours of which would be merged again.
    ///
    /// Costs are guesses as long as prefixes differ: keys that share a long prefix with their page, but not
    /// with the whole group, take far less room than they seem to.
    pub(super) fn cuts(&self, page_size: usize, fill: usize, edge: Option<Edge>) -> Vec<usize> {
        let mut cuts = self.good_cuts(page_size, fill, edge);
        let mut i = 0;
        while i + 1 < cuts.len() {
            let from = if i == 0 { 0 } else { cuts[i - 1] };
            if self.packed_len(from..cuts[i + 1]) <= merge_limit(page_size) {
                cuts.remove(i);
                i = i.saturating_sub(1);
            } else {
                i += 1;
            }
        }
        cuts
    }

    fn good_cuts(&self, page_size: usize, fill: usize, edge: Option<Edge>) -> Vec<usize> {
        let len = self.len();
        let fits = |range: Range<usize>| self.packed_len(range) <= page_size;
        let at_edge = match edge {
            Some(Edge::Last) => Some(len - 1),
            Some(Edge::First) => Some(1),
            None => None,
        };
        if let Some(cut) = at_edge.filter(|cut| fits(0..*cut) && fits(*cut..len)) {
            return vec![cut, len];
        }
        let (shared, keyed, cost) = self.measure(0..len);
        let count = (cost - shared * keyed).div_ceil(fill).max(1);
        let even = self.even_cuts(count);
        let starts = std::iter::once(0).chain(even.iter().copied());
        let good = starts.zip(&even).all(|(from, to)| from < *to && fits(from..*to));
        if good { even } else { self.greedy_cuts(page_size) }
    }

    /// Cuts into `count` parts that cost about the same.
    fn even_cuts(&self, count: usize) -> Vec<usize> {
        let total = self.costs[self.len()];
        let mut cuts = Vec::with_capacity(count);
        for i in 1..count {
            let wanted = total * i / count;
            // The cell that crosses the line goes to the side where most of it lies.
            let after = self.costs.partition_point(|cost| *cost < wanted).max(1);
            let left = wanted - self.costs[after - 1] < self.costs[after] - wanted;
            cuts.push(if left { after - 1 } else { after });
        }
        cuts.push(self.len());
        cuts
    }

    /// Cuts that fill each page from the left: the fewest pages, for cells too different in size to share
    /// evenly.
    fn greedy_cuts(&self, page_size: usize) -> Vec<usize> {
        let mut cuts = Vec::new();
        let mut from = 0;
        for i in 1..self.len() {
            if self.packed_len(from..i + 1) > page_size {
                cuts.push(i);
                from = i;
            }
        }
        cuts.push(self.len());
        cuts
    }
}
