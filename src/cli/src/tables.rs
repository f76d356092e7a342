//! `folio tables`: the tables of a database.

use std::io::Write;

use clap::Args;

use crate::failure::Failure;
use crate::open::ToRead;
use crate::output;
use crate::output::Align::{Left, Right};

/// List the tables of a database with their types and numbers of entries
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  folio tables words.folio")]
pub(crate) struct Tables {
    #[command(flatten)]
    db: ToRead,
}

impl Tables {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let db = self.db.open()?;
        let tables = db.begin_read()?.tables()?;
        let mut rows = vec![["table", "key", "value", "entries"].map(str::to_owned).to_vec()];
        for table in tables {
            let entries = output::grouped(table.entries);
            rows.push(vec![
                output::name(&table.name),
                output::name(&table.key_type),
                output::name(&table.value_type),
                entries,
            ]);
        }
        let mut out = output::stdout();
        output::columns(&mut out, &[Left, Left, Left, Right], &rows)?;
        out.flush()?;
        Ok(())
    }
}
