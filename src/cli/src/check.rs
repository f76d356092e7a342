//! `folio check`: whether every page of a database is what it must be.

use std::io::{self, Write};

use clap::Args;
use folio::{CheckReport, Fault};
use serde_json::json;

use crate::failure::{Failure, verdict};
use crate::open::ToRead;
use crate::output;
use crate::output::{grouped, plural};
use crate::progress::Progress;

/// Check every page of a database
///
/// Each page must be reachable, free or pending, and only one of them; keys must be in order, and counts,
/// births and checksums right. Prints `ok: ...`, or one line per fault with exit code 1. Repairs nothing.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  folio check words.folio")]
pub(crate) struct Check {
    #[command(flatten)]
    db: ToRead,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let db = self.db.open()?;
        let progress = Progress::of_things("checking", 0);
        let report = db.check_with(&mut |step| progress.set_of(step.done, step.total))?;
        drop(progress);
        verdict(report.is_ok(), self.write(&report))
    }

    fn write(&self, report: &CheckReport) -> io::Result<()> {
        let mut out = output::stdout();
        if self.json {
            let fault =
                |fault: &Fault| json!({ "page": fault.page, "table": fault.table, "what": fault.what });
            let all = json!({
                "ok": report.is_ok(),
                "faults": report.faults.iter().map(fault).collect::<Vec<_>>(),
                "pages": report.pages,
                "entries": report.entries,
                "tables": report.tables,
                "free_pages": report.free_pages,
                "pending_pages": report.pending_pages,
            });
            writeln!(out, "{}", output::json(&format!("{all:#}")))?;
        } else if report.is_ok() {
            let tables = plural(report.tables, "table", "tables");
            let entries = plural(report.entries, "entry", "entries");
            let pages = plural(report.pages, "page", "pages");
            let (free, pending) = (grouped(report.free_pages), grouped(report.pending_pages));
            writeln!(out, "ok: {tables}, {entries}, {pages} ({free} free, {pending} pending)")?;
        } else {
            report.faults.iter().try_for_each(|fault| writeln!(out, "{fault}"))?;
        }
        out.flush()
    }
}
