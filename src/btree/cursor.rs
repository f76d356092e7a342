//! Reading in order: bounds, entries, and the path to a leaf and from leaf to leaf.

use std::borrow::Cow;
use std::ops::Bound;

use super::order::Key;
use super::range::Range;
use super::rank::rank;
use super::value_of;
use crate::error::{Error, Result};
use crate::page::{Child, Leaf, Page, TreeRoot};
use crate::pager::Pages;

/// A range of keys.
pub(crate) type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// A key, in two parts where its page stores a common prefix once, and its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'p> {
    pub(crate) prefix: &'p [u8],
    pub(crate) suffix: &'p [u8],
    pub(crate) value: &'p [u8],
}

impl<'p> Entry<'p> {
    /// Entry `i` of a leaf.
    #[inline]
    pub(super) fn of(pages: &'p dyn Pages, leaf: &Leaf<'p>, i: usize) -> Result<Entry<'p>> {
        let (suffix, value) = leaf.entry(i);
        Ok(Entry { prefix: leaf.prefix(), suffix, value: value_of(pages, value)? })
    }

    /// The key, put together where it is in two parts.
    #[inline]
    pub(crate) fn key(&self) -> Cow<'p, [u8]> {
        match self.prefix.is_empty() {
            true => Cow::Borrowed(self.suffix),
            false => Cow::Owned([self.prefix, self.suffix].concat()),
        }
    }
}

/// Whether no key can lie in `bounds`.
pub(crate) fn is_inverted(bounds: &Bounds<'_>) -> bool {
    match bounds {
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => {
            from >= to
        }
        _ => false,
    }
}

/// The first slot of a leaf that is not before the lower bound.
pub(super) fn lower_slot(leaf: Page<'_>, bound: Bound<&[u8]>) -> usize {
    match bound {
        Bound::Unbounded => 0,
        Bound::Included(key) => leaf.search(0, key).unwrap_or_else(|i| i),
        Bound::Excluded(key) => leaf.search(0, key).map_or_else(|i| i, |i| i + 1),
    }
}

/// The first slot of a leaf that is behind the upper bound.
pub(super) fn upper_slot(leaf: Page<'_>, bound: Bound<&[u8]>) -> usize {
    match bound {
        Bound::Unbounded => leaf.len(),
        Bound::Included(key) => leaf.search(0, key).map_or_else(|i| i, |i| i + 1),
        Bound::Excluded(key) => leaf.search(0, key).unwrap_or_else(|i| i),
    }
}

/// How many branches a cursor holds without the heap: more than a tree of a billion entries has.
const NEAR: usize = 4;

/// The path from the root to a leaf.
pub(super) struct Cursor<'p> {
    /// The branches from the root down, each with the slot that was taken: the first of them, then the rest.
    near: [(Page<'p>, usize); NEAR],
    more: Vec<(Page<'p>, usize)>,
    /// How many branches there are.
    depth: usize,
    pub(super) leaf: Leaf<'p>,
}

impl<'p> Cursor<'p> {
    /// Stands nowhere.
    pub(super) fn new() -> Cursor<'p> {
        let nothing = Page::new(&[]);
        Cursor { near: [(nothing, 0); NEAR], more: Vec::new(), depth: 0, leaf: Leaf::new(nothing) }
    }

    /// Goes down from `root`, taking in each branch the slot that `choose` says.
    pub(super) fn descend(
        &mut self,
        pages: &'p dyn Pages,
        root: &TreeRoot,
        choose: impl Fn(Page<'p>) -> usize,
    ) -> Result<()> {
        self.truncate(0);
        self.down(pages, root.child, root.level, choose)
    }

    fn down(
        &mut self,
        pages: &'p dyn Pages,
        child: Child,
        level: u8,
        choose: impl Fn(Page<'p>) -> usize,
    ) -> Result<()> {
        let (mut child, mut level) = (child, level);
        loop {
            let page = pages.page(&child, level)?;
            if level == 0 {
                self.leaf = Leaf::new(page);
                return Ok(());
            }
            let slot = choose(page);
            self.push((page, slot));
            child = page.child(slot);
            level -= 1;
        }
    }

    /// Goes to the leaf behind or before this one; whether there is one. Keys go on in order, or it is an
    /// error: in a damaged file a page may be a child of many branches, and a walk through them would not end
    /// in a lifetime.
    pub(super) fn step(&mut self, pages: &'p dyn Pages, forward: bool) -> Result<bool> {
        let next = |(page, slot): &(Page<'p>, usize)| match forward {
            true => (slot + 1 < page.len()).then_some(slot + 1),
            false => slot.checked_sub(1),
        };
        let Some((depth, slot)) =
            (0..self.depth).rev().find_map(|depth| next(self.branch(depth)?).map(|slot| (depth, slot)))
        else {
            return Ok(false);
        };
        let Some((page, _)) = self.branch(depth).copied() else { return Ok(false) };
        let before = self.leaf.page();
        self.truncate(depth);
        self.push((page, slot));
        let (child, level) = (page.child(slot), page.level());
        // A level that is not above its children ends at first touch; here it must not wrap.
        let level = level.saturating_sub(1);
        match forward {
            true => self.down(pages, child, level, |_| 0)?,
            false => self.down(pages, child, level, |page| page.len().saturating_sub(1))?,
        }
        let after = self.leaf.page();
        let (left, right) = if forward { (before, after) } else { (after, before) };
        if Key::last_of(left) >= Key::first_of(right) {
            let what = "order of keys from leaf to leaf";
            let found = format!("another than from page {}", before.id());
            return Err(Error::corrupted(after.id().0, what, "ascending", found));
        }
        Ok(true)
    }

    /// Asks for the leaf behind this one, where the same branch has it.
    pub(super) fn ask_for_next(&self, pages: &'p dyn Pages) {
        if let Some((page, slot)) = self.depth.checked_sub(1).and_then(|last| self.branch(last))
            && slot + 1 < page.len()
        {
            pages.ask_for(&page.child(slot + 1));
        }
    }

    /// Entries before entry `slot` of the leaf.
    pub(super) fn position(&self, slot: usize) -> u64 {
        let before = |(page, slot): &(Page<'p>, usize)| -> u64 {
            (0..*slot).fold(0, |sum, i| page.child(i).count.saturating_add(sum))
        };
        let branches = (0..self.depth).filter_map(|depth| self.branch(depth));
        branches.map(before).fold(slot as u64, u64::saturating_add)
    }

    fn branch(&self, depth: usize) -> Option<&(Page<'p>, usize)> {
        match depth.checked_sub(NEAR) {
            None => self.near.get(depth),
            Some(depth) => self.more.get(depth),
        }
    }

    fn push(&mut self, branch: (Page<'p>, usize)) {
        match self.near.get_mut(self.depth) {
            Some(place) => *place = branch,
            None => self.more.push(branch),
        }
        self.depth += 1;
    }

    fn truncate(&mut self, depth: usize) {
        self.depth = depth;
        self.more.truncate(depth.saturating_sub(NEAR));
    }
}

pub(super) fn as_ref(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

pub(super) fn owned(bound: &Bound<&[u8]>) -> Bound<Vec<u8>> {
    bound.map(<[u8]>::to_vec)
}

/// The entry with the smallest key. O(log n).
pub(crate) fn first<'p>(pages: &'p dyn Pages, root: &TreeRoot) -> Result<Option<Entry<'p>>> {
    nth(pages, root, 0)
}

/// The entry with the greatest key. O(log n).
pub(crate) fn last<'p>(pages: &'p dyn Pages, root: &TreeRoot) -> Result<Option<Entry<'p>>> {
    Range::new(pages, root, &(Bound::Unbounded, Bound::Unbounded)).next_back_entry().transpose()
}

/// Entry `index` in the order of keys. O(log n).
pub(crate) fn nth<'p>(pages: &'p dyn Pages, root: &TreeRoot, index: u64) -> Result<Option<Entry<'p>>> {
    if root.is_empty() || index >= root.child.count {
        return Ok(None);
    }
    let (mut child, mut level, mut rest) = (root.child, root.level, index);
    loop {
        let page = pages.page(&child, level)?;
        if level == 0 {
            let slot = crate::page::index(rest).min(page.len().saturating_sub(1));
            return Entry::of(pages, &Leaf::new(page), slot).map(Some);
        }
        let mut slot = 0;
        while slot + 1 < page.len() && rest >= page.child(slot).count {
            rest -= page.child(slot).count;
            slot += 1;
        }
        child = page.child(slot);
        level -= 1;
    }
}

/// Keys that cut the entries into `parts` of about the same number: at most `parts - 1`. O(parts log n).
pub(crate) fn split(pages: &dyn Pages, root: &TreeRoot, parts: usize) -> Result<Vec<Vec<u8>>> {
    let count = root.child.count;
    let mut keys = Vec::new();
    for part in 1..parts as u64 {
        let at = share(count, part, parts as u64);
        match nth(pages, root, at)? {
            Some(entry) if at > 0 => {
                let key = entry.key();
                if keys.last().map(Vec::as_slice) != Some(&*key) {
                    keys.push(key.into_owned());
                }
            }
            _ => {}
        }
    }
    debug_assert!(keys.first().is_none_or(|key| rank(pages, root, key).is_ok()));
    Ok(keys)
}

/// `count * part / parts`, which is at most `count`.
fn share(count: u64, part: u64, parts: u64) -> u64 {
    let share = u128::from(count) * u128::from(part) / u128::from(parts);
    u64::try_from(share).unwrap_or(count)
}
