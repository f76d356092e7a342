//! Goal: a read transaction asks nothing of the system, though other processes may have the file open.
//! Method: strace counts every call of a million of them; and a second run compares their time with the
//! same reads in one transaction, in rounds that alternate. It prints the medians and demands nothing; more
//! rounds with `FOLIO_LONG=1`.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Talker, place};
use crate::files::long_form;
use crate::torture::{has_strace, program, run, succeed};

/// All calls of a process and its threads that begins, gets and ends so often.
fn calls(path: &Path, times: &str) -> u64 {
    let summary = path.with_extension("summary");
    let mut command = Command::new("strace");
    command.args(["-f", "-c", "-qq", "-o"]).arg(&summary).arg(program());
    assert!(command.arg("reads").arg(path).args(["--times", times]).status().unwrap().success());
    let summary = fs::read_to_string(summary).unwrap();
    // Per cent, seconds, microseconds a call, calls.
    let total = summary.lines().find(|line| line.ends_with(" total")).unwrap();
    total.split_whitespace().nth(3).unwrap().parse().unwrap()
}

#[test]
fn a_million_reads_make_no_system_call() {
    if !has_strace("system calls of read transactions") {
        return;
    }
    let (_folder, path) = place();
    // Somebody else has it open, so nothing can be left out.
    let mut other = Talker::start();
    other.open(&path);
    other.ask("snapshot db s");
    let (one, million) = (calls(&path, "1"), calls(&path, "1000000"));
    println!("one read: {one} system calls; a million: {million}");
    assert!(one > 20, "{one} calls cannot be all");
    // Ten times a second one of them looks at the file's length.
    assert!(million < one + 1_000, "{million} calls");
}

#[test]
fn what_a_read_transaction_costs_is_printed() {
    let (_folder, path) = place();
    // Short ones, most of which nobody else on the machine interrupts.
    let (times, rounds) = if long_form() { ("1000", "10001") } else { ("1000", "301") };
    print!("{}", succeed(run(&["reads"], &path, &["--times", times, "--rounds", rounds])));
}
