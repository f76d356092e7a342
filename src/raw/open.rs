//! The tables of a write transaction: who has which open, and the catalog they go back to.
//!
//! An open table's state moves into its handle and comes back when that is dropped. So what is read through
//! one handle borrows from it alone, and another table can change meanwhile.

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::btree::{self, Finger};
use crate::catalog;
use crate::error::{Error, Result};
use crate::page::{TableRecord, TreeRoot};
use crate::pager::{Commit, Committed, Txn, WriteSet};

/// One table of a write transaction.
#[derive(Debug)]
pub(crate) struct TableState {
    pub(crate) name: Arc<str>,
    pub(crate) record: TableRecord<String>,
    pub(crate) root: TreeRoot,
    pub(crate) set: WriteSet,
    /// For insertions in ascending order.
    pub(crate) finger: Finger,
    /// Whether the catalog has to be told.
    pub(crate) changed: bool,
}

/// Where a table is that was opened at least once.
#[derive(Debug)]
enum Place {
    Here(Box<TableState>),
    Open {
        name: Arc<str>,
        at: &'static Location<'static>,
    },
    /// The table was dropped. The place stays: open handles know theirs by its number.
    Dropped,
}

impl Place {
    fn is_of(&self, table: &str) -> bool {
        match self {
            Place::Here(state) => &*state.name == table,
            Place::Open { name, .. } => &**name == table,
            Place::Dropped => false,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct OpenTables {
    txn: Arc<Mutex<Txn>>,
    page_size: usize,
    places: RefCell<Vec<Place>>,
    catalog: RefCell<CatalogState>,
    /// Why the transaction cannot be committed any more.
    poison: RefCell<Option<String>>,
}

#[derive(Debug)]
struct CatalogState {
    set: WriteSet,
    root: TreeRoot,
    /// What dropped tables have freed.
    dropped: Vec<WriteSet>,
    changed: Cell<bool>,
}

impl OpenTables {
    pub(crate) fn new(txn: Txn) -> OpenTables {
        let (page_size, root) = (txn.pager().page_size(), txn.head().root.catalog);
        let txn = Arc::new(Mutex::new(txn));
        let set = WriteSet::new(Arc::clone(&txn));
        let catalog = CatalogState { set, root, dropped: Vec::new(), changed: Cell::new(false) };
        OpenTables {
            txn,
            page_size,
            places: RefCell::default(),
            catalog: RefCell::new(catalog),
            poison: RefCell::default(),
        }
    }

    pub(crate) fn txn(&self) -> &Arc<Mutex<Txn>> {
        &self.txn
    }

    pub(crate) fn page_size(&self) -> usize {
        self.page_size
    }

    /// Whether the transaction can go on.
    pub(crate) fn check(&self) -> Result<()> {
        match &*self.poison.borrow() {
            Some(reason) => Err(Error::Poisoned { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// After an error in the middle of a change: nothing of the transaction can be committed.
    pub(crate) fn poison(&self, error: &Error) {
        self.poison.borrow_mut().get_or_insert_with(|| error.to_string());
    }

    /// Takes a table out, to be open. `types` are those of a table that does not exist yet and is to be made;
    /// they are asked for only then.
    pub(crate) fn take(
        &self,
        name: &str,
        types: impl FnOnce() -> Option<(String, String)>,
        at: &'static Location<'static>,
    ) -> Result<(usize, Box<TableState>)> {
        self.txn.lock().pager().check_process()?;
        self.check()?;
        let mut places = self.places.borrow_mut();
        let known = places.iter().position(|place| place.is_of(name));
        let index = match known {
            Some(index) => index,
            None => {
                let state = self.find(name, types)?;
                places.push(Place::Here(state));
                places.len() - 1
            }
        };
        let place = &mut places[index];
        if let Place::Open { at, .. } = place {
            return Err(Error::TableInUse { table: name.to_owned(), at });
        }
        let Place::Here(state) = std::mem::replace(place, Place::Dropped) else {
            unreachable!("looked at above")
        };
        *place = Place::Open { name: Arc::clone(&state.name), at };
        Ok((index, state))
    }

    fn find(&self, name: &str, types: impl FnOnce() -> Option<(String, String)>) -> Result<Box<TableState>> {
        let catalog = self.catalog.borrow();
        let found = catalog::find(&catalog.set, &catalog.root, name)?;
        let changed = found.is_none();
        let record = match found {
            Some(record) => record.text(catalog.root.child.page())?.to_owned(),
            None => {
                let Some((key_type, value_type)) = types() else {
                    return Err(Error::NoSuchTable { table: name.to_owned() });
                };
                let record = TableRecord { root: TreeRoot::default(), key_type, value_type };
                catalog::check_name(name, &record, self.page_size)?;
                record
            }
        };
        let set = WriteSet::new(Arc::clone(&self.txn));
        let (name, root, finger) = (name.into(), record.root, Finger::default());
        Ok(Box::new(TableState { name, root, record, set, finger, changed }))
    }

    /// Takes a table back from its handle.
    pub(crate) fn put_back(&self, index: usize, state: Box<TableState>) {
        self.places.borrow_mut()[index] = Place::Here(state);
    }

    /// Drops a table with all that is in it; whether there was one.
    pub(crate) fn drop_table(&self, name: &str, at: &'static Location<'static>) -> Result<bool> {
        let (index, mut state) = match self.take(name, || None, at) {
            Ok(taken) => taken,
            Err(Error::NoSuchTable { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        let mut catalog = self.catalog.borrow_mut();
        let catalog = &mut *catalog;
        let dropped = btree::clear(&mut state.set, &mut state.root)
            .and_then(|_| catalog::remove(&mut catalog.set, &mut catalog.root, name));
        catalog.changed.set(true);
        catalog.dropped.push(state.set);
        self.places.borrow_mut()[index] = Place::Dropped;
        dropped.inspect_err(|error| self.poison(error))?;
        Ok(true)
    }

    /// Makes the whole catalog anew, so that the commit gives it other places.
    pub(crate) fn touch(&self) -> Result<()> {
        let mut catalog = self.catalog.borrow_mut();
        let catalog = &mut *catalog;
        catalog.changed.set(true);
        let mut from = Some(Vec::new());
        while let Some(key) = from {
            from = btree::relocate(&mut catalog.set, &mut catalog.root, &key, 0, usize::MAX)?.0;
        }
        Ok(())
    }

    /// Every table with its record, as the transaction has it now. Open tables are as they were when opened.
    pub(crate) fn list(&self) -> Result<Vec<(String, TableRecord<String>)>> {
        let catalog = self.catalog.borrow();
        let mut tables = catalog::list(&catalog.set, &catalog.root)?;
        let stored = tables.len();
        for place in self.places.borrow().iter() {
            let Place::Here(state) = place else { continue };
            let record = TableRecord { root: state.root, ..state.record.clone() };
            match tables[..stored].binary_search_by(|(name, _)| name.as_str().cmp(&*state.name)) {
                Ok(i) => tables[i].1 = record,
                Err(_) => tables.push((state.name.as_ref().to_owned(), record)),
            }
        }
        // New ones stand behind the others so far.
        tables.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(tables)
    }

    /// Commits up to the point where the transaction is the head; `None` when nothing was changed.
    pub(crate) fn commit(self, buffered: bool, two_phase: bool) -> Result<Option<Committed>> {
        self.check()?;
        let OpenTables { txn, places, catalog, .. } = self;
        let mut catalog = catalog.into_inner();
        let mut tables: Vec<Box<TableState>> = places
            .into_inner()
            .into_iter()
            .filter_map(|place| match place {
                Place::Here(state) => (state.changed || state.set.has_written()).then_some(state),
                Place::Dropped => None,
                Place::Open { .. } => unreachable!("handles borrow the transaction"),
            })
            .collect();
        if tables.is_empty() && !catalog.changed.get() {
            return Ok(None);
        }
        // The catalog takes its final shape first, with roots that are overwritten once they have numbers.
        for table in &mut tables {
            table.record.root = table.root;
            catalog::store(&mut catalog.set, &mut catalog.root, &table.name, &table.record)?;
        }
        if !buffered {
            gather(&mut txn.lock(), &mut tables, &mut catalog)?;
        }
        let mut commit = {
            let mut sets: Vec<&mut WriteSet> = tables.iter_mut().map(|table| &mut table.set).collect();
            sets.extend(catalog.dropped.iter_mut());
            sets.push(&mut catalog.set);
            Commit::begin(txn.lock(), &mut sets)?
        };
        for table in &mut tables {
            commit.seal(&mut table.set, &mut table.root)?;
            catalog::store_root(&mut catalog.set, &mut catalog.root, &table.name, &table.root)?;
        }
        commit.seal(&mut catalog.set, &mut catalog.root)?;
        commit.finish(catalog.root, buffered, two_phase).map(Some)
    }
}

/// Takes pages along that make room for the commits that follow, if it pays to.
fn gather(txn: &mut Txn, tables: &mut [Box<TableState>], catalog: &mut CatalogState) -> Result<()> {
    let mut trees: Vec<(&mut WriteSet, &TreeRoot)> =
        tables.iter_mut().map(|table| (&mut table.set, &table.root)).collect();
    trees.push((&mut catalog.set, &catalog.root));
    let Some(mut gathering) = txn.gathering(trees.iter().map(|(set, _)| &**set))? else { return Ok(()) };
    for (set, root) in &trees {
        btree::offer_clean(*set, root, &mut gathering);
    }
    if txn.choose(&mut gathering) {
        for (set, root) in &mut trees {
            btree::take_chosen(*set, root, &gathering);
        }
    }
    Ok(())
}
