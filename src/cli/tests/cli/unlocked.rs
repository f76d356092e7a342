//! Goal: where the lock file cannot be written, the tool says what can be done, and `--unlocked` does it.
//! Method: a folder that may not be written; a user who may write everywhere runs the tool as another one.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::watch::{Watch, open};
use crate::{Place, Run};

/// Every command that reads what is in the database.
const READING: [&[&str]; 7] = [
    &["dump", "words.folio", "words"],
    &["scan", "words.folio", "words", "--reverse"],
    &["get", "words.folio", "words", "apple"],
    &["count", "words.folio", "words"],
    &["tables", "words.folio"],
    &["stat", "words.folio"],
    &["check", "words.folio"],
];

const LOCK_FILE: &str = "words.folio-lock";

fn unlocked<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &["--unlocked"]].concat()
}

/// A folder that the tool may not write to.
struct ForeignFolder {
    place: Place,
    /// What runs it as another user, where this one may do everything.
    runner: &'static [&'static str],
}

impl ForeignFolder {
    /// With the database of `place`, which everybody may write, and without its lock file. None, and it says
    /// so, where this user may do everything and cannot become another.
    fn new(place: Place) -> Option<ForeignFolder> {
        const NOBODY: &[&str] = &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        // Another user may not reach the place where the tool was built. `cp` is a process of its own, so
        // that no child of this one has the copy open for writing.
        place.shell("cp \"$(command -v folio)\" tool").succeeds();
        fs::remove_file(place.path(LOCK_FILE)).unwrap();
        fs::set_permissions(place.path("words.folio"), Permissions::from_mode(0o666)).unwrap();
        fs::set_permissions(place.folder.path(), Permissions::from_mode(0o555)).unwrap();
        let privileged = fs::write(place.path("probe"), b"").is_ok();
        let foreign = ForeignFolder { place, runner: if privileged { NOBODY } else { &[] } };
        let mut nothing = Command::new(NOBODY[0]);
        if privileged && !nothing.args(&NOBODY[1..]).arg("true").status().is_ok_and(|status| status.success())
        {
            let text = "NOT TESTED: folders that may not be written: this user may do everything, and cannot \
                        become another\n";
            std::io::stderr().write_all(text.as_bytes()).unwrap();
            return None;
        }
        Some(foreign)
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> Run {
        let command = [self.runner, &["./tool"], arguments].concat();
        let mut child = Command::new(command[0]);
        child.args(&command[1..]);
        self.place.finish(child, arguments.join(" "), input)
    }
}

impl Drop for ForeignFolder {
    /// Else nobody could remove what is in it.
    fn drop(&mut self) {
        drop(fs::set_permissions(self.place.folder.path(), Permissions::from_mode(0o755)));
    }
}

#[test]
fn who_may_not_make_a_lock_file_reads_with_the_flag() {
    let place = Place::with_words();
    let expected = READING.map(|arguments| place.run(arguments).succeeds().text());
    let Some(folder) = ForeignFolder::new(place) else { return };
    for (arguments, expected) in READING.into_iter().zip(&expected) {
        folder.run(arguments, b"").fails(1, &[LOCK_FILE, "cannot be written", "denied", "--unlocked"]);
        folder.run(&unlocked(arguments), b"").prints(expected);
    }
    assert!(!folder.place.path(LOCK_FILE).exists());
}

#[test]
fn who_may_not_make_a_lock_file_is_not_sent_to_a_flag_that_there_is_not() {
    let Some(folder) = ForeignFolder::new(Place::with_words()) else { return };
    let before = fs::read(folder.place.path("words.folio")).unwrap();
    let others: [(&[&str], &str); 6] = [
        (&["watch", "words.folio", "words"], "does not see what other processes do"),
        (&["readers", "words.folio"], "does not see what other processes do"),
        (&["put", "words.folio", "words", "fig", "x"], "cannot change the database"),
        (&["del", "words.folio", "words", "apple"], "cannot change the database"),
        (&["load", "words.folio", "words"], "cannot change the database"),
        (&["compact", "words.folio"], "cannot change the database"),
    ];
    for (arguments, advice) in others {
        let run = folder.run(arguments, b"fig\tx\n");
        assert!(!run.err.contains("--unlocked"), "{}", run.err);
        run.fails(1, &[LOCK_FILE, "cannot be written", "denied", advice]);
        folder.run(&unlocked(arguments), b"").fails(2, &["--unlocked"]);
    }
    assert!(fs::read(folder.place.path("words.folio")).unwrap() == before, "it was not touched");
}

#[test]
fn the_flag_makes_no_lock_file() {
    let place = Place::with_words();
    fs::remove_file(place.path(LOCK_FILE)).unwrap();
    for arguments in READING {
        place.run(&unlocked(arguments)).succeeds();
        assert!(!place.path(LOCK_FILE).exists(), "{arguments:?}");
    }
    place.run(READING[0]).succeeds();
    assert!(place.path(LOCK_FILE).exists(), "without the flag there is one");
}

#[test]
#[cfg(target_os = "linux")]
fn the_flag_is_refused_while_somebody_has_the_database_open() {
    let place = Place::with_words();
    let refuses = || {
        for arguments in READING {
            let run = place.run(&unlocked(arguments));
            run.fails(1, &["words.folio is in use by another process", "--unlocked"]);
        }
    };
    let db = open(&place, "words.folio");
    refuses();
    db.close().unwrap();
    let (watch, _) = Watch::start(&place, &["words.folio", "words"], 5);
    refuses();
    drop(watch);
    place.run(&unlocked(READING[0])).succeeds();
}
