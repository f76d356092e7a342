//! The entries of a range of keys, from both ends.

use std::ops::Bound;

use super::cursor::{Bounds, Cursor, Entry, is_inverted, lower_slot, upper_slot};
use crate::error::Result;
use crate::page::TreeRoot;
use crate::pager::Pages;
use crate::short::Short;

/// The entries of a range. Fused: after the end or an error there is nothing.
pub(crate) struct Range<'p> {
    pages: &'p dyn Pages,
    root: TreeRoot,
    lower: Bound<KeyCopy>,
    upper: Bound<KeyCopy>,
    /// No more than so many entries are left.
    remaining: u64,
    /// Both ends are in use, and just `remaining` entries lie between them.
    counted: bool,
    front: End<'p>,
    /// Few ranges are read from the back.
    back: Option<Box<End<'p>>>,
}

/// A leaf that is being read, and what of it is still to come.
struct End<'p> {
    cursor: Cursor<'p>,
    from: usize,
    to: usize,
    /// Whether the end is in use.
    found: bool,
}

/// How many entries ahead bytes are asked for.
const AHEAD: usize = 2;

impl<'p> Range<'p> {
    #[inline]
    pub(crate) fn new(pages: &'p dyn Pages, root: &TreeRoot, bounds: &Bounds<'_>) -> Range<'p> {
        let is_empty = root.is_empty() || is_inverted(bounds);
        Range {
            pages,
            root: *root,
            lower: bounds.0.map(KeyCopy::new),
            upper: bounds.1.map(KeyCopy::new),
            remaining: if is_empty { 0 } else { u64::MAX },
            counted: false,
            front: End::new(),
            back: None,
        }
    }

    #[inline]
    pub(crate) fn next_entry(&mut self) -> Option<Result<Entry<'p>>> {
        while self.remaining > 0 {
            let End { cursor, from, to, .. } = &mut self.front;
            if from < to {
                let slot = *from;
                *from += 1;
                self.remaining -= 1;
                cursor.leaf.ask_for(slot + AHEAD);
                return Some(self.entry_or_end(slot, true));
            }
            if let Err(error) = self.next_leaf() {
                self.remaining = 0;
                return Some(Err(error));
            }
        }
        None
    }

    pub(crate) fn next_back_entry(&mut self) -> Option<Result<Entry<'p>>> {
        while self.remaining > 0 {
            if let Some(back) = &mut self.back
                && back.from < back.to
            {
                back.to -= 1;
                let slot = back.to;
                self.remaining -= 1;
                return Some(self.entry_or_end(slot, false));
            }
            if let Err(error) = self.leaf_before() {
                self.remaining = 0;
                return Some(Err(error));
            }
        }
        None
    }

    #[inline]
    fn entry_or_end(&mut self, slot: usize, forward: bool) -> Result<Entry<'p>> {
        let leaf = match (&self.back, forward) {
            (Some(back), false) => &back.cursor.leaf,
            _ => &self.front.cursor.leaf,
        };
        let entry = Entry::of(self.pages, leaf, slot);
        if entry.is_err() {
            self.remaining = 0;
        }
        entry
    }

    /// The front goes to its first leaf, or to the next; nothing remains if there is none.
    #[inline(never)]
    fn next_leaf(&mut self) -> Result<()> {
        let (lower, upper) = (as_slice(&self.lower), as_slice(&self.upper));
        let End { cursor, from, to, found } = &mut self.front;
        if !*found {
            cursor.descend(self.pages, &self.root, |page| match lower {
                Bound::Included(key) | Bound::Excluded(key) => page.child_index(key),
                Bound::Unbounded => 0,
            })?;
            *from = lower_slot(cursor.leaf.page(), lower);
            *found = true;
        } else if *to < cursor.leaf.len() || !cursor.step(self.pages, true)? {
            self.remaining = 0;
            return Ok(());
        } else {
            *from = 0;
        }
        *to = upper_slot(cursor.leaf.page(), upper);
        if *to == cursor.leaf.len() {
            cursor.ask_for_next(self.pages);
        }
        self.count_between();
        Ok(())
    }

    /// The back goes to its first leaf, which is the last of the range, or to the one before.
    fn leaf_before(&mut self) -> Result<()> {
        let (lower, upper) = (as_slice(&self.lower), as_slice(&self.upper));
        let End { cursor, from, to, found } = &mut **self.back.get_or_insert_with(|| Box::new(End::new()));
        if !*found {
            cursor.descend(self.pages, &self.root, |page| match upper {
                Bound::Included(key) | Bound::Excluded(key) => page.child_index(key),
                Bound::Unbounded => page.len().saturating_sub(1),
            })?;
            *to = upper_slot(cursor.leaf.page(), upper);
            *found = true;
        } else if *from > 0 || !cursor.step(self.pages, false)? {
            self.remaining = 0;
            return Ok(());
        } else {
            *to = cursor.leaf.len();
        }
        *from = lower_slot(cursor.leaf.page(), lower);
        self.count_between();
        Ok(())
    }

    /// When the second end comes into use, counts what lies between the two: from then on it says when to
    /// stop.
    fn count_between(&mut self) {
        if let Some(back) = &self.back
            && back.found
            && self.front.found
            && !self.counted
        {
            let front = self.front.cursor.position(self.front.from);
            self.remaining = back.cursor.position(back.to).saturating_sub(front);
            self.counted = true;
        }
    }
}

impl<'p> End<'p> {
    fn new() -> End<'p> {
        End { cursor: Cursor::new(), from: 0, to: 0, found: false }
    }
}

impl std::fmt::Debug for Range<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (lower, upper) = (as_slice(&self.lower), as_slice(&self.upper));
        let done = self.remaining == 0;
        f.debug_struct("Range").field("lower", &lower).field("upper", &upper).field("done", &done).finish()
    }
}

/// A bound's key. With the bound it takes 48 bytes.
type KeyCopy = Short<46>;

fn as_slice(bound: &Bound<KeyCopy>) -> Bound<&[u8]> {
    bound.as_ref().map(KeyCopy::as_slice)
}
