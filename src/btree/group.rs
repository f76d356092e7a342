//! Neighbours that are laid out anew together: their cells, the edit to one of them, and the pages they
//! become.

use super::balance::{Edit, merge_children};
use super::cuts::{Cells, Edge, fill_limit, merge_limit};
use super::order::check_pair;
use super::path::heap_child;
use crate::error::Result;
use crate::page::{Cell, Child, HAS_OVERFLOW, Page, build, merged_len, separator_len};
use crate::pager::PagesMut;

/// Neighbours under one parent, taken out of the tree, and the edit to one of them.
pub(super) struct Group<'e, 'c> {
    pub(super) parent: usize,
    /// The number of the child that is edited.
    slot: usize,
    edit: Edit<'e, 'c>,
    /// Which children of the parent they are.
    pub(super) range: std::ops::Range<usize>,
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

impl Member {
    fn new(bytes: Box<[u8]>, separator: Vec<u8>) -> Member {
        Member { bytes, separator, first_merged: false, last_child: None }
    }
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

    pub(super) fn discard<P: PagesMut>(self, pages: &mut P) {
        for page in self.pages {
            pages.drop_page(&page.child);
        }
    }
}

impl<'e, 'c> Group<'e, 'c> {
    /// The group of one: child `slot` of `parent`, with the edit to it.
    pub(super) fn take<P: PagesMut>(
        pages: &mut P,
        parent: usize,
        slot: usize,
        edit: Edit<'e, 'c>,
    ) -> Result<Self> {
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

    /// The group of two neighbours at `level`, none of them edited; they shall become one page.
    pub(super) fn take_pair<P: PagesMut>(
        pages: &mut P,
        (left, right): (&Child, &Child),
        separator: &[u8],
        level: u8,
    ) -> Result<Self> {
        let members = vec![
            Member::new(pages.take(left, level)?, Vec::new()),
            Member::new(pages.take(right, level)?, separator.to_vec()),
        ];
        let edit = Edit { at: 0, remove: 0, cells: &[] };
        let fill = fill_limit(pages.page_size());
        let (parent, slot) = (usize::MAX, usize::MAX);
        let mut group = Group { parent, slot, edit, range: 0..2, level, fill, members };
        group.merge_seam(pages, 0)?;
        Ok(group)
    }

    /// One page of all cells, which fit.
    pub(super) fn merged<P: PagesMut>(&self, pages: &mut P) -> Child {
        build_page(pages, self.level, &self.cells())
    }

    fn parent_len<P: PagesMut>(&self, pages: &P) -> usize {
        Page::new(pages.bytes(self.parent)).len()
    }

    fn taken<P: PagesMut>(&self, pages: &mut P, slot: usize) -> Result<Member> {
        let parent = Page::new(pages.bytes(self.parent));
        let (child, separator) = (parent.child(slot), parent_separator(parent, slot));
        let bytes = pages.take(&child, self.level)?;
        Ok(Member::new(bytes, separator))
    }

    fn extend_left<P: PagesMut>(&mut self, pages: &mut P) -> Result<()> {
        let member = self.taken(pages, self.range.start - 1)?;
        self.range.start -= 1;
        self.members.insert(0, member);
        self.check_order(0)?;
        self.merge_seam(pages, 0)
    }

    fn extend_right<P: PagesMut>(&mut self, pages: &mut P) -> Result<()> {
        let member = self.taken(pages, self.range.end)?;
        self.range.end += 1;
        self.members.push(member);
        match self.members.len() {
            1 => Ok(()),
            n => {
                self.check_order(n - 2)?;
                self.merge_seam(pages, n - 2)
            }
        }
    }

    /// The keys of member `i` and the next one ascend.
    fn check_order(&self, i: usize) -> Result<()> {
        let (left, right) = (&self.members[i], &self.members[i + 1]);
        check_pair(Page::new(&left.bytes), Some(&right.separator), Page::new(&right.bytes))
    }

    /// Free bytes of the parent's child `slot`.
    fn room<P: PagesMut>(&self, pages: &P, slot: usize) -> Result<usize> {
        let child = Page::new(pages.bytes(self.parent)).child(slot);
        Ok(pages.page(&child, self.level)?.free_len())
    }

    pub(super) fn take_emptier_neighbour<P: PagesMut>(&mut self, pages: &mut P) -> Result<()> {
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
        let len = self.members.iter().map(|member| Page::new(&member.bytes).len()).sum::<usize>();
        let mut cells = Vec::with_capacity(len + edit.cells.len());
        for (i, member) in self.members.iter().enumerate() {
            let page = Page::new(&member.bytes);
            let from = cells.len();
            if self.range.start + i == slot {
                cells.extend(edited(page, edit));
            } else {
                cells.extend(page.cells(0..page.len()));
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
        let cells = Cells::new(self.level, self.cells());
        let first = self.members.first().map_or(&[][..], |member| &member.separator);
        let cuts = cells.cuts(pages.page_size(), self.fill, edge);
        let mut layout = Layout { pages: Vec::with_capacity(cuts.len()) };
        let mut from = 0;
        for to in cuts {
            let separator = match from {
                0 => first.to_vec(),
                _ => separator_between(self.level, cells.slice(from - 1..from + 1)),
            };
            let len = cells.packed_len(from..to);
            let child = build_page(pages, self.level, cells.slice(from..to));
            layout.pages.push(LaidOut { separator, child, len });
            from = to;
        }
        layout
    }

    /// Takes in an outer neighbour that would have to be merged with a page of the layout; whether it did.
    pub(super) fn takes_in_neighbour<P: PagesMut>(&mut self, pages: &mut P, layout: &Layout) -> Result<bool> {
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
pub(super) const ROUGH: usize = 8;

/// The separator that `parent` has for child `slot`; the first has none.
fn parent_separator(parent: Page<'_>, slot: usize) -> Vec<u8> {
    if slot == 0 { Vec::new() } else { parent.key(slot) }
}

/// The separator between two neighbouring cells that come to lie on two pages.
fn separator_between(level: u8, neighbours: &[Cell<'_>]) -> Vec<u8> {
    let [left, right] = neighbours else { return Vec::new() };
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

/// The cells of `page` with the edit made.
pub(super) fn edited<'a>(page: Page<'a>, edit: &Edit<'_, 'a>) -> Vec<Cell<'a>> {
    let mut cells = Vec::with_capacity(page.len() + edit.cells.len());
    cells.extend(page.cells(0..edit.at));
    cells.extend_from_slice(edit.cells);
    cells.extend(page.cells(edit.at + edit.remove..page.len()));
    cells
}
