//! After a crash: opens the database as its user would, and compares it with what was promised.

use std::fs;
use std::path::Path;

use folio::{Database, Durability};

use crate::args::{self, Args, End, Failure};
use crate::workload;
use crate::write::Acks;

/// What ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// The process: every acknowledged commit is there.
    Kill,
    /// The power: every commit is there that was acknowledged as durable.
    Power,
}

/// What the acknowledgements say.
#[derive(Debug, Default)]
struct Told {
    durable: u64,
    newest: u64,
    /// What a reader saw and must not have seen.
    fault: Option<String>,
    /// A reader got an error. After a power cut it may.
    reader_failed: Option<String>,
}

impl Told {
    fn read(path: &Path) -> Result<Told, Failure> {
        let text = fs::read_to_string(path)?;
        let mut told = Told::default();
        // Where each line about something durable begins, and its number.
        let mut durable: Vec<(usize, u64)> = Vec::new();
        let mut at = 0;
        for line in text.lines() {
            let number = |text: &str| {
                text.parse::<u64>().map_err(|_| Failure::Error(format!("no acknowledgement: {line}")))
            };
            match line.split_once(' ') {
                Some(("!", fault)) => told.fault = Some(fault.to_owned()),
                Some(("?", fault)) => told.reader_failed = Some(fault.to_owned()),
                // A sync under way when the power went may have said that it succeeded: after a real cut
                // nobody would have heard it.
                Some(("cut", heard)) => {
                    let heard = number(heard)?;
                    durable.retain(|(at, _)| (*at as u64) < heard);
                }
                Some((n, level)) => {
                    told.newest = told.newest.max(number(n)?);
                    if level == "D" {
                        durable.push((at, number(n)?));
                    }
                }
                None if line == "closed" => durable.push((at, told.newest)),
                None => return Err(Failure::Error(format!("no acknowledgement: {line}"))),
            }
            at += line.len() + 1;
        }
        told.durable = durable.iter().map(|(_, n)| *n).max().unwrap_or(0);
        Ok(told)
    }
}

fn corrupt(error: impl ToString) -> Failure {
    Failure::Corrupt(error.to_string())
}

fn sound(fault: folio::Result<Option<String>>) -> Result<(), Failure> {
    match fault {
        Ok(None) => Ok(()),
        Ok(Some(fault)) => Err(Failure::Corrupt(fault)),
        Err(error) => Err(corrupt(error)),
    }
}

/// The whole of a database is as its version must be; which that is.
fn check(db: &Database) -> Result<u64, Failure> {
    sound(workload::check_fault(db))?;
    let tx = db.begin_read().map_err(corrupt)?;
    sound(workload::fault(&tx))?;
    workload::version(&tx).map_err(corrupt)
}

/// See the help.
pub(crate) fn run(args: &mut Args) -> Result<(), Failure> {
    let (path, acks_path) = (args.path("DB")?, args.path("ACKS")?);
    let after = match args.text("after").as_deref() {
        Some("kill") => After::Kill,
        Some("power") => After::Power,
        _ => return Err(Failure::Usage("--after kill or --after power".to_owned())),
    };
    let threads = args.number("threads")?.unwrap_or(1);
    let end = args.end()?;
    args.finish()?;

    let told = Told::read(&acks_path)?;
    if let Some(fault) = told.fault.or(told.reader_failed.filter(|_| after == After::Kill)) {
        return Err(Failure::Corrupt(fault));
    }
    let promised = if after == After::Kill { told.newest } else { told.durable };
    if !path.exists() {
        println!("there is no file; {promised} were promised");
        return if promised == 0 { Ok(()) } else { Err(Failure::Lost("the file is not there".to_owned())) };
    }
    // 1. Who only reads sees what recovery will take, and changes nothing.
    let reader = args::open(Database::options().read_only(true), &path).map_err(corrupt)?;
    let shown = check(&reader)?;
    drop(reader);
    // 2. Recovery.
    let db = args::open(&Database::options(), &path).map_err(corrupt)?;
    let found = check(&db)?;
    println!("version {found}; durable {}, newest {}", told.durable, told.newest);
    if shown != found {
        return Err(Failure::Corrupt(format!("a reader was shown {shown}, recovery found {found}")));
    }
    if found < promised {
        return Err(Failure::Lost(format!("{promised} was acknowledged, {found} is there")));
    }
    // Each thread says what it has before it goes on.
    if found > told.newest + threads {
        return Err(Failure::Corrupt(format!("{found} is there, {} was the newest told", told.newest)));
    }
    // 3. What is shown stays, and writing goes on.
    let acks = Acks::append_to(&acks_path)?;
    acks.commit(found, true)?;
    for level in [Durability::Immediate, Durability::Buffered, Durability::Immediate] {
        let mut tx = db.begin_write().map_err(corrupt)?;
        let n = workload::apply(&tx, 1).map_err(corrupt)?;
        tx.set_durability(level);
        let info = tx.commit().map_err(corrupt)?;
        acks.commit(n, info.durable)?;
    }
    if check(&db)? != found + 3 {
        return Err(Failure::Corrupt("three more commits are not there".to_owned()));
    }
    match end {
        End::Close => Ok(db.close()?),
        End::Kill => End::Kill.of(db),
    }
}

/// See the help.
pub(crate) fn read(args: &mut Args) -> Result<(), Failure> {
    let path = args.path("DB")?;
    let times = args.number("times")?.unwrap_or(1_u64);
    args.finish()?;
    for _ in 0..times {
        let db = args::open(Database::options().read_only(true), &path)?;
        let tx = db.begin_read()?;
        sound(workload::sum_fault(&tx))?;
        println!("version {}", workload::version(&tx)?);
    }
    Ok(())
}
