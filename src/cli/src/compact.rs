//! `folio compact`: a file without its free space.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;
use crate::output::{bytes, percent, plural, ratio};
use crate::progress::Progress;
use crate::{open, output};

/// Give the free space of a database back to the file system
///
/// Moves pages to the front of the file in steps, each a commit of its own, and cuts the file off behind
/// them. It can be interrupted at any time, and readers may go on beside it; pages that they still need stay
/// (`folio readers` lists them).
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  folio compact words.folio")]
pub(crate) struct Compact {
    /// The database file
    db: PathBuf,
}

impl Compact {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let db = open::for_writing(&self.db)?;
        let progress = Progress::of_things("compacting", 0);
        let report = db.compact_with(&mut |step| progress.set_of(step.done, step.total))?;
        drop(progress);
        db.close()?;
        // Closing gives back the room for commits to come as well.
        let size = |source| Failure::Input { name: output::name(&self.db.to_string_lossy()), source };
        let (before, after) = (report.bytes_before, fs::metadata(&self.db).map_err(size)?.len());
        let mut out = output::stdout();
        writeln!(
            out,
            "{} before, {} after ({}), {} moved in {}",
            bytes(before),
            bytes(after),
            percent(ratio(after, before)),
            plural(report.pages_moved, "page", "pages"),
            plural(report.steps, "step", "steps"),
        )?;
        out.flush()?;
        Ok(())
    }
}
