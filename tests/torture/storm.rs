//! One of many processes that read and write one file, any of which may be killed at any moment.
//!
//! Each says in a file of its own which versions it has seen, or has been told are committed. So everybody
//! knows of a version that must be there by now, before it begins a transaction: it may not see an older
//! one, whichever process the version is from and however often processes were killed meanwhile.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use folio::{Database, Durability, Error};

use crate::args::{self, Args, Failure};
use crate::workload::{self, Rng};
use crate::write::Acks;

/// What the files of all processes begin with.
const SAID: &str = "said-";

/// Of the workload.
const SEED: u64 = workload::STEADY | 1;

/// A hold that is not short is one in so many.
const LONG_HOLDS: u64 = 60;
/// The longest of the short ones, in microseconds.
const SHORT_HOLD: u64 = 30_000;

/// What all have said.
struct Heard(Vec<File>);

impl Heard {
    fn of(folder: &Path) -> Result<Heard, Failure> {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(SAID) {
                files.push(File::open(entry.path())?);
            }
        }
        Ok(Heard(files))
    }

    /// The newest version that anybody has said: the last line of each file.
    fn newest(&self) -> Result<u64, Failure> {
        let mut newest = 0;
        for file in &self.0 {
            let mut end = [0; 64];
            let from = file.metadata()?.len().saturating_sub(end.len() as u64);
            let len = file.read_at(&mut end, from)?;
            let whole = end[..len].rsplitn(2, |byte| *byte == b'\n').nth(1).unwrap_or_default();
            let last = whole.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
            let number = std::str::from_utf8(last).ok().and_then(|text| text.parse().ok());
            newest = newest.max(number.unwrap_or(0));
        }
        Ok(newest)
    }
}

/// What every process has.
struct Member {
    db: Database,
    heard: Heard,
    said: Acks,
    stop: PathBuf,
    rng: Rng,
}

fn corrupt<T>(what: String) -> Result<T, Failure> {
    Err(Failure::Corrupt(what))
}

fn sound(fault: Option<String>) -> Result<(), Failure> {
    fault.map_or(Ok(()), corrupt)
}

/// See the help.
pub(crate) fn run(args: &mut Args) -> Result<(), Failure> {
    let role = args.command();
    let folder = args.path("FOLDER")?;
    if role == "verify" {
        args.finish()?;
        return verify(&folder);
    }
    let name = args.path("NAME")?;
    let mut options = args.open_options()?;
    let (levels, seed) = (args.levels()?, args.number("seed")?.unwrap_or(1));
    let hold = args.number("hold")?.unwrap_or(300);
    args.finish()?;
    let mut member = Member {
        db: args::open(options.create(true), &folder.join("db.folio"))?,
        heard: Heard::of(&folder)?,
        said: Acks::append_to(&folder.join(format!("{SAID}{}", name.display())))?,
        stop: folder.join("stop"),
        rng: Rng::new(seed),
    };
    while !member.stop.exists() {
        match role.as_str() {
            "read" => member.read(hold)?,
            "write" => member.write(&levels)?,
            other => return Err(Failure::Usage(format!("{other} is neither read, write nor verify"))),
        }
    }
    Ok(member.db.close()?)
}

impl Member {
    /// A snapshot: it is no older than what was known before, it is whole, and stays so.
    fn read(&mut self, hold: u64) -> Result<(), Failure> {
        let known = self.heard.newest()?;
        let tx = self.db.begin_read()?;
        let version = workload::version(&tx)?;
        if version < known {
            return corrupt(format!("a snapshot of {version} began when {known} had been seen"));
        }
        sound(workload::sum_fault(&tx)?)?;
        self.said.add(&version.to_string())?;
        let long = self.rng.below(LONG_HOLDS) == 0;
        let hold = if long { self.rng.below(hold * 1_000) } else { self.rng.below(SHORT_HOLD) };
        // How long a snapshot is held is what is drawn here: nothing waits for anything.
        sleep(Duration::from_micros(hold));
        sound(workload::sum_fault(&tx)?)?;
        if workload::version(&tx)? != version {
            return corrupt(format!("a snapshot of {version} became another"));
        }
        Ok(())
    }

    fn write(&mut self, levels: &[Durability]) -> Result<(), Failure> {
        let known = self.heard.newest()?;
        let tx = match self.rng.below(8) {
            0 => self.db.try_begin_write(),
            1 => self.db.begin_write_timeout(Duration::from_micros(self.rng.below(4_000))),
            _ => self.db.begin_write(),
        };
        let mut tx = match tx {
            Err(Error::WriterBusy) => return Ok(()),
            result => result?,
        };
        let version = workload::apply(&tx, SEED)?;
        if version <= known {
            return corrupt(format!("version {version} was made when {known} had been seen"));
        }
        if self.rng.below(30) == 0 {
            // Never committed; the next one does the same.
            return Ok(());
        }
        tx.set_durability(*self.rng.pick(levels));
        tx.commit()?;
        self.said.add(&version.to_string())?;
        if self.rng.below(8) == 0 {
            let seen = workload::version(&self.db.begin_read()?)?;
            if seen < version {
                return corrupt(format!("version {seen} is what the process of commit {version} sees"));
            }
        }
        if self.rng.below(60) == 0 {
            self.db.sync()?;
        }
        Ok(())
    }
}

/// When nobody has it open any more: everything acknowledged is there, all is as it must be, and the file is
/// not much larger than what it holds.
fn verify(folder: &Path) -> Result<(), Failure> {
    let path = folder.join("db.folio");
    let promised = Heard::of(folder)?.newest()?;
    let said = fs::read_dir(folder)?.filter_map(Result::ok);
    let writers = said.filter(|entry| entry.file_name().to_string_lossy().starts_with("said-write")).count();
    let db = args::open(&Database::options(), &path)?;
    sound(workload::check_fault(&db)?)?;
    let tx = db.begin_read()?;
    sound(workload::fault(&tx)?)?;
    let version = workload::version(&tx)?;
    drop(tx);
    if version < promised {
        return Err(Failure::Lost(format!("{promised} was acknowledged or seen, {version} is there")));
    }
    // Each writer may have committed once more than it could say.
    if version > promised + writers as u64 {
        return corrupt(format!("{version} is there, {promised} was the newest told"));
    }
    let stats = db.stats()?;
    let data = (stats.pages - stats.free_pages - stats.pending_pages) * u64::from(stats.page_size);
    println!("version={version} file={} data={data}", stats.file_bytes);
    for level in [Durability::Buffered, Durability::Immediate] {
        let mut tx = db.begin_write()?;
        workload::apply(&tx, SEED)?;
        tx.set_durability(level);
        tx.commit()?;
    }
    sound(workload::check_fault(&db)?)?;
    Ok(db.close()?)
}
