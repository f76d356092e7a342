//! Reading over and over: what a read transaction costs, and what is left of readers that are killed.

use std::time::Instant;

use folio::{Database, ReadTransaction, Table};

use crate::args::{self, Args, Failure};
use crate::kernel;

const ROWS: Table<u64, u64> = Table::new("read");
const ROW_COUNT: u64 = 1_000;

fn get(tx: &ReadTransaction, i: u64) -> Result<(), Failure> {
    let row = i % ROW_COUNT;
    match tx.open(ROWS)?.get(row)? {
        Some(value) if value == row * 3 => Ok(()),
        other => Err(Failure::Corrupt(format!("row {row} is {other:?}"))),
    }
}

/// See the help.
pub(crate) fn run(args: &mut Args) -> Result<(), Failure> {
    let path = args.path("DB")?;
    let times = args.number("times")?.unwrap_or(1_000_000_u64);
    let rounds = args.number("rounds")?.unwrap_or(0_usize);
    args.finish()?;
    let db = args::open(Database::options().create(true), &path)?;
    db.write(|tx| {
        let mut rows = tx.open(ROWS)?;
        (0..ROW_COUNT).try_for_each(|row| rows.insert(row, row * 3).map(|_| ()))
    })?;
    let each = |db: &Database| (0..times).try_for_each(|i| get(&db.begin_read()?, i));
    if rounds == 0 {
        return each(&db);
    }
    let nanoseconds = |start: Instant| u64::try_from(start.elapsed().as_nanos()).expect("it is no age");
    let (mut many, mut one) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let start = Instant::now();
        each(&db)?;
        many.push(nanoseconds(start));
        let start = Instant::now();
        let tx = db.begin_read()?;
        (0..times).try_for_each(|i| get(&tx, i))?;
        one.push(nanoseconds(start));
    }
    let median = |mut all: Vec<u64>| {
        all.sort_unstable();
        all[all.len() / 2] * 10 / times
    };
    let (many, one) = (median(many), median(one));
    let tenths = |n: u64| format!("{}.{}", n / 10, n % 10);
    println!(
        "begin, get and end: {} ns; get alone: {} ns; a begin and end: {} ns",
        tenths(many),
        tenths(one),
        tenths(many.saturating_sub(one))
    );
    Ok(())
}

/// See the help.
pub(crate) fn die(args: &mut Args) -> Result<(), Failure> {
    let path = args.path("DB")?;
    let times = args.number("times")?.unwrap_or(1_u64);
    args.finish()?;
    for _ in 0..times {
        kernel::killed_child(|| {
            let db = args::open(Database::options().read_only(true), &path)?;
            let tx = db.begin_read()?;
            let failure = kernel::kill_self(db);
            drop(tx);
            Err(Failure::Error(failure))
        })?;
    }
    Ok(())
}
