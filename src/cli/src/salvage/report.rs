//! What was found, and what was lost.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::source::Expected;
use crate::output::{self, escaped, grouped, plural};

/// So many keys and gaps are listed for people; JSON has more of them.
const LISTED: usize = 20;

/// In a file made to hurt, each child of a branch may be a gap, and each key long. What goes beyond these is
/// counted alone: gaps, or keys whose value is lost; bytes of the keys of either; bytes of a key in JSON.
const KEPT: usize = 10_000;
const KEY_BYTES: usize = 8 << 20;
const KEY_SHOWN: usize = 256;

/// A table of the new database.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) name: String,
    /// As the table's record says; none where that is lost.
    pub(super) expected: Option<u64>,
    pub(super) entries: u64,
    /// Keys whose value is lost, and how many more there are.
    pub(super) lost_values: Vec<Vec<u8>>,
    pub(super) lost_more: u64,
}

/// A page that is lost, with what was below it.
#[derive(Debug, Clone)]
pub(super) struct Gap {
    /// Of the saved tables; none for the catalog.
    pub(super) table: Option<usize>,
    pub(super) page: u64,
    pub(super) level: u8,
    pub(super) birth: u64,
    /// No key of it is smaller than the first, or as great as the second.
    pub(super) from: Option<Vec<u8>>,
    pub(super) to: Option<Vec<u8>>,
    pub(super) expected: u64,
    /// Entries that were found elsewhere in the file and lie there.
    pub(super) found: u64,
}

/// A page that is lost: of which table, and what was said of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lost {
    pub(super) table: Option<usize>,
    pub(super) page: Expected,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) tables: Vec<Saved>,
    pub(super) gaps: Vec<Gap>,
    /// The pages of gaps that are not kept, and the entries that were expected there.
    more: (u64, u64),
    /// The bytes of all keys that are kept.
    key_bytes: usize,
    lacks_catalog: bool,
    lacks_branch: bool,
    /// Things to know beside.
    pub(super) notes: Vec<String>,
    /// Leaves that could not be put anywhere.
    pub(super) left_out: Vec<u64>,
    /// Tables that are named, and of which nothing can be saved; notes tell some of them.
    pub(super) lost_tables: u64,
    /// No root was found: nobody knows what there was.
    pub(super) rootless: bool,
    /// Pages were taken that may have been free. Entries that had been removed, or are of other tables, may
    /// make up for lost ones.
    pub(super) is_mixed: bool,
    pub(super) pages: u64,
}

impl Saved {
    fn lost(&self) -> u64 {
        self.lost_values.len() as u64 + self.lost_more
    }
}

impl Gap {
    fn lost(&self) -> u64 {
        self.expected.saturating_sub(self.found)
    }
}

impl Report {
    pub(super) fn is_lossless(&self) -> bool {
        !self.rootless && !self.is_mixed && !self.is_something_lost()
    }

    /// Whether something is lost for certain.
    fn is_something_lost(&self) -> bool {
        let lacks = |table: &Saved| {
            table.lost() > 0 || table.expected.is_some_and(|expected| table.entries < expected)
        };
        self.lost_tables > 0
            || !self.left_out.is_empty()
            || self.more.0 > 0
            || self.gaps.iter().any(|gap| gap.table.is_none() || gap.lost() > 0)
            || self.tables.iter().any(lacks)
    }

    pub(super) fn of(pages: u64) -> Report {
        Report { pages, ..Report::default() }
    }

    /// Whether a page of the catalog is lost.
    pub(super) fn lacks_catalog(&self) -> bool {
        self.lacks_catalog
    }

    /// Whether a page is lost below which there are others.
    pub(super) fn lacks_branch(&self) -> bool {
        self.lacks_branch
    }

    /// A page is lost, with so many entries.
    pub(super) fn lose(&mut self, gap: Lost, keys: impl FnOnce() -> [Option<Vec<u8>>; 2]) {
        self.lacks_catalog |= gap.table.is_none();
        self.lacks_branch |= gap.page.level > 0;
        if self.gaps.len() >= KEPT || self.key_bytes >= KEY_BYTES {
            self.more = (self.more.0 + 1, self.more.1.saturating_add(gap.page.count));
            return;
        }
        let [from, to] = keys();
        self.key_bytes += [&from, &to].into_iter().flatten().map(Vec::len).sum::<usize>();
        let Expected { page, birth, count, level } = gap.page;
        self.gaps.push(Gap { table: gap.table, page, level, birth, from, to, expected: count, found: 0 });
    }

    /// The values of these keys are lost.
    pub(super) fn lose_values(&mut self, table: usize, keys: Vec<Vec<u8>>) {
        let saved = &mut self.tables[table];
        for key in keys {
            if saved.lost_values.len() >= KEPT || self.key_bytes >= KEY_BYTES {
                saved.lost_more += 1;
            } else {
                self.key_bytes += key.len();
                saved.lost_values.push(key);
            }
        }
    }

    /// A table of which nothing is saved, and why.
    pub(super) fn lose_table(&mut self, why: impl FnOnce() -> String) {
        self.lost_tables += 1;
        if self.lost_tables <= LISTED as u64 {
            self.notes.push(why());
        }
    }

    fn entries(&self) -> u64 {
        self.tables.iter().map(|table| table.entries).sum()
    }

    pub(super) fn print(&self, as_json: bool) -> io::Result<()> {
        let mut out = output::stdout();
        if as_json {
            writeln!(out, "{}", output::json(&format!("{:#}", self.json())))?;
        } else {
            self.text(&mut out)?;
        }
        out.flush()
    }

    fn json(&self) -> Value {
        let key = |key: &Option<Vec<u8>>| key.as_ref().map(|key| shown(key));
        let table = |saved: &Saved| {
            json!({
                "table": saved.name,
                "entries": saved.entries,
                "expected": saved.expected,
                "lost_values": saved.lost_values.iter().map(|key| shown(key)).collect::<Vec<_>>(),
                "more_lost_values": saved.lost_more,
            })
        };
        let gap = |gap: &Gap| {
            json!({
                "table": gap.table.map(|table| &self.tables[table].name),
                "page": gap.page,
                "level": gap.level,
                "from": key(&gap.from),
                "to": key(&gap.to),
                "expected": gap.expected,
                "found": gap.found,
            })
        };
        json!({
            "lossless": self.is_lossless(),
            "entries": self.entries(),
            "pages": self.pages,
            "tables": self.tables.iter().map(table).collect::<Vec<_>>(),
            "lost_pages": self.gaps.iter().map(gap).collect::<Vec<_>>(),
            "more_lost_pages": { "pages": self.more.0, "entries": self.more.1 },
            "lost_tables": self.lost_tables,
            "left_out": self.left_out,
            "root_found": !self.rootless,
            "notes": self.notes,
        })
    }

    fn text(&self, out: &mut impl Write) -> io::Result<()> {
        for saved in &self.tables {
            let of = saved.expected.filter(|expected| *expected != saved.entries);
            let of = of.map_or(String::new(), |expected| format!(" of {}", grouped(expected)));
            let entries = plural(saved.entries, "entry", "entries");
            writeln!(out, "table {}: {entries}{of}", output::name(&saved.name))?;
            for key in saved.lost_values.iter().take(LISTED) {
                writeln!(out, "  lost: the value of {}", short(key))?;
            }
            if let Some(more) = saved.lost().checked_sub(LISTED as u64).filter(|more| *more > 0) {
                writeln!(out, "  and {more} values more")?;
            }
        }
        for gap in self.gaps.iter().take(LISTED) {
            writeln!(out, "{}", self.describe(gap))?;
        }
        if let Some(more) = self.gaps.len().checked_sub(LISTED).filter(|more| *more > 0) {
            writeln!(out, "and {more} pages more (--json lists them)")?;
        }
        if let (pages @ 1.., entries) = self.more {
            let (pages, entries) = (plural(pages, "page", "pages"), plural(entries, "entry", "entries"));
            writeln!(out, "and {pages} more, with {entries}, which are not listed")?;
        }
        if !self.left_out.is_empty() {
            let leaves = plural(self.left_out.len() as u64, "leaf", "leaves");
            writeln!(out, "left out: {leaves} whose keys other leaves have as well (--json lists them)")?;
        }
        self.notes.iter().try_for_each(|note| writeln!(out, "note: {note}"))?;
        if self.lost_tables > 0 {
            let lost = plural(self.lost_tables, "table", "tables");
            writeln!(out, "of {lost} no record can be used")?;
        }
        let tables = plural(self.tables.len() as u64, "table", "tables");
        let entries = plural(self.entries(), "entry", "entries");
        let is_known = !self.rootless && (!self.is_mixed || self.is_something_lost());
        let end = match (self.is_lossless(), is_known) {
            (true, _) => "nothing is lost",
            (false, false) => "whether anything is lost cannot be known",
            (false, true) => "something is lost",
        };
        writeln!(out, "saved {tables} with {entries}: {end}")?;
        Ok(())
    }

    fn describe(&self, gap: &Gap) -> String {
        let page = match gap.level {
            0 => format!("leaf, page {}", gap.page),
            level => format!("branch of level {level}, page {}", gap.page),
        };
        let Some(table) = gap.table else {
            let tables = plural(gap.expected, "table", "tables");
            return format!("damaged: {page} of the catalog, which named {tables}");
        };
        let from = gap.from.as_ref().map_or("the first key".to_owned(), |key| short(key));
        let to = gap.to.as_ref().map_or("the end".to_owned(), |key| short(key));
        let table = output::name(&self.tables[table].name);
        let lost = match gap.lost() {
            0 => "nothing of it is lost".to_owned(),
            lost => format!("{} lost", plural(lost, "entry", "entries")),
        };
        format!("damaged: {page} of table {table}, from {from} up to {to}: {lost}")
    }
}

/// A key, or its beginning.
fn shown(key: &[u8]) -> String {
    match key.get(..KEY_SHOWN) {
        Some(begin) if key.len() > KEY_SHOWN => format!("{}...", escaped(begin)),
        _ => escaped(key),
    }
}

/// A key on one line of a terminal.
pub(super) fn short(key: &[u8]) -> String {
    output::cut(&shown(key), 60)
}
