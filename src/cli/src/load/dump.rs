//! Streams of LMDB's text format: several tables, each with a header, in one transaction.

use std::io::Write;

use clap::{Args, ValueEnum};
use folio::types::Buffer;
use folio::{Error, RawTableMut, WriteTransaction};

use super::TableArgs;
use super::lines::Lines;
use crate::failure::{Failure, chain, say};
use crate::lmdb::parse::{Event, Parser};
use crate::lmdb::shape::Shape;
use crate::lmdb::{Header, is_table_record};
use crate::output;
use crate::progress::Progress;

/// Arguments for this format alone.
#[derive(Debug, Args)]
#[command(next_help_heading = "With --format dump")]
pub(super) struct DumpArgs {
    /// The table that LMDB's main database goes to, which has no name [default: main]
    #[arg(long, value_name = "TABLE")]
    main: Option<String>,
    /// What becomes of a table whose keys may have several values [default: pairs]
    #[arg(long, value_enum, value_name = "HOW")]
    dupsort: Option<Dups>,
    /// What becomes of the records that stand for tables with a name in the main database [default: refuse]
    #[arg(long, value_enum, value_name = "HOW")]
    table_records: Option<Records>,
    /// Load tables whose order is that of reversed bytes (REVERSEKEY, REVERSEDUP), too: their content is
    /// kept, in the order of the bytes as they are
    #[arg(long)]
    any_order: bool,
}

/// What becomes of DUPSORT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Dups {
    /// The key and one of its values are the key here; nothing is lost, and `dump` writes it back
    Pairs,
    /// Each key keeps its first value
    First,
    /// Each key keeps its last value
    Last,
    /// Nothing is loaded
    Refuse,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Records {
    /// Nothing is loaded
    Refuse,
    /// They are left out
    Skip,
    /// They are loaded as they are, 48 bytes without a meaning
    Keep,
}

impl DumpArgs {
    /// Whether none was given: they mean nothing with other formats.
    pub(super) fn is_empty(&self) -> bool {
        let DumpArgs { main, dupsort, table_records, any_order } = self;
        main.is_none() && dupsort.is_none() && table_records.is_none() && !any_order
    }

    fn dups(&self) -> Dups {
        self.dupsort.unwrap_or(Dups::Pairs)
    }

    /// The table that a section goes to.
    fn name(&self, header: &Header) -> Result<String, String> {
        let Some(name) = &header.name else {
            return Ok(self.main.clone().unwrap_or_else(|| "main".to_owned()));
        };
        String::from_utf8(name.clone()).map_err(|error| {
            let name = error.as_bytes().escape_ascii();
            format!("the name {name} is not UTF-8, as names are here: change the line database=..")
        })
    }

    /// Refuses what Folio cannot keep.
    fn check(&self, header: &Header, name: &str) -> Result<(), String> {
        let flags = header.flags;
        if (flags.reverse_key || flags.reverse_dup) && !self.any_order {
            let flag = if flags.reverse_key { "REVERSEKEY" } else { "REVERSEDUP" };
            return Err(format!(
                "table {name:?} is ordered by reversed bytes ({flag}), which Folio does not have: \
                 --any-order loads it in the order of the bytes as they are"
            ));
        }
        if flags.dup_sort && self.dups() == Dups::Refuse {
            return Err(format!(
                "table {name:?} may have several values for a key (DUPSORT): --dupsort pairs keeps them all, \
                 --dupsort first or last keeps one"
            ));
        }
        Ok(())
    }
}

/// What came into a table.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) table: String,
    pub(super) key_type: String,
    pub(super) value_type: String,
    pub(super) entries: u64,
    pub(super) replaced: u64,
    pub(super) bytes: u64,
    /// Entries that were left out as asked for.
    pub(super) left_out: u64,
}

/// Loads all sections. Nothing is committed.
pub(super) fn load(
    tx: &WriteTransaction,
    args: &DumpArgs,
    new: &TableArgs,
    lines: &mut Lines,
) -> Result<Vec<Loaded>, Failure> {
    let progress = Progress::of_bytes("loading", lines.bytes_total());
    let mut parser = Parser::new();
    let mut loaded = Vec::new();
    let mut section: Option<Section<'_>> = None;
    let mut number = 0_u64;
    while lines.advance()? {
        let event = match (parser.line(lines.line()), &section) {
            (Err(reason), Some(open)) => Err(format!("table {:?}: {reason}", open.name)),
            (event, _) => event,
        };
        match event.map_err(|reason| lines.fault(&reason))? {
            Event::Nothing => {}
            Event::Note(text) => say(&format!("{}: {text}", lines.place())),
            Event::Begin => {
                let begun = Section::begin(args, parser.header());
                section = Some(begun.map_err(|reason| lines.fault(&reason))?);
            }
            Event::Entry => {
                if let Some(section) = &mut section {
                    let put = section.put(tx, args, new, parser.header(), parser.entry());
                    put.map_err(|reason| lines.fault(&format!("table {:?}: {reason}", section.name)))?;
                }
            }
            Event::End => {
                if let Some(section) = section.take() {
                    let ended = section.end(tx, args, new, parser.header());
                    loaded.push(ended.map_err(|reason| lines.fault(&reason))?);
                }
            }
        }
        number += 1;
        if number.is_multiple_of(2048) || lines.line().len() > 65_536 {
            progress.set(lines.bytes_read());
        }
    }
    parser.end().map_err(|reason| lines.fault(&reason))?;
    Ok(loaded)
}

/// A section being read.
struct Section<'tx> {
    name: String,
    /// Open from the first entry on, which says of which lengths integers are.
    open: Option<Open<'tx>>,
    entries: u64,
    replaced: u64,
    bytes: u64,
    left_out: u64,
    /// The last key, where only the first value of each is wanted.
    last_key: Option<Vec<u8>>,
}

struct Open<'tx> {
    table: RawTableMut<'tx>,
    shape: Shape,
    /// Types whose bytes have to be looked at.
    key_check: Option<Check>,
    value_check: Option<Check>,
}

/// A type that not all bytes are one of.
enum Check {
    Text,
    Key(String),
    Value(String),
}

impl Check {
    fn of(type_name: &str, other: impl FnOnce(String) -> Check) -> Option<Check> {
        match type_name {
            "bytes" => None,
            "str" => Some(Check::Text),
            name => Some(other(name.to_owned())),
        }
    }

    fn run(&self, bytes: &[u8]) -> Result<(), String> {
        match self {
            Check::Text => str::from_utf8(bytes).map(drop).map_err(|error| format!("no str: {error}")),
            Check::Key(name) => folio::types::render_key(name, bytes).map(drop).map_err(|e| chain(&e)),
            Check::Value(name) => folio::types::render_value(name, bytes).map(drop).map_err(|e| chain(&e)),
        }
    }
}

impl<'tx> Section<'tx> {
    fn begin(args: &DumpArgs, header: &Header) -> Result<Self, String> {
        let name = args.name(header)?;
        args.check(header, &name)?;
        Ok(Section { name, open: None, entries: 0, replaced: 0, bytes: 0, left_out: 0, last_key: None })
    }

    fn put(
        &mut self,
        tx: &'tx WriteTransaction,
        args: &DumpArgs,
        new: &TableArgs,
        header: &Header,
        (key, value): (&[u8], &[u8]),
    ) -> Result<(), String> {
        if header.name.is_none() && is_table_record(value) {
            match args.table_records.unwrap_or(Records::Refuse) {
                Records::Keep => {}
                Records::Skip => {
                    self.left_out += 1;
                    return Ok(());
                }
                Records::Refuse => return Err(record_refused(key)),
            }
        }
        if header.flags.dup_sort && args.dups() == Dups::First {
            if self.last_key.as_deref() == Some(key) {
                self.left_out += 1;
                return Ok(());
            }
            self.last_key = Some(key.to_vec());
        }
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(Open::of(tx, args, new, header, &self.name, Some((key, value)))?),
        };
        self.replaced += u64::from(open.insert(key, value)?);
        self.entries += 1;
        self.bytes += key.len() as u64 + value.len() as u64;
        Ok(())
    }

    /// A table without an entry is made, too.
    fn end(
        self,
        tx: &'tx WriteTransaction,
        args: &DumpArgs,
        new: &TableArgs,
        header: &Header,
    ) -> Result<Loaded, String> {
        let Section { name, open, entries, replaced, bytes, left_out, .. } = self;
        let open = open.map_or_else(|| Open::of(tx, args, new, header, &name, None), Ok)?;
        let (key_type, value_type) = (open.table.key_type().to_owned(), open.table.value_type().to_owned());
        Ok(Loaded { table: name, key_type, value_type, entries, replaced, bytes, left_out })
    }
}

fn record_refused(key: &[u8]) -> String {
    let name = key.strip_suffix(b"\0").unwrap_or(key).escape_ascii();
    format!(
        "the record {name} is LMDB's own note of where a table of that name is, and means nothing here: \
         mdb_dump -a writes the tables themselves; --table-records skip leaves such records out"
    )
}

impl<'tx> Open<'tx> {
    /// Opens the table or makes it, with the types that follow from the header, or else that somebody has
    /// given.
    fn of(
        tx: &'tx WriteTransaction,
        args: &DumpArgs,
        new: &TableArgs,
        header: &Header,
        name: &str,
        first: Option<(&[u8], &[u8])>,
    ) -> Result<Self, String> {
        let pairs = args.dups() == Dups::Pairs;
        let shape = Shape::of_section(header.flags, pairs, first)?;
        // Not by the list of all tables: a stream may have thousands.
        let old = match tx.open_raw(name) {
            Ok(table) => Some((table.key_type().to_owned(), table.value_type().to_owned())),
            Err(Error::NoSuchTable { .. }) => None,
            Err(error) => return Err(chain(&error)),
        };
        let (old_key, old_value) = old.unzip();
        let is_free = |found: &String| matches!(found.as_str(), "bytes" | "str");
        let choose = |said: &Option<String>, given: &Option<String>, found: Option<&String>| {
            let found = found.filter(|found| is_free(found));
            said.as_ref().or(given.as_ref()).or(found).map_or("bytes", String::as_str).to_owned()
        };
        let mut key_type = shape.key_type();
        if key_type == "bytes" {
            key_type = choose(&header.key_type, &new.key_type, old_key.as_ref());
        }
        let mut value_type = shape.value_type().to_owned();
        if value_type == "bytes" {
            value_type = choose(&header.value_type, &new.value_type, old_value.as_ref());
        }
        TableArgs::check_types([&key_type, &value_type].into_iter().map(String::as_str))?;
        let table = tx.create_raw(name, &key_type, &value_type).map_err(|error| match error {
            Error::TableTypeMismatch { expected, found, .. } => {
                format!("the table exists and holds {found}, and these entries are {expected}")
            }
            error => chain(&error),
        })?;
        // What `shape` encodes is what it has to be.
        let key_check = if shape.is_plain() { Check::of(&key_type, Check::Key) } else { None };
        let value_check = if shape.has_dups() { None } else { Check::of(&value_type, Check::Value) };
        Ok(Open { table, shape, key_check, value_check })
    }

    fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<bool, String> {
        let in_words = |what: &str, reason: String| format!("{what}: {reason}");
        if let Some(check) = &self.key_check {
            check.run(key).map_err(|reason| in_words("key", reason))?;
        }
        if let Some(check) = &self.value_check {
            check.run(value).map_err(|reason| in_words("value", reason))?;
        }
        let inserted = if self.shape.is_plain() {
            self.table.insert(key, value)
        } else {
            let stored: Buffer = self.shape.encode(key, value)?;
            self.table.insert(stored.as_slice(), if self.shape.has_dups() { b"" } else { value })
        };
        inserted.map_err(|error| match error {
            Error::KeyTooLong { .. } => {
                let more = "larger pages hold longer keys: --page-size, for a new database";
                format!("{}; {more}", chain(&error))
            }
            error => chain(&error),
        })
    }
}

/// Says table by table what was loaded.
pub(super) fn report(out: &mut impl Write, loaded: &[Loaded]) -> std::io::Result<()> {
    use output::Align::{Left, Right};
    let head = ["table", "key", "value", "entries", ""].map(str::to_owned).to_vec();
    let row = |loaded: &Loaded| {
        let mut more = Vec::new();
        for (number, what) in [(loaded.replaced, "replaced"), (loaded.left_out, "left out")] {
            if number > 0 {
                more.push(format!("{} {what}", output::grouped(number)));
            }
        }
        let (key, value) = (output::name(&loaded.key_type), output::name(&loaded.value_type));
        vec![output::name(&loaded.table), key, value, output::grouped(loaded.entries), more.join(", ")]
    };
    let rows: Vec<_> = std::iter::once(head).chain(loaded.iter().map(row)).collect();
    output::columns(out, &[Left, Left, Left, Right, Left], &rows)
}
