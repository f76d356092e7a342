//! What tests of real ends share: the program `torture`, which cargo builds beside this binary, and the tools
//! of the system that may be missing.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

use tempfile::TempDir;

use crate::files::say_untested;

/// Folders and files of `src` that the program is not built from.
const OTHERS: [&str; 5] = ["cli", "fuzzing", "simulation", "tests", "tests.rs"];

/// The program. `cargo test` builds it; `cargo test --test it` does not.
pub(crate) fn program() -> PathBuf {
    let exe = env::current_exe().unwrap();
    let path = exe.parent().unwrap().with_file_name("examples").join("torture");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = fs::metadata(&path).and_then(|file| file.modified());
    let changed =
        ["src", "tests/torture"].map(|folder| newest(&root.join(folder))).into_iter().max().unwrap();
    let up_to_date = built.is_ok_and(|built| built >= changed);
    assert!(up_to_date, "{} is not built from these sources: cargo build --example torture", path.display());
    path
}

/// When a source in this folder was last changed. The tool's are not in the library, nor what is for tests.
fn newest(folder: &Path) -> SystemTime {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let changed = entries
        .filter(|path| !OTHERS.iter().any(|other| path.ends_with(other)))
        .map(|path| if path.is_dir() { newest(&path) } else { path.metadata().unwrap().modified().unwrap() });
    changed.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

/// A folder on the disk that the build is on: where temporary files lie may be no disk.
pub(crate) fn folder_on_disk() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

pub(crate) fn run(words: &[&str], path: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(words).arg(path).args(more).stdin(Stdio::null());
    command
}

/// The program did what it was asked for; what it said.
#[track_caller]
pub(crate) fn succeed(mut command: Command) -> String {
    said(&command.output().unwrap())
}

#[track_caller]
pub(crate) fn said(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {out}{err}", output.status);
    out.into_owned()
}

/// Whether a tool of the system works here; says so if not.
pub(crate) fn can_run(tool: &[&str], what: &str) -> bool {
    let tried = Command::new(tool[0]).args(&tool[1..]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let works = tried.is_ok_and(|status| status.success());
    if !works {
        say_untested(&format!("{what}: `{}` does not work here", tool.join(" ")));
    }
    works
}

/// Whether system calls can be watched and changed here; says so if not.
pub(crate) fn has_strace(what: &str) -> bool {
    can_run(&["strace", "-o", "/dev/null", "-e", "trace=none", "true"], what)
}

/// Whether a file system can be made and mounted here; says so if not.
pub(crate) fn can_mount(fs: &str, what: &str) -> bool {
    let script = format!(
        "set -e; d=$(mktemp -d); trap 'umount $d/m 2>/dev/null; rm -rf $d' EXIT; truncate -s 400M $d/i; \
         mkdir $d/m; mkfs.{fs} -q $d/i; mount -t {fs} -o loop $d/i $d/m"
    );
    can_run(&["unshare", "--mount", "--propagation", "private", "bash", "-c", &script], what)
}

/// A number that makes a test longer, from the environment.
pub(crate) fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}
