//! A process that does what it is told: a command on each line of standard input, and an answer to each on a
//! line of standard output. `ok ..` says what came of it, `error ..` begins with the name of the error.
//!
//! Databases, snapshots and the write transaction have names that the commands give them, so one process may
//! have several of each. What is open when the input ends is dropped.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use folio::{Database, Durability, OpenOptions, ReadTransaction, Table, WriteTransaction};

use crate::args::{self, Args, Failure};
use crate::workload;

/// Rows that all say the same, so that a snapshot shows whether it is whole, and which one it is.
const CELLS: Table<u64, &[u8]> = Table::new("cells");
/// How many commits each of several processes has made.
const TALLY: Table<&str, u64> = Table::new("tally");

/// What came of a command.
type Answer = Result<String, Failure>;

#[derive(Debug, Default)]
struct Talker {
    dbs: BTreeMap<String, Database>,
    snapshots: BTreeMap<String, ReadTransaction>,
    /// Many more, which have no names.
    held: Vec<ReadTransaction>,
    write: Option<WriteTransaction>,
}

/// See the module.
pub(crate) fn run(args: &mut Args) -> Result<(), Failure> {
    args.finish()?;
    let mut talker = Talker::default();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if line == "exit" {
            break;
        }
        let mut words = Words(line.split_whitespace());
        let answer = match talker.obey(&mut words) {
            Ok(text) => format!("ok {text}\n"),
            Err(failure) => format!("error {failure}\n"),
        };
        // In one piece: what was said is said, whatever happens next.
        std::io::stdout().write_all(answer.as_bytes())?;
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// The words of a command that nobody has asked for yet.
struct Words<'l>(std::str::SplitWhitespace<'l>);

impl<'l> Words<'l> {
    fn word(&mut self) -> Result<&'l str, Failure> {
        self.0.next().ok_or_else(|| Failure::Usage("a word is missing".to_owned()))
    }

    fn number<N: FromStr>(&mut self) -> Result<N, Failure> {
        parsed(self.word()?)
    }

    fn level(&mut self) -> Result<Durability, Failure> {
        level(self.word()?)
    }
}

fn parsed<N: FromStr>(word: &str) -> Result<N, Failure> {
    word.parse().map_err(|_| Failure::Usage(format!("{word} is no number that fits")))
}

fn level(name: &str) -> Result<Durability, Failure> {
    match name {
        "immediate" => Ok(Durability::Immediate),
        "background" => Ok(Durability::Background { within: Duration::from_millis(5) }),
        "buffered" => Ok(Durability::Buffered),
        other => Err(Failure::Usage(format!("{other} is no level"))),
    }
}

/// With the name of the error before what it says.
fn named(error: folio::Error) -> Failure {
    let debug = format!("{error:?}");
    let end = debug.find(|c: char| !c.is_alphanumeric()).unwrap_or(debug.len());
    Failure::Error(format!("{}: {error}", &debug[..end]))
}

trait OrNamed<T> {
    fn named(self) -> Result<T, Failure>;
}

impl<T> OrNamed<T> for folio::Result<T> {
    fn named(self) -> Result<T, Failure> {
        self.map_err(named)
    }
}

fn said<T: ToString>(result: folio::Result<T>) -> Answer {
    result.named().map(|value| value.to_string())
}

fn done(result: folio::Result<()>) -> Answer {
    result.named().map(|()| String::new())
}

impl Talker {
    fn obey(&mut self, words: &mut Words<'_>) -> Answer {
        let command = words.word()?;
        match command {
            "hello" => Ok(std::process::id().to_string()),
            "open" => self.open(words),
            "close" => {
                let name = words.word()?;
                let db = self.dbs.remove(name).ok_or_else(|| missing(name))?;
                done(db.close())
            }
            "begin" => self.begin(words),
            "work" => said(workload::apply(self.writing()?, 1)),
            "rows" => {
                let (rows, len, stamp) = (words.number()?, words.number()?, words.number()?);
                done(write_cells(self.writing()?, rows, len, stamp))
            }
            "commit" => {
                let mut tx = self.write.take().ok_or_else(|| missing("a write transaction"))?;
                tx.set_durability(words.level()?);
                said(tx.commit().map(|info| info.txn))
            }
            "abort" => {
                self.write = None;
                Ok(String::new())
            }
            "snapshot" => {
                let tx = self.db(words)?.begin_read().named()?;
                let answer = shown(&tx);
                self.snapshots.insert(words.word()?.to_owned(), tx);
                answer
            }
            "read" => {
                let name = words.word()?;
                shown(self.snapshots.get(name).ok_or_else(|| missing(name))?)
            }
            "end" => {
                let name = words.word()?;
                self.snapshots.remove(name).map(|_| String::new()).ok_or_else(|| missing(name))
            }
            "hold" => self.hold(words),
            "peek" => Ok(std::fs::read(words.word()?)?.len().to_string()),
            "release" => {
                self.held.clear();
                Ok(String::new())
            }
            _ => self.whole(command, words),
        }
    }

    /// Commands on a database as a whole.
    fn whole(&self, command: &str, words: &mut Words<'_>) -> Answer {
        let db = self.db(words)?;
        match command {
            "apply" => apply(db, words),
            "fill" => fill(db, words),
            "clear" => {
                let tx = db.begin_write().named()?;
                tx.drop_table("cells").named()?;
                done(tx.commit().map(|_| ()))
            }
            "tally" => tally(db, words),
            "sync" => done(db.sync()),
            "check" => {
                let report = db.check().named()?;
                match report.faults.first() {
                    None => Ok(report.pages.to_string()),
                    Some(fault) => Err(Failure::Corrupt(format!("{} faults: {fault}", report.faults.len()))),
                }
            }
            "stats" => {
                let stats = db.stats().named()?;
                let live = stats.pages - stats.free_pages - stats.pending_pages;
                Ok(format!(
                    "file={} live={} free={} pending={} txn={} durable={}",
                    stats.file_bytes,
                    live * u64::from(stats.page_size),
                    stats.free_pages,
                    stats.pending_pages,
                    stats.txn,
                    stats.durable_txn
                ))
            }
            "compact" => said(db.compact().map(|report| report.bytes_after)),
            other => Err(Failure::Usage(format!("{other} is not understood"))),
        }
    }
}

impl Talker {
    fn db(&self, words: &mut Words<'_>) -> Result<&Database, Failure> {
        let name = words.word()?;
        self.dbs.get(name).ok_or_else(|| missing(name))
    }

    fn writing(&self) -> Result<&WriteTransaction, Failure> {
        self.write.as_ref().ok_or_else(|| missing("a write transaction"))
    }

    /// `open NAME PATH [OPTION..]`.
    fn open(&mut self, words: &mut Words<'_>) -> Answer {
        let (name, path) = (words.word()?, words.word()?);
        let mut options = Database::options();
        let mut open: fn(&OpenOptions, &Path) -> folio::Result<Database> = args::open;
        while let Ok(word) = words.word() {
            match word.split_once('=') {
                None if word == "unlocked" => {
                    open = args::open_unlocked;
                    &mut options
                }
                None if word == "create" => options.create(true),
                None if word == "new" => options.create_new(true),
                None if word == "read-only" => options.read_only(true),
                Some(("reserve", bytes)) => options.reserve(parsed(bytes)?),
                Some(("memory-limit", bytes)) => options.memory_limit(parsed(bytes)?),
                _ => return Err(Failure::Usage(format!("{word} is no option"))),
            };
        }
        let db = open(&options, Path::new(path)).named()?;
        self.dbs.insert(name.to_owned(), db);
        Ok(String::new())
    }

    /// `begin NAME [try | within MILLISECONDS]`.
    fn begin(&mut self, words: &mut Words<'_>) -> Answer {
        let db = self.db(words)?;
        let tx = match words.word() {
            Err(_) => db.begin_write(),
            Ok("try") => db.try_begin_write(),
            Ok(_) => db.begin_write_timeout(Duration::from_millis(words.number()?)),
        };
        let tx = tx.named()?;
        let txn = tx.txn();
        self.write = Some(tx);
        Ok(txn.to_string())
    }

    /// `hold NAME COUNT THREADS`: so many snapshots more, begun in so many threads and kept in this one.
    fn hold(&mut self, words: &mut Words<'_>) -> Answer {
        let db = self.db(words)?;
        let (count, threads): (usize, usize) = (words.number()?, words.number()?);
        let begin = || (0..count / threads).map(|_| db.begin_read()).collect::<folio::Result<Vec<_>>>();
        let begun = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(begin)).collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, _>| thread.join().expect("no panic");
            threads.into_iter().map(join).collect::<folio::Result<Vec<_>>>()
        });
        self.held.extend(begun.named()?.into_iter().flatten());
        // Each of them must be a snapshot of the same.
        let versions = self.held.iter().map(workload::version).collect::<folio::Result<Vec<_>>>().named()?;
        Ok(format!("{} of {:?}..{:?}", versions.len(), versions.iter().min(), versions.iter().max()))
    }
}

fn missing(name: &str) -> Failure {
    Failure::Usage(format!("there is no {name}"))
}

/// What a snapshot holds: the version of the workload, and what all its cells say. Its number is not shown,
/// as that may change without a change of the content.
fn shown(tx: &ReadTransaction) -> Answer {
    if let Some(fault) = workload::sum_fault(tx).named()? {
        return Err(Failure::Corrupt(fault));
    }
    let cells = tx.open(CELLS).named()?;
    let mut first: Option<&[u8]> = None;
    let mut count = 0_u64;
    for entry in cells.iter().named()? {
        let (row, value) = entry.named()?;
        let wanted = *first.get_or_insert(value);
        if value != wanted || row != count {
            return Err(Failure::Corrupt(format!("row {count} of the cells is not as the first")));
        }
        count += 1;
    }
    let stamp = first.and_then(|value| value.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes));
    Ok(format!("version={} cells={count} stamp={stamp}", workload::version(tx).named()?))
}

/// `apply NAME TIMES LEVEL`: so many transactions of the workload; the newest version.
fn apply(db: &Database, words: &mut Words<'_>) -> Answer {
    let (times, level): (u64, _) = (words.number()?, words.level()?);
    let mut version = 0;
    for _ in 0..times {
        let mut tx = db.begin_write().named()?;
        version = workload::apply(&tx, 1).named()?;
        tx.set_durability(level);
        tx.commit().named()?;
    }
    Ok(version.to_string())
}

/// `fill NAME ROWS LEN FROM TO LEVEL`: a transaction for each stamp, which writes every row anew.
fn fill(db: &Database, words: &mut Words<'_>) -> Answer {
    let (rows, len): (u64, usize) = (words.number()?, words.number()?);
    let (from, to, level): (u64, u64, _) = (words.number()?, words.number()?, words.level()?);
    for stamp in from..to {
        let mut tx = db.begin_write().named()?;
        write_cells(&tx, rows, len, stamp).named()?;
        tx.set_durability(level);
        tx.commit().named()?;
    }
    Ok(String::new())
}

/// All of them, in the middle of a transaction: more than its memory may hold.
fn write_cells(tx: &WriteTransaction, rows: u64, len: usize, stamp: u64) -> folio::Result<()> {
    let value = stamp.to_le_bytes().repeat(len / 8);
    let mut cells = tx.open(CELLS)?;
    for row in 0..rows {
        cells.insert(row, &value[..])?;
    }
    Ok(())
}

/// `tally NAME WHO COUNT`: so many commits, one after the other, each of which counts itself. How many
/// writers there are, and how many commits the one had that had least while this one made its own.
fn tally(db: &Database, words: &mut Words<'_>) -> Answer {
    let (who, count): (&str, u64) = (words.word()?, words.number()?);
    let mut counts = [BTreeMap::new(), BTreeMap::new()];
    for i in 0..count {
        let mut tx = db.begin_write().named()?;
        {
            let mut table = tx.open(TALLY).named()?;
            let before = table.get(who).named()?.unwrap_or(0);
            table.insert(who, before + 1).named()?;
            if i == 0 || i + 1 == count {
                for entry in table.iter().named()? {
                    let (name, number) = entry.named()?;
                    counts[usize::from(i > 0)].insert(name.to_string(), number);
                }
            }
        }
        tx.set_durability(Durability::Buffered);
        tx.commit().named()?;
    }
    let [first, last] = &counts;
    // Who only looked on is not counted.
    let gained =
        last.iter().filter(|(name, _)| *name != "watcher").map(|(name, number)| number - first[name]);
    Ok(format!("writers={} least={}", first.len(), gained.min().unwrap_or(0)))
}
