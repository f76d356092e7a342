//! Reading in order: the path to an entry, and ranges over it from both ends.

use std::borrow::Cow;
use std::ops::Bound;

use super::rank::rank;
use crate::error::Result;
use crate::page::{Child, LeafValue, Page, TreeRoot};
use crate::pager::Pages;

/// A range of keys.
pub(crate) type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// A key and its value. The key is assembled where its page stores a common prefix once.
pub(crate) type Entry<'a> = (Cow<'a, [u8]>, &'a [u8]);

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

/// The path from the root to a slot of a leaf.
struct Cursor<'p> {
    pages: &'p dyn Pages,
    /// The branches from the root down, each with the slot that was taken.
    branches: Vec<(Page<'p>, usize)>,
    leaf: Page<'p>,
    /// The next entry forward, and one more than the next backward.
    slot: usize,
}

impl<'p> Cursor<'p> {
    /// Goes down from `root`, taking in each branch the slot that `choose` says.
    fn descend(
        pages: &'p dyn Pages,
        root: &TreeRoot,
        choose: impl Fn(Page<'p>) -> usize,
    ) -> Result<Cursor<'p>> {
        let branches = Vec::with_capacity(usize::from(root.level));
        let mut cursor = Cursor { pages, branches, leaf: Page::new(&[]), slot: 0 };
        cursor.down(root.child, root.level, choose)?;
        Ok(cursor)
    }

    fn down(&mut self, child: Child, level: u8, choose: impl Fn(Page<'p>) -> usize) -> Result<()> {
        let (mut child, mut level) = (child, level);
        loop {
            let page = self.pages.page(&child, level)?;
            if level == 0 {
                self.leaf = page;
                return Ok(());
            }
            let slot = choose(page);
            self.branches.push((page, slot));
            child = page.child(slot);
            level -= 1;
        }
    }

    #[inline]
    fn entry(&self, slot: usize) -> Result<Entry<'p>> {
        let prefix = self.leaf.prefix();
        let (suffix, value) = self.leaf.leaf_entry(slot);
        let key = if prefix.is_empty() {
            Cow::Borrowed(suffix)
        } else {
            let mut key = Vec::with_capacity(prefix.len() + suffix.len());
            key.extend_from_slice(prefix);
            key.extend_from_slice(suffix);
            Cow::Owned(key)
        };
        match value {
            LeafValue::Inline(value) => Ok((key, value)),
            LeafValue::Overflow(run) => Ok((key, self.pages.run(&run)?)),
        }
    }

    /// Goes to the leaf behind or before this one; whether there is one.
    fn step(&mut self, forward: bool) -> Result<bool> {
        let next = |(page, slot): &(Page<'p>, usize)| match forward {
            true => (slot + 1 < page.len()).then_some(slot + 1),
            false => slot.checked_sub(1),
        };
        let Some(depth) = self.branches.iter().rposition(|frame| next(frame).is_some()) else {
            return Ok(false);
        };
        self.branches.truncate(depth + 1);
        let Some((page, slot)) = self.branches.last_mut() else { return Ok(false) };
        *slot = if forward { *slot + 1 } else { *slot - 1 };
        let (child, level) = (page.child(*slot), page.level());
        // A level that is not above its children ends at first touch; here it must not wrap.
        let level = level.saturating_sub(1);
        if forward {
            self.down(child, level, |_| 0)?;
            self.slot = 0;
        } else {
            self.down(child, level, |page| page.len().saturating_sub(1))?;
            self.slot = self.leaf.len();
        }
        Ok(true)
    }

    /// Entries before the cursor.
    fn position(&self) -> u64 {
        let before = |(page, slot): &(Page<'p>, usize)| -> u64 {
            (0..*slot).fold(0, |sum, i| page.child(i).count.saturating_add(sum))
        };
        self.branches.iter().map(before).fold(self.slot as u64, u64::saturating_add)
    }
}

/// The entries of a range, from both ends. Fused: after the end or an error there is nothing.
pub(crate) struct Range<'p> {
    pages: &'p dyn Pages,
    root: TreeRoot,
    lower: Bound<Vec<u8>>,
    upper: Bound<Vec<u8>>,
    front: Option<Cursor<'p>>,
    /// In the front's leaf, the first slot behind the range.
    front_end: usize,
    back: Option<Cursor<'p>>,
    /// In the back's leaf, the first slot of the range.
    back_end: usize,
    /// Entries between the ends, known when both are in use.
    remaining: Option<u64>,
    done: bool,
}

impl<'p> Range<'p> {
    pub(crate) fn new(pages: &'p dyn Pages, root: &TreeRoot, bounds: &Bounds<'_>) -> Range<'p> {
        Range {
            pages,
            root: *root,
            lower: owned(&bounds.0),
            upper: owned(&bounds.1),
            front: None,
            front_end: 0,
            back: None,
            back_end: 0,
            remaining: None,
            done: root.is_empty() || is_inverted(bounds),
        }
    }

    pub(crate) fn next_entry(&mut self) -> Option<Result<Entry<'p>>> {
        self.advance(true)
    }

    pub(crate) fn next_back_entry(&mut self) -> Option<Result<Entry<'p>>> {
        self.advance(false)
    }

    fn advance(&mut self, forward: bool) -> Option<Result<Entry<'p>>> {
        if self.done {
            return None;
        }
        match if forward { self.forward() } else { self.backward() } {
            Ok(Some(entry)) => Some(Ok(entry)),
            Ok(None) => {
                self.done = true;
                None
            }
            Err(error) => {
                self.done = true;
                Some(Err(error))
            }
        }
    }

    fn forward(&mut self) -> Result<Option<Entry<'p>>> {
        if self.front.is_none() {
            self.seek_front()?;
            self.count_between()?;
        }
        if !self.take_one() {
            return Ok(None);
        }
        let Some(cursor) = &mut self.front else { return Ok(None) };
        while cursor.slot >= self.front_end {
            if self.front_end < cursor.leaf.len() || !cursor.step(true)? {
                return Ok(None);
            }
            self.front_end = upper_slot(cursor.leaf, as_ref(&self.upper));
        }
        cursor.slot += 1;
        cursor.entry(cursor.slot - 1).map(Some)
    }

    fn backward(&mut self) -> Result<Option<Entry<'p>>> {
        if self.back.is_none() {
            self.seek_back()?;
            self.count_between()?;
        }
        if !self.take_one() {
            return Ok(None);
        }
        let Some(cursor) = &mut self.back else { return Ok(None) };
        while cursor.slot <= self.back_end {
            if self.back_end > 0 || !cursor.step(false)? {
                return Ok(None);
            }
            self.back_end = lower_slot(cursor.leaf, as_ref(&self.lower));
        }
        cursor.slot -= 1;
        cursor.entry(cursor.slot).map(Some)
    }

    fn seek_front(&mut self) -> Result<()> {
        let lower = as_ref(&self.lower);
        let mut cursor = Cursor::descend(self.pages, &self.root, |page| match lower {
            Bound::Included(key) | Bound::Excluded(key) => page.child_index(key),
            Bound::Unbounded => 0,
        })?;
        cursor.slot = lower_slot(cursor.leaf, lower);
        self.front_end = upper_slot(cursor.leaf, as_ref(&self.upper));
        self.front = Some(cursor);
        Ok(())
    }

    fn seek_back(&mut self) -> Result<()> {
        let upper = as_ref(&self.upper);
        let mut cursor = Cursor::descend(self.pages, &self.root, |page| match upper {
            Bound::Included(key) | Bound::Excluded(key) => page.child_index(key),
            Bound::Unbounded => page.len().saturating_sub(1),
        })?;
        cursor.slot = upper_slot(cursor.leaf, upper);
        self.back_end = lower_slot(cursor.leaf, as_ref(&self.lower));
        self.back = Some(cursor);
        Ok(())
    }

    /// When the second end comes into use, counts what lies between the two: from then on it says when to
    /// stop.
    fn count_between(&mut self) -> Result<()> {
        let (Some(front), Some(back)) = (&self.front, &self.back) else { return Ok(()) };
        self.remaining = Some(back.position().saturating_sub(front.position()));
        Ok(())
    }

    fn take_one(&mut self) -> bool {
        match &mut self.remaining {
            None => true,
            Some(0) => false,
            Some(n) => {
                *n -= 1;
                true
            }
        }
    }
}

impl std::fmt::Debug for Range<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Range { lower, upper, done, .. } = self;
        f.debug_struct("Range").field("lower", lower).field("upper", upper).field("done", done).finish()
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
            let cursor = Cursor { pages, branches: Vec::new(), leaf: page, slot: 0 };
            let slot = crate::page::index(rest).min(page.len().saturating_sub(1));
            return cursor.entry(slot).map(Some);
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
            Some((key, _)) if at > 0 && keys.last() != Some(&key.to_vec()) => keys.push(key.into_owned()),
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
