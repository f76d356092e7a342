//! What is different in a tree between two snapshots, in the order of keys.
//!
//! A page that changes is copied, and a page number and a birth together name one content. So where both
//! trees refer to the same page with the same birth, all below it is the same, and it is skipped unread.
//!
//! Both trees are walked at once. Each side stands before an entry, or before a subtree that it has not
//! entered, whose separator says that no key in it is smaller. The side that may hold the smaller key enters;
//! where neither is before the other, the one with the higher page does, until both stand before the same
//! page or before entries.
//!
//! - What a side passes is smaller than everything that it still has.
//! - An entry is called removed or inserted only when it is smaller than everything that the other side
//!   still has.
//! - Two sides that meet in the middle of a page that they share leave it together: from the next page on
//!   they see again what they share. So a page of one tree alone costs at most one path of shared pages.
//!
//! Where pages lie decides nothing but the cost: a copied page with the same entries is no difference.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Bound;

use super::cursor::{as_ref, is_inverted, lower_slot, owned, upper_slot};
use super::order::{Key, check_between};
use super::{Bounds, value_of};
use crate::error::Result;
use crate::page::{Child, LeafValue, Page, TreeRoot};
use crate::pager::Pages;

/// A key, its value before and its value after: at least one of them, and never the same bytes twice.
pub(crate) type Difference<'p> = (Cow<'p, [u8]>, Option<&'p [u8]>, Option<&'p [u8]>);

/// Where the pages of two trees are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// In one file: equal page numbers and births mean equal contents.
    OneFile,
    /// In two files, or perhaps so: page numbers mean nothing, everything is compared.
    TwoFiles,
}

/// The differences between two trees. Fused: after the end or an error there is nothing.
pub(crate) struct Differences<'p> {
    older: Side<'p>,
    newer: Side<'p>,
    origin: Origin,
    lower: Bound<Vec<u8>>,
    upper: Bound<Vec<u8>>,
    done: bool,
}

impl<'p> Differences<'p> {
    /// Of the keys within `bounds`.
    pub(crate) fn new(
        (older, older_root): (&'p dyn Pages, &TreeRoot),
        (newer, newer_root): (&'p dyn Pages, &TreeRoot),
        origin: Origin,
        bounds: &Bounds<'_>,
    ) -> Differences<'p> {
        Differences {
            older: Side::new(older, older_root),
            newer: Side::new(newer, newer_root),
            origin,
            lower: owned(&bounds.0),
            upper: owned(&bounds.1),
            done: is_inverted(bounds),
        }
    }

    pub(crate) fn next_difference(&mut self) -> Option<Result<Difference<'p>>> {
        if self.done {
            return None;
        }
        let next = self.advance().transpose();
        self.done = !matches!(next, Some(Ok(_)));
        next
    }

    fn advance(&mut self) -> Result<Option<Difference<'p>>> {
        loop {
            match (self.older.front(), self.newer.front()) {
                (Front::End, Front::End) => return Ok(None),
                (Front::Subtree(a), Front::Subtree(b)) if self.is_shared(&a, &b) => {
                    self.older.pass();
                    self.newer.pass();
                }
                (Front::Subtree(a), Front::Subtree(b)) => {
                    let order = a.from.cmp(&b.from).then(b.level.cmp(&a.level));
                    if order.is_le() {
                        self.enter_older(&a)?;
                    }
                    if order.is_ge() {
                        self.enter_newer(&b)?;
                    }
                }
                (Front::Subtree(a), Front::End) => self.enter_older(&a)?,
                (Front::End, Front::Subtree(b)) => self.enter_newer(&b)?,
                (Front::Subtree(a), Front::Entry(b)) if a.from <= Some(b.key) => self.enter_older(&a)?,
                (Front::Entry(a), Front::Subtree(b)) if b.from <= Some(a.key) => self.enter_newer(&b)?,
                (Front::Entry(a), Front::Entry(b)) => match a.key.cmp(&b.key) {
                    Ordering::Less => return self.removed(&a).map(Some),
                    Ordering::Greater => return self.inserted(&b).map(Some),
                    Ordering::Equal => {
                        if let Some(found) = self.kept(&a, &b)? {
                            return Ok(Some(found));
                        }
                    }
                },
                (Front::Entry(a), Front::Subtree(_) | Front::End) => return self.removed(&a).map(Some),
                (Front::Subtree(_) | Front::End, Front::Entry(b)) => return self.inserted(&b).map(Some),
            }
        }
    }

    fn is_shared(&self, a: &Subtree<'p>, b: &Subtree<'p>) -> bool {
        // The whole reference: a page that two parents say different things of is to be looked at.
        self.origin == Origin::OneFile && a.child == b.child && a.level == b.level
    }

    fn enter_older(&mut self, subtree: &Subtree<'p>) -> Result<()> {
        self.older.enter(subtree, &(as_ref(&self.lower), as_ref(&self.upper)))
    }

    fn enter_newer(&mut self, subtree: &Subtree<'p>) -> Result<()> {
        self.newer.enter(subtree, &(as_ref(&self.lower), as_ref(&self.upper)))
    }

    /// The older side's entry is not in the newer tree.
    fn removed(&mut self, entry: &Entry<'p>) -> Result<Difference<'p>> {
        self.older.pass();
        Ok((entry.key.whole(), Some(value_of(self.older.pages, entry.value)?), None))
    }

    /// The newer side's entry is not in the older tree.
    fn inserted(&mut self, entry: &Entry<'p>) -> Result<Difference<'p>> {
        self.newer.pass();
        Ok((entry.key.whole(), None, Some(value_of(self.newer.pages, entry.value)?)))
    }

    /// Both sides have the key: a difference only if the values are different.
    fn kept(&mut self, a: &Entry<'p>, b: &Entry<'p>) -> Result<Option<Difference<'p>>> {
        self.older.pass();
        self.newer.pass();
        if self.origin == Origin::OneFile
            && let (LeafValue::Overflow(a), LeafValue::Overflow(b)) = (a.value, b.value)
            && a == b
        {
            return Ok(None);
        }
        let before = value_of(self.older.pages, a.value)?;
        let after = value_of(self.newer.pages, b.value)?;
        Ok((before != after).then(|| (b.key.whole(), Some(before), Some(after))))
    }
}

impl std::fmt::Debug for Differences<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Differences { origin, lower, upper, done, .. } = self;
        f.debug_struct("Differences")
            .field("origin", origin)
            .field("lower", lower)
            .field("upper", upper)
            .field("done", done)
            .finish_non_exhaustive()
    }
}

/// One of the two trees, and how far it was walked.
struct Side<'p> {
    pages: &'p dyn Pages,
    /// The root, as long as it was not entered or passed.
    root: Option<Subtree<'p>>,
    /// The pages from the root down that were entered.
    frames: Vec<Frame<'p>>,
}

/// A page that was entered, with the slot that comes next, or that the frame above it was entered by.
struct Frame<'p> {
    page: Page<'p>,
    slot: usize,
    /// The first slot that is behind the range.
    end: usize,
}

/// What a side stands before.
enum Front<'p> {
    Subtree(Subtree<'p>),
    Entry(Entry<'p>),
    End,
}

/// A subtree that was not entered.
struct Subtree<'p> {
    child: Child,
    level: u8,
    /// No key in it is smaller; `None` at the left edge of the tree.
    from: Option<Key<'p>>,
}

struct Entry<'p> {
    key: Key<'p>,
    value: LeafValue<'p>,
}

impl<'p> Side<'p> {
    fn new(pages: &'p dyn Pages, root: &TreeRoot) -> Side<'p> {
        let subtree = Subtree { child: root.child, level: root.level, from: None };
        Side { pages, root: (!root.is_empty()).then_some(subtree), frames: Vec::new() }
    }

    /// What comes next; leaves the pages that are done.
    fn front(&mut self) -> Front<'p> {
        if let Some(Subtree { child, level, .. }) = self.root {
            return Front::Subtree(Subtree { child, level, from: None });
        }
        while let Some(&Frame { page, slot, end }) = self.frames.last() {
            if slot >= end {
                self.frames.pop();
                self.pass();
            } else if page.is_leaf() {
                let (suffix, value) = page.leaf_entry(slot);
                return Front::Entry(Entry { key: Key::with_suffix(page, suffix), value });
            } else {
                // A level that is not above its children ends at first touch; here it must not wrap.
                let level = page.level().saturating_sub(1);
                return Front::Subtree(Subtree { child: page.child(slot), level, from: self.separator() });
            }
        }
        Front::End
    }

    /// The separator before the subtree that comes next: the first child of a page has that of its parent.
    fn separator(&self) -> Option<Key<'p>> {
        let Frame { page, slot, .. } = self.frames.iter().rev().find(|frame| frame.slot > 0)?;
        Some(Key::of(*page, *slot))
    }

    /// Goes on to what is behind the next subtree or entry.
    fn pass(&mut self) {
        if self.root.take().is_none()
            && let Some(frame) = self.frames.last_mut()
        {
            frame.slot += 1;
        }
    }

    /// Goes into the subtree that comes next, as far as it lies within `bounds`.
    fn enter(&mut self, subtree: &Subtree<'p>, bounds: &Bounds<'_>) -> Result<()> {
        let page = self.pages.page(&subtree.child, subtree.level)?;
        let (slot, end) = if page.is_leaf() {
            (lower_slot(page, bounds.0), upper_slot(page, bounds.1))
        } else {
            let slot_of = |bound| match bound {
                Bound::Included(key) | Bound::Excluded(key) => Some(page.child_index(key)),
                Bound::Unbounded => None,
            };
            (slot_of(bounds.0).unwrap_or(0), slot_of(bounds.1).map_or(page.len(), |last| last + 1))
        };
        // Else a page could be entered again and again, as a child of many branches.
        check_between(subtree.from, page, self.separator_behind())?;
        self.root = None;
        self.frames.push(Frame { page, slot, end });
        Ok(())
    }

    /// The first separator behind everything that the frames have entered.
    fn separator_behind(&self) -> Option<Key<'p>> {
        let frame = self.frames.iter().rev().find(|frame| frame.slot + 1 < frame.page.len())?;
        Some(Key::of(frame.page, frame.slot + 1))
    }
}
