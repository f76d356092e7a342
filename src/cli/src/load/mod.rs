//! `folio load`: entries from files or standard input into a table.
//!
//! Entries are read one at a time into memory that is used again, and given to the engine at once: the tool's
//! own memory is the longest entry. Each batch is one transaction, so what an error leaves is whole batches.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum, value_parser};
use folio::{Database, Durability, Error, RawTableMut};

use crate::column::Column;
use crate::failure::{Failure, chain};
use crate::output::{grouped, plural};
use crate::progress::Progress;
use crate::{open, output};

mod csv;
mod dump;
mod files;
mod jsonl;
mod lines;
mod table_args;
mod tsv;

use dump::DumpArgs;
pub(crate) use table_args::TableArgs;

/// Load entries from files or standard input into a table
///
/// The database and the table are created if they do not exist. An entry whose
/// key is in the table takes its place. An error names the file and the line;
/// nothing of the batch it is in is committed.
///
/// Formats:
///   tsv    A line is a key, a tab and a value, with the escapes
///          \t \n \r \\ \xHH. The value is all of the rest, tabs included.
///   jsonl  A line is {"key":..,"value":..}: strings, or numbers and truth
///          values for such types. "key_base64" and "value_base64" take
///          base64 instead, "key_hex" and "value_hex" hexadecimal digits.
///   csv    Rows of RFC 4180, of which the first one of each file names the
///          columns: key, value and, if it is there, base64, which says key,
///          value or both where these are in base64. Cells hold text as it is,
///          line ends in quotes too; there are no escapes.
///   lines  A line is a key as it stands, without escapes. Its value is empty.
///   files  Every file below the given folders: its path is the key, its
///          content the value. Links are not followed.
///   dump   What mdb_dump of LMDB, mdbx_dump of libmdbx or `folio dump
///          --format dump` writes: any number of tables with their names, so
///          TABLE is not given. All of it is one transaction. A table whose
///          keys may have several values (DUPSORT) gets keys of the type
///          (bytes,bytes), a key with one of its values; integer keys
///          (INTEGERKEY) get the type u32 or u64.
///
/// Lines end with a line feed, or with a carriage return and a line feed.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct Load {
    /// The database file
    db: PathBuf,
    /// The table's name; not with --format dump
    table: Option<OsString>,
    /// What to read; nothing or - is standard input
    #[arg(value_name = "FILE")]
    inputs: Vec<PathBuf>,
    /// How the entries are written
    #[arg(long, value_enum, default_value_t = Format::Tsv)]
    format: Format,
    /// Entries per transaction [default: 1000000]
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    batch: Option<u64>,
    /// Whether each batch waits for the disk, or only the last
    #[arg(long, value_enum, default_value_t = Level::Immediate)]
    durability: Level,
    #[command(flatten)]
    new: TableArgs,
    #[command(flatten)]
    dump: DumpArgs,
}

const EXAMPLES: &str = "\
Examples:
  folio load words.folio words words.tsv
  folio load tree.folio files src --format files
  mdb_dump -a old.mdb | folio load new.folio --format dump";

/// The longest value that a table can hold.
const VALUE_MAX: usize = u32::MAX as usize;

/// How many entries are committed together if nothing else is asked for.
const BATCH: u64 = 1_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Tsv,
    Jsonl,
    Csv,
    Lines,
    Files,
    Dump,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Level {
    /// On the disk when its commit returns
    Immediate,
    /// In the system's memory until the load has ended
    Buffered,
}

/// Where entries come from, one at a time.
trait Source {
    /// The next entry, which may be looked at until the one after it is asked for.
    fn next(&mut self) -> Result<Option<Entry<'_>>, Failure>;
    /// Where the last entry stood: a file, or a file and a line.
    fn place(&self) -> String;
    /// Bytes read so far.
    fn bytes_read(&self) -> u64;
    /// Bytes that there are to read, if that is known.
    fn bytes_total(&self) -> Option<u64>;
}

/// A key and a value.
type Entry<'a> = (&'a [u8], &'a [u8]);

/// What has been loaded.
#[derive(Debug, Default)]
struct Sum {
    entries: u64,
    replaced: u64,
    bytes: u64,
    committed: u64,
}

impl Load {
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        self.new.check()?;
        if self.format == Format::Dump {
            return self.run_dump();
        }
        if !self.dump.is_empty() {
            let text = "--main, --dupsort, --table-records and --any-order are for --format dump alone";
            return Err(Failure::Usage(text.to_owned()));
        }
        let table = self.table.take().ok_or("the name of the table is missing".to_owned());
        let table = table.and_then(|name| {
            name.into_string().map_err(|name| format!("the name of a table is UTF-8, and {name:?} is not"))
        });
        let table = table.map_err(Failure::Usage)?;
        lines::check_inputs(&self.inputs, self.format == Format::Files)?;
        if self.format == Format::Files {
            files::check_inputs(&self.inputs)?;
        }
        let db = open::or_create(&self.db, self.new.page_size)?;
        let start = Instant::now();
        let mut sum = Sum::default();
        if let Err(failure) = self.load(&db, &table, &mut sum) {
            let kept = match sum.committed {
                0 => "nothing was loaded".to_owned(),
                n => format!("{} of earlier batches stay loaded", plural(n, "entry", "entries")),
            };
            return Err(Failure::Message(format!("{} ({kept})", failure.text())));
        }
        db.close()?;
        report(&sum, start.elapsed()).map_err(Failure::Output)
    }

    /// Loads batch after batch, until the source has no more.
    fn load(&self, db: &Database, name: &str, sum: &mut Sum) -> Result<(), Failure> {
        let mut source: Option<Box<dyn Source>> = None;
        let mut progress = None;
        loop {
            let mut tx = db.begin_write()?;
            tx.set_durability(self.durability.of_library());
            let more = {
                let mut table = self.new.open(&tx, name)?;
                let source = match &mut source {
                    Some(source) => source,
                    // The table's own types say how the text is read, and only now they are known.
                    None => source.insert(self.source(&table)?),
                };
                let progress =
                    progress.get_or_insert_with(|| Progress::of_bytes("loading", source.bytes_total()));
                fill(&mut table, source.as_mut(), self.batch.unwrap_or(BATCH), sum, progress)?
            };
            // The last batch was full, and nothing came after it. (No input at all still makes the table.)
            if sum.entries == sum.committed && sum.committed > 0 {
                return Ok(());
            }
            tx.commit()?;
            sum.committed = sum.entries;
            if !more {
                return Ok(());
            }
        }
    }

    fn source(&self, table: &RawTableMut<'_>) -> Result<Box<dyn Source>, Failure> {
        let keys = Column::of_keys(table.key_type());
        let values = Column::of_values(table.value_type());
        let lines = || lines::Lines::new(&self.inputs);
        Ok(match self.format {
            Format::Tsv => Box::new(tsv::Tsv::new(lines(), keys, values)),
            Format::Jsonl => Box::new(jsonl::Jsonl::new(lines(), keys, values)),
            Format::Csv => Box::new(csv::Csv::new(lines(), keys, values)),
            Format::Lines => Box::new(lines::KeyLines::new(lines(), keys, values)),
            Format::Files => Box::new(files::Files::new(&self.inputs, &self.db, keys, values)?),
            Format::Dump => return Err(Failure::Usage("a dump names its tables".to_owned())),
        })
    }

    /// Loads a stream that names its tables: all of it, or nothing.
    fn run_dump(mut self) -> Result<(), Failure> {
        if self.batch.is_some() {
            let text = "--batch: a dump is loaded in one transaction, as a whole or not at all";
            return Err(Failure::Usage(text.to_owned()));
        }
        // What stands in the place of the table's name is the first file.
        self.inputs.splice(..0, self.table.take().map(PathBuf::from));
        lines::check_inputs(&self.inputs, false)?;
        let db = open::or_create(&self.db, self.new.page_size)?;
        let start = Instant::now();
        let mut tx = db.begin_write()?;
        tx.set_durability(self.durability.of_library());
        let mut lines = lines::Lines::new(&self.inputs);
        let loaded = dump::load(&tx, &self.dump, &self.new, &mut lines)
            .map_err(|failure| Failure::Message(format!("{} (nothing was loaded)", failure.text())))?;
        tx.commit()?;
        db.close()?;
        let mut sum = Sum::default();
        for table in &loaded {
            sum.entries += table.entries;
            sum.replaced += table.replaced;
            sum.bytes += table.bytes;
        }
        dump::report(&mut output::stdout(), &loaded)?;
        report(&sum, start.elapsed()).map_err(Failure::Output)
    }
}

impl Level {
    fn of_library(self) -> Durability {
        match self {
            Level::Immediate => Durability::Immediate,
            Level::Buffered => Durability::Buffered,
        }
    }
}

/// Reads all there is as a value, of which `expected` bytes are known. What has no end, or is longer than a
/// value can be, is an error before it has taken all memory.
pub(crate) fn read_value(from: impl Read, expected: usize, room: &mut Vec<u8>) -> io::Result<usize> {
    room.clear();
    room.try_reserve(expected)?;
    let len = from.take(VALUE_MAX as u64 + 1).read_to_end(room)?;
    if len > VALUE_MAX {
        return Err(io::Error::other(Error::ValueTooLong { len, max: VALUE_MAX }));
    }
    Ok(len)
}

/// Puts up to `batch` entries into the table. Says whether there may be more.
fn fill(
    table: &mut RawTableMut<'_>,
    source: &mut dyn Source,
    batch: u64,
    sum: &mut Sum,
    progress: &Progress,
) -> Result<bool, Failure> {
    for _ in 0..batch {
        let Some((key, value)) = source.next()? else { return Ok(false) };
        let len = key.len() as u64 + value.len() as u64;
        match table.insert(key, value) {
            Ok(replaced) => sum.replaced += u64::from(replaced),
            Err(error) => return Err(Failure::Message(format!("{}: {}", source.place(), chain(&error)))),
        }
        sum.entries += 1;
        sum.bytes += len;
        // Files are few and large, lines many and small.
        if len > 65_536 || sum.entries.is_multiple_of(1024) {
            progress.set(source.bytes_read());
        }
    }
    Ok(true)
}

fn report(sum: &Sum, time: Duration) -> io::Result<()> {
    let seconds = time.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = format!("{:.0}", sum.entries as f64 / seconds.max(1e-6));
    let replaced = match sum.replaced {
        0 => String::new(),
        n => format!(" ({} replaced)", grouped(n)),
    };
    let mut out = output::stdout();
    writeln!(
        out,
        "{}{replaced}, {}, {seconds:.3} s, {} entries/s",
        plural(sum.entries, "entry", "entries"),
        output::bytes_exactly(sum.bytes),
        output::grouped_digits(&rate),
    )?;
    out.flush()
}
