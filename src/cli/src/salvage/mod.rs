//! `folio salvage`: whatever can be read from a damaged file, in a new one.
//!
//! 1. Down the catalog and every tree of the newest state ([`roots`]), as far as pages verify. Where one does
//!    not, there is a gap: between which separators, and how many entries were expected there.
//! 2. Tables whose record is lost: older pages of the catalog may still tell their names.
//! 3. If anything is missing: every page that verifies, that no tree has, and that the free-space log does
//!    not call free. Such pages go to the one table with a gap in which their keys lie, else to tables of
//!    their own.

mod orphans;
mod report;
mod roots;
mod seed;
mod source;
mod target;
mod trees;

use std::path::PathBuf;

use clap::Args;

use crate::failure::{Failure, verdict};
use report::Report;
use source::Source;
use target::Target;
use trees::Trees;

/// Read whatever can be read from a damaged file into a new one
///
/// DAMAGED is only read, page by page, and nothing of it is believed that its checksum does not prove: it may
/// be cut short, and both of its meta pages may be gone. Commits that were not synced are saved too, if all
/// that they wrote is there. NEW gets every table that can be found, with the entries that can be. What lies
/// below a damaged page is looked for in the whole file; what belongs to no known table goes to tables
/// salvaged-1, salvaged-2 and so on. Says what was lost: pages, values, and the keys between which entries
/// are missing. Nobody should write to DAMAGED meanwhile.
///
/// NEW appears under its name when it is whole and on the disk, or not at all. Until then it is named
/// .folio-salvage-.. in the same directory, and stays there if the command is killed.
///
/// The exit code is 0 if nothing was lost, and 1 if something was or nothing could be read.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  folio salvage words.folio saved.folio")]
pub(crate) struct Salvage {
    /// The damaged file
    damaged: PathBuf,
    /// The new database, which must not exist
    new: PathBuf,
    /// Bytes of a page, where the file does not say: 4096, 8192, 16384, 32768 or 65536
    #[arg(long, value_name = "BYTES")]
    page_size: Option<u32>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Salvage {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut source = Source::open(&self.damaged, self.page_size)?;
        let target = Target::create(&self.new, source.layout.page_size)?;
        let report = fill(&mut source, target)?;
        verdict(report.is_lossless(), report.print(self.json))
    }
}

fn fill(source: &mut Source, target: Target) -> Result<Report, Failure> {
    let mut trees = Trees::new(source, target);
    trees.whole_root()?;
    trees.lost_tables()?;
    if trees.is_incomplete() {
        trees.orphans()?;
    }
    trees.finish()
}
