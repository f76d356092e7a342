//! `folio copy`: a backup of one snapshot, beside a writer.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use folio::{CopyReport, Error};
use serde_json::json;

use crate::failure::Failure;
use crate::file_system;
use crate::open::ToRead;
use crate::output;
use crate::progress::Progress;

/// Copy a database as it is at one moment, while others write to it
///
/// The copy is a database of its own, as if it had been closed at the newest
/// transaction. It appears under its name when it is whole and on the disk, or
/// not at all. (Where the file system has no files without a name, it is named
/// .folio-new-.. in the same directory until then.)
/// Without --compact its pages lie where they lay, free ones take no room, and
/// every page is checked before it is copied: a damaged database gives an error.
///
/// Writers and readers go on meanwhile. But as long as it runs, the pages that
/// it copies are not used again, so the file that is written to may grow
/// (`folio readers` shows how much that is).
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct Copy {
    #[command(flatten)]
    db: ToRead,
    /// The new file; - is standard output, where free pages are zeros
    #[arg(value_name = "DEST")]
    to: PathBuf,
    /// Load the tables into a new database instead, packed and without free space: smaller, and slower
    #[arg(long)]
    compact: bool,
    /// Replace DEST if it is there, unless somebody has it open as a database. A link is replaced itself, and
    /// what it leads to stays
    #[arg(long)]
    force: bool,
    /// Print one JSON object; not with DEST -
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  folio copy words.folio backup.folio
  folio copy words.folio - | gzip > backup.folio.gz";

impl Copy {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let db = self.db.open()?;
        let tx = db.begin_read()?;
        let start = Instant::now();
        let progress = Progress::of_things("copying", 0);
        let mut tell = |step: folio::Progress| progress.set_of(step.done, step.total);
        let copy = tx.copy().compact(self.compact).replace(self.force).progress(&mut tell);
        if self.to.as_os_str() == "-" {
            if self.json {
                return Err(Failure::Usage("--json: the copy itself goes to standard output".to_owned()));
            }
            if io::stdout().is_terminal() {
                let text = "the copy is no text for a terminal: send standard output to a file or a program";
                return Err(Failure::Usage(text.to_owned()));
            }
            return match copy.to_writer(&mut output::stdout()) {
                Err(Error::Io { call: "write", source, .. }) => Err(Failure::Output(source)),
                result => result.map(|_| ()).map_err(Failure::from),
            };
        }
        if file_system::is_same(&self.to, self.db.path()) {
            let shown = output::name(&self.to.to_string_lossy());
            return Err(Failure::Usage(format!("{shown} is the database itself, which is not replaced")));
        }
        let report = copy.to_file(&self.to).map_err(|error| match error {
            Error::AlreadyExists { .. } => Failure::Message(format!("{error}: --force replaces it")),
            Error::Locked { .. } => {
                Failure::Message(format!("{error}: a database that somebody has open is not replaced"))
            }
            Error::Corrupted { .. } => {
                Failure::Message(format!("{error}; nothing was copied: `folio check` says what is damaged"))
            }
            error => error.into(),
        })?;
        drop(progress);
        say(&report, start, self.json).map_err(Failure::Output)
    }
}

fn say(report: &CopyReport, start: Instant, as_json: bool) -> io::Result<()> {
    let mut out = output::stdout();
    if as_json {
        let CopyReport { txn, pages, bytes, .. } = *report;
        let seconds = start.elapsed().as_secs_f64();
        let object = json!({ "txn": txn, "pages": pages, "bytes": bytes, "seconds": seconds });
        writeln!(out, "{}", output::json(&format!("{object:#}")))?;
        return out.flush();
    }
    writeln!(
        out,
        "transaction {}: {}, {}, {:.3} s",
        report.txn,
        output::plural(report.pages, "page", "pages"),
        output::bytes_exactly(report.bytes),
        start.elapsed().as_secs_f64(),
    )?;
    out.flush()
}
