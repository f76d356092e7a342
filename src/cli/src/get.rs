//! `folio get`: the value of one key.

use std::io::Write;

use clap::Args;

use crate::column::Column;
use crate::failure::Failure;
use crate::open::ToRead;
use crate::output;

/// Print the value of a key
///
/// A missing key prints nothing and gives exit code 1.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  folio get words.folio words apple")]
pub(crate) struct Get {
    #[command(flatten)]
    db: ToRead,
    /// The table's name
    table: String,
    /// The key
    #[arg(allow_hyphen_values = true)]
    key: String,
    /// Print the value's bytes as they are stored: nothing escaped, no line end
    #[arg(long)]
    raw: bool,
}

impl Get {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let db = self.db.open()?;
        let tx = db.begin_read()?;
        let table = tx.open_raw(&self.table)?;
        let key = Column::of_keys(table.key_type()).parse(&self.key)?;
        let Some(value) = table.get(&key)? else { return Err(missing(&self.table, &self.key)) };
        let mut out = output::stdout();
        if self.raw {
            out.write_all(value)?;
        } else {
            Column::of_values(table.value_type()).write(&mut out, value)?;
            out.write_all(b"\n")?;
        }
        out.flush()?;
        Ok(())
    }
}

/// A key that is not in its table.
pub(crate) fn missing(table: &str, key: &str) -> Failure {
    Failure::Message(format!("there is no key {key:?} in table {table:?}"))
}
