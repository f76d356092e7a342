//! Goal: `kill -9` takes back nothing that was acknowledged, durable or buffered, whenever it comes.
//! Method: the program `torture` writes with several threads beside readers and is killed at random moments,
//! over and over on the same file; and, under strace, before each single call that changes files, from the
//! first one that creates the file to the last one of closing. Each time the whole content is compared with
//! what was acknowledged, from a read-only opening and from a writing one, and writing goes on.
//! `FOLIO_KILL_ROUNDS` and `FOLIO_KILL_SEED` ask for more.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::torture::{folder_on_disk, has_strace, number, program, run, succeed};

const SIGKILL: i32 = 9;

/// Numbers that look random, from a seed.
pub(crate) struct Draws(pub(crate) u64);

impl Draws {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    pub(crate) fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

/// A writer with settings of its own, killed. Every other one only after its first commit.
fn kill_a_writer(db: &Path, acks: &Path, draws: &mut Draws) -> String {
    let threads = (1 + draws.below(3)).to_string();
    let seed = draws.below(1 << 20).to_string();
    let settings = [
        (
            "--levels",
            draws.pick(&["immediate", "buffered", "immediate,buffered", "immediate,background,buffered"]),
        ),
        ("--two-phase", draws.pick(&["no", "no", "some", "yes"])),
        ("--page-size", draws.pick(&["4096", "4096", "65536"])),
        ("--memory-limit", draws.pick(&["268435456", "65536"])),
        ("--checkpoint-after", draws.pick(&["67108864", "300000"])),
        ("--reserve", draws.pick(&["68719476736", "1"])),
        ("--readers", draws.pick(&["0", "1", "2"])),
        ("--compact", "yes"),
        ("--threads", &threads),
        ("--seed", &seed),
    ];
    let settings: Vec<&str> = settings.into_iter().flat_map(|(name, value)| [name, value]).collect();
    let mut command = run(&["write"], db, &[acks.to_str().unwrap()]);
    let mut child = command.args(&settings).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let delay = if draws.below(2) == 0 {
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        draws.below(40_000)
    } else {
        draws.below(10_000)
    };
    // The moment is what is drawn here: nothing waits for anything.
    std::thread::sleep(Duration::from_micros(delay));
    child.kill().unwrap();
    let status = child.wait().unwrap();
    let mut complaint = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    assert_eq!(status.signal(), Some(SIGKILL), "{settings:?}: {complaint}");
    settings.join(" ")
}

/// What `verify` says of the file. It ends by closing it, or by a kill of its own.
#[track_caller]
fn verify(db: &Path, acks: &Path, settings: &str, end: &str) -> String {
    let more = [acks.to_str().unwrap(), "--after", "kill", "--threads", "3", "--end", end];
    let output = run(&["verify"], db, &more).output().unwrap();
    let killed = end == "kill" && output.status.signal() == Some(SIGKILL);
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() || killed, "after {settings}: {}: {text}", output.status);
    text.into_owned()
}

#[test]
fn acknowledged_commits_survive_a_kill_at_any_moment() {
    let rounds = number("FOLIO_KILL_ROUNDS", 30);
    let seed = number("FOLIO_KILL_SEED", u64::from(std::process::id()));
    println!("FOLIO_KILL_SEED={seed}");
    let mut draws = Draws(seed);
    let mut folder = folder_on_disk();
    let mut acknowledged = 0;
    for round in 0..rounds {
        if draws.below(8) == 0 {
            folder = folder_on_disk();
        }
        let (db, acks) = (folder.path().join("db.folio"), folder.path().join("acks"));
        let settings = kill_a_writer(&db, &acks, &mut draws);
        let end = draws.pick(&["close", "kill"]);
        let settings = format!("round {round} of FOLIO_KILL_SEED={seed}: {settings}");
        if acks.exists() {
            acknowledged += fs::read_to_string(&acks).unwrap().lines().count();
            verify(&db, &acks, &settings, end);
        }
    }
    println!("{rounds} kills; {acknowledged} lines of acknowledgement compared");
    assert!(acknowledged > 0, "nothing was ever acknowledged");
}

/// The calls that change files, or what is known of them.
const CALLS: &str = "openat,pwrite64,pwritev,write,ftruncate,fallocate,msync,fsync,fdatasync,sync_file_range,\
    renameat2,rename,linkat,link,unlink,unlinkat,flock,mmap,munmap,fadvise64";

/// A run of the writer under strace: what it changes with `inject`, what it saw, how it ended.
fn traced(folder: &Path, inject: &str, commits: &str) -> (String, ExitStatus) {
    let (db, acks) = (folder.join("db.folio"), folder.join("acks"));
    let trace = folder.join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(&trace).arg("-e").arg(format!("trace={CALLS}"));
    if !inject.is_empty() {
        command.arg("-e").arg(format!("inject={inject}"));
    }
    command.arg(program()).arg("write").arg(db).arg(acks).args(["--seed", "7", "--commits", commits]);
    command.args(["--levels", "immediate,buffered", "--compact", "yes", "--memory-limit", "65536"]);
    let output = command.output().unwrap();
    (fs::read_to_string(trace).unwrap(), output.status)
}

/// How often each call was made.
pub(crate) fn count(trace: &str) -> BTreeMap<&str, u32> {
    let mut counts = BTreeMap::new();
    for line in trace.lines() {
        let call = line.split_once(' ').map_or("", |(_, rest)| rest.trim_start());
        if let Some((name, _)) = call.split_once('(') {
            *counts.entry(name).or_default() += 1;
        }
    }
    counts
}

/// Kills the writer before each of its calls, one run for each, on a copy of what is in `prepared`.
fn kill_before_every_call(prepared: &Path, commits: &str) -> u32 {
    let fresh = || {
        let folder = folder_on_disk();
        for entry in fs::read_dir(prepared).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        folder
    };
    let folder = fresh();
    let (trace, status) = traced(folder.path(), "", commits);
    assert!(status.success(), "{trace}");
    let mut kills = 0;
    for (call, count) in count(&trace) {
        for nth in 1..=count {
            let folder = fresh();
            let inject = format!("{call}:signal=SIGKILL:when={nth}");
            let (trace, status) = traced(folder.path(), &inject, commits);
            assert_eq!(status.signal(), Some(SIGKILL), "{inject}: {trace}");
            kills += 1;
            let (db, acks) = (folder.path().join("db.folio"), folder.path().join("acks"));
            if acks.exists() {
                let end = if nth % 2 == 0 { "close" } else { "kill" };
                verify(&db, &acks, &inject, end);
            }
            // What was left on the way to its name is in nobody's way.
            succeed(run(&["write"], &db, &[acks.to_str().unwrap(), "--seed", "7", "--commits", "2"]));
        }
    }
    kills
}

#[test]
fn creating_writing_and_closing_may_be_killed_before_any_call() {
    if !has_strace("kills before single system calls, from creating a file on") {
        return;
    }
    let empty = folder_on_disk();
    let kills = kill_before_every_call(empty.path(), "6");
    println!("killed before each of {kills} calls");
    assert!(kills > 40, "only {kills} calls");
}

#[test]
fn recovery_may_be_killed_before_any_call() {
    if !has_strace("kills before single system calls, of recovery") {
        return;
    }
    // A file with buffered commits behind the durable one, as a kill leaves it.
    let prepared = folder_on_disk();
    let (db, acks) = (prepared.path().join("db.folio"), prepared.path().join("acks"));
    let settings = ["--commits", "40", "--levels", "immediate,buffered,buffered", "--end", "kill"];
    let output = run(&["write"], &db, &[acks.to_str().unwrap()]).args(settings).output().unwrap();
    assert_eq!(output.status.signal(), Some(SIGKILL));
    let kills = kill_before_every_call(prepared.path(), "2");
    println!("killed before each of {kills} calls");
    assert!(kills > 20, "only {kills} calls");
}
