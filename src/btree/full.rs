//! Insertion into a leaf that is full: the ordinary cases, done by moving slots and cells.
//!
//! The leaf gives a part of its cells to its emptier neighbour, or to a new leaf where neither has room. What
//! does not fit this mould (another prefix, cells of very different size, a parent that is full too) is left
//! to [`super::balance`], which does everything, in a general way and at five times the price.

use std::cmp::Ordering;
use std::ops::Range;

use super::balance::{settle, settle_above};
use super::group::ROUGH;
use super::order::check_pair;
use super::path::{self, Frame, Path, add_below, heap_child};
use crate::error::Result;
use crate::page::{
    Cell, Child, HAS_OVERFLOW, Page, PageMut, TreeRoot, build_part, len_under, packed_page_len,
    prefix_between, shared_bytes,
};
use crate::pager::PagesMut;

/// A neighbour with so much room takes a part of a full leaf: 1/8 of a page. With random keys of 24 bytes and
/// values of 150, leaves are 84 % full then; with a sixteenth it would be 85, at half as many moves again.
fn worth_sharing(page_size: usize) -> usize {
    page_size / 8
}

/// The entries of a full leaf and one more, as if there were room for it.
#[derive(Clone, Copy)]
struct Full<'p> {
    page: Page<'p>,
    /// The number of the new entry.
    at: usize,
    /// Its key is whole and has the page's prefix.
    cell: Cell<'p>,
}

impl<'p> Full<'p> {
    fn len(&self) -> usize {
        self.page.len() + 1
    }

    /// Bytes that entry `i` takes with its slot under the page's prefix.
    fn cost(&self, i: usize) -> usize {
        match i.cmp(&self.at) {
            Ordering::Less => self.page.cost(i),
            Ordering::Equal => self.page.cost_here(&self.cell),
            Ordering::Greater => self.page.cost(i - 1),
        }
    }

    /// What all entries cost.
    fn total(&self) -> usize {
        self.page.total_cost() + self.cost(self.at)
    }

    /// The key of entry `i` behind the page's prefix.
    fn suffix(&self, i: usize) -> &'p [u8] {
        match i.cmp(&self.at) {
            Ordering::Less => self.page.suffix(i),
            Ordering::Equal => &self.cell.suffix[self.page.prefix().len()..],
            Ordering::Greater => self.page.suffix(i - 1),
        }
    }

    /// The old cells among `entries`.
    fn cells(&self, entries: &Range<usize>) -> Range<usize> {
        let old = |i: usize| if i > self.at { i - 1 } else { i };
        old(entries.start)..old(entries.end)
    }

    /// The prefix that suits a page of `entries`.
    fn prefix_len(&self, entries: &Range<usize>) -> usize {
        let shared = shared_bytes(self.suffix(entries.start), self.suffix(entries.end - 1));
        prefix_between(self.page.prefix().len() + shared, entries.len())
    }

    /// How many bytes entry `i` shares with the prefix of `page`.
    fn shared_with(&self, page: Page<'_>, i: usize) -> usize {
        let (own, prefix) = (self.page.prefix(), page.prefix());
        match shared_bytes(own, prefix) {
            shared if shared == own.len() => shared + shared_bytes(self.suffix(i), &prefix[shared..]),
            shared => shared,
        }
    }

    /// The shortest separator between entry `i - 1` and entry `i`.
    fn separator(&self, i: usize) -> Vec<u8> {
        let right = self.suffix(i);
        let shared = shared_bytes(self.suffix(i - 1), right);
        [self.page.prefix(), &right[..=shared]].concat()
    }

    /// Whether an overflow run lies in `entries`, as a flag.
    fn flags(&self, entries: &Range<usize>) -> u64 {
        let new = self.cell.extended && entries.contains(&self.at);
        let found = new || self.cells(entries).any(|i| self.page.is_extended(i));
        if found { HAS_OVERFLOW } else { 0 }
    }

    /// Whether `count` entries that cost `cost` fit into a page with a prefix of `prefix_len` bytes.
    fn fits(&self, prefix_len: usize, count: usize, cost: usize) -> bool {
        len_under(prefix_len, count, cost + count * self.page.prefix().len()) <= self.page.bytes().len()
    }
}

/// Where a part of a full leaf goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Other {
    /// The first entries, to the neighbour on the left.
    Left,
    /// The last entries, to the neighbour on the right.
    Right,
    /// The last entries, to a new leaf.
    New,
    /// The new entry, which is the first, to a new leaf on the left.
    NewFirst,
}

/// What is to be done.
struct Plan {
    other: Other,
    /// The prefixes of the leaf and of the other one.
    prefix_len: usize,
    other_prefix_len: usize,
    kept: Range<usize>,
    moved: Range<usize>,
    /// What the parent has for each: entries that come, and whether an overflow run lies among them.
    separator: Vec<u8>,
    flags: u64,
    moved_flags: u64,
}

/// Inserts `cell` as number `at` into the leaf at the end of `path`, which has no room for it; whether it
/// did. If not, nothing has changed.
pub(super) fn insert<P: PagesMut>(
    pages: &mut P,
    root: &mut TreeRoot,
    path: &Path,
    at: usize,
    cell: &Cell<'_>,
) -> Result<bool> {
    let Some(depth) = path.leaf().checked_sub(1) else { return Ok(false) };
    let neighbours = Neighbours::find(pages, path.frame(depth));
    // A copy in one go: the page is cold, and its cells are scattered over it.
    let mut copy = pages.buffer();
    copy.copy_from_slice(pages.bytes(path.frame(depth + 1).page));
    let done = insert_in(pages, root, path, Page::new(&copy), (at, cell), &neighbours);
    pages.recycle(copy);
    done
}

/// As [`insert`], with a copy of the leaf.
fn insert_in<P: PagesMut>(
    pages: &mut P,
    root: &mut TreeRoot,
    path: &Path,
    page: Page<'_>,
    (at, cell): (usize, &Cell<'_>),
    neighbours: &Neighbours,
) -> Result<bool> {
    let depth = path.leaf() - 1;
    let Frame { page: parent, slot } = path.frame(depth);
    let Some(plan) = plan(pages, path, page, (at, cell), neighbours)? else { return Ok(false) };
    if !parent_has_room(Page::new(pages.bytes(parent)), slot, &plan) {
        return Ok(false);
    }
    carry_out(pages, path, page, (at, cell), &plan)?;
    let flags = if cell.extended { HAS_OVERFLOW } else { 0 };
    add_below(pages, root, path.above(depth), 1, flags);
    // A page that has become half empty may fit together with another neighbour.
    if plan.other == Other::New {
        settle(pages, parent, slot + 1)?;
    }
    settle(pages, parent, slot)?;
    settle_above(pages, root, path, depth)?;
    Ok(true)
}

/// The leaves beside a full one.
struct Neighbours {
    left: Option<Child>,
    right: Option<Child>,
}

impl Neighbours {
    fn find<P: PagesMut>(pages: &P, frame: Frame) -> Neighbours {
        let parent = Page::new(pages.bytes(frame.page));
        let left = frame.slot.checked_sub(1).map(|slot| parent.child(slot));
        let right = (frame.slot + 1 < parent.len()).then(|| parent.child(frame.slot + 1));
        // They come from memory while the full leaf is copied.
        for child in [&left, &right].into_iter().flatten() {
            pages.ask_for(child);
        }
        Neighbours { left, right }
    }
}

fn plan<P: PagesMut>(
    pages: &P,
    path: &Path,
    page: Page<'_>,
    (at, cell): (usize, &Cell<'_>),
    neighbours: &Neighbours,
) -> Result<Option<Plan>> {
    let least = packed_page_len(page) + cell.fixed.len() + cell.tail.len();
    if !cell.suffix.starts_with(page.prefix()) || least <= page.bytes().len() + ROUGH {
        // Under another prefix it may fit as it is.
        return Ok(None);
    }
    let full = Full { page, at, cell: *cell };
    // At the edge of the whole tree, keys are probably inserted in order.
    if at == page.len() && path.is_last(pages) {
        return Ok(plan_cut(&full, Other::New, full.len() - 1));
    }
    if at == 0 && path.above(path.leaf()).iter().all(|frame| frame.slot == 0) {
        return Ok(plan_cut(&full, Other::NewFirst, 1));
    }
    let page_of = |child: &Option<Child>| child.as_ref().map(|child| pages.page(child, 0)).transpose();
    let (left, right) = (page_of(&neighbours.left)?, page_of(&neighbours.right)?);
    let room = |page: Option<Page<'_>>| page.map_or(0, Page::free_len);
    let (other, neighbour) = match room(left) > room(right) {
        true => (Other::Left, left),
        false => (Other::Right, right),
    };
    match neighbour.filter(|page| page.free_len() >= worth_sharing(pages.page_size())) {
        Some(neighbour) => {
            let (left, right) = if other == Other::Left { (neighbour, page) } else { (page, neighbour) };
            check_pair(left, None, right)?;
            Ok(plan_share(&full, neighbour, other))
        }
        None => Ok(plan_split(&full)),
    }
}

/// Gives a neighbour so much that both are as full.
fn plan_share(full: &Full<'_>, neighbour: Page<'_>, other: Other) -> Option<Plan> {
    let wanted = full.total().saturating_sub(neighbour.total_cost()) / 2;
    let (mut moved, mut count) = (0, 0);
    while count + 1 < full.len() {
        let entry = if other == Other::Left { count } else { full.len() - 1 - count };
        let cost = full.cost(entry);
        if moved + cost / 2 > wanted {
            break;
        }
        (moved, count) = (moved + cost, count + 1);
    }
    let cut = if other == Other::Left { count } else { full.len() - count };
    // The neighbour's prefix may have to become shorter: the entry farthest from it says how much.
    let farthest = if other == Other::Left { cut.checked_sub(1)? } else { cut };
    if count == 0 {
        return None;
    }
    let prefix_len = full.shared_with(neighbour, farthest);
    let own_len = full.page.prefix().len();
    let cost = neighbour.total_cost() + neighbour.len() * neighbour.prefix().len() + moved + count * own_len;
    let len = len_under(prefix_len, neighbour.len() + count, cost);
    if len > full.page.bytes().len() {
        return None;
    }
    let plan = plan_cut(full, other, cut)?;
    Some(Plan { other_prefix_len: prefix_len, ..plan })
}

/// Cuts a full leaf into halves.
fn plan_split(full: &Full<'_>) -> Option<Plan> {
    let total = full.total();
    let (mut left, mut cut) = (0, 0);
    while cut + 1 < full.len() {
        let cost = full.cost(cut);
        if cut > 0 && left + cost / 2 > total / 2 {
            break;
        }
        (left, cut) = (left + cost, cut + 1);
    }
    let plan = plan_cut(full, Other::New, cut)?;
    full.fits(plan.other_prefix_len, plan.moved.len(), total - left).then_some(plan)
}

/// Cuts a full leaf before entry `cut`, if what it keeps fits.
fn plan_cut(full: &Full<'_>, other: Other, cut: usize) -> Option<Plan> {
    let (first, last) = (0..cut, cut..full.len());
    let (kept, moved) = match other {
        Other::Left | Other::NewFirst => (last, first),
        Other::Right | Other::New => (first, last),
    };
    let prefix_len = match full.cells(&kept) == (0..full.page.len()) {
        true => full.page.prefix().len(),
        false => full.prefix_len(&kept),
    };
    let cost: usize = kept.clone().map(|i| full.cost(i)).sum();
    full.fits(prefix_len, kept.len(), cost).then(|| Plan {
        other,
        prefix_len,
        other_prefix_len: full.prefix_len(&moved),
        separator: full.separator(cut),
        flags: full.flags(&kept),
        moved_flags: full.flags(&moved),
        kept,
        moved,
    })
}

/// Whether the parent can take the new separator as it is.
fn parent_has_room(parent: Page<'_>, slot: usize, plan: &Plan) -> bool {
    let child = Child::default().encode();
    let cell = Cell { prefix: &[], suffix: &plan.separator, fixed: &child, tail: &[], extended: false };
    let given = match plan.other {
        Other::Left => parent.cost(slot),
        Other::Right => parent.cost(slot + 1),
        Other::New | Other::NewFirst => 0,
    };
    plan.separator.starts_with(parent.prefix()) && parent.cost_here(&cell) <= parent.free_len() + given
}

fn carry_out<P: PagesMut>(
    pages: &mut P,
    path: &Path,
    page: Page<'_>,
    (at, cell): (usize, &Cell<'_>),
    plan: &Plan,
) -> Result<()> {
    let index = path.frame(path.leaf()).page;
    let Frame { page: parent, slot } = path.frame(path.leaf() - 1);
    let other = match plan.other {
        Other::Left => path::dirty_child(pages, parent, slot - 1)?,
        Other::Right => path::dirty_child(pages, parent, slot + 1)?,
        Other::New | Other::NewFirst => pages.new_page(),
    };
    move_cells(pages, (index, other), page, (at, cell), plan);
    let kept = heap_child(index, plan.kept.len() as u64, plan.flags);
    let moved = heap_child(other, plan.moved.len() as u64, plan.moved_flags);
    let page = Page::new(pages.bytes(parent));
    let joined = |slot: usize| {
        let old = page.child(slot);
        Child { count: old.count + moved.count, word: old.word | moved.word, ..old }
    };
    // The right one of the two has the separator.
    let (slot, left, right, replaces) = match plan.other {
        Other::Left => (slot - 1, joined(slot - 1), kept, true),
        Other::Right => (slot, kept, joined(slot + 1), true),
        Other::New => (slot, kept, moved, false),
        Other::NewFirst => (slot, moved, kept, false),
    };
    let (bytes, scratch) = pages.bytes_mut(parent);
    let mut page = PageMut::new(bytes);
    page.set_child(slot, &left);
    if replaces {
        page.remove(slot + 1);
    }
    let fixed = right.encode();
    let cell = Cell { prefix: &[], suffix: &plan.separator, fixed: &fixed, tail: &[], extended: false };
    page.insert(slot + 1, &cell, scratch);
    Ok(())
}

/// Moves cells from heap page `index`, which `page` is a copy of, to heap page `other`, and inserts the new
/// one.
fn move_cells<P: PagesMut>(
    pages: &mut P,
    (index, other): (usize, usize),
    page: Page<'_>,
    (at, cell): (usize, &Cell<'_>),
    plan: &Plan,
) {
    let (own, other, scratch) = pages.pair_mut(index, other);
    let len = page.len();
    let old = |i: usize| if i > at { i - 1 } else { i };
    let (kept, moved) =
        (old(plan.kept.start)..old(plan.kept.end), old(plan.moved.start)..old(plan.moved.end));
    let mut base = 0;
    match plan.other {
        Other::New | Other::NewFirst => build_part(other, page, moved, plan.other_prefix_len),
        Other::Left | Other::Right => {
            let mut to = PageMut::new(other);
            let len = to.view().len();
            if to.view().prefix().len() != plan.other_prefix_len {
                to.keep(0..len, plan.other_prefix_len, scratch);
            }
            base = if plan.other == Other::Left { len } else { 0 };
            to.take_cells(base, page, moved, scratch);
        }
    }
    if kept != (0..len) {
        build_part(own, page, kept, plan.prefix_len);
    }
    if plan.moved.contains(&at) {
        PageMut::new(other).insert(base + at - plan.moved.start, cell, scratch);
    } else {
        PageMut::new(own).insert(at - plan.kept.start, cell, scratch);
    }
}
