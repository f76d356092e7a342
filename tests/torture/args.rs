//! The command line, and how the program ends.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use folio::{Database, Durability, OpenOptions};

/// Why the program ends otherwise than well.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line makes no sense.
    Usage(String),
    /// It could not do what it was asked for.
    Error(String),
    /// What was acknowledged is not there.
    Lost(String),
    /// What is there is not what was written, or cannot be read.
    Corrupt(String),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Failure::Error(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Lost(_) => 3,
            Failure::Corrupt(_) => 4,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(text) | Failure::Error(text) => f.write_str(text),
            Failure::Lost(text) => write!(f, "LOST: {text}"),
            Failure::Corrupt(text) => write!(f, "CORRUPT: {text}"),
        }
    }
}

impl From<folio::Error> for Failure {
    fn from(error: folio::Error) -> Failure {
        Failure::Error(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::Error(error.to_string())
    }
}

/// What a run does when its work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Closes the database.
    Close,
    /// Ends by SIGKILL, with the database open.
    Kill,
}

impl End {
    /// Ends with the database so.
    pub(crate) fn of(self, db: Database) -> Result<(), Failure> {
        match self {
            End::Close => Ok(db.close()?),
            End::Kill => Err(Failure::Error(crate::kernel::kill_self(db))),
        }
    }
}

/// The arguments that nobody has asked for yet.
#[derive(Debug)]
pub(crate) struct Args {
    plain: VecDeque<String>,
    options: Vec<(String, String)>,
}

impl Args {
    pub(crate) fn of_process() -> Args {
        let mut args = Args { plain: VecDeque::new(), options: Vec::new() };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.strip_prefix("--") {
                Some(name) => args.options.push((name.to_owned(), words.next().unwrap_or_default())),
                None => args.plain.push_back(word),
            }
        }
        args
    }

    pub(crate) fn command(&mut self) -> String {
        self.plain.pop_front().unwrap_or_default()
    }

    pub(crate) fn path(&mut self, what: &str) -> Result<PathBuf, Failure> {
        let path = self.plain.pop_front();
        path.map(PathBuf::from).ok_or_else(|| Failure::Usage(format!("{what} is missing")))
    }

    /// The text of an option, if it is given.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        let at = self.options.iter().position(|option| option.0 == name)?;
        Some(self.options.remove(at).1)
    }

    pub(crate) fn number<N: FromStr>(&mut self, name: &str) -> Result<Option<N>, Failure> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.parse().ok();
        number.map(Some).ok_or_else(|| Failure::Usage(format!("--{name} {text} is no number that fits")))
    }

    pub(crate) fn yes(&mut self, name: &str) -> Result<bool, Failure> {
        match self.text(name).as_deref() {
            None | Some("no") => Ok(false),
            Some("yes") => Ok(true),
            Some(other) => Err(Failure::Usage(format!("--{name} {other} is neither yes nor no"))),
        }
    }

    pub(crate) fn end(&mut self) -> Result<End, Failure> {
        match self.text("end").as_deref() {
            None | Some("close") => Ok(End::Close),
            Some("kill") => Ok(End::Kill),
            Some(other) => Err(Failure::Usage(format!("--end {other} is neither close nor kill"))),
        }
    }

    /// The levels that commits are chosen from. Default: immediate.
    pub(crate) fn levels(&mut self) -> Result<Vec<Durability>, Failure> {
        let text = self.text("levels").unwrap_or_else(|| "immediate".to_owned());
        let level = |name: &str| match name {
            "immediate" => Ok(Durability::Immediate),
            "background" => Ok(Durability::Background { within: Duration::from_millis(5) }),
            "buffered" => Ok(Durability::Buffered),
            other => Err(Failure::Usage(format!("{other} is no level"))),
        };
        text.split(',').map(level).collect()
    }

    /// How a database is opened, two phases aside.
    pub(crate) fn open_options(&mut self) -> Result<OpenOptions, Failure> {
        let mut options = Database::options();
        if let Some(bytes) = self.number("page-size")? {
            options.page_size(bytes);
        }
        if let Some(bytes) = self.number("memory-limit")? {
            options.memory_limit(bytes);
        }
        if let Some(bytes) = self.number("checkpoint-after")? {
            options.checkpoint_after(bytes);
        }
        if let Some(bytes) = self.number("reserve")? {
            options.reserve(bytes);
        }
        Ok(options)
    }

    /// Nothing may be left over.
    pub(crate) fn finish(&self) -> Result<(), Failure> {
        let option = self.options.first().map(|(name, _)| format!("--{name}"));
        match self.plain.front().cloned().or(option) {
            None => Ok(()),
            Some(word) => Err(Failure::Usage(format!("{word} is not understood"))),
        }
    }
}

/// Opens a file that only this program writes.
#[expect(unsafe_code, reason = "opening a mapped file has a contract")]
pub(crate) fn open(options: &OpenOptions, path: &Path) -> folio::Result<Database> {
    // SAFETY: nobody but this program and who runs it knows the file, and they leave it alone meanwhile.
    unsafe { options.open(path) }
}

/// Opens a file that nobody writes, without a lock file.
#[expect(unsafe_code, reason = "opening a mapped file has a contract")]
pub(crate) fn open_unlocked(options: &OpenOptions, path: &Path) -> folio::Result<Database> {
    // SAFETY: who asks for it sees to it that nobody writes to the file meanwhile.
    unsafe { options.open_unlocked(path) }
}
