//! Goal: what was acknowledged as durable survives a power cut on real file systems.
//! Method: a few cuts by `tests/powercut/run.sh`, which needs root, and its control with the syncs taken out.
//! `FOLIO_CUTS` asks for more of them.

use std::path::Path;
use std::process::Command;

use crate::torture::{can_mount, number, program};

fn cuts(fs: &str, count: u64, more: &[&str]) -> (bool, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/powercut/run.sh");
    let mut command = Command::new("bash");
    command.arg(script).args([fs, &count.to_string(), &number("FOLIO_CUTS_SEED", 1).to_string()]).args(more);
    let output = command.env("FOLIO_TORTURE", program()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    println!("{text}");
    let last = String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned();
    (output.status.success(), last)
}

fn check_cuts(fs: &str) {
    let wanted = number("FOLIO_CUTS", 6);
    if !can_mount(fs, &format!("power cuts on {fs}")) {
        return;
    }
    let (passed, last) = cuts(fs, wanted, &[]);
    assert!(passed && last == format!("{wanted} cuts, 0 lost, 0 corrupt"), "{last}");
    let (passed, last) = cuts(fs, 3, &["--no-sync"]);
    assert!(!passed && last.starts_with("3 cuts") && !last.contains(" 0 lost, 0 corrupt"), "{last}");
}

#[test]
fn durable_commits_survive_power_cuts_on_ext4() {
    check_cuts("ext4");
}

#[test]
fn durable_commits_survive_power_cuts_on_xfs() {
    check_cuts("xfs");
}
