//! `folio scan`: the entries of a range of keys.

use std::io::Write;

use clap::Args;

use crate::column::Column;
use crate::dump::{LineFormat, write_entry};
use crate::failure::Failure;
use crate::key_range::RangeArgs;
use crate::open::ToRead;
use crate::output;

/// Print the entries of a range of keys, in order or in reverse
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  folio scan words.folio words --from b --to d --reverse --limit 10")]
pub(crate) struct Scan {
    #[command(flatten)]
    db: ToRead,
    /// The table's name
    table: String,
    #[command(flatten)]
    range: RangeArgs,
    /// Last key first
    #[arg(long)]
    reverse: bool,
    /// Stop after this many entries
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// How an entry is written, as in `dump`
    #[arg(long, value_enum, default_value_t = LineFormat::Tsv)]
    format: LineFormat,
}

impl Scan {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let db = self.db.open()?;
        let tx = db.begin_read()?;
        let table = tx.open_raw(&self.table)?;
        let keys = Column::of_keys(table.key_type());
        let values = Column::of_values(table.value_type());
        let range = self.range.resolve(&keys)?;
        let mut out = output::stdout();
        let mut entries = table.range(range.bounds())?;
        for _ in 0..self.limit.unwrap_or(u64::MAX) {
            let entry = if self.reverse { entries.next_back() } else { entries.next() };
            let Some(entry) = entry else { break };
            let (key, value) = entry?;
            write_entry(&mut out, self.format, (&keys, &key), (&values, value))?;
        }
        out.flush()?;
        Ok(())
    }
}
