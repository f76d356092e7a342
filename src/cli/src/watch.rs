//! `folio watch`: what changes in a table, as it is committed.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use folio::{Change, Database, Error, RawChange, RawTable, ReadTransaction};

use crate::column::Column;
use crate::dump::LineFormat;
use crate::failure::Failure;
use crate::key_range::{KeyRange, RangeArgs};
use crate::{open, output};

/// How long it takes at most to notice that nobody reads the output any more.
const LOOK: Duration = Duration::from_secs(1);

/// Print what changes in a table, commit by commit, as other processes make it
///
/// The first line says where it begins: the newest transaction, and how many entries there are. A commit that
/// changes something in the table, or in the given range, is a line that says how much, and a line for each
/// key in order: + key value, ~ key old new, - key, with tabs between. Commits that came between two looks
/// are shown as one. In jsonl a change is an object with "first_txn", "txn", "change" (inserted, changed,
/// removed), "key", "before" and "after", or "before_base64" and so on for bytes that are not UTF-8.
///
/// It reads the pages that changed, not the whole table. The pages of what it has shown last are not reused
/// until it shows the next commit. Ctrl-C stops it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  folio watch words.folio words --prefix b --count 2")]
pub(crate) struct Watch {
    /// The database file
    db: PathBuf,
    /// The table's name
    table: String,
    #[command(flatten)]
    range: RangeArgs,
    /// Stop after this many commits were shown
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// How a change is written, keys and values as in `dump`
    #[arg(long, value_enum, default_value_t = LineFormat::Tsv)]
    format: LineFormat,
}

impl Watch {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let db = open::beside_others(&self.db)?;
        let mut shown = db.begin_read()?;
        let range = self.begin(&shown)?;
        let mut left = self.count.unwrap_or(u64::MAX);
        while left > 0 {
            let Some(now) = next_commit(&db, shown.txn())? else { return Ok(()) };
            if self.show(&shown, &now, &range)? {
                left -= 1;
            } else if !output::has_reader() {
                return Ok(());
            }
            shown = now;
        }
        Ok(())
    }

    /// Says where it begins. The keys that are meant.
    fn begin(&self, tx: &ReadTransaction) -> Result<KeyRange, Failure> {
        let table = tx.open_raw(&self.table)?;
        let range = self.range.resolve(&Column::of_keys(table.key_type()))?;
        let mut out = output::stdout();
        let (txn, entries) = (tx.txn(), table.count(range.bounds())?);
        match self.format {
            LineFormat::Tsv => {
                writeln!(out, "transaction {txn}: {}", output::plural(entries, "entry", "entries"))?;
            }
            LineFormat::Jsonl => writeln!(out, "{{\"txn\":{txn},\"entries\":{entries}}}")?,
        }
        out.flush()?;
        Ok(range)
    }

    /// Writes what changed from one snapshot to the other; whether there was anything.
    fn show(
        &self,
        older: &ReadTransaction,
        newer: &ReadTransaction,
        range: &KeyRange,
    ) -> Result<bool, Failure> {
        let mut counts = Counts::default();
        let tables = [find(older, &self.table)?, find(newer, &self.table)?];
        for change in changes(&tables, range)? {
            counts.add(&change?);
        }
        if counts == Counts::default() {
            return Ok(false);
        }
        let mut out = output::stdout();
        let commits = Commits { first: older.txn() + 1, last: newer.txn() };
        if self.format == LineFormat::Tsv {
            writeln!(out, "{}: {}", commits.text(), counts.text())?;
        }
        let columns = tables.each_ref().map(|table| table.as_ref().map(Columns::of));
        for change in changes(&tables, range)? {
            write_change(&mut out, self.format, commits, &columns, &change?)?;
        }
        out.flush()?;
        Ok(true)
    }
}

/// Waits for a commit after transaction `after`; `None` when nobody wants to know any more.
fn next_commit(db: &Database, after: u64) -> Result<Option<ReadTransaction>, Failure> {
    while db.wait_for_commit(after, LOOK)? <= after {
        if !output::has_reader() {
            return Ok(None);
        }
    }
    Ok(Some(db.begin_read()?))
}

/// The table, if it is there: it may be dropped and made anew while it is watched.
fn find<'tx>(tx: &'tx ReadTransaction, name: &str) -> folio::Result<Option<RawTable<'tx>>> {
    match tx.open_raw(name) {
        Err(Error::NoSuchTable { .. }) => Ok(None),
        table => table.map(Some),
    }
}

type Changes<'tx> = Box<dyn Iterator<Item = folio::Result<RawChange<'tx>>> + 'tx>;

/// What changed from the first table to the second. Where it was made anew with other types, everything did.
fn changes<'tx>(tables: &[Option<RawTable<'tx>>; 2], range: &KeyRange) -> folio::Result<Changes<'tx>> {
    let [older, newer] = tables;
    if let (Some(older), Some(newer)) = (older, newer)
        && (older.key_type(), older.value_type()) == (newer.key_type(), newer.value_type())
    {
        return Ok(Box::new(newer.changes_since_in(older, range.bounds())));
    }
    let entries = |table: &Option<RawTable<'tx>>| {
        let range = table.as_ref().map(|table| table.range(range.bounds())).transpose()?;
        folio::Result::Ok(range.into_iter().flatten())
    };
    let removed = entries(older)?
        .map(|entry| entry.map(|(key, value)| Change { key, before: Some(value), after: None }));
    let inserted = entries(newer)?
        .map(|entry| entry.map(|(key, value)| Change { key, before: None, after: Some(value) }));
    Ok(Box::new(removed.chain(inserted)))
}

/// The transactions whose changes are shown together.
#[derive(Debug, Clone, Copy)]
struct Commits {
    first: u64,
    last: u64,
}

impl Commits {
    fn text(self) -> String {
        let Commits { first, last } = self;
        match first == last {
            true => format!("transaction {last}"),
            false => format!("transactions {first} to {last}"),
        }
    }
}

/// How many keys changed in which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Counts {
    inserted: u64,
    changed: u64,
    removed: u64,
}

impl Counts {
    fn add(&mut self, change: &RawChange<'_>) {
        match (change.before, change.after) {
            (None, _) => self.inserted += 1,
            (Some(_), Some(_)) => self.changed += 1,
            (Some(_), None) => self.removed += 1,
        }
    }

    fn text(self) -> String {
        let Counts { inserted, changed, removed } = self;
        let parts = [(inserted, "inserted"), (changed, "changed"), (removed, "removed")];
        let parts = parts.iter().filter(|(number, _)| *number > 0);
        let parts: Vec<_> =
            parts.map(|(number, how)| format!("{} {how}", output::grouped(*number))).collect();
        parts.join(", ")
    }
}

/// How keys and values of a table are written.
struct Columns {
    keys: Column,
    values: Column,
}

impl Columns {
    fn of(table: &RawTable<'_>) -> Columns {
        Columns { keys: Column::of_keys(table.key_type()), values: Column::of_values(table.value_type()) }
    }
}

fn write_change(
    out: &mut impl Write,
    format: LineFormat,
    Commits { first, last }: Commits,
    [older, newer]: &[Option<Columns>; 2],
    change: &RawChange<'_>,
) -> Result<(), Failure> {
    let before = older.as_ref().zip(change.before);
    let after = newer.as_ref().zip(change.after);
    // Of where the key is; it is in one of them.
    let Some(keys) = after.or(before).map(|(columns, _)| &columns.keys) else { return Ok(()) };
    let (sign, how) = match (before, after) {
        (None, _) => ("+", "inserted"),
        (Some(_), Some(_)) => ("~", "changed"),
        (Some(_), None) => ("-", "removed"),
    };
    match format {
        LineFormat::Tsv => {
            write!(out, "{sign}\t")?;
            keys.write(out, &change.key)?;
            // What was removed is named, no more.
            for (columns, value) in before.filter(|_| after.is_some()).into_iter().chain(after) {
                out.write_all(b"\t")?;
                columns.values.write(out, value)?;
            }
            out.write_all(b"\n")?;
        }
        LineFormat::Jsonl => {
            write!(out, "{{\"first_txn\":{first},\"txn\":{last},\"change\":\"{how}\",")?;
            keys.write_json(out, &change.key)?;
            for (name, side) in [("before", before), ("after", after)] {
                if let Some((columns, value)) = side {
                    out.write_all(b",")?;
                    columns.values.write_json_as(out, name, value)?;
                }
            }
            out.write_all(b"}\n")?;
        }
    }
    Ok(())
}
