//! One version of a database: a map, whether a database holds it, and what changed from one to another.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::inspect::{FreeSpace, PageKind, PageMap, PageOwner, PageRecord};
use crate::raw::RawChanges;
use crate::{CheckReport, Database, Error, RawBounds, RawTable, ReadTable, ReadTransaction, Result, Stats};

pub(crate) type Entries = BTreeMap<Vec<u8>, Arc<[u8]>>;

/// Everything that is committed at some moment, by the tables' names.
pub(crate) type Version = BTreeMap<String, Arc<Entries>>;

/// Nothing is wrong with the database.
pub(crate) fn sound(db: &Database) -> Result<()> {
    let mut looks = 0;
    loop {
        let report = db.check()?;
        assert!(report.is_ok(), "{:#?}", report.faults);
        let (tx, stats) = (db.begin_read()?, db.stats()?);
        let (map, space) = (tx.page_map()?, tx.free_space()?);
        looks += 1;
        // What a sync pins while it runs is pending for one of them and free for the next.
        let free = map.iter().filter(|record| record.kind == PageKind::Free).map(|record| record.pages).sum();
        let is_quiet = [report.free_pages, stats.free_pages, space.free_pages] == [free; 3];
        if is_quiet || looks == 5 {
            return mapped(&tx, &report, &stats, (&map, &space));
        }
    }
}

/// The map of the pages has each page once, and says of each kind as many as the check and the statistics.
fn mapped(
    tx: &ReadTransaction,
    report: &CheckReport,
    stats: &Stats,
    (map, space): (&PageMap, &FreeSpace),
) -> Result<()> {
    assert!(map.faults().is_empty(), "{:#?}", map.faults());
    let mut end = 0;
    for record in map.iter() {
        assert_eq!(record.page, end, "{record:?}");
        end += record.pages;
        assert_eq!((map.get(record.page), map.get(end - 1)), (Some(record), Some(record)));
    }
    assert_eq!((end, map.get(end)), (stats.pages, None));
    let pages = |of: &dyn Fn(&PageRecord) -> bool| -> u64 {
        map.iter().filter(|record| of(record)).map(|record| record.pages).sum()
    };
    let kinds = [
        (PageKind::Branch, stats.branch_pages),
        (PageKind::Leaf, stats.leaf_pages),
        (PageKind::Overflow, stats.overflow_pages),
        (PageKind::FreeLog, stats.free_space_pages),
        (PageKind::Free, stats.free_pages),
        (PageKind::Pending, stats.pending_pages),
        (PageKind::Damaged, 0),
        (PageKind::Unknown, 0),
    ];
    for (kind, expected) in kinds {
        assert_eq!(pages(&|record| record.kind == kind), expected, "{kind:?}");
    }
    assert_eq!((space.free_pages, space.pending_pages), (report.free_pages, report.pending_pages));
    assert_eq!(space.holders.iter().map(|holder| holder.pages).sum::<u64>(), stats.pending_pages);
    let names = stats.tables.iter().map(|table| &table.name);
    assert!(map.tables().iter().eq(names), "{:?}", map.tables());
    for (number, table) in (0..).zip(&stats.tables) {
        let is_its = |r: &PageRecord| r.owner == PageOwner::Table(number);
        let of_kind = |kind| pages(&|r| is_its(r) && r.kind == kind);
        let found = [PageKind::Branch, PageKind::Leaf, PageKind::Overflow].map(of_kind);
        assert_eq!(found, [table.branch_pages, table.leaf_pages, table.overflow_pages]);
        let leaves = map.iter().filter(|r| is_its(r) && r.kind == PageKind::Leaf);
        assert_eq!(leaves.map(|leaf| u64::from(leaf.entries)).sum::<u64>(), table.entries);
        let mut nodes = Vec::new();
        tx.visit_tree(&table.name, u32::MAX, &mut |node| nodes.push(node))?;
        assert_eq!(nodes.len() as u64, table.branch_pages + table.leaf_pages);
        for node in &nodes {
            let record = map.get(node.page).expect("a page of the file");
            assert_eq!((record.level, record.entries, record.birth), (node.level, node.entries, node.birth));
            assert_eq!((record.used_bytes, &node.fault), (u64::from(node.used_bytes), &None));
        }
    }
    Ok(())
}

/// The snapshot has the tables of the version, with as many entries.
pub(crate) fn names(tx: &ReadTransaction, version: &Version) -> Result<()> {
    let tables = tx.tables()?;
    assert!(
        tables.iter().map(|table| &table.name).eq(version.keys()),
        "{:?} are there, not {:?}",
        tables.iter().map(|table| &table.name).collect::<Vec<_>>(),
        version.keys().collect::<Vec<_>>(),
    );
    for (table, entries) in tables.iter().zip(version.values()) {
        assert_eq!(table.entries, entries.len() as u64);
    }
    Ok(())
}

/// Whether a snapshot has exactly the entries of a version; everything is read, from the front.
pub(crate) fn holds(tx: &ReadTransaction, version: &Version) -> Result<bool> {
    let tables = tx.tables()?;
    let same_names = tables.iter().map(|table| &table.name).eq(version.keys());
    if !same_names || tables.iter().zip(version.values()).any(|(t, e)| t.entries != e.len() as u64) {
        return Ok(false);
    }
    for (name, entries) in version {
        let mut expected = entries.iter();
        for entry in tx.open_raw(name)?.range((Bound::Unbounded, Bound::Unbounded))? {
            let (key, value) = entry?;
            if expected.next().is_none_or(|(k, v)| k[..] != key[..] || v[..] != *value) {
                return Ok(false);
            }
        }
        if expected.next().is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A snapshot is its version, in every way of looking at it.
pub(crate) fn same(tx: &ReadTransaction, version: &Version) -> Result<()> {
    names(tx, version)?;
    for (name, entries) in version {
        same_table(&tx.open_raw(name)?, entries)?;
    }
    Ok(())
}

fn same_table(table: &RawTable<'_>, entries: &Entries) -> Result<()> {
    const ALL: RawBounds<'static> = (Bound::Unbounded, Bound::Unbounded);
    assert_eq!(table.len(), entries.len() as u64);
    assert!(!table.contains(b"\xff nobody has this key")?);
    let (mut forward, mut backward) = (table.range(ALL)?, table.range(ALL)?.rev());
    for (key, value) in entries {
        let (found, bytes) = forward.next().expect("an entry more")?;
        assert!(found[..] == key[..] && *bytes == value[..], "{found:?} is not {key:?}");
    }
    for (key, value) in entries.iter().rev() {
        let (found, bytes) = backward.next().expect("an entry more")?;
        assert!(found[..] == key[..] && *bytes == value[..], "{found:?} is not {key:?}");
    }
    assert!(forward.next().is_none() && backward.next().is_none());
    // All of them where they are few; else some, and not always the same.
    let step = 1 + entries.len() / 64;
    for (i, (key, value)) in entries.iter().enumerate().step_by(step) {
        assert_eq!(table.get(key)?, Some(&value[..]));
        assert_eq!(table.rank(key)?, i as u64);
        assert_eq!(table.nth(i as u64)?.map(|(key, _)| key.into_owned()).as_ref(), Some(key));
        let behind = (Bound::Excluded(&key[..]), Bound::Unbounded);
        assert_eq!(table.count(behind)?, (entries.len() - i - 1) as u64);
    }
    assert_eq!(table.nth(table.len())?, None);
    let ends = (entries.first_key_value(), entries.last_key_value());
    assert_eq!(table.first()?.map(|(key, _)| key.into_owned()).as_ref(), ends.0.map(|(key, _)| key));
    assert_eq!(table.last()?.map(|(key, _)| key.into_owned()).as_ref(), ends.1.map(|(key, _)| key));
    Ok(())
}

/// A snapshot has for many keys at once what its version has: for each of `keys` and for the first entry from
/// there on, so that some are there, some are not, and some are wanted twice.
pub(crate) fn same_many(tx: &ReadTransaction, version: &Version, name: &str, keys: &[Vec<u8>]) -> Result<()> {
    let none = Entries::new();
    let entries = version.get(name).map_or(&none, |entries| &**entries);
    let there = |key: &Vec<u8>| entries.range(key.clone()..).next().map(|(key, _)| key.clone());
    let wanted: Vec<_> = keys.iter().flat_map(|key| [Some(key.clone()), there(key)]).flatten().collect();
    let mut found = ReadTable::<&[u8], &[u8]>::new(open(tx, name)?).get_many(&wanted);
    for key in &wanted {
        let value = found.next().expect("a value a key")?;
        assert!(value == entries.get(key).map(|value| &value[..]), "{key:?} has another value");
    }
    assert!(found.next().is_none(), "more values than keys");
    Ok(())
}

/// What the engine says has changed in a range from one snapshot to another is what changed in the model.
pub(crate) fn changed(
    (older, old): &(ReadTransaction, Version),
    (newer, new): &(ReadTransaction, Version),
    range: RawBounds<'_>,
) -> Result<()> {
    let is_in = |key: &[u8]| {
        let behind = match range.0 {
            Bound::Included(from) => key >= from,
            Bound::Excluded(from) => key > from,
            Bound::Unbounded => true,
        };
        behind
            && match range.1 {
                Bound::Included(to) => key <= to,
                Bound::Excluded(to) => key < to,
                Bound::Unbounded => true,
            }
    };
    let none = Entries::new();
    for name in old.keys().chain(new.keys().filter(|name| !old.contains_key(*name))) {
        let [old, new] = [old, new].map(|version| version.get(name).map_or(&none, |entries| &**entries));
        let mut expected = BTreeMap::new();
        for (key, value) in old.iter().filter(|(key, _)| is_in(key)) {
            expected.insert(&key[..], (Some(&value[..]), None));
        }
        for (key, value) in new.iter().filter(|(key, _)| is_in(key)) {
            expected.entry(&key[..]).or_default().1 = Some(&value[..]);
        }
        let mut expected = expected.into_iter().filter(|(_, (before, after))| before != after);
        let (older, newer) = (open(older, name)?, open(newer, name)?);
        for change in RawChanges::between(older.as_ref(), newer.as_ref(), range).into_iter().flatten() {
            let change = change?;
            let found = Some((&change.key[..], (change.before, change.after)));
            assert!(expected.next() == found, "{:?} of {name} has not changed like this", change.key);
        }
        assert_eq!(expected.next().map(|(key, _)| key), None, "of {name}");
    }
    Ok(())
}

/// A table, if it is there.
fn open<'tx>(tx: &'tx ReadTransaction, name: &str) -> Result<Option<RawTable<'tx>>> {
    match tx.open_raw(name) {
        Err(Error::NoSuchTable { .. }) => Ok(None),
        table => table.map(Some),
    }
}
