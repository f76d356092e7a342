//! `folio bench`: quick figures of a disk and a machine.
//!
//! Everything is written to files that have lost their names before the first byte is in them, so nothing is
//! left behind, however the tool ends.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, value_parser};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output;
use crate::progress::Progress;

mod database;
mod disk;

/// Measure how fast this disk and this machine are with a database like yours
///
/// Takes about ten seconds, in files that have no name: nothing is left behind,
/// whatever ends it. The figures are those of one short run. Compare two
/// folders, or two sizes of values, not this machine with somebody's table; and
/// let nothing else run meanwhile.
///
/// The disk has to have room for the entries, of which at most 4 GiB are loaded,
/// and for what each part that commits adds to them, in 1.2 s at most 256 MiB a
/// thread: 1.75 GiB in all, but for the last commit of each.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:\n  folio bench --dir . --value-size 200 --entries 20000"
)]
pub(crate) struct Bench {
    /// The folder to write to, on the disk to be measured
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    dir: PathBuf,
    /// Bytes of a key
    #[arg(long, value_name = "BYTES", default_value_t = 16)]
    #[arg(value_parser = value_parser!(u32).range(8..=1900))]
    key_size: u32,
    /// Bytes of a value
    #[arg(long, value_name = "BYTES", default_value_t = 100)]
    #[arg(value_parser = value_parser!(u32).range(0..=1 << 20))]
    value_size: u32,
    /// Entries that the database has
    #[arg(long, value_name = "N", default_value_t = 300_000)]
    #[arg(value_parser = value_parser!(u64).range(100..=100_000_000))]
    entries: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// One measured figure.
#[derive(Debug)]
struct Figure {
    /// For JSON.
    id: &'static str,
    name: String,
    /// In `unit`.
    value: f64,
    unit: Unit,
    /// Typical and rare times of a single operation, if it was measured alone.
    times: Option<Times>,
    /// What it says.
    meaning: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// Things a second.
    PerSecond(&'static str),
    BytesPerSecond,
}

/// How long single operations took.
#[derive(Debug, Clone, Copy)]
struct Times {
    median: Duration,
    /// One in a hundred took longer.
    rare: Duration,
}

impl Times {
    fn of(mut all: Vec<Duration>) -> Option<Times> {
        all.sort_unstable();
        let median = *all.get(all.len() / 2)?;
        let rare = *all.get(all.len() * 99 / 100)?;
        Some(Times { median, rare })
    }
}

impl Bench {
    pub(crate) fn run(self) -> Result<(), Failure> {
        const MOST: u64 = 4 << 30;
        let bytes = self.entries.saturating_mul(u64::from(self.key_size) + u64::from(self.value_size));
        if bytes > MOST {
            let (asked, most) = (output::bytes(bytes), output::bytes(MOST));
            return Err(Failure::Usage(format!("that is a database of {asked}: this loads at most {most}")));
        }
        let start = Instant::now();
        let progress = Progress::of_things("measuring", 8);
        let mut done = 0;
        let mut step = || {
            done += 1;
            progress.set(done);
        };
        let place = disk::Place::of(&self.dir)?;
        let mut figures = disk::measure(&self.dir)?;
        step();
        let shape = database::Shape::new(self.key_size, self.value_size, self.entries);
        figures.extend(database::measure(&self.dir, &shape, &mut step)?);
        drop(progress);
        let mut out = output::stdout();
        if self.json {
            writeln!(out, "{:#}", self.object(&place, &figures, start.elapsed()))?;
        } else {
            self.write(&mut out, &place, &figures, start.elapsed())?;
        }
        out.flush()?;
        Ok(())
    }

    fn object(&self, place: &disk::Place, figures: &[Figure], took: Duration) -> Value {
        let figure = |figure: &Figure| {
            let mut object = json!({ "value": figure.value, "unit": figure.unit.name() });
            if let Some(times) = figure.times {
                object["median_seconds"] = json!(times.median.as_secs_f64());
                object["p99_seconds"] = json!(times.rare.as_secs_f64());
            }
            (figure.id.to_owned(), object)
        };
        json!({
            "folder": self.dir.display().to_string(),
            "file_system": place.file_system,
            "device": place.device,
            "disk": place.disk,
            "cores": place.cores,
            "key_bytes": self.key_size,
            "value_bytes": self.value_size,
            "entries": self.entries,
            "seconds": took.as_secs_f64(),
            "figures": figures.iter().map(figure).collect::<serde_json::Map<_, _>>(),
        })
    }

    fn write(
        &self,
        out: &mut impl Write,
        place: &disk::Place,
        figures: &[Figure],
        took: Duration,
    ) -> Result<(), Failure> {
        writeln!(out, "{}", place.text(&self.dir))?;
        let (keys, values) = (self.key_size, self.value_size);
        let entries = output::plural(self.entries, "entry", "entries");
        writeln!(out, "{entries}: keys of {keys} bytes, values of {values}\n")?;
        let head = ["", "rate", "median", "1 in 100 above"].map(str::to_owned).to_vec();
        let row = |figure: &Figure| {
            let time = |time: Option<Duration>| time.map(duration).unwrap_or_default();
            let times = figure.times;
            vec![
                figure.name.clone(),
                figure.unit.text(figure.value),
                time(times.map(|times| times.median)),
                time(times.map(|times| times.rare)),
            ]
        };
        let rows: Vec<_> = std::iter::once(head).chain(figures.iter().map(row)).collect();
        use output::Align::{Left, Right};
        output::columns(out, &[Left, Right, Right, Right], &rows)?;
        writeln!(out)?;
        for figure in figures {
            writeln!(out, "{}: {}", figure.name, figure.meaning)?;
        }
        writeln!(out, "\nmeasured in {:.1} s", took.as_secs_f64())?;
        Ok(())
    }
}

impl Unit {
    fn name(self) -> String {
        match self {
            Unit::PerSecond(what) => format!("{what}/s"),
            Unit::BytesPerSecond => "bytes/s".to_owned(),
        }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a figure for people")]
    fn text(self, value: f64) -> String {
        let whole = value.round().max(0.0) as u64;
        match self {
            Unit::PerSecond(what) => format!("{} {what}/s", output::grouped(whole)),
            Unit::BytesPerSecond => format!("{}/s", output::bytes(whole)),
        }
    }
}

/// `0.25 ms`, `1.3 us`.
fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        _ if seconds >= 1.0 => format!("{seconds:.2} s"),
        _ if seconds >= 1e-3 => format!("{:.2} ms", seconds * 1e3),
        _ => format!("{:.2} us", seconds * 1e6),
    }
}
