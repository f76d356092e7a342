//! Which state of the file is saved.
//!
//! The newest whose own pages are there: those that no older state has. What it shares with an older one is
//! missing there as well. So a commit that nobody synced is saved as well as a recovery would find it, and
//! given up where a loss of power has taken a page of it.

use folio::inspect::RootFields;

use super::source::{Body, Content, Expected, Pages, Source};
use super::trees::tables_of;
use crate::failure::Failure;

/// The state to be saved, and what people should know of it; none if nothing in the file names one.
pub(super) fn choose(source: &mut Source) -> Result<Option<(RootFields, Option<String>)>, Failure> {
    let synced = source.roots()?;
    if let Some(head) = source.head_root()? {
        let is_chosen = match synced.first() {
            Some(root) => head.txn > root.txn && Young::new(source, root.txn).is_there(&head)?,
            None => is_begun(source, &head)?,
        };
        if is_chosen {
            return Ok(Some((head, None)));
        }
    }
    for root in &synced {
        if is_begun(source, root)? {
            let note = format!("this is the state of transaction {}", root.txn);
            return Ok(Some((*root, Some(note).filter(|_| root.txn != synced[0].txn))));
        }
    }
    Ok(synced.first().map(|root| (*root, None)))
}

/// Whether the first page of the catalog is there.
fn is_begun(source: &mut Source, root: &RootFields) -> Result<bool, Failure> {
    Ok(root.catalog.page == 0 || source.expected(&Expected::of(&root.catalog))?.is_some())
}

/// Looks at the pages that were written after a transaction.
struct Young<'s> {
    source: &'s mut Source,
    since: u64,
    /// In a file made to hurt a page may have many parents.
    seen: Pages,
}

impl Young<'_> {
    fn new(source: &mut Source, since: u64) -> Young<'_> {
        let seen = Pages::new(source.pages);
        Young { source, since, seen }
    }

    /// Whether all of them that a state needs are there.
    fn is_there(&mut self, root: &RootFields) -> Result<bool, Failure> {
        self.tree(&Expected::of(&root.catalog), true)
    }

    /// What is younger than its parent's page is not below it: older pages are passed by.
    fn tree(&mut self, expected: &Expected, is_catalog: bool) -> Result<bool, Failure> {
        if expected.page == 0 || expected.birth <= self.since {
            return Ok(true);
        }
        let found = self.source.expected(expected)?.filter(|_| self.seen.claim(expected.page));
        let Some(page) = found else { return Ok(false) };
        match &page.body {
            Body::Branch(children) => {
                for child in children.children() {
                    if !self.tree(&Expected::below(child, page.level), is_catalog)? {
                        return Ok(false);
                    }
                }
            }
            Body::Leaf(entries) => {
                for (_, content) in entries {
                    if let Content::Run(run) = content
                        && run.birth > self.since
                        && self.source.value(run)?.is_none()
                    {
                        return Ok(false);
                    }
                }
            }
            Body::Log { .. } => return Ok(false),
        }
        if is_catalog {
            for root in tables_of(&page) {
                if !self.tree(&root, false)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}
