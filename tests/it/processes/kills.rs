//! Goal: a process that is killed before any one of its system calls leaves nothing to those who have the
//! same file open that they could not go on from, without opening it again.
//! Method: strace kills a process before each single call of a session: opening, commits of all levels, a
//! snapshot, compaction, a clean close, opening again. All that time another process has the file open, and
//! after each kill it reads, writes, syncs and checks. It holds an old snapshot as well, which must stay.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{SIGKILL, Talker, calls_at_start, number_in, place};
use crate::torture::{has_strace, program};

/// The calls that change what others see: files, mappings, locks.
const CALLS: [&str; 16] = [
    "openat",
    "pwrite64",
    "pwritev",
    "ftruncate",
    "fallocate",
    "msync",
    "fdatasync",
    "sync_file_range",
    "flock",
    "fcntl",
    "mmap",
    "munmap",
    "close",
    "pread64",
    "statx",
    "dup",
];

/// What came of a session that strace ended before the `nth` time it would have made `call`.
struct Session {
    killed: bool,
    /// The newest version that it said was committed.
    acknowledged: u64,
    answers: String,
}

fn session(path: &Path, script: &str, call: &str, nth: u32) -> Session {
    let mut command = Command::new("strace");
    let inject = format!("inject={call}:signal=SIGKILL:when={nth}");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject]);
    command.arg(program()).arg("talk").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let script = script.replace("DB", path.to_str().unwrap());
    // It may be killed before it has read all of it.
    let _ = child.stdin.take().unwrap().write_all(script.as_bytes());
    let output = child.wait_with_output().unwrap();
    let answers = String::from_utf8(output.stdout).unwrap();
    let killed = output.status.signal() == Some(SIGKILL);
    assert!(killed || output.status.success(), "{inject}: {}: {answers}", output.status);
    // A line for each line of the script.
    let lines = answers.lines().zip(script.lines());
    let mut acknowledged = 0;
    for (answer, command) in lines {
        assert!(answer.starts_with("ok"), "{inject}: {command}: {answer}");
        if command.starts_with("apply") {
            acknowledged = answer.split(' ').nth(1).unwrap().parse().unwrap();
        }
    }
    Session { killed, acknowledged, answers }
}

/// The survivor goes on: what was acknowledged is there, and nothing that was not begun.
fn check_goes_on(survivor: &mut Talker, newest: u64, what: &str) -> u64 {
    let version = survivor.number("snapshot db new", "version");
    survivor.ask("end new");
    assert!(version >= newest && version <= newest + 1, "{what}: {version} is there, {newest} was told");
    // Alternately, since each clears up what the other does not.
    for (level, made) in [("buffered", 1), ("immediate", 2), ("background", 3)] {
        let found: u64 = survivor.ask(&format!("apply db 1 {level}")).parse().unwrap();
        // What was committed last, but not visible yet, was seen by the writer first.
        assert!(found == version + made || found == version + made + 1, "{what}: {found} after {version}");
    }
    survivor.ask("sync db");
    survivor.ask("check db");
    survivor.number("snapshot db new", "version")
}

/// Kills a session of `script` before each of its calls. How often.
fn kill_before_every_call(script: &str) -> u32 {
    let (folder, path) = place();
    let at_start = calls_at_start(folder.path(), &CALLS);
    let mut survivor = Talker::start();
    survivor.open(&path);
    survivor.ask("apply db 40 buffered");
    let old = survivor.ask("snapshot db old");
    let mut newest = number_in(&old, "version");
    let mut kills = 0;
    for call in CALLS {
        // The last of them may come when the session is over.
        let first = at_start.get(call).copied().unwrap_or(0).max(1);
        for nth in first.. {
            let session = session(&path, script, call, nth);
            newest = newest.max(session.acknowledged);
            let what = format!("killed before {call} {nth}, after {}", session.answers);
            newest = check_goes_on(&mut survivor, newest, &what);
            if !session.killed {
                break;
            }
            kills += 1;
            assert!(nth < 1_000, "{call} without end");
        }
        assert_eq!(survivor.ask("read old"), old, "{call}");
    }
    survivor.exit();
    // Nothing is left to be repaired.
    let mut next = Talker::start();
    next.open(&path);
    assert_eq!(next.number("snapshot db new", "version"), newest);
    next.ask("check db");
    kills
}

const WRITES: &str = "open a DB\nsnapshot a s\napply a 1 immediate\napply a 1 buffered\nread s\napply a 1 \
    background\nend s\nsync a\nclose a\nopen a DB\napply a 1 buffered\nexit\n";

#[test]
fn another_process_goes_on_after_a_kill_before_any_call() {
    if !has_strace("kills before single system calls, beside a process that goes on") {
        return;
    }
    let kills = kill_before_every_call(WRITES);
    println!("killed before each of {kills} calls");
    assert!(kills > 40, "only {kills} calls");
}
