//! `folio put`: one entry into a table.

use std::io;
use std::path::PathBuf;

use clap::Args;

use crate::column::Column;
use crate::failure::Failure;
use crate::load::{TableArgs, read_value};
use crate::open;

/// Put one entry into a table, in place of the key's old value if there is one
///
/// The database and the table are created if they do not exist. Without VALUE, the value is what standard
/// input has: as it is where values are bytes, and as text, without its last line end, for other types.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  folio put words.folio words apple 'a fruit'")]
pub(crate) struct Put {
    /// The database file
    db: PathBuf,
    /// The table's name
    table: String,
    /// The key
    #[arg(allow_hyphen_values = true)]
    key: String,
    /// The value
    #[arg(allow_hyphen_values = true)]
    value: Option<String>,
    #[command(flatten)]
    new: TableArgs,
}

impl Put {
    pub(crate) fn run(self) -> Result<(), Failure> {
        self.new.check()?;
        // Before anything is opened or locked: standard input may be slow.
        let stdin = if self.value.is_none() { read_stdin()? } else { Vec::new() };
        let db = open::or_create(&self.db, self.new.page_size)?;
        let tx = db.begin_write()?;
        {
            let mut table = self.new.open(&tx, &self.table)?;
            let key = Column::of_keys(table.key_type()).parse(&self.key)?;
            let values = Column::of_values(table.value_type());
            let value = match &self.value {
                Some(text) => values.parse(text)?,
                None => parse_stdin(&values, stdin)?,
            };
            table.insert(&key, &value)?;
        }
        tx.commit()?;
        db.close()?;
        Ok(())
    }
}

fn read_stdin() -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    match read_value(io::stdin().lock(), 0, &mut text) {
        Ok(_) => Ok(text),
        Err(source) => Err(Failure::Input { name: "standard input".to_owned(), source }),
    }
}

fn parse_stdin(values: &Column, mut text: Vec<u8>) -> Result<Vec<u8>, Failure> {
    if values.type_name() == "bytes" {
        return Ok(text);
    }
    text.pop_if(|byte| *byte == b'\n');
    let mut room = Vec::new();
    let value =
        values.parse_plain(&text, &mut room).map_err(|e| Failure::Message(format!("standard input: {e}")))?;
    Ok(value.to_vec())
}
