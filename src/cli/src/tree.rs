//! `folio tree`: the shape of a table's tree.

use std::collections::BTreeMap;
use std::io::{self, Write};

use clap::Args;
use folio::inspect::TreeNode;
use serde_json::json;

use crate::failure::{Failure, verdict};
use crate::open::ToRead;
use crate::output;
use crate::output::Align::Right;
use crate::output::{columns, cut, escaped, grouped, hex, percent, ratio};

/// Show the shape of a table: its pages level by level, with separators, counts and fill
///
/// Each line is a page, with its children behind it, indented. `entries` are those in or below the page,
/// `cells` what the page itself holds: entries of a leaf, children of a branch. Every key in or below a page
/// is at least what stands under `from`. The table at the end counts all pages of the tree, also those that
/// --depth leaves out. A damaged page says what is wrong with it, and the exit code is 1.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  folio tree words.folio words --depth 3")]
pub(crate) struct Tree {
    #[command(flatten)]
    db: ToRead,
    /// The table's name
    table: String,
    /// Levels to show, from the root down
    #[arg(long, value_name = "N", default_value_t = 2)]
    depth: u32,
    /// Print one JSON object a page and line, sizes in bytes, separators in hexadecimal digits
    #[arg(long)]
    json: bool,
}

/// What the pages of a level have together.
#[derive(Debug, Default)]
struct Level {
    pages: u64,
    cells: u64,
    used_bytes: u64,
}

impl Tree {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let db = self.db.open()?;
        let tx = db.begin_read()?;
        // The table exists, or nothing is printed.
        let entries = tx.open_raw(&self.table)?.len();
        let page_size = u64::from(tx.page_size());
        let mut out = output::stdout();
        let mut levels: BTreeMap<u8, Level> = BTreeMap::new();
        let head = ["page", "level", "entries", "cells", "fill", "birth", "from"].map(str::to_owned);
        let mut written = if self.json { Ok(()) } else { write_row(&mut out, head) };
        let mut is_damaged = false;
        // What a machine reads needs no table at the end.
        let depth = if self.json { self.depth } else { u32::MAX };
        tx.visit_tree(&self.table, depth, &mut |node| {
            is_damaged |= node.fault.is_some();
            if node.fault.is_none() {
                let level = levels.entry(node.level).or_default();
                level.pages += 1;
                level.cells += u64::from(node.entries);
                level.used_bytes += u64::from(node.used_bytes);
            }
            if written.is_ok() && (node.depth < self.depth || node.fault.is_some()) {
                written = match self.json {
                    true => write_json(&mut out, &node),
                    false => write_node(&mut out, &node, page_size),
                };
            }
        })?;
        if written.is_ok() && !self.json {
            written = write_levels(&mut out, &levels, entries, page_size);
        }
        verdict(!is_damaged, written.and_then(|()| out.flush()))
    }
}

fn write_row(out: &mut impl Write, cells: [String; 7]) -> io::Result<()> {
    let [page, level, entries, own, fill, birth, from] = cells;
    let line = format!("{page:<16} {level:>5} {entries:>13} {own:>7} {fill:>7} {birth:>11}  {from}");
    writeln!(out, "{}", cut(line.trim_end(), output::width()))
}

fn write_node(out: &mut impl Write, node: &TreeNode, page_size: u64) -> io::Result<()> {
    let indent = "  ".repeat(node.depth as usize);
    let (own, fill) = match node.fault {
        Some(_) => (String::new(), String::new()),
        None => (grouped(node.entries.into()), percent(ratio(node.used_bytes.into(), page_size))),
    };
    let from = match (&node.fault, &node.separator) {
        (Some(fault), _) => format!("damaged: {}", output::name(fault)),
        (None, Some(key)) => escaped(key),
        (None, None) => String::new(),
    };
    let page = format!("{indent}{}", node.page);
    write_row(out, [page, node.level.to_string(), grouped(node.count), own, fill, grouped(node.birth), from])
}

fn write_levels(
    out: &mut impl Write,
    levels: &BTreeMap<u8, Level>,
    entries: u64,
    page_size: u64,
) -> io::Result<()> {
    if levels.is_empty() {
        return writeln!(
            out,
            "\n{}",
            if entries == 0 { "the table is empty" } else { "nothing can be read" }
        );
    }
    let mut rows = vec![["level", "pages", "cells", "fill"].map(str::to_owned).to_vec()];
    for (number, level) in levels.iter().rev() {
        let all = level.pages.saturating_mul(page_size);
        let fill = percent(ratio(level.used_bytes, all));
        rows.push(vec![number.to_string(), grouped(level.pages), grouped(level.cells), fill]);
    }
    writeln!(out)?;
    columns(out, &[Right; 4], &rows)
}

fn write_json(out: &mut impl Write, node: &TreeNode) -> io::Result<()> {
    let node = json!({
        "page": node.page,
        "depth": node.depth,
        "level": node.level,
        "entries": node.count,
        "cells": node.entries,
        "used_bytes": node.used_bytes,
        "birth": node.birth,
        "from_hex": node.separator.as_deref().map(hex),
        "fault": node.fault,
    });
    writeln!(out, "{}", output::json(&node.to_string()))
}
