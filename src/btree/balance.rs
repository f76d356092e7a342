//! Splits, merges and the sharing of space between neighbours.
//!
//! One mechanism serves all three: the cells of a group of neighbours are laid out anew on as few pages as
//! they fill well, and the parent gets an [`Edit`] that replaces the group's cells. Sources are taken out of
//! the tree first, targets are fresh buffers: nothing is moved in place, and every byte is copied once.
//!
//! Invariant: after every operation no two neighbours under one parent fit together into [`merge_limit`]. A
//! group takes in a further neighbour rather than break it; where children of two branches become neighbours
//! (a *seam*), they are merged first if they must be.

use super::path::{Frame, Path, add_below, heap_child};
use crate::error::{Error, Result};
use crate::page::{
    Cell, Child, HAS_OVERFLOW, KIND_BRANCH, LEVELS_MAX, Page, PageMut, TreeRoot, build, cell_cost, init,
    merged_len, packed_len, packed_len_of, packed_page_len, separator_len, shared_len,
};
use crate::pager::{Pages, PagesMut};

/// A change to one page: `remove` cells from number `at` on give way to `cells`, whose keys are whole.
#[derive(Clone, Copy)]
pub(super) struct Edit<'e, 'c> {
    pub(super) at: usize,
    pub(super) remove: usize,
    pub(super) cells: &'e [Cell<'c>],
}

/// What an edit changes for the pages above.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Below {
    pub(super) count: i64,
    pub(super) flags: u64,
}

/// Two neighbours that together take no more than this are merged: 3/4 of a page.
pub(crate) fn merge_limit(page_size: usize) -> usize {
    page_size / 4 * 3
}

/// How full pages are after a group is laid out: the rest is room for what comes next.
fn fill_limit(page_size: usize) -> usize {
    page_size / 10 * 9
}

/// Applies `edit` to the page at `depth` of `path`, and whatever follows from it to the pages above.
///
/// The frames from `depth` on are stale afterwards where the page overflowed.
pub(super) fn apply<P: PagesMut>(
    pages: &mut P,
    root: &mut TreeRoot,
    path: &mut Path,
    depth: usize,
    edit: &Edit<'_, '_>,
    below: Below,
) -> Result<()> {
    let index = path.frame(depth).page;
    if edit_in_place(pages, index, edit) || rebuild(pages, index, edit) {
        add_below(pages, root, path.above(depth), below.count, below.flags);
        return Ok(());
    }
    let depth = if depth > 0 { depth } else { grow_root(pages, root, path)? + 1 };
    let Frame { page: parent, slot } = path.frame(depth - 1);
    let edge = edge_of(pages, path, depth, edit);
    let mut group = Group::take(pages, parent, slot, *edit)?;
    if edge.is_none() {
        group.take_emptier_neighbour(pages)?;
    }
    let laid_out = loop {
        let laid_out = group.lay_out(pages, edge);
        match group.takes_in_neighbour(pages, &laid_out)? {
            true => laid_out.discard(pages),
            false => break laid_out,
        }
    };
    let range = group.range.clone();
    group.recycle(pages);
    let fixed = laid_out.encoded();
    let cells: Vec<Cell<'_>> = laid_out.cells(&fixed).collect();
    let edit = Edit { at: range.start, remove: range.len(), cells: &cells };
    apply(pages, root, path, depth - 1, &edit, below)
}

/// Makes the edit on the page as it stands, if everything fits under the page's prefix.
fn edit_in_place<P: PagesMut>(pages: &mut P, index: usize, edit: &Edit<'_, '_>) -> bool {
    let page = Page::new(pages.bytes(index));
    // The first cell of a branch has no separator: replacing it replaces the child alone.
    let unkeyed = usize::from(!page.is_leaf() && edit.at == 0);
    if unkeyed > edit.remove.min(edit.cells.len()) {
        return false;
    }
    let keyed = &edit.cells[unkeyed..];
    let prefix = page.prefix();
    if !keyed.iter().all(|cell| cell.suffix.starts_with(prefix)) {
        return false;
    }
    let wanted: usize = keyed.iter().map(|cell| cell_cost(cell) - prefix.len()).sum();
    let removed = edit.at + unkeyed..edit.at + edit.remove;
    let given: usize = removed.clone().map(|i| cell_cost(&page.cell(i)) - prefix.len()).sum();
    if wanted > page.free_len() + given {
        return false;
    }
    let (bytes, scratch) = pages.bytes_mut(index);
    let mut page = PageMut::new(bytes);
    if let Some(first) = edit.cells.first().filter(|_| unkeyed == 1) {
        page.set_child(0, &Child::decode(first.fixed));
    }
    for _ in removed.clone() {
        page.remove(removed.start);
    }
    for (i, cell) in keyed.iter().enumerate() {
        page.insert(removed.start + i, cell, scratch);
    }
    true
}

/// Makes the edit by laying the page out anew, if everything fits under a prefix that suits it all.
fn rebuild<P: PagesMut>(pages: &mut P, index: usize, edit: &Edit<'_, '_>) -> bool {
    let mut target = pages.buffer();
    let page = Page::new(pages.bytes(index));
    let cells = edited(page, edit);
    let fits = packed_len(page.level(), &cells) <= target.len();
    if fits {
        build(&mut target, page.level(), &cells);
        pages.bytes_mut(index).0.copy_from_slice(&target);
    }
    pages.recycle(target);
    fits
}

/// The cells of `page` with the edit made.
fn edited<'a>(page: Page<'a>, edit: &Edit<'_, 'a>) -> Vec<Cell<'a>> {
    let kept = |range: std::ops::Range<usize>| range.map(|i| page.cell(i));
    let mut cells = Vec::with_capacity(page.len() + edit.cells.len());
    cells.extend(kept(0..edit.at));
    cells.extend_from_slice(edit.cells);
    cells.extend(kept(edit.at + edit.remove..page.len()));
    cells
}

/// Puts a branch with one child, the old root, above it; its depth, 0.
fn grow_root<P: PagesMut>(pages: &mut P, root: &mut TreeRoot, path: &mut Path) -> Result<usize> {
    if usize::from(root.level) + 1 >= LEVELS_MAX {
        return Err(Error::Full { what: "a tree has 32 levels at most" });
    }
    root.level += 1;
    let fixed = root.child.encode();
    let only = Cell { prefix: &[], suffix: &[], fixed: &fixed, tail: &[], extended: false };
    let mut buffer = pages.buffer();
    init(&mut buffer, KIND_BRANCH, root.level);
    build(&mut buffer, root.level, &[only]);
    let page = pages.adopt(buffer);
    root.child = heap_child(page, root.child.count, root.child.word);
    path.push_root(Frame { page, slot: 0 });
    Ok(0)
}

/// Where a page is cut that grows at the edge of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// Keys descend: the first cell gets a page of its own.
    First,
    /// Keys ascend: the last cell gets a page of its own, and the others stay full.
    Last,
}

/// Whether the edit adds at the left or right edge of the whole tree: then keys are probably inserted in order.
fn edge_of<P: PagesMut>(pages: &P, path: &Path, depth: usize, edit: &Edit<'_, '_>) -> Option<Edge> {
    let len = |frame: &Frame| Page::new(pages.bytes(frame.page)).len();
    let above = path.above(depth);
    if edit.at + edit.remove == len(&path.frame(depth)) && above.iter().all(|f| f.slot + 1 == len(f)) {
        return Some(Edge::Last);
    }
    if edit.at == 0 && above.iter().all(|f| f.slot == 0) {
        return Some(Edge::First);
    }
    None
}

/// Neighbours under one parent, taken out of the tree, and the edit to one of them.
pub(super) struct Group<'e, 'c> {
    parent: usize,
    /// The number of the child that is edited.
    slot: usize,
    edit: Edit<'e, 'c>,
    /// Which children of the parent they are.
    range: std::ops::Range<usize>,
    level: u8,
    /// How full the pages of a new layout are at most, as far as the cells allow.
    fill: usize,
    members: Vec<Member>,
}

struct Member {
    bytes: Box<[u8]>,
    /// What the parent has for the page, less what seams have moved to the left.
    separator: Vec<u8>,
    /// The first cell belongs to the page on the left now: the two children were merged.
    first_merged: bool,
    /// The child that the last cell has become.
    last_child: Option<[u8; 24]>,
}

/// A page of a new layout.
struct LaidOut {
    separator: Vec<u8>,
    child: Child,
    len: usize,
}

pub(super) struct Layout {
    pages: Vec<LaidOut>,
}

impl Layout {
    /// How the parent names the pages.
    pub(super) fn encoded(&self) -> Vec<[u8; 24]> {
        self.pages.iter().map(|page| page.child.encode()).collect()
    }

    /// The parent's cells for the pages; `encoded` are their children.
    pub(super) fn cells<'a>(&'a self, encoded: &'a [[u8; 24]]) -> impl Iterator<Item = Cell<'a>> {
        self.pages.iter().zip(encoded).map(|(page, fixed)| Cell {
            prefix: &[],
            suffix: &page.separator,
            fixed,
            tail: &[],
            extended: false,
        })
    }

    fn discard<P: PagesMut>(self, pages: &mut P) {
        for page in self.pages {
            pages.drop_page(&page.child);
        }
    }
}

impl<'e, 'c> Group<'e, 'c> {
    /// The group of one: child `slot` of `parent`, with the edit to it.
    fn take<P: PagesMut>(pages: &mut P, parent: usize, slot: usize, edit: Edit<'e, 'c>) -> Result<Self> {
        let level = Page::new(pages.bytes(parent)).level() - 1;
        let members = Vec::with_capacity(3);
        let fill = fill_limit(pages.page_size());
        let mut group = Group { parent, slot, edit, range: slot..slot, level, fill, members };
        group.extend_right(pages)?;
        Ok(group)
    }

    /// The group of the leaves `window` of `parent`, none of them edited, to be filled up to `fill`.
    pub(super) fn take_window<P: PagesMut>(
        pages: &mut P,
        parent: usize,
        window: std::ops::Range<usize>,
        fill: usize,
    ) -> Result<Self> {
        let edit = Edit { at: 0, remove: 0, cells: &[] };
        let mut group = Group::take(pages, parent, window.start, edit)?;
        (group.slot, group.fill) = (usize::MAX, fill);
        for _ in 1..window.len() {
            group.extend_right(pages)?;
        }
        Ok(group)
    }

    fn parent_len<P: PagesMut>(&self, pages: &P) -> usize {
        Page::new(pages.bytes(self.parent)).len()
    }

    fn taken<P: PagesMut>(&self, pages: &mut P, slot: usize) -> Result<Member> {
        let parent = Page::new(pages.bytes(self.parent));
        let (child, separator) = (parent.child(slot), parent_separator(parent, slot));
        let bytes = pages.take(&child, self.level)?;
        Ok(Member { bytes, separator, first_merged: false, last_child: None })
    }

    fn extend_left<P: PagesMut>(&mut self, pages: &mut P) -> Result<()> {
        let member = self.taken(pages, self.range.start - 1)?;
        self.range.start -= 1;
        self.members.insert(0, member);
        self.merge_seam(pages, 0)
    }

    fn extend_right<P: PagesMut>(&mut self, pages: &mut P) -> Result<()> {
        let member = self.taken(pages, self.range.end)?;
        self.range.end += 1;
        self.members.push(member);
        match self.members.len() {
            1 => Ok(()),
            n => self.merge_seam(pages, n - 2),
        }
    }

    /// Free bytes of the parent's child `slot`.
    fn room<P: PagesMut>(&self, pages: &P, slot: usize) -> Result<usize> {
        let child = Page::new(pages.bytes(self.parent)).child(slot);
        Ok(pages.page(&child, self.level)?.free_len())
    }

    fn take_emptier_neighbour<P: PagesMut>(&mut self, pages: &mut P) -> Result<()> {
        let left = (self.range.start > 0).then(|| self.room(pages, self.range.start - 1)).transpose()?;
        let has_right = self.range.end < self.parent_len(pages);
        let right = has_right.then(|| self.room(pages, self.range.end)).transpose()?;
        match (left, right) {
            (None, None) => Ok(()),
            (left, right) if left > right => self.extend_left(pages),
            _ => self.extend_right(pages),
        }
    }

    /// Merges the last child of member `i` with the first of the next one, if neighbours must be.
    fn merge_seam<P: PagesMut>(&mut self, pages: &mut P, i: usize) -> Result<()> {
        if self.level == 0 {
            return Ok(());
        }
        let (a, b) = (self.last_child(i), self.first_child(i + 1));
        let separator = self.members[i + 1].separator.clone();
        if let Some(child) = merge_children(pages, &a, &b, &separator, self.level - 1)? {
            self.members[i].last_child = Some(child.encode());
            self.members[i + 1].first_merged = true;
        }
        Ok(())
    }

    /// The first child of member `i` once the edit is made.
    fn first_child(&self, i: usize) -> Child {
        match self.edit.cells.first() {
            Some(cell) if self.range.start + i == self.slot && self.edit.at == 0 => Child::decode(cell.fixed),
            _ => Page::new(&self.members[i].bytes).child(0),
        }
    }

    /// The last child of member `i` once the edit is made.
    fn last_child(&self, i: usize) -> Child {
        let (page, edit) = (Page::new(&self.members[i].bytes), &self.edit);
        let at_end = self.range.start + i == self.slot && edit.at + edit.remove == page.len();
        match edit.cells.last() {
            Some(cell) if at_end => Child::decode(cell.fixed),
            _ => page.child(page.len() - 1),
        }
    }

    /// All cells of the group, in order, with the edit made.
    fn cells<'a>(&'a self) -> Vec<Cell<'a>> {
        let (slot, edit) = (self.slot, &self.edit);
        let mut cells = Vec::new();
        for (i, member) in self.members.iter().enumerate() {
            let page = Page::new(&member.bytes);
            let from = cells.len();
            if self.range.start + i == slot {
                cells.extend(edited(page, edit));
            } else {
                cells.extend((0..page.len()).map(|i| page.cell(i)));
            }
            if let (Some(child), Some(last)) = (&member.last_child, cells.last_mut()) {
                last.fixed = child;
            }
            if self.level > 0 {
                (cells[from].prefix, cells[from].suffix) = (&[], &member.separator);
            }
            if member.first_merged {
                cells.remove(from);
            }
        }
        cells
    }

    pub(super) fn lay_out<P: PagesMut>(&self, pages: &mut P, edge: Option<Edge>) -> Layout {
        let cells = self.cells();
        let first = self.members.first().map_or(&[][..], |member| &member.separator);
        let cuts = cuts(self.level, &cells, pages.page_size(), self.fill, edge);
        let mut layout = Layout { pages: Vec::with_capacity(cuts.len()) };
        let mut from = 0;
        for to in cuts {
            let separator = match from {
                0 => first.to_vec(),
                _ => separator_between(self.level, &cells[from - 1], &cells[from]),
            };
            let len = packed_len(self.level, &cells[from..to]);
            let child = build_page(pages, self.level, &cells[from..to]);
            layout.pages.push(LaidOut { separator, child, len });
            from = to;
        }
        layout
    }

    /// Takes in an outer neighbour that would have to be merged with a page of the layout; whether it did.
    fn takes_in_neighbour<P: PagesMut>(&mut self, pages: &mut P, layout: &Layout) -> Result<bool> {
        let limit = merge_limit(pages.page_size());
        let parent = Page::new(pages.bytes(self.parent));
        if let (Some(first), true) = (layout.pages.first(), self.range.start > 0) {
            let neighbour = pages.page(&parent.child(self.range.start - 1), self.level)?;
            let page = pages.page(&first.child, self.level)?;
            if first.len <= limit + ROUGH && merged_len(neighbour, page, &first.separator) <= limit {
                return self.extend_left(pages).map(|()| true);
            }
        }
        if let (Some(last), true) = (layout.pages.last(), self.range.end < parent.len()) {
            let neighbour = pages.page(&parent.child(self.range.end), self.level)?;
            let page = pages.page(&last.child, self.level)?;
            let separator = parent_separator(parent, self.range.end);
            if last.len <= limit + ROUGH && merged_len(page, neighbour, &separator) <= limit {
                return self.extend_right(pages).map(|()| true);
            }
        }
        Ok(false)
    }

    pub(super) fn recycle<P: PagesMut>(self, pages: &mut P) {
        for member in self.members {
            pages.recycle(member.bytes);
        }
    }
}

/// Two pages merged are not shorter than either, but for the padding of a prefix that became shorter.
const ROUGH: usize = 8;

/// The separator that `parent` has for child `slot`; the first has none.
fn parent_separator(parent: Page<'_>, slot: usize) -> Vec<u8> {
    if slot == 0 { Vec::new() } else { parent.key(slot) }
}

/// The separator between two neighbouring cells that come to lie on two pages.
fn separator_between(level: u8, left: &Cell<'_>, right: &Cell<'_>) -> Vec<u8> {
    let mut key = right.key();
    if level == 0 {
        key.truncate(separator_len(left, right));
    }
    key
}

/// Builds a heap page; how its parent names it.
fn build_page<P: PagesMut>(pages: &mut P, level: u8, cells: &[Cell<'_>]) -> Child {
    let mut buffer = pages.buffer();
    build(&mut buffer, level, cells);
    let (mut count, mut flags) = (cells.len() as u64, 0);
    if level > 0 {
        let children = || cells.iter().map(|cell| Child::decode(cell.fixed));
        count = children().map(|child| child.count).sum();
        flags = children().fold(0, |flags, child| flags | child.word & HAS_OVERFLOW);
    } else if cells.iter().any(|cell| cell.extended) {
        flags = HAS_OVERFLOW;
    }
    heap_child(pages.adopt(buffer), count, flags)
}

/// Where to cut `cells` into pages: the ends of the pages, no two neighbours of which would be merged again.
///
/// Costs are guesses as long as prefixes differ: keys that share a long prefix with their page, but not with the
/// whole group, take far less room than they seem to.
fn cuts(level: u8, cells: &[Cell<'_>], page_size: usize, fill: usize, edge: Option<Edge>) -> Vec<usize> {
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

/// Merges two neighbours at `level` if they fit together into 3/4 of a page; how their parent names the one
/// page they are then.
pub(super) fn merge_children<P: PagesMut>(
    pages: &mut P,
    left: &Child,
    right: &Child,
    separator: &[u8],
    level: u8,
) -> Result<Option<Child>> {
    let limit = merge_limit(pages.page_size());
    if merged_len(pages.page(left, level)?, pages.page(right, level)?, separator) > limit {
        return Ok(None);
    }
    let member = |bytes, separator: &[u8]| Member {
        bytes,
        separator: separator.to_vec(),
        first_merged: false,
        last_child: None,
    };
    let members = vec![member(pages.take(left, level)?, &[]), member(pages.take(right, level)?, separator)];
    let none = Edit { at: 0, remove: 0, cells: &[] };
    let (parent, slot, fill) = (usize::MAX, usize::MAX, fill_limit(pages.page_size()));
    let mut group = Group { parent, slot, edit: none, range: 0..2, level, fill, members };
    group.merge_seam(pages, 0)?;
    let child = build_page(pages, level, &group.cells());
    group.recycle(pages);
    Ok(Some(child))
}

/// Puts right what the shrinking of child `slot` of heap page `parent` broke: an empty child goes, and pairs
/// that fit together are merged. Whether the parent changed.
pub(super) fn settle<P: PagesMut>(pages: &mut P, parent: usize, slot: usize) -> Result<bool> {
    if drop_if_empty(pages, parent, slot) {
        let len = Page::new(pages.bytes(parent)).len();
        if len > 1 {
            // The neighbours of the child that went are neighbours now.
            settle(pages, parent, slot.min(len - 1))?;
        }
        return Ok(true);
    }
    let limit = merge_limit(pages.page_size());
    let mut slot = slot;
    let mut changed = false;
    loop {
        let page = Page::new(pages.bytes(parent));
        let level = page.level() - 1;
        if packed_page_len(pages.page(&page.child(slot), level)?) > limit + ROUGH {
            return Ok(changed);
        }
        if slot > 0 && merge_pair(pages, parent, slot - 1)? {
            slot -= 1;
        } else if slot + 1 >= Page::new(pages.bytes(parent)).len() || !merge_pair(pages, parent, slot)? {
            return Ok(changed);
        }
        changed = true;
    }
}

/// Takes child `slot` of heap page `parent` out if nothing is left in it; whether it did.
pub(super) fn drop_if_empty<P: PagesMut>(pages: &mut P, parent: usize, slot: usize) -> bool {
    let page = Page::new(pages.bytes(parent));
    let child = page.child(slot);
    let is_empty = slot < page.len() && child.count == 0;
    if is_empty {
        pages.drop_page(&child);
        PageMut::new(pages.bytes_mut(parent).0).remove_child(slot);
    }
    is_empty
}

/// Merges children `slot` and `slot + 1` of heap page `parent` if they fit together; whether it did.
fn merge_pair<P: PagesMut>(pages: &mut P, parent: usize, slot: usize) -> Result<bool> {
    let page = Page::new(pages.bytes(parent));
    let (left, right, level) = (page.child(slot), page.child(slot + 1), page.level() - 1);
    let separator = page.key(slot + 1);
    let Some(child) = merge_children(pages, &left, &right, &separator, level)? else {
        return Ok(false);
    };
    let mut page = PageMut::new(pages.bytes_mut(parent).0);
    page.set_child(slot, &child);
    page.remove(slot + 1);
    Ok(true)
}

/// Settles the pages of a path from the leaf up, as far as they change, and then the root.
pub(super) fn settle_path<P: PagesMut>(pages: &mut P, root: &mut TreeRoot, path: &Path) -> Result<()> {
    for frame in path.above(path.leaf()).iter().rev() {
        if !settle(pages, frame.page, frame.slot)? {
            break;
        }
    }
    collapse_root(pages, root)
}

/// An empty tree has no page; a branch with one child is no root.
pub(super) fn collapse_root<P: PagesMut>(pages: &mut P, root: &mut TreeRoot) -> Result<()> {
    if root.child.count == 0 {
        pages.drop_page(&root.child);
        *root = TreeRoot::default();
        return Ok(());
    }
    while root.level > 0 {
        let page = pages.page(&root.child, root.level)?;
        if page.len() > 1 {
            break;
        }
        let only = page.child(0);
        pages.drop_page(&root.child);
        *root = TreeRoot { child: only, level: root.level - 1 };
    }
    Ok(())
}
