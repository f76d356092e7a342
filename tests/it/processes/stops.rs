//! Goal: wherever a process is when it is stopped or killed, others that come, write, sync and check are
//! either not disturbed by it, or wait for it and go on when it does, or when it is killed.
//! Method: strace stops a process behind each single call of a session, from creating the file to closing it
//! and opening it again. Then another process opens the file and works on it, as far as it comes without
//! waiting for a lock; then the first one is killed, or goes on to the end of its session; and the second
//! one does the rest of its work.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::{HANGS, Talker, calls_at_start, place, signal};
use crate::torture::{has_strace, program};

/// The calls that change what others see, or look at what others change.
const CALLS: [&str; 11] = [
    "flock",
    "fcntl",
    "pwrite64",
    "pwritev",
    "ftruncate",
    "msync",
    "fsync",
    "renameat2",
    "pread64",
    "mmap",
    "statx",
];

/// A session that strace stops when it has made `call` for the `nth` time.
struct Stopped {
    strace: Child,
    /// Of the session itself.
    pid: u32,
    said: PathBuf,
}

impl Stopped {
    /// None if it does not.
    fn start(folder: &Path, script: &str, call: &str, nth: u32) -> Option<Stopped> {
        let (trace, said) = (folder.join("trace"), folder.join("said"));
        let inject = format!("inject={call}:signal=SIGSTOP:when={nth}");
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o"]).arg(&trace).args(["-e", &format!("trace={call}"), "-e", &inject]);
        command.arg(program()).arg("talk").stdin(Stdio::piped()).stdout(fs::File::create(&said).unwrap());
        let mut strace = command.spawn().unwrap();
        strace.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let start = Instant::now();
        loop {
            if let Some(status) = strace.try_wait().unwrap() {
                assert!(status.success(), "{inject}: {status}");
                return None;
            }
            let text = fs::read_to_string(&trace).unwrap_or_default();
            if let Some(line) = text.lines().find(|line| line.contains("stopped by SIGSTOP")) {
                let pid = line.split_whitespace().next().unwrap().parse().unwrap();
                return Some(Stopped { strace, pid, said });
            }
            assert!(start.elapsed() < HANGS, "{inject}: it neither stops nor ends");
            std::thread::yield_now();
        }
    }

    /// How many commits it made, once it has ended.
    fn commits(mut self, script: &str) -> u64 {
        self.strace.wait().unwrap();
        let answers = fs::read_to_string(&self.said).unwrap();
        let mut commits = 0;
        for (answer, command) in answers.lines().zip(script.lines()) {
            assert!(answer.starts_with("ok"), "{command}: {answer}");
            commits += u64::from(command.starts_with("apply"));
        }
        commits
    }
}

/// What the process does that is stopped.
const FIRST: &str = "open a DB create\napply a 1 immediate\nsnapshot a s\napply a 1 buffered\napply a 1 \
    background\nclose a\nread s\nopen a DB\napply a 1 buffered\nend s\napply a 1 immediate\nexit\n";

/// What the one does that comes then.
const SECOND: [&str; 11] = [
    "open b DB create",
    "snapshot b old",
    "apply b 1 buffered",
    "apply b 1 immediate",
    "sync b",
    "check b",
    "close b",
    "open b DB",
    "apply b 1 buffered",
    "check b",
    "read old",
];

/// One case; how many commands of the second process came before it had to wait. None if the first process
/// does not make that call so often.
fn check_stop(call: &str, nth: u32, how: &str) -> Option<usize> {
    let (folder, path) = place();
    let in_place = |script: &str| script.replace("DB", path.to_str().unwrap());
    let first = Stopped::start(folder.path(), &in_place(FIRST), call, nth)?;
    let what = format!("{how} after {call} {nth}");
    let mut second = Talker::start();
    let mut done = None;
    for (i, command) in SECOND.iter().enumerate() {
        second.tell(&in_place(command));
        // Once the first one goes on, they may wait for each other as they like.
        let answer = if done.is_some() { None } else { second.answer_unless_it_waits() };
        let answer = answer.unwrap_or_else(|| {
            if done.is_none() {
                done = Some(i);
                signal(first.pid, how);
            }
            second.answer()
        });
        assert!(answer.starts_with("ok"), "{what}: {command}: {answer}");
    }
    if done.is_none() {
        signal(first.pid, how);
    }
    // Each commit is one version more: none is lost, and none came of nothing.
    let commits = 3 + first.commits(FIRST);
    let version = second.number("snapshot b new", "version");
    let most = commits + u64::from(how == "KILL");
    assert!((commits..=most).contains(&version), "{what}: {commits} commits made version {version}");
    second.ask("apply b 1 immediate");
    second.ask("check b");
    second.exit();
    let mut last = Talker::start();
    last.open(&path);
    let found = last.number("snapshot db s", "version");
    assert!((version + 1..=most + 1).contains(&found), "{what}: {found} at the end, {version} before");
    last.ask("check db");
    Some(done.unwrap_or(SECOND.len()))
}

fn check_every_stop(how: &str) {
    if !has_strace("work beside a process that is stopped at any call") {
        return;
    }
    let (folder, _) = place();
    let at_start = calls_at_start(folder.path(), &CALLS);
    let mut waited = vec![0; SECOND.len() + 1];
    for call in CALLS {
        let first = at_start.get(call).copied().unwrap_or(0).max(1);
        let came = (first..1_000).map_while(|nth| check_stop(call, nth, how));
        came.for_each(|done| waited[done] += 1);
    }
    let all: u32 = waited.iter().sum();
    println!("stopped at {all} calls; the second process waited with its command {waited:?}, or not at all");
    assert!(all > 60, "only {all} stops");
    assert!(waited[0] > 5 && waited[SECOND.len()] > 20, "{waited:?}");
}

#[test]
fn others_work_beside_a_process_stopped_at_any_call_or_after_it_was_killed_there() {
    check_every_stop("KILL");
}

#[test]
fn a_process_stopped_at_any_call_goes_on_whatever_others_have_done_meanwhile() {
    check_every_stop("CONT");
}
