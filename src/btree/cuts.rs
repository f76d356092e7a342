//! Where a list of cells is cut into pages.

use crate::page::{Cell, cell_cost, packed_len, packed_len_of, shared_len};

/// Two neighbours that together take no more than this are merged: 3/4 of a page.
pub(crate) fn merge_limit(page_size: usize) -> usize {
    page_size / 4 * 3
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

/// Where to cut `cells` into pages: the ends of the pages, no two neighbours of which would be merged again.
///
/// Costs are guesses as long as prefixes differ: keys that share a long prefix with their page, but not with the
/// whole group, take far less room than they seem to.
pub(super) fn cuts(
    level: u8,
    cells: &[Cell<'_>],
    page_size: usize,
    fill: usize,
    edge: Option<Edge>,
) -> Vec<usize> {
    let mut cuts = good_cuts(level, cells, page_size, fill, edge);
    let mut i = 0;
    while i + 1 < cuts.len() {
        let from = if i == 0 { 0 } else { cuts[i - 1] };
        if packed_len(level, &cells[from..cuts[i + 1]]) <= merge_limit(page_size) {
            cuts.remove(i);
            i = i.saturating_sub(1);
        } else {
            i += 1;
        }
    }
    cuts
}

fn good_cuts(level: u8, cells: &[Cell<'_>], page_size: usize, fill: usize, edge: Option<Edge>) -> Vec<usize> {
    let fits = |range: std::ops::Range<usize>| packed_len(level, &cells[range]) <= page_size;
    let at_edge = match edge {
        Some(Edge::Last) => Some(cells.len() - 1),
        Some(Edge::First) => Some(1),
        None => None,
    };
    if let Some(cut) = at_edge.filter(|cut| fits(0..*cut) && fits(*cut..cells.len())) {
        return vec![cut, cells.len()];
    }
    let total: usize = cells.iter().map(cell_cost).sum::<usize>() - cells_prefix_gain(level, cells);
    let count = total.div_ceil(fill).max(1);
    let even = even_cuts(cells, count);
    let mut from = 0;
    for &to in &even {
        if from >= to || !fits(from..to) {
            return greedy_cuts(level, cells, page_size);
        }
        from = to;
    }
    even
}

/// What one prefix for all cells would save.
fn cells_prefix_gain(level: u8, cells: &[Cell<'_>]) -> usize {
    let keyed = if level == 0 { cells } else { &cells[1..] };
    match keyed {
        [first, .., last] => shared_len(first, last) * keyed.len(),
        _ => 0,
    }
}

/// Cuts into `count` parts that cost about the same.
fn even_cuts(cells: &[Cell<'_>], count: usize) -> Vec<usize> {
    let total: usize = cells.iter().map(cell_cost).sum();
    let mut cuts = Vec::with_capacity(count);
    let mut cost = 0;
    for (i, cell) in cells.iter().enumerate() {
        let wanted = total * (cuts.len() + 1) / count;
        // The cell that crosses the line goes to the side where most of it lies.
        if i > 0 && cuts.len() + 1 < count && cost + cell_cost(cell) / 2 > wanted {
            cuts.push(i);
        }
        cost += cell_cost(cell);
    }
    cuts.push(cells.len());
    cuts
}

/// Cuts that fill each page from the left: the fewest pages, for cells too different in size to share evenly.
fn greedy_cuts(level: u8, cells: &[Cell<'_>], page_size: usize) -> Vec<usize> {
    let mut cuts = Vec::new();
    let mut from = 0;
    let mut cost = 0;
    for i in 0..cells.len() {
        let keyed_from = if level == 0 { from } else { from + 1 };
        let cell = cell_cost(&cells[i]) - if i < keyed_from { cells[i].key_len() } else { 0 };
        let prefix = if i > keyed_from {
            shared_len(&cells[keyed_from], &cells[i])
        } else if i == keyed_from {
            cells[i].key_len()
        } else {
            0
        };
        if i > from && packed_len_of(prefix, i + 1 - keyed_from.min(i + 1), cost + cell) > page_size {
            cuts.push(i);
            from = i;
            cost = 0;
            cost += cell_cost(&cells[i]) - if level == 0 { 0 } else { cells[i].key_len() };
        } else {
            cost += cell;
        }
    }
    cuts.push(cells.len());
    cuts
}
