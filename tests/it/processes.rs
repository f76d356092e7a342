//! Goal: any number of processes share one file: each sees whole commits in their order, none waits for one
//! that was killed, and nothing has to be cleaned up by hand.
//! Method: real processes of the program `torture`, which do what a line tells them and answer with a line,
//! or read and write by themselves; real signals. The parent waits for lines, never for time.
//!
//! - `storm`: five readers and three writers, one of them killed every 200 ms.
//! - `kills`: one process is killed before each of its system calls, while another has the file open.
//! - `stops`: one process is stopped at each of its system calls, while another comes and works.
//! - `reads`: what a read transaction asks of the system, and what it costs.
//! - `containers`: other process namespaces, other users.
//! - `names`: links, and lock files that are deleted, damaged or prepared.
//! - `sizes`: growth, shrinking, thousands of readers.
//! - `writers`: turns among writers of several processes.
//! - `promises`: what other databases of this kind are known to get wrong.

mod containers;
mod kills;
mod names;
mod promises;
mod reads;
mod sizes;
mod stops;
mod storm;
mod writers;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::kill::count;
use crate::torture::{folder_on_disk, program};

const SIGKILL: i32 = 9;

/// No answer takes so long: something hangs.
const HANGS: Duration = Duration::from_secs(120);

/// A process that does what it is told. Killed when it is dropped.
struct Talker {
    child: Child,
    /// None when it has been told that no more will come.
    commands: Option<ChildStdin>,
    answers: Receiver<String>,
}

impl Talker {
    fn start() -> Talker {
        Talker::under(Command::new(program()))
    }

    /// With the program started by `runner` and its arguments.
    fn run_by(runner: &[&str]) -> Talker {
        let mut command = Command::new(runner[0]);
        command.args(&runner[1..]).arg(program());
        Talker::under(command)
    }

    fn under(mut command: Command) -> Talker {
        command.arg("talk").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (commands, lines) = (child.stdin.take(), child.stdout.take().unwrap());
        let (sender, answers) = channel();
        // So that an answer that never comes is not waited for without end.
        drop(std::thread::spawn(move || {
            let lines = BufReader::new(lines).lines();
            lines.map_while(Result::ok).try_for_each(|line| sender.send(line))
        }));
        Talker { child, commands, answers }
    }

    /// Tells it to do something, and does not wait until it is done.
    #[track_caller]
    fn tell(&mut self, command: &str) {
        let commands = self.commands.as_mut().expect("it may still be told something");
        commands.write_all(format!("{command}\n").as_bytes()).unwrap();
    }

    /// Its next answer. None if it has ended before.
    #[track_caller]
    fn next_answer(&mut self) -> Option<String> {
        match self.answers.recv_timeout(HANGS) {
            Ok(answer) => Some(answer),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("process {} does not answer", self.child.id()),
        }
    }

    #[track_caller]
    fn answer(&mut self) -> String {
        self.next_answer().expect("it answers as long as it lives")
    }

    /// Its next answer, unless it waits for a lock of a file before.
    #[track_caller]
    fn answer_unless_it_waits(&mut self) -> Option<String> {
        let start = Instant::now();
        loop {
            match self.answers.try_recv() {
                Ok(answer) => return Some(answer),
                Err(TryRecvError::Disconnected) => panic!("it answers as long as it lives"),
                Err(TryRecvError::Empty) if self.waits_for_lock() => return None,
                Err(TryRecvError::Empty) => {}
            }
            assert!(start.elapsed() < HANGS, "process {} neither answers nor waits", self.child.id());
        }
    }

    /// Whether it waits for a lock of a file: it is seen in such a call many times in a row.
    fn waits_for_lock(&self) -> bool {
        let pid = self.child.id();
        let locks = [libc::SYS_flock, libc::SYS_fcntl].map(|call| call.to_string());
        (0..50).all(|_| {
            std::thread::yield_now();
            let call = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap();
            locks.iter().any(|lock| call.split(' ').next() == Some(lock))
        })
    }

    /// It does that; what came of it.
    #[track_caller]
    fn ask(&mut self, command: &str) -> String {
        self.tell(command);
        let answer = self.answer();
        let (kind, rest) = answer.split_once(' ').expect("two words");
        assert_eq!(kind, "ok", "{command}: {answer}");
        rest.to_owned()
    }

    /// It cannot do that; why not, beginning with the name of the error.
    #[track_caller]
    fn refuses(&mut self, command: &str) -> String {
        self.tell(command);
        let answer = self.answer();
        answer.strip_prefix("error ").unwrap_or_else(|| panic!("{command}: {answer}")).to_owned()
    }

    #[track_caller]
    fn open(&mut self, path: &Path) {
        self.ask(&format!("open db {} create", path.display()));
    }

    /// The number behind `name=` in what it answers.
    #[track_caller]
    fn number(&mut self, command: &str, name: &str) -> u64 {
        number_in(&self.ask(command), name)
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        assert_eq!(self.child.wait().unwrap().signal(), Some(SIGKILL));
    }

    /// Sends a signal by name, as `kill` has it.
    fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Stops it, and sees that it has.
    fn stop(&self) {
        self.signal("STOP");
        let start = Instant::now();
        loop {
            let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
            if status.contains("State:\tT") {
                return;
            }
            assert!(start.elapsed() < HANGS, "it does not stop: {status}");
            std::thread::yield_now();
        }
    }

    /// Nothing more will be said to it; how it ends.
    fn finish(&mut self) -> ExitStatus {
        self.commands = None;
        self.child.wait().unwrap()
    }

    #[track_caller]
    fn exit(mut self) {
        let status = self.finish();
        assert!(status.success(), "{status}");
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        // It may have ended, and been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap();
    assert!(status.success(), "{name} to {pid}: {status}");
}

#[track_caller]
fn number_in(answer: &str, name: &str) -> u64 {
    let word = answer.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    word.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no {name} in {answer}"))
}

/// A folder, and the path of a database in it. In memory, where there is such a folder: no power is cut here,
/// and a disk that is busy makes every sync slow.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| folder_on_disk());
    let path = folder.path().join("db.folio");
    (folder, path)
}

/// The lock file of a database.
fn lock_path(path: &Path) -> PathBuf {
    path.with_extension("folio-lock")
}

/// How often a session of nothing makes each call: what comes before the database.
fn calls_at_start(folder: &Path, calls: &[&str]) -> BTreeMap<String, u32> {
    let trace = folder.join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(&trace).arg("-e").arg(format!("trace={}", calls.join(",")));
    assert!(command.arg(program()).arg("talk").stdin(Stdio::null()).status().unwrap().success());
    let trace = fs::read_to_string(trace).unwrap();
    count(&trace).into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}
