//! Goal: `copy` makes whole backups beside another process that writes, and leaves nothing behind when it is
//! killed, when the disk is full, or when its reader goes away.
//! Method: a `folio load` of batches in which all values are the same goes on while copies are taken and
//! looked at; `copy` is killed at random moments; `ulimit -f` stands for a full disk.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::terminal::OnTerminal;
use crate::watch::open;
use crate::{Place, tool};

/// A process that writes without end: each batch gives the same 500 keys one value.
struct Writer {
    child: std::process::Child,
    feeder: Option<std::thread::JoinHandle<()>>,
}

impl Writer {
    fn start(place: &Place) -> Writer {
        let mut command = Command::new(tool());
        command.args(["load", "x.folio", "t", "--batch", "500", "--durability", "buffered"]);
        command.current_dir(place.folder.path());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let feeder = std::thread::spawn(move || {
            for round in 0_u64.. {
                let value = format!("{round:010}").repeat(20);
                let lines = (0..500).map(|key| format!("{key}\t{value}\n")).collect::<String>();
                if stdin.write_all(lines.as_bytes()).is_err() {
                    return;
                }
            }
        });
        Writer { child, feeder: Some(feeder) }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(feeder) = self.feeder.take() {
            let _ = feeder.join();
        }
    }
}

/// A database with one batch in it and some larger values.
fn place() -> Place {
    let place = Place::new();
    let lines = (0..500).map(|key| format!("{key}\t{}\n", "s".repeat(200))).collect::<String>();
    place.run_with(&["load", "x.folio", "t"], lines.as_bytes()).succeeds();
    let lines = (0..300).map(|key| format!("{key}\t{}\n", "l".repeat(20_000))).collect::<String>();
    place.run_with(&["load", "x.folio", "large"], lines.as_bytes()).succeeds();
    place
}

/// Files that copying made and did not finish.
fn leftovers(place: &Place) -> Vec<String> {
    let names = fs::read_dir(place.folder.path()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(".folio-new") || name == "copy.folio").collect()
}

#[test]
fn copies_beside_another_process_hold_whole_commits() {
    let place = place();
    let writer = Writer::start(&place);
    let mut values = Vec::new();
    for round in 0..12 {
        let how: &[&str] = [&["copy.folio"][..], &["copy.folio", "--compact"]][round % 2];
        place.run(&[&["copy", "x.folio", "--force"], how].concat()).succeeds();
        place.run(&["check", "copy.folio"]).succeeds();
        let dumped = place.run(&["dump", "copy.folio", "t"]).succeeds().text();
        let mut found: Vec<_> =
            dumped.lines().map(|line| line.split_once('\t').unwrap().1.to_owned()).collect();
        assert_eq!(found.len(), 500);
        found.dedup();
        assert_eq!(found.len(), 1, "a snapshot shows whole commits: {found:?}");
        values.append(&mut found);
        place.run(&["count", "copy.folio", "large"]).prints("300\n");
    }
    drop(writer);
    values.dedup();
    assert!(values.len() > 6, "the writer went on meanwhile: {values:?}");
    place.run(&["check", "x.folio"]).succeeds();
}

#[test]
fn a_stream_is_the_same_database() {
    let place = place();
    for how in ["", "--compact"] {
        place.shell(&format!("folio copy x.folio - {how} > copy.folio")).succeeds();
        place.run(&["check", "copy.folio"]).succeeds();
        place
            .shell("folio dump x.folio --format dump > a; folio dump copy.folio --format dump > b")
            .succeeds();
        place.shell("grep -v mapsize a > c; grep -v mapsize b > d; cmp c d").succeeds();
        place.shell(&format!("folio copy x.folio - {how} | head -c 100000 > part")).succeeds();
    }
}

#[test]
fn what_is_there_is_replaced_with_force_alone() {
    let place = place();
    place.write("copy.folio", b"precious");
    place.run(&["copy", "x.folio", "copy.folio"]).fails(1, &["copy.folio exists already", "--force"]);
    assert_eq!(fs::read(place.path("copy.folio")).unwrap(), b"precious");
    place.run(&["copy", "x.folio", "copy.folio", "--force"]).succeeds();
    place.run(&["check", "copy.folio"]).succeeds();
    place.run(&["load", "open.folio", "t", "--format", "lines"]).succeeds();
    let open = open(&place, "open.folio");
    place.run(&["copy", "x.folio", "open.folio", "--force"]).fails(1, &["open.folio", "not replaced"]);
    drop(open);
    let report = place.run(&["copy", "x.folio", "copy.folio", "--force", "--json"]).succeeds().text();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["bytes"].as_u64(), Some(fs::metadata(place.path("copy.folio")).unwrap().len()));
    place.run(&["copy", "x.folio", "-", "--json"]).fails(2, &["--json"]);
    place.shell("chmod 600 x.folio && folio copy x.folio private.folio").succeeds();
    let mode = fs::metadata(place.path("private.folio")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "who may not read the database may not read its copy");
    place.run(&["copy", "x.folio", "no/such/folder"]).fails(1, &["no/such"]);
    place.run(&["copy", "none.folio", "copy2.folio"]).fails(1, &["none.folio does not exist"]);
}

#[test]
fn a_copy_that_is_killed_is_not_there() {
    let place = place();
    let (mut killed, mut whole, mut unfinished) = (0, 0, 0);
    for round in 0..40_u64 {
        let mut command = Command::new(tool());
        command.args(["copy", "x.folio", "copy.folio"]).current_dir(place.folder.path());
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        // Moments from the beginning to well behind the end, no matter which.
        std::thread::sleep(Duration::from_micros(round * 800));
        child.kill().unwrap();
        child.wait().unwrap();
        if place.path("copy.folio").exists() {
            place.run(&["check", "copy.folio"]).succeeds();
            whole += 1;
        } else {
            killed += 1;
        }
        // Without files that have no name, a kill leaves one of another name. Even with them it does if it
        // comes just when the file is named.
        for name in leftovers(&place) {
            unfinished += usize::from(name.starts_with(".folio-new"));
            fs::remove_file(place.path(&name)).unwrap();
        }
    }
    assert!(killed > 0, "killed {killed}, whole {whole}");
    println!("killed {killed}, whole {whole}, left under another name {unfinished}");
    assert!(unfinished < 5 || cfg!(not(target_os = "linux")), "{unfinished} files of another name were left");
    place.run(&["copy", "x.folio", "copy.folio"]).succeeds();
}

#[test]
fn a_full_disk_is_an_error_and_leaves_nothing() {
    let place = place();
    for how in ["", "--compact"] {
        let run = place.shell(&format!("ulimit -f 2000; exec folio copy x.folio copy.folio {how}"));
        run.fails(1, &["copy.folio", "File too large"]);
        assert_eq!(leftovers(&place), [""; 0]);
        place.write("copy.folio", b"precious");
        let run = place.shell(&format!("ulimit -f 2000; exec folio copy x.folio copy.folio --force {how}"));
        run.fails(1, &["copy.folio", "File too large"]);
        assert_eq!(fs::read(place.path("copy.folio")).unwrap(), b"precious");
        fs::remove_file(place.path("copy.folio")).unwrap();
    }
    place.run(&["check", "x.folio"]).succeeds();
}

#[test]
fn a_database_is_no_backup_of_itself() {
    let place = Place::with_words();
    fs::hard_link(place.path("words.folio"), place.path("same.folio")).unwrap();
    std::os::unix::fs::symlink("words.folio", place.path("link.folio")).unwrap();
    for to in ["words.folio", "./words.folio", "same.folio", "link.folio"] {
        let run = place.run(&["copy", "words.folio", to, "--force"]);
        run.fails(2, &[to, "the database itself", "not replaced"]);
    }
    place.run(&["check", "words.folio"]).succeeds();
}

#[test]
fn a_terminal_gets_no_copy() {
    let place = Place::with_words();
    let (status, screen) = OnTerminal::start(&place, &["copy", "words.folio", "-"], &[]).ends();
    assert_eq!(status.code(), Some(2), "{screen}");
    assert!(screen.contains("terminal") && !screen.contains("FOLIO"), "{screen}");
}
