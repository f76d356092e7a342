//! Goal: a reader that goes away does not make a damaged file a sound one.
//! Method: every command that says by its exit code whether it found faults, with nobody at the other end.

use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use folio::inspect::{PageOwner, PageRecord};

use crate::watch::open;
use crate::{Place, tool};

/// The exit code where standard output has no reader from the beginning.
fn code_without_reader(place: &Place, arguments: &[&str]) -> Option<i32> {
    let (end, other) = UnixStream::pair().unwrap();
    drop(other);
    assert!((&end).write(b"x").is_err(), "nobody reads");
    let mut command = Command::new(tool());
    command.args(arguments).current_dir(place.folder.path());
    command.stdin(Stdio::null()).stdout(OwnedFd::from(end)).stderr(Stdio::piped());
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
    output.status.code()
}

#[test]
fn a_reader_that_goes_away_does_not_hide_faults() {
    let place = Place::with_words();
    let map = open(&place, "words.folio").begin_read().unwrap().page_map().unwrap();
    let is_wanted = |record: &PageRecord| matches!(record.owner, PageOwner::Table(_));
    let leaf = map.iter().find(is_wanted).unwrap().page;
    let mut bytes = fs::read(place.path("words.folio")).unwrap();
    let commands = |name: &'static str, saved: &'static [&str]| {
        let mut commands = vec![
            vec!["check", name],
            vec!["check", name, "--json"],
            vec!["pages", name],
            vec!["tree", name, "words"],
            vec!["tree", name, "words", "--json"],
            vec!["info", name],
        ];
        commands.extend(saved.iter().map(|saved| vec!["salvage", name, saved]));
        commands
    };
    for command in commands("words.folio", &["sound.folio"]) {
        assert_eq!(code_without_reader(&place, &command), Some(0), "{command:?}");
    }
    bytes[usize::try_from(leaf).unwrap() * 4096 + 90] ^= 1;
    place.write("damaged.folio", &bytes);
    for command in commands("damaged.folio", &["saved.folio"]) {
        // The meta pages of this file are sound.
        let code = i32::from(command[0] != "info");
        assert_eq!(code_without_reader(&place, &command), Some(code), "{command:?}");
    }
    for at in [0, 65_536] {
        bytes[at..at + 4096].fill(0);
    }
    place.write("headless.folio", &bytes);
    for command in [["info", "headless.folio"].as_slice(), &["info", "headless.folio", "--json"]] {
        assert_eq!(code_without_reader(&place, command), Some(1), "{command:?}");
    }
}
