//! Goal: the tool does what its help says, as a person meets it.
//! Method: run the real program in a folder of its own, and look at its output, its exit code and its pipes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod changes;
mod copy;
mod formats;
mod fuzz;
mod help;
mod hostile;
mod inspection;
mod large;
mod lmdb;
mod loading;
mod map;
mod measuring;
mod pipes;
mod readers;
mod reads;
mod salvage;
mod salvage_damage;
#[cfg(unix)]
mod salvage_verdicts;
mod terminal;
mod top;
mod unlocked;
mod views;
mod watch;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A folder to run the tool in.
struct Place {
    folder: TempDir,
}

/// What a run left: its exit code and what it wrote.
struct Run {
    command: String,
    code: Option<i32>,
    out: Vec<u8>,
    err: String,
}

impl Place {
    fn new() -> Self {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    /// A folder with `words.tsv`, and the database `words.folio` with its five words in the table `words`.
    fn with_words() -> Self {
        let place = Place::new();
        place.write("words.tsv", b"banana\tlong\napple\ta fruit\ndate\t\ncherry\tred\nblackberry\tblack\n");
        place.run(&["load", "words.folio", "words", "words.tsv"]).succeeds();
        place
    }

    /// An empty table `t` in `x.folio`, of these types.
    fn with_types(keys: &str, values: &str) -> Self {
        let place = Place::new();
        place.run_with(&["load", "x.folio", "t", "--key-type", keys, "--value-type", values], b"").succeeds();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, b"")
    }

    /// Runs the tool with this standard input.
    fn run_with(&self, arguments: &[&str], input: &[u8]) -> Run {
        let mut command = Command::new(tool());
        command.args(arguments);
        self.finish(command, arguments.join(" "), input)
    }

    /// Runs a line of shell, in which `folio` is the tool.
    fn shell(&self, line: &str) -> Run {
        let mut command = Command::new("sh");
        let folder = tool().parent().unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
        command.args(["-c", line]).env("PATH", std::env::join_paths(folders).unwrap());
        self.finish(command, line.to_owned(), b"")
    }

    fn finish(&self, mut command: Command, name: String, input: &[u8]) -> Run {
        command.current_dir(self.folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let Output { status, stdout, stderr } = std::thread::scope(|scope| {
            // A tool that fails need not read all of its input.
            scope.spawn(move || drop(stdin.write_all(input)));
            child.wait_with_output().unwrap()
        });
        let err = String::from_utf8(stderr).expect("messages are text");
        Run { command: name, code: status.code(), out: stdout, err }
    }
}

impl Run {
    /// Exit code 0 and nothing on standard error.
    #[track_caller]
    fn succeeds(self) -> Self {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "folio {}", self.command);
        self
    }

    /// Succeeds, and writes exactly this.
    #[track_caller]
    fn prints(self, expected: &str) {
        let run = self.succeeds();
        assert_eq!(String::from_utf8_lossy(&run.out), expected, "folio {}", run.command);
    }

    /// Fails with this exit code and nothing on standard output; the message holds each part.
    #[track_caller]
    fn fails(self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "folio {}: {}", self.command, self.err);
        assert_eq!(String::from_utf8_lossy(&self.out), "", "folio {}", self.command);
        assert!(self.err.starts_with("folio: "), "folio {}: {}", self.command, self.err);
        assert!(self.err.ends_with('\n') && !self.err.contains("panicked"), "{}", self.err);
        for part in parts {
            assert!(self.err.contains(part), "folio {}: no {part:?} in {:?}", self.command, self.err);
        }
    }

    fn text(&self) -> String {
        String::from_utf8(self.out.clone()).expect("text")
    }
}

fn tool() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_folio"))
}
