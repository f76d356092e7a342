//! `folio del`: one key, or a range of keys, out of a table.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::column::Column;
use crate::failure::Failure;
use crate::get::missing;
use crate::key_range::RangeArgs;
use crate::{open, output};

/// Delete a key, or all keys of a range
///
/// A missing key gives exit code 1. A range says how many entries it deleted, none included.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  folio del words.folio words apple\n  folio del words.folio words --prefix b"
)]
pub(crate) struct Del {
    /// The database file
    db: PathBuf,
    /// The table's name
    table: String,
    /// The key
    #[arg(
        allow_hyphen_values = true,
        conflicts_with_all = ["from", "to", "prefix"],
        required_unless_present_any = ["from", "to", "prefix"]
    )]
    key: Option<String>,
    #[command(flatten)]
    range: RangeArgs,
}

impl Del {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let db = open::for_writing(&self.db)?;
        let tx = db.begin_write()?;
        let deleted = {
            let mut table = tx.open_raw(&self.table)?;
            let keys = Column::of_keys(table.key_type());
            match &self.key {
                Some(key) if table.remove(&keys.parse(key)?)? => None,
                Some(key) => return Err(missing(&self.table, key)),
                None => Some(table.remove_range(self.range.resolve(&keys)?.bounds())?),
            }
        };
        tx.commit()?;
        db.close()?;
        if let Some(deleted) = deleted {
            let mut out = output::stdout();
            writeln!(out, "deleted {}", output::plural(deleted, "entry", "entries"))?;
            out.flush()?;
        }
        Ok(())
    }
}
