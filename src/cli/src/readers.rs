//! `folio readers`: who reads a database.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use folio::Reader;
use serde_json::json;

use crate::failure::Failure;
use crate::output::Align::Right;
use crate::output::{bytes, columns, grouped};
use crate::{open, output};

/// List who reads a database, in all processes, and what each keeps from being used again
///
/// Each line is a snapshot that a process reads, the oldest first. A reader sees the database as it was when
/// it began. `transaction` is the one it sees, `behind` how many have come since, and `pinned` the size of
/// the pages that are out of use since then, but that it may still read: they are not used again while it
/// lives, and the file may have to grow instead. What several readers pin is counted for each of them.
///
/// What to do about a reader that pins too much: end its process, with kill -9 if need be. Its snapshots end
/// with it, and the next commits use the space again. Nothing has to be repaired, restarted or cleaned up by
/// hand; leave the lock file where it is. `folio compact` makes the file smaller afterwards. A reader that
/// pins little does no harm, however old it is.
///
/// `pid` is the number of the process as it knows itself: in a container it is the number there. A process
/// that is stopped (Ctrl-Z) keeps its snapshots. Commands with --unlocked are not listed, nor is this one.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  folio readers words.folio")]
pub(crate) struct Readers {
    /// The database file
    db: PathBuf,
    /// Print one JSON array, ages in milliseconds, sizes in bytes
    #[arg(long)]
    json: bool,
}

impl Readers {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let readers = open::beside_others(&self.db)?.readers()?;
        let mut out = output::stdout();
        match (self.json, readers.is_empty()) {
            (true, _) => write_json(&mut out, &readers)?,
            (false, true) => writeln!(out, "nobody reads this database")?,
            (false, false) => write_rows(&mut out, &readers)?,
        }
        out.flush()?;
        Ok(())
    }
}

/// What is said of a reader.
pub(crate) const HEAD: [&str; 5] = ["pid", "age", "transaction", "behind", "pinned"];

/// A reader in the columns of [`HEAD`].
pub(crate) fn row(reader: &Reader) -> [String; 5] {
    [
        reader.pid.to_string(),
        age(reader.age),
        grouped(reader.txn),
        grouped(reader.behind),
        bytes(reader.pinned_bytes),
    ]
}

fn write_rows(out: &mut impl Write, readers: &[Reader]) -> io::Result<()> {
    let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
    rows.extend(readers.iter().map(|reader| row(reader).to_vec()));
    columns(out, &[Right; HEAD.len()], &rows)
}

fn write_json(out: &mut impl Write, readers: &[Reader]) -> io::Result<()> {
    let reader = |reader: &Reader| {
        json!({
            "pid": reader.pid,
            "age_ms": u64::try_from(reader.age.as_millis()).unwrap_or(u64::MAX),
            "txn": reader.txn,
            "behind": reader.behind,
            "pinned_bytes": reader.pinned_bytes,
        })
    };
    let all = serde_json::Value::Array(readers.iter().map(reader).collect());
    writeln!(out, "{}", output::json(&format!("{all:#}")))
}

/// In the largest unit of which there are at least two, so that nothing much is left out: `90 s`, `12 min`.
fn age(age: Duration) -> String {
    const UNITS: [(&str, u64); 3] = [("days", 86_400), ("h", 3_600), ("min", 60)];
    let seconds = age.as_secs();
    let unit = UNITS.into_iter().find(|(_, length)| seconds >= 2 * length);
    let (name, length) = unit.unwrap_or(("s", 1));
    format!("{} {name}", seconds / length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_takes_the_largest_unit_of_which_there_are_two() {
        let given = [0, 3, 119, 120, 12 * 60 + 59, 7_199, 7_200, 4 * 3_600, 172_799, 172_800, 1_000_000_000];
        let expected = [
            "0 s",
            "3 s",
            "119 s",
            "2 min",
            "12 min",
            "119 min",
            "2 h",
            "4 h",
            "47 h",
            "2 days",
            "11574 days",
        ];
        assert_eq!(given.map(|seconds| age(Duration::from_millis(seconds * 1_000 + 999))), expected);
    }
}
