//! `folio top`: a database at work, looked at again and again.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use folio::{Database, Reader};
use serde_json::{Value, json};

mod sample;
mod screen;
mod text;
mod view;

use crate::failure::Failure;
use crate::{open, output};
use sample::{History, Sample};
use screen::{Happened, Key, Screen};
use view::View;

/// Show live what other processes do with a database: commits, readers, growth and free space
///
/// `commits a second` are counted by the numbers of the transactions, whichever process makes them; one that
/// was begun and given up counts too, if it had written pages. `not durable` says how many of them a loss of
/// power would take back. `pending` is the space that readers, or the durable state, keep from being used
/// again; below are the readers, as in `folio readers`, the one that pins most first.
///
/// It reads no pages of tables: a look costs about as much for a large database as for a small one, a few
/// milliseconds where the free space is in many pieces. It changes nothing, and keeps nothing from being
/// used again.
///
/// Keys: q, Esc or Ctrl-C ends it, Ctrl-Z stops it; up and down move through the readers.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  folio top words.folio --once\n  folio top words.folio --json --once")]
pub(crate) struct Top {
    /// The database file
    db: PathBuf,
    /// Seconds from one look to the next, from 0.1 to 3600
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = interval)]
    interval: Duration,
    /// Print one look as text: two looks, one interval apart, for what there is of it a second
    #[arg(long)]
    once: bool,
    /// Print a line with a JSON object for each look, sizes in bytes, until nobody reads it; with --once one
    #[arg(long)]
    json: bool,
}

impl Top {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.once || self.json {
            true => self.print(&open::beside_others(&self.db)?),
            false => {
                screen::check_terminal()?;
                self.show()
            }
        }
    }

    /// Draws on the terminal until somebody has seen enough.
    fn show(&self) -> Result<(), Failure> {
        let db = open::beside_others(&self.db)?;
        let mut sample = Sample::take(&db, None)?;
        let mut history = History::default();
        history.add(&sample);
        let mut view = View::new(&self.db, self.interval);
        let mut screen = Screen::take()?;
        let mut next = sample.at + self.interval;
        let signal = loop {
            screen.draw(|frame| view.draw(frame, &sample, &history))?;
            match screen.wait(next)? {
                Happened::End(signal) => break signal,
                Happened::Key(Key::Quit) => break None,
                Happened::Key(Key::Up) => view.scroll(false),
                Happened::Key(Key::Down) => view.scroll(true),
                Happened::Key(_) | Happened::Redraw | Happened::Nothing => {}
            }
            if Instant::now() >= next {
                sample = Sample::take(&db, Some(&sample))?;
                history.add(&sample);
                // Not several at once for those that were missed.
                next = sample.at + self.interval;
            }
        };
        drop((screen, db));
        signal.map_or(Ok(()), screen::end_by)
    }

    /// Prints what a terminal would show.
    fn print(&self, db: &Database) -> Result<(), Failure> {
        let mut sample = Sample::take(db, None)?;
        loop {
            std::thread::sleep(self.interval);
            if !self.once && !output::has_reader() {
                return Ok(());
            }
            sample = Sample::take(db, Some(&sample))?;
            let mut out = output::stdout();
            match self.json {
                true => writeln!(out, "{}", object(&sample))?,
                false => text::write(&mut out, &self.db, &sample)?,
            }
            out.flush()?;
            if self.once {
                return Ok(());
            }
        }
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it must be a number of seconds".to_owned())?;
    match (0.1..=3600.0).contains(&seconds) {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err("it must be from 0.1 to 3600".to_owned()),
    }
}

fn object(sample: &Sample) -> Value {
    let usage = &sample.usage;
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let reader = |reader: &Reader| {
        json!({
            "pid": reader.pid,
            "age_ms": millis(reader.age),
            "txn": reader.txn,
            "behind": reader.behind,
            "pinned_bytes": reader.pinned_bytes,
        })
    };
    let tenths = |rate: Option<f64>| rate.map(|rate| (rate * 10.0).round() / 10.0);
    json!({
        "time_ms": SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, millis),
        "txn": usage.txn,
        "durable_txn": usage.durable_txn,
        "commits_per_second": tenths(sample.commits),
        "file_bytes": usage.file_bytes,
        "file_growth_per_second": tenths(sample.growth),
        "page_size": usage.page_size,
        "pages": usage.pages,
        "free_pages": usage.free_pages,
        "pending_pages": usage.pending_pages,
        "free_space_pages": usage.free_space_pages,
        "readers": usage.readers.iter().map(reader).collect::<Vec<_>>(),
    })
}
