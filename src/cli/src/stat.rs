//! `folio stat`: what a database file is made of.

use std::io::{self, Write};

use clap::Args;
use folio::{Recovery, Stats, TableStats};
use serde_json::json;

use crate::failure::Failure;
use crate::histogram::Histograms;
use crate::open::ToRead;
use crate::output;
use crate::output::Align::{Left, Right};
use crate::output::{bytes, columns, grouped, percent, ratio};

/// Show what a database is made of: its pages by kind, its free space, its tables
///
/// Reads the branches of every tree, and the leaves for their fill. `pending` pages are free, but a reader
/// may still see them (`folio readers` lists who reads); `fill` is the used share of a table's branch and
/// leaf pages.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  folio stat words.folio\n  folio stat words.folio --histogram words")]
pub(crate) struct Stat {
    #[command(flatten)]
    db: ToRead,
    /// Print one JSON object, sizes in bytes
    #[arg(long)]
    json: bool,
    /// Show how full pages are and how long keys and values, as bars: of this table, or of all together. In
    /// JSON it is added to each table that is meant
    #[arg(long, value_name = "TABLE", num_args = 0..=1)]
    histogram: Option<Option<String>>,
}

impl Stat {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let db = self.db.open()?;
        if let Some(Some(table)) = &self.histogram {
            // It must be there.
            db.begin_read()?.open_raw(table)?;
        }
        let stats = db.stats()?;
        let is_meant = |table: &TableStats| match &self.histogram {
            Some(Some(name)) => table.name == *name,
            meant => meant.is_some(),
        };
        let mut out = output::stdout();
        match self.json {
            true => write_json(&mut out, &stats, is_meant)?,
            false if self.histogram.is_some() => write_histograms(&mut out, &stats, is_meant)?,
            false => {
                write_summary(&mut out, &stats)?;
                write_pages(&mut out, &stats)?;
                write_tables(&mut out, &stats)?;
            }
        }
        out.flush()?;
        Ok(())
    }
}

fn write_summary(out: &mut impl Write, stats: &Stats) -> io::Result<()> {
    let path = stats.path.as_ref().map_or("in memory".to_owned(), |path| path.display().to_string());
    let row = |name: &str, text: String| vec![name.to_owned(), text];
    let rows = [
        row("file", path),
        row("size", output::bytes_exactly(stats.file_bytes)),
        row("page size", bytes(u64::from(stats.page_size))),
        row("transaction", format!("{} (durable: {})", grouped(stats.txn), grouped(stats.durable_txn))),
        // How it last ended is known to who opens it first.
        match stats.recovery {
            Recovery::Joined => row("in use", stats.recovery.to_string()),
            found => row("last end", found.to_string()),
        },
    ];
    columns(out, &[Left, Left], &rows)
}

fn write_pages(out: &mut impl Write, stats: &Stats) -> io::Result<()> {
    let kinds = [
        ("header", stats.header_pages),
        ("branch", stats.branch_pages),
        ("leaf", stats.leaf_pages),
        ("overflow", stats.overflow_pages),
        ("free space log", stats.free_space_pages),
        ("free", stats.free_pages),
        ("pending", stats.pending_pages),
        ("all", stats.pages),
    ];
    let mut rows = vec![["pages", "count", "size", "share"].map(str::to_owned).to_vec()];
    for (kind, pages) in kinds {
        rows.push(vec![
            kind.to_owned(),
            grouped(pages),
            bytes(pages.saturating_mul(u64::from(stats.page_size))),
            percent(ratio(pages, stats.pages)),
        ]);
    }
    writeln!(out)?;
    columns(out, &[Left, Right, Right, Right], &rows)
}

fn write_tables(out: &mut impl Write, stats: &Stats) -> io::Result<()> {
    const HEAD: [&str; 11] = [
        "table",
        "key",
        "value",
        "entries",
        "depth",
        "branch",
        "leaf",
        "overflow",
        "key bytes",
        "value bytes",
        "fill",
    ];
    let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
    for table in &stats.tables {
        rows.push(vec![
            output::name(&table.name),
            output::name(&table.key_type),
            output::name(&table.value_type),
            grouped(table.entries),
            table.depth.to_string(),
            grouped(table.branch_pages),
            grouped(table.leaf_pages),
            grouped(table.overflow_pages),
            bytes(table.key_bytes),
            bytes(table.value_bytes),
            percent(table.fill),
        ]);
    }
    writeln!(out)?;
    let mut align = [Right; HEAD.len()];
    align[..3].fill(Left);
    columns(out, &align, &rows)
}

/// Bars for all tables that are meant together.
fn write_histograms(
    out: &mut impl Write,
    stats: &Stats,
    is_meant: impl Fn(&TableStats) -> bool,
) -> io::Result<()> {
    let meant = || stats.tables.iter().filter(|table| is_meant(table));
    let tables: Vec<_> = meant().collect();
    let entries = meant().map(|table| table.entries).sum();
    let what = match tables[..] {
        [table] => format!("table {}", output::name(&table.name)),
        _ => output::plural(tables.len() as u64, "table", "tables"),
    };
    writeln!(out, "{what}, {}", output::plural(entries, "entry", "entries"))?;
    Histograms::of(meant()).write(out)
}

fn write_json(
    out: &mut impl Write,
    stats: &Stats,
    has_histograms: impl Fn(&TableStats) -> bool,
) -> io::Result<()> {
    let recovery = match stats.recovery {
        Recovery::Recovered { txn, fell_back, pages_verified, head_adopted, bad_meta, .. } => {
            json!({
                "txn": txn,
                "fell_back": fell_back,
                "pages_verified": pages_verified,
                "head_adopted": head_adopted,
                "bad_meta": bad_meta,
            })
        }
        _ => serde_json::Value::Null,
    };
    let table = |table: &TableStats| {
        let mut object = json!({
            "name": table.name,
            "key_type": table.key_type,
            "value_type": table.value_type,
            "entries": table.entries,
            "depth": table.depth,
            "branch_pages": table.branch_pages,
            "leaf_pages": table.leaf_pages,
            "overflow_pages": table.overflow_pages,
            "key_bytes": table.key_bytes,
            "value_bytes": table.value_bytes,
            "fill": table.fill,
        });
        if has_histograms(table) {
            object["histograms"] = Histograms::of(std::iter::once(table)).json();
        }
        object
    };
    let all = json!({
        "path": stats.path.as_ref().map(|path| path.to_string_lossy()),
        "file_bytes": stats.file_bytes,
        "page_size": stats.page_size,
        "pages": stats.pages,
        "header_pages": stats.header_pages,
        "branch_pages": stats.branch_pages,
        "leaf_pages": stats.leaf_pages,
        "overflow_pages": stats.overflow_pages,
        "free_space_pages": stats.free_space_pages,
        "free_pages": stats.free_pages,
        "pending_pages": stats.pending_pages,
        "txn": stats.txn,
        "durable_txn": stats.durable_txn,
        "recovered": recovery,
        "joined": stats.recovery == Recovery::Joined,
        "tables": stats.tables.iter().map(table).collect::<Vec<_>>(),
    });
    writeln!(out, "{}", output::json(&format!("{all:#}")))
}
