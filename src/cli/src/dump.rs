//! `folio dump`: a whole table as lines that `folio load` reads back.

use std::io::Write;

use clap::{Args, ValueEnum};

use crate::column::Column;
use crate::failure::Failure;
use crate::open::ToRead;
use crate::output;
use crate::progress::Progress;

/// Print a whole table, in the order of its keys
///
/// `load` reads both formats back to the same bytes. In tsv a line is the key, a tab and the value, with \t
/// \n \r \\ \xHH in place of what would not be text. In jsonl a line is {"key":..,"value":..}: strings for
/// text, numbers and truth values where the type has them, and "key_hex" or "value_hex" with hexadecimal
/// digits for bytes that are not UTF-8.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  folio dump words.folio words --format jsonl")]
pub(crate) struct Dump {
    #[command(flatten)]
    db: ToRead,
    /// The table's name
    table: String,
    /// How an entry is written
    #[arg(long, value_enum, default_value_t = LineFormat::Tsv)]
    format: LineFormat,
}

/// A line per entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LineFormat {
    /// `key<TAB>value`
    Tsv,
    /// {"key":..,"value":..}
    Jsonl,
}

impl Dump {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let db = self.db.open()?;
        let tx = db.begin_read()?;
        let table = tx.open_raw(&self.table)?;
        let keys = Column::of_keys(table.key_type());
        let values = Column::of_values(table.value_type());
        let mut out = output::stdout();
        let progress = Progress::of_things("dumping", table.len());
        let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
        for (entry, done) in table.range(all)?.zip(0_u64..) {
            let (key, value) = entry?;
            write_entry(&mut out, self.format, (&keys, &key), (&values, value))?;
            if done.is_multiple_of(4096) {
                progress.set(done);
            }
        }
        out.flush()?;
        Ok(())
    }
}

/// Writes one entry as one line.
pub(crate) fn write_entry(
    out: &mut impl Write,
    format: LineFormat,
    (keys, key): (&Column, &[u8]),
    (values, value): (&Column, &[u8]),
) -> Result<(), Failure> {
    match format {
        LineFormat::Tsv => {
            keys.write(out, key)?;
            out.write_all(b"\t")?;
            values.write(out, value)?;
            out.write_all(b"\n")?;
        }
        LineFormat::Jsonl => {
            out.write_all(b"{")?;
            keys.write_json(out, key)?;
            out.write_all(b",")?;
            values.write_json(out, value)?;
            out.write_all(b"}\n")?;
        }
    }
    Ok(())
}
