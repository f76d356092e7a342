//! Down the trees of a root, as far as pages verify.

use std::collections::BTreeSet;

use super::report::{Lost, Report, Saved, short};
use super::roots;
use super::source::{Body, Branch, Content, Expected, Pages, Source, Verified};
use super::target::Target;
use crate::failure::Failure;

/// What a catalog leaf says of a table.
pub(super) struct TableRecord {
    pub(super) name: String,
    key_type: String,
    value_type: String,
    root: Expected,
}

/// Keys between which something lies: separators of the branches above it, and which of them.
#[derive(Clone, Copy, Default)]
pub(super) struct Limits<'b> {
    from: Option<(&'b Branch, usize)>,
    to: Option<(&'b Branch, usize)>,
}

impl<'b> Limits<'b> {
    /// Those of a child of a branch that has these.
    fn of(self, branch: &'b Branch, child: usize) -> Limits<'b> {
        let from = if child == 0 { self.from } else { Some((branch, child)) };
        let to = if child + 1 < branch.len() { Some((branch, child + 1)) } else { self.to };
        Limits { from, to }
    }

    fn keys(self) -> [Option<Vec<u8>>; 2] {
        [self.from, self.to].map(|limit| limit.map(|(branch, child)| branch.separator(child)))
    }
}

/// See the module.
pub(super) struct Trees<'s> {
    pub(super) source: &'s mut Source,
    pub(super) target: Target,
    pub(super) report: Report,
    /// Pages of trees that were walked.
    pub(super) reached: Pages,
    /// What the free-space log calls free or pending; none where it is damaged.
    pub(super) free: Option<Pages>,
    /// What is walked may be an old version: what other trees have of it is not missing.
    pub(super) is_below_orphans: bool,
    names: BTreeSet<String>,
}

impl<'s> Trees<'s> {
    pub(super) fn new(source: &'s mut Source, target: Target) -> Trees<'s> {
        let reached = Pages::new(source.pages);
        let mut report = Report::of(source.pages);
        if source.is_guessed {
            report.notes.push("no meta page says what the checksums depend on: the pages agree on it".into());
        }
        Trees { source, target, report, reached, free: None, is_below_orphans: false, names: BTreeSet::new() }
    }

    /// Every tree of the state that is saved.
    pub(super) fn whole_root(&mut self) -> Result<(), Failure> {
        let Some((root, note)) = roots::choose(self.source)? else {
            self.report.rootless = true;
            return Ok(());
        };
        self.report.notes.extend(note);
        self.free = self.source.free(&root)?;
        if root.catalog.page == 0 {
            return Ok(());
        }
        self.walk(&Expected::of(&root.catalog), Limits::default(), None, &mut |trees, leaf| {
            trees.catalog_leaf(leaf, false)?;
            Ok(0)
        })?;
        Ok(())
    }

    /// Whether something may lie below what is damaged.
    pub(super) fn is_incomplete(&self) -> bool {
        let nothing = self.report.rootless && self.report.tables.is_empty();
        nothing || self.report.lacks_catalog() || self.report.lacks_branch()
    }

    /// The tables of a catalog leaf; of an old one, those that are not known and whose root is as it was.
    pub(super) fn catalog_leaf(&mut self, leaf: Verified, is_old: bool) -> Result<(), Failure> {
        let Body::Leaf(entries) = leaf.body else { return Ok(()) };
        for (name, content) in entries {
            let value = match content {
                Content::Inline(value) => Some(value),
                Content::Run(run) => self.source.value(&run)?,
            };
            let Some(record) = value.and_then(|value| parse(&name, &value)) else {
                if !is_old {
                    let why = || format!("the record of table {} makes no sense", short(&name));
                    self.report.lose_table(why);
                }
                continue;
            };
            if is_old && (self.names.contains(&record.name) || !self.is_live(&record.root)?) {
                continue;
            }
            self.table(record)?;
        }
        Ok(())
    }

    /// Whether a root that an old record names is still that, and nobody else's.
    fn is_live(&mut self, root: &Expected) -> Result<bool, Failure> {
        let is_taken = self.reached.has(root.page) || self.is_free(root.page);
        Ok(!is_taken && self.source.expected(root)?.is_some())
    }

    pub(super) fn is_free(&self, page: u64) -> bool {
        self.free.as_ref().is_some_and(|free| free.has(page))
    }

    fn table(&mut self, record: TableRecord) -> Result<(), Failure> {
        if !self.target.make(&record.name, &record.key_type, &record.value_type)? {
            let name = short(record.name.as_bytes());
            self.report.lose_table(|| format!("no table can have the name {name} and its types"));
            return Ok(());
        }
        let table = self.add(record.name, Some(record.root.count));
        if record.root.page == 0 {
            return Ok(());
        }
        self.walk(&record.root, Limits::default(), Some(table), &mut |trees, leaf| trees.put(table, &leaf))?;
        Ok(())
    }

    fn add(&mut self, name: String, expected: Option<u64>) -> usize {
        self.names.insert(name.clone());
        self.report.tables.push(Saved { name, expected, entries: 0, lost_values: Vec::new(), lost_more: 0 });
        self.report.tables.len() - 1
    }

    /// A table for what belongs to no known one.
    pub(super) fn unnamed(&mut self) -> Result<usize, Failure> {
        let mut number = 1;
        loop {
            let name = format!("salvaged-{number}");
            if !self.names.contains(&name) && self.target.make(&name, "bytes", "bytes")? {
                return Ok(self.add(name, None));
            }
            number += 1;
        }
    }

    /// Puts a leaf into a table; how many entries that were which it did not have.
    pub(super) fn put(&mut self, table: usize, leaf: &Verified) -> Result<u64, Failure> {
        let Body::Leaf(entries) = &leaf.body else { return Ok(0) };
        let saved = &mut self.report.tables[table];
        let done = self.target.put(&saved.name, entries, self.source)?;
        saved.entries += done.entries - done.again;
        let found = done.entries - done.again + done.lost.len() as u64;
        self.report.lose_values(table, done.lost);
        Ok(found)
    }

    /// Goes down a tree, leaf by leaf; what cannot be read is a gap. The sum of what `take` says.
    pub(super) fn walk(
        &mut self,
        expected: &Expected,
        limits: Limits<'_>,
        table: Option<usize>,
        take: &mut dyn FnMut(&mut Self, Verified) -> Result<u64, Failure>,
    ) -> Result<u64, Failure> {
        let found = match self.reached.has(expected.page) {
            true if self.is_below_orphans => return Ok(0),
            // In a file made to hurt a page may have many parents.
            true => None,
            false => self.source.expected(expected)?,
        };
        let Some(page) = found else {
            self.report.lose(Lost { table, page: *expected }, || limits.keys());
            return Ok(0);
        };
        self.reached.claim(page.page);
        let Body::Branch(branch) = &page.body else { return take(self, page) };
        let mut found = 0;
        for (i, child) in branch.children().enumerate() {
            let limits = limits.of(branch, i);
            found += self.walk(&Expected::below(child, page.level), limits, table, take)?;
        }
        Ok(found)
    }

    pub(super) fn finish(self) -> Result<Report, Failure> {
        self.target.close()?;
        Ok(self.report)
    }
}

/// A table record, if the bytes are one.
pub(super) fn parse(name: &[u8], record: &[u8]) -> Option<TableRecord> {
    let (fixed, types) = record.split_at_checked(48)?;
    let short = |at: usize| fixed[at..].first_chunk().map(|bytes| u16::from_le_bytes(*bytes));
    let long = |at: usize| fixed[at..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    let (key_type, value_type) = types.split_at_checked(usize::from(short(38)?))?;
    let is_record = fixed[32..38] == [1, 0, 1, 0, 1, 0]
        && fixed[42..] == [0; 6]
        && fixed[25..32] == [0; 7]
        && value_type.len() == usize::from(short(40)?);
    if !is_record || name.is_empty() {
        return None;
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let root = Expected {
        // Above the number stand flags.
        page: long(0)? & ((1 << 48) - 1),
        birth: long(8)?,
        count: long(16)?,
        level: fixed[24],
    };
    Some(TableRecord { name: text(name)?, key_type: text(key_type)?, value_type: text(value_type)?, root })
}

/// The roots that a leaf of the catalog names.
pub(super) fn tables_of(leaf: &Verified) -> Vec<Expected> {
    let Body::Leaf(entries) = &leaf.body else { return Vec::new() };
    let root = |(name, content): &(Vec<u8>, Content)| match content {
        Content::Inline(value) => parse(name, value).map(|record| record.root),
        Content::Run(_) => None,
    };
    entries.iter().filter_map(root).collect()
}

/// Whether every entry of a leaf is a table record.
pub(super) fn is_of_catalog(leaf: &Verified) -> bool {
    let Body::Leaf(entries) = &leaf.body else { return false };
    let is_record = |(name, content): &(Vec<u8>, Content)| match content {
        Content::Inline(value) => parse(name, value).is_some(),
        Content::Run(_) => false,
    };
    !entries.is_empty() && entries.iter().all(is_record)
}
