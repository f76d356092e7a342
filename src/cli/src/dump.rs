//! `folio dump`: whole tables in a form that `folio load` reads back.

use std::io::{IsTerminal, Write, stdout};
use std::ops::Bound;

use clap::{Args, ValueEnum};
use folio::{Database, RawBounds, ReadTransaction, TableInfo};

use crate::base64;
use crate::column::Column;
use crate::csv;
use crate::failure::{Failure, chain, say};
use crate::lmdb::shape::Shape;
use crate::lmdb::write::Section;
use crate::open::ToRead;
use crate::output;
use crate::output::plural;
use crate::progress::Progress;

/// Print whole tables, in the order of their keys
///
/// All of it is one snapshot of the database, and `load` reads it back to the
/// same bytes.
///
/// Formats:
///   tsv    A line is a key, a tab and a value, with \t \n \r \\ \xHH in place
///          of what would not be text.
///   jsonl  A line is {"key":..,"value":..}: strings for text, numbers and truth
///          values where the type has them, and "key_base64" or "value_base64"
///          for bytes that are not UTF-8.
///   csv    Rows of RFC 4180 below one that names the columns: key, value and,
///          for text and bytes, base64. That says which of the others are in
///          base64: key, value or both, where they are not text that can be
///          shown.
///   dump   LMDB's text, for mdb_load, mdbx_load and `folio load --format dump`:
///          several tables with their names. Tables with keys of the types
///          (bytes,bytes), (bytes,[u8;N]), (bytes,u64) and the like and values
///          of the type () become DUPSORT tables, keys of the types u32 and u64
///          INTEGERKEY; all else is written as it is stored.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct Dump {
    #[command(flatten)]
    db: ToRead,
    /// The table's name; with --format dump several, or none for all
    #[arg(value_name = "TABLE")]
    tables: Vec<String>,
    /// How an entry is written
    #[arg(long, value_enum, default_value_t = Format::Tsv)]
    format: Format,
    #[command(flatten)]
    lmdb: LmdbArgs,
}

const EXAMPLES: &str = "\
Examples:
  folio dump words.folio words --format jsonl
  folio dump words.folio --format dump --print";

/// Arguments for LMDB's format alone.
#[derive(Debug, Args)]
#[command(next_help_heading = "With --format dump")]
struct LmdbArgs {
    /// All tables, as if none were named
    #[arg(short, long)]
    all: bool,
    /// Text as it is, not as hexadecimal digits (format=print)
    #[arg(short, long)]
    print: bool,
    /// Write this table as LMDB's main database, without its name
    #[arg(long, value_name = "TABLE")]
    main: Option<String>,
    /// How large LMDB may let its file grow [default: four times what there is]
    #[arg(long, value_name = "BYTES")]
    mapsize: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Tsv,
    Jsonl,
    Csv,
    Dump,
}

/// A line per entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LineFormat {
    /// `key<TAB>value`
    Tsv,
    /// {"key":..,"value":..}
    Jsonl,
}

const EVERYTHING: RawBounds<'static> = (Bound::Unbounded, Bound::Unbounded);

impl Dump {
    pub(crate) fn run(self) -> Result<(), Failure> {
        if self.format == Format::Dump {
            return self.lmdb.run(&self.db.open()?, self.tables);
        }
        let LmdbArgs { all, print, main, mapsize } = &self.lmdb;
        if *all || *print || main.is_some() || mapsize.is_some() {
            let text = "--all, --print, --main and --mapsize are for --format dump alone";
            return Err(Failure::Usage(text.to_owned()));
        }
        let [table] = &self.tables[..] else {
            let text = "give the name of one table; --format dump can have several";
            return Err(Failure::Usage(text.to_owned()));
        };
        let db = self.db.open()?;
        let tx = db.begin_read()?;
        let table = tx.open_raw(table)?;
        let keys = Column::of_keys(table.key_type());
        let values = Column::of_values(table.value_type());
        let mut out = output::stdout();
        let progress = Progress::of_things("dumping", table.len());
        if self.format == Format::Csv {
            write_csv_header(&mut out, &keys, &values)?;
        }
        for (entry, done) in table.range(EVERYTHING)?.zip(0_u64..) {
            let (key, value) = entry?;
            let (key, value) = ((&keys, &key[..]), (&values, value));
            match self.format {
                Format::Csv => write_csv_row(&mut out, key, value)?,
                Format::Jsonl => write_entry(&mut out, LineFormat::Jsonl, key, value)?,
                Format::Tsv | Format::Dump => write_entry(&mut out, LineFormat::Tsv, key, value)?,
            }
            if done.is_multiple_of(4096) {
                progress.set(done);
            }
        }
        out.flush()?;
        Ok(())
    }
}

impl LmdbArgs {
    fn run(self, db: &Database, wanted: Vec<String>) -> Result<(), Failure> {
        if self.all && !wanted.is_empty() {
            return Err(Failure::Usage("--all and names of tables exclude each other".to_owned()));
        }
        let tx = db.begin_read()?;
        let tables = self.tables(&tx, wanted)?;
        let map_size = self.mapsize.unwrap_or_else(|| map_size(db));
        let progress = Progress::of_things("dumping", tables.iter().map(|table| table.entries).sum());
        let mut out = output::stdout();
        let mut done = 0_u64;
        for TableInfo { name, key_type, value_type, .. } in &tables {
            let (shape, key_follows, value_follows) = Shape::of_types(key_type, value_type);
            let is_main = self.main.as_ref() == Some(name);
            let section = Section {
                name: (!is_main).then_some(name.as_str()),
                shape,
                key_type: (!key_follows).then_some(key_type.as_str()),
                value_type: (!value_follows).then_some(value_type.as_str()),
                print: self.print,
                map_size,
            };
            section.begin(&mut out)?;
            let mut unfit = 0_u64;
            for entry in tx.open_raw(name)?.range(EVERYTHING)? {
                let (key, value) = entry?;
                let fits = section.entry(&mut out, &key, value)??;
                unfit += u64::from(!fits);
                done += 1;
                if done.is_multiple_of(4096) {
                    progress.set(done);
                }
            }
            Section::end(&mut out)?;
            if unfit > 0 {
                warn_of_unfit(name, unfit);
            }
        }
        out.flush()?;
        Ok(())
    }

    /// The tables that are meant, once it is known that all of them can be written.
    fn tables(&self, tx: &ReadTransaction, wanted: Vec<String>) -> Result<Vec<TableInfo>, Failure> {
        let mut tables = tx.tables()?;
        for name in wanted.iter().chain(&self.main) {
            if !tables.iter().any(|table| &table.name == name) {
                return Err(folio::Error::NoSuchTable { table: name.clone() }.into());
            }
        }
        if !wanted.is_empty() {
            tables.retain(|table| wanted.contains(&table.name) || self.main.as_ref() == Some(&table.name));
        }
        for TableInfo { name, key_type, value_type, .. } in &tables {
            let texts = [name, key_type, value_type];
            if texts.iter().any(|text| text.contains(['\n', '\r', '\0'])) {
                return Err(Failure::Message(format!(
                    "table {name:?}: its name or the name of a type has a line end or a zero byte, which \
                     this format cannot express; --format jsonl writes the table without its name"
                )));
            }
            if stdout().is_terminal() && texts.iter().any(|text| text.contains(char::is_control)) {
                return Err(Failure::Message(format!(
                    "table {name:?}: its name has control characters, which this format writes as they are: \
                     not to a terminal"
                )));
            }
        }
        Ok(tables)
    }
}

fn warn_of_unfit(table: &str, number: u64) {
    let entries = plural(number, "entry", "entries");
    say(&format!(
        "table {table:?}: {entries} that LMDB as it is by default cannot hold (folio load can): the key is \
         empty or longer than 511 bytes, or so long is one of several values of a key"
    ));
}

/// How large LMDB's file may have to be: four times the content with what LMDB adds to each entry, in whole
/// MiB.
fn map_size(db: &Database) -> u64 {
    const PAGE: u64 = 4096;
    let needed = match db.stats() {
        Ok(stats) => {
            let of_table = |table: &folio::TableStats| {
                let entries = table.entries.saturating_mul(64);
                let values = table.value_bytes.saturating_add(table.overflow_pages.saturating_mul(PAGE));
                table.key_bytes.saturating_add(entries).saturating_add(values)
            };
            stats.tables.iter().map(of_table).fold(0, u64::saturating_add).saturating_mul(4)
        }
        // A damaged file: what can be read of it is written all the same.
        Err(error) => {
            say(&format!("the size for LMDB is a guess: {}", chain(&error)));
            1 << 40
        }
    };
    needed.clamp(15 << 20, 1 << 46).next_multiple_of(1 << 20) + (1 << 20)
}

fn write_csv_header(out: &mut impl Write, keys: &Column, values: &Column) -> Result<(), Failure> {
    let may_be_base64 = keys.may_be_base64() || values.may_be_base64();
    out.write_all(if may_be_base64 { b"key,value,base64" } else { b"key,value" })?;
    out.write_all(csv::END)?;
    Ok(())
}

fn write_csv_row(
    out: &mut impl Write,
    (keys, key): (&Column, &[u8]),
    (values, value): (&Column, &[u8]),
) -> Result<(), Failure> {
    let mut coded: [&[u8]; 2] = [b"", b""];
    for (i, (column, bytes)) in [(keys, key), (values, value)].into_iter().enumerate() {
        match column.cell(bytes)? {
            Some(text) => csv::write_cell(out, &text)?,
            None => {
                base64::write(out, bytes)?;
                coded[i] = [&b"key"[..], b"value"][i];
            }
        }
        if i == 0 {
            out.write_all(b",")?;
        }
    }
    if keys.may_be_base64() || values.may_be_base64() {
        let between: &[u8] = if coded.iter().all(|name| !name.is_empty()) { b" " } else { b"" };
        for part in [b",", coded[0], between, coded[1]] {
            out.write_all(part)?;
        }
    }
    out.write_all(csv::END)?;
    Ok(())
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
