//! Which pages a commit could write anew without writing any branch for it, and doing so.

use super::path;
use crate::page::{DIRTY, PAGE_ID_MASK, Page, PageId, TreeRoot, index};
use crate::pager::{Gathering, PagesMut};

/// Offers every page that is not on the heap below a branch that is.
pub(crate) fn offer_clean<P: PagesMut>(pages: &P, root: &TreeRoot, gathering: &mut Gathering) {
    if let Some(at) = root.child.dirty().filter(|_| root.level > 0) {
        offer_below(pages, at, gathering);
    }
}

fn offer_below<P: PagesMut>(pages: &P, branch: usize, gathering: &mut Gathering) {
    let page = Page::new(pages.bytes(branch));
    for slot in 0..page.len() {
        let word = page.child_word(slot);
        if word & DIRTY == 0 {
            gathering.offer(PageId(word & PAGE_ID_MASK));
        } else if page.level() > 1 {
            offer_below(pages, index(word & PAGE_ID_MASK), gathering);
        }
    }
}

/// Copies those of them to the heap that `gathering` takes.
pub(crate) fn take_chosen<P: PagesMut>(pages: &mut P, root: &TreeRoot, gathering: &Gathering) {
    if let Some(at) = root.child.dirty().filter(|_| root.level > 0) {
        take_below(pages, at, gathering);
    }
}

fn take_below<P: PagesMut>(pages: &mut P, branch: usize, gathering: &Gathering) {
    for slot in 0..Page::new(pages.bytes(branch)).len() {
        let page = Page::new(pages.bytes(branch));
        let word = page.child_word(slot);
        if word & DIRTY == 0 {
            if gathering.takes(PageId(word & PAGE_ID_MASK)) {
                // A damaged page stays where it is: whoever wants to read it is told.
                let _ = path::dirty_child(pages, branch, slot);
            }
        } else if page.level() > 1 {
            take_below(pages, index(word & PAGE_ID_MASK), gathering);
        }
    }
}
