//! The process that starts workers, watches them, and goes on behind a case that ended one.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use super::{CASE_MS, CASES, MEMORY_KIB};

/// Workers at once.
const WORKERS: u64 = 2;
/// How often a silent worker is looked at, and how often without any CPU time until it counts as stuck.
const LOOK: Duration = Duration::from_secs(2);
const STUCK: u32 = 60;
/// A kernel counts CPU time in hundredths of a second.
const TICK_MS: u64 = 10;

/// What was seen, counted by its name.
type Counts = BTreeMap<String, u64>;

/// Runs the cases, and fails with all that went wrong.
pub(super) fn run(folder: &Path, first: u64, cases: u64) {
    let (mut counts, mut faults) = (Counts::new(), Vec::new());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| scope.spawn(move || one_line(folder, first + worker, first + cases)))
            .collect();
        for worker in workers {
            let (seen, wrong) = worker.join().unwrap();
            seen.into_iter().for_each(|(name, count)| *counts.entry(name).or_default() += count);
            faults.extend(wrong);
        }
    });
    println!("{cases} copies: {counts:?}");
    assert!(faults.is_empty(), "{} of {cases} cases:\n{}", faults.len(), faults.join("\n"));
    // All that there is to see was seen, or the test tests little.
    for name in ["sound", "refused", "faults", "written", "head", "fell back"] {
        assert!(cases < 5000 || counts.get(name).is_some_and(|count| *count > 20), "{name}: {counts:?}");
    }
}

/// Every second case, in as many processes as it takes.
fn one_line(folder: &Path, first: u64, end: u64) -> (Counts, Vec<String>) {
    let (mut counts, mut faults, mut from) = (Counts::new(), Vec::new(), first);
    while from < end {
        let (mut child, lines) = start(folder, from, end);
        let mut case = from;
        let ended = watch(&mut child, &lines, &mut case, &mut counts, &mut faults);
        let _ = child.kill();
        let status = child.wait().unwrap();
        match ended {
            Some(why) => faults.push(format!("case {case}: {why} ({status})")),
            None => break,
        }
        from = case + WORKERS;
    }
    (counts, faults)
}

fn start(folder: &Path, from: u64, end: u64) -> (Child, Receiver<String>) {
    let mut command = Command::new("sh");
    // Memory that is the process's own: no mapping of a file, however large, counts.
    command.args(["-c", &format!("ulimit -d {MEMORY_KIB}; exec \"$@\""), "sh"]);
    command.arg(env::current_exe().unwrap());
    command.args(["hostile::worker", "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(CASES, format!("{from},{end},{WORKERS} {}", folder.display()));
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let (send, lines) = channel();
    let out = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || out.lines().map_while(Result::ok).for_each(|line| drop(send.send(line))));
    (child, lines)
}

/// Reads what the worker says; why it ended before its work was done, if it did.
fn watch(
    child: &mut Child,
    lines: &Receiver<String>,
    case: &mut u64,
    counts: &mut Counts,
    faults: &mut Vec<String>,
) -> Option<String> {
    let (mut begun_at, mut silent, mut last) = (cpu_ms(child.id()), 0, 0);
    loop {
        let line = match lines.recv_timeout(LOOK) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => return Some("the process ended".to_owned()),
            Err(RecvTimeoutError::Timeout) => {
                let now = cpu_ms(child.id());
                silent = if now == last { silent + 1 } else { 0 };
                last = now;
                if now.saturating_sub(begun_at) > 5 * CASE_MS {
                    return Some(format!("more than {} ms of CPU time", 5 * CASE_MS));
                }
                if silent > STUCK {
                    return Some("it stands still".to_owned());
                }
                continue;
            }
        };
        let Some(said) = line.find("@@ ").map(|at| &line[at + 3..]) else { continue };
        let mut words = said.splitn(3, ' ');
        let (kind, number, rest) = (words.next(), words.next(), words.next().unwrap_or_default());
        match kind {
            Some("begin") => {
                *case = number.unwrap().parse().unwrap();
                begun_at = cpu_ms(child.id());
            }
            Some("end") => {
                for name in rest.split(", ") {
                    *counts.entry(name.to_owned()).or_default() += 1;
                }
            }
            Some("fault") => faults.push(format!("case {case}: {rest}")),
            _ => return None,
        }
        let now = cpu_ms(child.id());
        if now.saturating_sub(begun_at) > CASE_MS {
            faults.push(format!("case {case}: {} ms of CPU time", now - begun_at));
        }
    }
}

/// CPU time of a process so far.
fn cpu_ms(pid: u32) -> u64 {
    let Ok(text) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return 0 };
    let behind_name = text.rsplit(')').next().unwrap_or_default();
    let numbers: Vec<u64> = behind_name.split_whitespace().map(|word| word.parse().unwrap_or(0)).collect();
    (numbers.get(11).unwrap_or(&0) + numbers.get(12).unwrap_or(&0)) * TICK_MS
}
