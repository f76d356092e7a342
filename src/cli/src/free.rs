//! `folio free`: the free space of a database, and who keeps it from being used.

use std::io::{self, Write};

use clap::Args;
use folio::inspect::{FreeSpace, Holder};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::open::ToRead;
use crate::output;
use crate::output::Align::{Left, Right};
use crate::output::{bytes, columns, grouped, percent, plural, ratio};

/// Show the free space of a database: extents by size, and which snapshots hold the pending ones
///
/// Free pages can be used again now. Pending ones are out of use, but a snapshot still needs them: what the
/// oldest such snapshot holds is listed under its transaction, with who reads it. When it ends, another may
/// need them. `durable` is the state that a loss of power leaves: the next sync moves it on. Neighbouring
/// pages of one state are an extent; long extents are good for large values and long runs.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  folio free words.folio")]
pub(crate) struct Free {
    #[command(flatten)]
    db: ToRead,
    /// List every extent
    #[arg(long)]
    extents: bool,
    /// Print one JSON object with every extent, sizes in bytes
    #[arg(long)]
    json: bool,
}

/// Neighbouring pages of one state.
struct Extent {
    page: u64,
    pages: u64,
    holder: Option<u64>,
}

impl Free {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let db = self.db.open()?;
        let space = db.begin_read()?.free_space()?;
        let extents = joined(&space);
        let mut out = output::stdout();
        if self.json {
            writeln!(out, "{}", output::json(&format!("{:#}", json_of(&space, &extents))))?;
        } else {
            write_summary(&mut out, &space)?;
            write_sizes(&mut out, &space, &extents)?;
            write_holders(&mut out, &space)?;
            if self.extents {
                write_extents(&mut out, &extents)?;
            }
        }
        out.flush()?;
        Ok(())
    }
}

/// Neighbours in one state as one.
fn joined(space: &FreeSpace) -> Vec<Extent> {
    let mut extents: Vec<Extent> = Vec::new();
    for extent in &space.extents {
        match extents.last_mut() {
            Some(last) if last.page + last.pages == extent.page && last.holder == extent.holder => {
                last.pages += extent.pages;
            }
            _ => extents.push(Extent { page: extent.page, pages: extent.pages, holder: extent.holder }),
        }
    }
    extents
}

fn write_summary(out: &mut impl Write, space: &FreeSpace) -> io::Result<()> {
    let mut rows = vec![["pages", "count", "size", "share"].map(str::to_owned).to_vec()];
    let kinds = [
        ("free", space.free_pages),
        ("pending", space.pending_pages),
        ("free space log", space.log_pages),
        ("all of the file", space.page_count),
    ];
    for (name, pages) in kinds {
        let size = bytes(pages.saturating_mul(space.page_size.into()));
        rows.push(vec![name.to_owned(), grouped(pages), size, percent(ratio(pages, space.page_count))]);
    }
    columns(out, &[Left, Right, Right, Right], &rows)
}

/// Extents in classes, each of twice the length of the one before.
fn write_sizes(out: &mut impl Write, space: &FreeSpace, extents: &[Extent]) -> io::Result<()> {
    if extents.is_empty() {
        return Ok(());
    }
    let mut rows =
        vec![["pages of an extent", "free", "size", "pending", "size"].map(str::to_owned).to_vec()];
    for class in 0..64 {
        let least = 1_u64 << class;
        let most = least.saturating_mul(2).saturating_sub(1);
        let of_class = |is_free: bool| {
            let these = extents.iter().filter(move |extent| extent.holder.is_none() == is_free);
            let these: Vec<u64> =
                these.map(|extent| extent.pages).filter(|pages| (least..=most).contains(pages)).collect();
            (these.len() as u64, these.iter().sum::<u64>())
        };
        let (free, pending) = (of_class(true), of_class(false));
        if free.0 + pending.0 == 0 {
            continue;
        }
        let name =
            if least == most { grouped(least) } else { format!("{} - {}", grouped(least), grouped(most)) };
        let size = |pages: u64| bytes(pages.saturating_mul(space.page_size.into()));
        rows.push(vec![name, grouped(free.0), size(free.1), grouped(pending.0), size(pending.1)]);
    }
    writeln!(out)?;
    columns(out, &[Right; 5], &rows)
}

fn write_holders(out: &mut impl Write, space: &FreeSpace) -> io::Result<()> {
    if space.holders.is_empty() {
        return Ok(());
    }
    let mut rows = vec![["held by", "extents", "pages", "size", "who"].map(str::to_owned).to_vec()];
    for holder in &space.holders {
        rows.push(vec![
            format!("transaction {}", grouped(holder.txn)),
            grouped(holder.extents),
            grouped(holder.pages),
            bytes(holder.pages.saturating_mul(space.page_size.into())),
            who(holder),
        ]);
    }
    writeln!(out)?;
    columns(out, &[Left, Right, Right, Right, Left], &rows)
}

/// Who keeps a snapshot: processes that read it, the durable state.
fn who(holder: &Holder) -> String {
    let mut who: Vec<String> = Vec::new();
    if holder.is_durable {
        who.push("durable".to_owned());
    }
    let mut pids: Vec<u32> = holder.readers.iter().map(|reader| reader.pid).collect();
    pids.sort_unstable();
    for reader in pids.chunk_by(|a, b| a == b) {
        let times = if reader.len() == 1 { String::new() } else { format!(" ({} times)", reader.len()) };
        who.push(format!("pid {}{times}", reader[0]));
    }
    if who.is_empty() { "a commit or a sync that is under way".to_owned() } else { who.join(", ") }
}

fn write_extents(out: &mut impl Write, extents: &[Extent]) -> io::Result<()> {
    writeln!(out)?;
    for extent in extents {
        let state = match extent.holder {
            None => "free".to_owned(),
            Some(txn) => format!("pending, held by transaction {}", grouped(txn)),
        };
        writeln!(out, "{:>10}  {:>12}  {state}", extent.page, plural(extent.pages, "page", "pages"))?;
    }
    Ok(())
}

fn json_of(space: &FreeSpace, extents: &[Extent]) -> Value {
    let size = u64::from(space.page_size);
    let holder = |holder: &Holder| {
        json!({
            "txn": holder.txn,
            "extents": holder.extents,
            "pages": holder.pages,
            "bytes": holder.pages.saturating_mul(size),
            "durable": holder.is_durable,
            "pids": holder.readers.iter().map(|reader| reader.pid).collect::<Vec<_>>(),
        })
    };
    let extent =
        |extent: &Extent| json!({ "page": extent.page, "pages": extent.pages, "holder": extent.holder });
    json!({
        "txn": space.txn,
        "durable_txn": space.durable_txn,
        "page_size": space.page_size,
        "pages": space.page_count,
        "free_space_pages": space.log_pages,
        "free_pages": space.free_pages,
        "free_bytes": space.free_pages.saturating_mul(size),
        "pending_pages": space.pending_pages,
        "pending_bytes": space.pending_pages.saturating_mul(size),
        "holders": space.holders.iter().map(holder).collect::<Vec<_>>(),
        "extents": extents.iter().map(extent).collect::<Vec<_>>(),
    })
}
