//! The shape of a tree.

use crate::catalog;
use crate::error::{Error, Result};
use crate::page::{Child, TreeRoot};
use crate::pager::{Bits, Pages, ReadSnapshot, Snapshot};

/// A page of a tree, as [`visit_tree`](crate::ReadTransaction::visit_tree) meets it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TreeNode {
    /// The page.
    pub page: u64,
    /// 0 for the root; its children have 1.
    pub depth: u32,
    /// 0 for a leaf.
    pub level: u8,
    /// Entries of a leaf, children of a branch.
    pub entries: u32,
    /// Entries in or below it, as its parent says.
    pub count: u64,
    /// Bytes in use.
    pub used_bytes: u32,
    /// The transaction that wrote it.
    pub birth: u64,
    /// Every key in or below it is at least this. None for the root, and for the first child of a parent.
    pub separator: Option<Vec<u8>>,
    /// What is wrong with it; then nothing below it is met.
    pub fault: Option<String>,
}

/// As [`ReadTransaction::visit_tree`](crate::ReadTransaction::visit_tree).
pub(crate) fn visit_tree(
    snapshot: &ReadSnapshot,
    table: &str,
    depth: u32,
    visit: &mut dyn FnMut(TreeNode),
) -> Result<()> {
    snapshot.check_process()?;
    let pages = snapshot.pages();
    let Some(record) = catalog::find(pages, &pages.root().catalog, table)? else {
        return Err(Error::NoSuchTable { table: table.to_owned() });
    };
    let TreeRoot { child, level } = record.root;
    if !record.root.is_empty() && depth > 0 {
        Walk { pages, end: depth, claimed: Bits::default(), visit }.node(&child, level, 0, None);
    }
    Ok(())
}

struct Walk<'w> {
    pages: &'w Snapshot,
    /// No node has this depth.
    end: u32,
    /// A page that was met is not met again: a damaged file may lead there exponentially often.
    claimed: Bits,
    visit: &'w mut dyn FnMut(TreeNode),
}

impl Walk<'_> {
    /// The node, and what is below it, the keys ascending.
    fn node(&mut self, child: &Child, level: u8, depth: u32, separator: Option<Vec<u8>>) {
        let id = child.page().0;
        let mut node = TreeNode {
            page: id,
            depth,
            level,
            entries: 0,
            count: child.count,
            used_bytes: 0,
            birth: child.birth.0,
            separator,
            fault: None,
        };
        let page = match self.pages.page(child, level) {
            _ if self.claimed.contains(id) => Err("the page has been met before".to_owned()),
            Ok(page) => Ok(page),
            Err(error) => Err(error.to_string()),
        };
        let page = match page {
            Ok(page) => page,
            Err(fault) => {
                node.fault = Some(fault);
                return (self.visit)(node);
            }
        };
        // A page that could be read is inside the file.
        self.claimed.add(id, 1);
        let used = page.bytes().len() - page.free_len();
        node.entries = u32::try_from(page.len()).expect("a page has fewer cells than bytes");
        node.used_bytes = u32::try_from(used).expect("a page has at most 65,536 bytes");
        (self.visit)(node);
        if page.is_leaf() || depth + 1 >= self.end {
            return;
        }
        for i in 0..page.len() {
            let separator = (i > 0).then(|| page.key(i));
            self.node(&page.child(i), level - 1, depth + 1, separator);
        }
    }
}
