//! `folio count`: how many entries a table, or a range of its keys, has.

use std::io::Write;

use clap::Args;

use crate::column::Column;
use crate::failure::Failure;
use crate::key_range::RangeArgs;
use crate::open::ToRead;
use crate::output;

/// Print the number of entries of a table or of a range of its keys
///
/// Counts are kept in the tree, so the answer takes the same time for few entries and for many.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  folio count words.folio words --from b --to d")]
pub(crate) struct Count {
    #[command(flatten)]
    db: ToRead,
    /// The table's name
    table: String,
    #[command(flatten)]
    range: RangeArgs,
}

impl Count {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let db = self.db.open()?;
        let tx = db.begin_read()?;
        let table = tx.open_raw(&self.table)?;
        let count = match self.range.is_empty() {
            true => table.len(),
            false => table.count(self.range.resolve(&Column::of_keys(table.key_type()))?.bounds())?,
        };
        let mut out = output::stdout();
        writeln!(out, "{count}")?;
        out.flush()?;
        Ok(())
    }
}
