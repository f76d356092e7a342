//! The tree of tables: from a table's name to its root and its types.

use crate::btree::{self, Bounds, Range};
use crate::error::{Error, Result};
use crate::page::{TABLE_ROOT_AT, TableRecord, TreeRoot, is_inline};
use crate::pager::{Pages, PagesMut};

const EVERYTHING: Bounds<'static> = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);

/// The record of the table `name`. Whether the names of its types are text, the caller has to see.
#[inline]
pub(crate) fn find<'p, P: Pages>(
    pages: &'p P,
    root: &TreeRoot,
    name: &str,
) -> Result<Option<TableRecord<&'p [u8]>>> {
    let bytes = btree::get(pages, root, name.as_bytes())?;
    let record = bytes.map(|bytes| TableRecord::decode(bytes, root.child.page())).transpose()?;
    record.as_ref().map_or(Ok(()), |record| check_birth(pages, root, record))?;
    Ok(record)
}

/// A table's root page is not younger than the state it belongs to: what is younger was written by the
/// transaction that now runs, which could write over it.
#[inline]
fn check_birth<P: Pages, S>(pages: &P, root: &TreeRoot, record: &TableRecord<S>) -> Result<()> {
    let (birth, newest) = (record.root.child.birth, pages.newest());
    if birth > newest {
        let bound = format!("at most {newest}");
        return Err(Error::corrupted(root.child.page().0, "birth of a table's root", bound, birth));
    }
    Ok(())
}

/// Every table, by name.
pub(crate) fn list<P: Pages>(pages: &P, root: &TreeRoot) -> Result<Vec<(String, TableRecord<String>)>> {
    each(pages, root).collect()
}

/// As [`list`], one by one: behind a record that makes no sense there may be others.
pub(crate) fn each<'p, P: Pages>(
    pages: &'p P,
    root: &TreeRoot,
) -> impl Iterator<Item = Result<(String, TableRecord<String>)>> + use<'p, P> {
    let (root, mut range) = (*root, Range::new(pages, root, &EVERYTHING));
    std::iter::from_fn(move || range.next_entry()).map(move |entry| {
        let (entry, page) = (entry?, root.child.page());
        let name = String::from_utf8(entry.key().into_owned())
            .map_err(|_| Error::corrupted(page.0, "name of a table", "UTF-8", "other bytes"))?;
        let record = TableRecord::decode(entry.value, page)?;
        check_birth(pages, &root, &record)?;
        Ok((name, record.text(page)?.to_owned()))
    })
}

/// Whether a table can have this name and these types: its record stands in its leaf.
pub(crate) fn check_name(name: &str, record: &TableRecord<String>, page_size: usize) -> Result<()> {
    let fault = |reason| Err(Error::TableName { name: name.to_owned(), reason });
    let types = record.key_type.len().max(record.value_type.len());
    if name.is_empty() {
        fault("it is empty")
    } else if types > usize::from(u16::MAX) || !is_inline(name.len(), record.encode().len(), page_size) {
        fault("it and the names of its types are too long for a page")
    } else {
        Ok(())
    }
}

/// Adds or replaces the record of a table.
pub(crate) fn store<P: PagesMut>(
    pages: &mut P,
    root: &mut TreeRoot,
    name: &str,
    record: &TableRecord<String>,
) -> Result<()> {
    btree::insert(pages, root, &mut btree::Finger::default(), name.as_bytes(), &record.encode()).map(|_| ())
}

/// Overwrites the root in a record that was stored in the same transaction.
pub(crate) fn store_root<P: PagesMut>(
    pages: &mut P,
    root: &mut TreeRoot,
    name: &str,
    table: &TreeRoot,
) -> Result<()> {
    btree::overwrite(pages, root, name.as_bytes(), TABLE_ROOT_AT, &table.encode())
}

/// Removes the record of a table.
pub(crate) fn remove<P: PagesMut>(pages: &mut P, root: &mut TreeRoot, name: &str) -> Result<bool> {
    btree::remove(pages, root, name.as_bytes())
}
