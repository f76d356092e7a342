//! What tests of files share: databases at a path, and child processes of this test binary.
#![expect(
    unsafe_code,
    reason = "opening a file has a contract, which tests keep: each has a folder of its own"
)]

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use folio::{Database, OpenOptions, Result};

/// What a child process of [`run_child`] gets: a path.
const ARGUMENT: &str = "FOLIO_TEST_CHILD";

/// Opens the file with these options.
pub(crate) fn open_with(path: &Path, options: &OpenOptions) -> Result<Database> {
    // SAFETY: only this test knows the file. Where it damages the file, nothing has it open, or nothing that
    // is open reads from it any more.
    unsafe { options.open(path) }
}

pub(crate) fn open(path: &Path) -> Result<Database> {
    open_with(path, &Database::options())
}

pub(crate) fn open_read_only(path: &Path) -> Result<Database> {
    open_with(path, Database::options().read_only(true))
}

/// For a file that nobody writes to.
pub(crate) fn open_unlocked(path: &Path) -> Result<Database> {
    // SAFETY: nobody does in these tests.
    unsafe { Database::options().open_unlocked(path) }
}

pub(crate) fn create(path: &Path) -> Result<Database> {
    open_with(path, Database::options().create_new(true))
}

/// Writes to where a shared slice is, as a stray pointer would.
pub(crate) fn stray_write(bytes: &[u8]) {
    let at = bytes.as_ptr().cast_mut();
    // SAFETY: none: this is the bug that a read-only mapping must turn into the end of the process.
    unsafe { at.write_volatile(1) };
}

/// Runs one test of this binary in a process of its own, below what the shell does first (`ulimit`), and by
/// way of `runner` if that is not empty.
pub(crate) fn start_child(shell: &str, runner: &[&str], exe: &Path, test: &str, path: &Path) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{shell}\nexec \"$@\""), "sh"]).args(runner).arg(exe);
    command.args([test, "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(ARGUMENT, path).output().unwrap()
}

/// [`start_child`], and the child must pass.
#[track_caller]
pub(crate) fn run_child(shell: &str, test: &str, path: &Path) {
    assert_passed(&start_child(shell, &[], &env::current_exe().unwrap(), test, path));
}

/// The child ran its one test, and that passed.
#[track_caller]
pub(crate) fn assert_passed(output: &Output) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let passed = output.status.success() && out.contains("1 passed");
    assert!(passed, "the child ended with {}\n{out}\n{err}", output.status);
}

/// In a child: the path it was given. None where somebody runs the ignored tests by hand.
pub(crate) fn child_path() -> Option<PathBuf> {
    env::var_os(ARGUMENT).map(PathBuf::from)
}

/// Whether the long form of the tests was asked for: `FOLIO_LONG=1`.
pub(crate) fn long_form() -> bool {
    env::var_os("FOLIO_LONG").is_some_and(|value| value == "1")
}

/// Says what could not be tested here, also where the output of passing tests is not shown.
pub(crate) fn say_untested(what: &str) {
    use std::io::Write;
    std::io::stderr().write_all(format!("NOT TESTED: {what}\n").as_bytes()).unwrap();
}
