//! The arguments that say what a new database and a new table are like. What exists keeps its own.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use folio::{Error, RawTableMut, WriteTransaction};

use crate::failure::Failure;

/// Arguments for what does not exist yet.
#[derive(Debug, Args)]
pub(crate) struct TableArgs {
    /// Bytes of a page, when the database is new [default: 4096]
    #[arg(long, value_name = "BYTES", hide_possible_values = false, value_parser = page_sizes())]
    pub(crate) page_size: Option<u32>,
    /// Type of the keys, when the table is new: bytes, str, u64, (str,u64), .. [default: bytes]
    #[arg(long, value_name = "TYPE")]
    pub(super) key_type: Option<String>,
    /// Type of the values, when the table is new [default: bytes]
    #[arg(long, value_name = "TYPE")]
    pub(super) value_type: Option<String>,
}

fn page_sizes() -> impl TypedValueParser<Value = u32> {
    PossibleValuesParser::new(["4096", "8192", "16384", "32768", "65536"]).try_map(|text| text.parse::<u32>())
}

impl TableArgs {
    /// Refuses names that are no types, before anything is opened: a misspelt one would be recorded for good.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let given = [&self.key_type, &self.value_type].into_iter().flatten().map(String::as_str);
        Self::check_types(given).map_err(Failure::Usage)
    }

    /// The same for names that come from elsewhere. The error is a reason.
    pub(super) fn check_types<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), String> {
        const SIMPLE: &[&str] = &[
            "bytes", "str", "bool", "char", "u8", "u16", "u32", "u64", "u128", "i8", "i16", "i32", "i64",
            "i128", "f32", "f64",
        ];
        for name in names {
            let is_built_of_others = name.starts_with(['(', '[']) || name.starts_with("Option<");
            if !SIMPLE.contains(&name) && !is_built_of_others && !name.contains('/') {
                let known = SIMPLE.join(", ");
                return Err(format!(
                    "{name:?} is no type: give one of {known}, a tuple (str,u64), an array [u8;16], \
                     Option<u64>, or a type of your own as crate::Type/version"
                ));
            }
        }
        Ok(())
    }

    /// Opens the table, or creates it.
    pub(crate) fn open<'tx>(
        &self,
        tx: &'tx WriteTransaction,
        name: &str,
    ) -> Result<RawTableMut<'tx>, Failure> {
        let table = match tx.open_raw(name) {
            Err(Error::NoSuchTable { .. }) => {
                let type_or_bytes =
                    |name: &Option<String>| name.clone().unwrap_or_else(|| "bytes".to_owned());
                let (keys, values) = (type_or_bytes(&self.key_type), type_or_bytes(&self.value_type));
                return Ok(tx.create_raw(name, &keys, &values)?);
            }
            opened => opened?,
        };
        let (keys, values) = (table.key_type(), table.value_type());
        let differs =
            |wanted: &Option<String>, found: &str| wanted.as_ref().is_some_and(|wanted| wanted != found);
        if differs(&self.key_type, keys) || differs(&self.value_type, values) {
            return Err(Failure::Message(format!("table {name:?} exists and holds {keys} -> {values}")));
        }
        Ok(table)
    }
}
