//! That keys ascend from page to page: the check of one page cannot tell.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::error::{Error, Result};
use crate::page::Page;

/// A key in the two parts that its page has it in. Ordered as the whole is.
#[derive(Clone, Copy)]
pub(super) struct Key<'p> {
    prefix: &'p [u8],
    suffix: &'p [u8],
}

impl<'p> Key<'p> {
    /// Key `i` of a page.
    pub(super) fn of(page: Page<'p>, i: usize) -> Key<'p> {
        Key::with_suffix(page, page.suffix(i))
    }

    /// A key of a page, whose suffix was looked up before.
    pub(super) fn with_suffix(page: Page<'p>, suffix: &'p [u8]) -> Key<'p> {
        Key { prefix: page.prefix(), suffix }
    }

    /// A key in one piece.
    pub(super) fn whole_of(key: &'p [u8]) -> Key<'p> {
        Key { prefix: &[], suffix: key }
    }

    /// The first key of a leaf.
    pub(super) fn first_of(leaf: Page<'p>) -> Key<'p> {
        Key::of(leaf, 0)
    }

    /// The last key of a page.
    pub(super) fn last_of(leaf: Page<'p>) -> Key<'p> {
        Key::of(leaf, leaf.len().saturating_sub(1))
    }

    pub(super) fn whole(self) -> Cow<'p, [u8]> {
        match self.prefix {
            [] => Cow::Borrowed(self.suffix),
            prefix => Cow::Owned([prefix, self.suffix].concat()),
        }
    }
}

impl Ord for Key<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let shorter = self.prefix.len().min(other.prefix.len());
        let (own, own_rest) = self.prefix.split_at(shorter);
        let (others, others_rest) = other.prefix.split_at(shorter);
        own.cmp(others).then_with(|| match own_rest {
            [] => cmp_joined(self.suffix, others_rest, other.suffix),
            _ => cmp_joined(other.suffix, own_rest, self.suffix).reverse(),
        })
    }
}

impl PartialOrd for Key<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key<'_> {}

/// Compares `bytes` with `first` and `second` one behind the other.
fn cmp_joined(bytes: &[u8], first: &[u8], second: &[u8]) -> Ordering {
    let (head, rest) = bytes.split_at(bytes.len().min(first.len()));
    head.cmp(first).then_with(|| rest.cmp(second))
}

/// The keys of a page lie within the separators around it, or its cells would get among those of its
/// neighbours: pages are laid out anew in the belief that their keys ascend.
pub(super) fn check_between(from: Option<Key<'_>>, page: Page<'_>, to: Option<Key<'_>>) -> Result<()> {
    let first = usize::from(!page.is_leaf());
    if page.len() == first {
        return Ok(());
    }
    let is_low = from.is_some_and(|from| is_low(page, from, Key::of(page, first)));
    if is_low || to.is_some_and(|to| Key::last_of(page) >= to) {
        return Err(disordered(page));
    }
    Ok(())
}

/// The keys of two neighbours ascend, with the separator between them; leaves need none.
pub(super) fn check_pair(left: Page<'_>, separator: Option<&[u8]>, right: Page<'_>) -> Result<()> {
    let first = usize::from(!left.is_leaf());
    let highest = (left.len() > first).then(|| Key::last_of(left));
    let lowest = (right.len() > first).then(|| Key::of(right, first));
    let separator = separator.map(Key::whole_of);
    let is_before = |a: Option<Key<'_>>, b: Option<Key<'_>>| match (a, b) {
        (Some(a), Some(b)) => a < b,
        _ => true,
    };
    let is_low = separator.zip(lowest).is_some_and(|(separator, lowest)| is_low(right, separator, lowest));
    if is_before(highest, lowest) && is_before(highest, separator) && !is_low {
        return Ok(());
    }
    Err(disordered(right))
}

/// Whether the lowest key of a page does not belong behind the separator before it. A key may equal that; a
/// separator may not, as there is a child between the two.
fn is_low(page: Page<'_>, separator: Key<'_>, lowest: Key<'_>) -> bool {
    if page.is_leaf() { lowest < separator } else { lowest <= separator }
}

fn disordered(page: Page<'_>) -> Error {
    let what = "order of keys from page to page";
    Error::corrupted(page.id().0, what, "within the separators above", "outside")
}
