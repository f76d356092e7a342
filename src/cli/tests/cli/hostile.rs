//! Goal: no command falls over a damaged file, and none lets bytes of a file speak to the terminal.
//! Method: a database whose names, types, keys and values are escape sequences, through every command and
//! into its errors; and damaged copies of a file through every command that reads, with little memory and
//! time.

use std::fs;

use folio::{Database, Durability};
use serde_json::Value;

use crate::watch::open;
use crate::{Place, Run};

/// Clears the screen, sets the title, begins a new line, and turns the direction of writing round.
const EVIL: &str = "\u{1b}[2J\u{1b}]0;gone\u{7}\r\nok: \u{202e}\u{9b}31m\u{0}\u{7f}";

fn fill(db: &Database) {
    let mut tx = db.begin_write().unwrap();
    tx.set_durability(Durability::Immediate);
    tx.create_raw(EVIL, "str", "str").unwrap().insert(EVIL.as_bytes(), EVIL.as_bytes()).unwrap();
    tx.create_raw("types", EVIL, EVIL).unwrap().insert(EVIL.as_bytes(), EVIL.as_bytes()).unwrap();
    tx.create_raw("bytes", "[u8]", "[u8]").unwrap().insert(b"\x1b[2J\xff", &[0x1b; 9000]).unwrap();
    tx.commit().unwrap();
}

/// Only what a person may see: lines and tabs, and no character that is not printed.
#[track_caller]
fn assert_tame(run: &Run) {
    assert!(!run.err.contains("panicked") && matches!(run.code, Some(0..=2)), "{:?}: {}", run.code, run.err);
    for (what, bytes) in [("output", &run.out[..]), ("error", run.err.as_bytes())] {
        let text =
            std::str::from_utf8(bytes).unwrap_or_else(|error| panic!("{}: {what}: {error}", run.command));
        let wild = text
            .chars()
            .find(|c| (c.is_control() && !matches!(c, '\n' | '\t')) || ('\u{202a}'..='\u{202e}').contains(c));
        assert!(wild.is_none(), "folio {}: {what} has {wild:?}: {text:?}", run.command);
    }
}

#[test]
fn what_a_file_holds_never_reaches_the_terminal_as_it_is() {
    let place = Place::with_words();
    let db = open(&place, "words.folio");
    drop(db);
    fill(&writable(&place));
    // Every page: there are few.
    let pages = "33-60";
    let end = open(&place, "words.folio").begin_read().unwrap().page_map().unwrap().page_count();
    let pages = pages.replace("60", &(end - 1).to_string());
    let escaped = r"\x1b[2J";
    let commands: &[&[&str]] = &[
        &["tables", "words.folio"],
        &["tables", "words.folio", "--json"],
        &["stat", "words.folio"],
        &["stat", "words.folio", "--json"],
        &["stat", "words.folio", "--histogram"],
        &["info", "words.folio"],
        &["pages", "words.folio"],
        &["pages", "words.folio", "--json"],
        &["page", "words.folio", "0", "16", "32", &pages],
        &["page", "words.folio", "--json", &pages],
        &["page", "words.folio", "--hex", &pages],
        &["tree", "words.folio", EVIL_ARGUMENT],
        &["tree", "words.folio", "types"],
        &["tree", "words.folio", "bytes", "--json"],
        &["free", "words.folio"],
        &["map", "words.folio", "--by", "table"],
        &["check", "words.folio"],
        &["readers", "words.folio"],
        &["top", "words.folio", "--once"],
        &["scan", "words.folio", "bytes"],
        &["scan", "words.folio", "types"],
        &["scan", "words.folio", EVIL_ARGUMENT],
        &["dump", "words.folio", "bytes"],
        &["dump", "words.folio", EVIL_ARGUMENT],
        &["dump", "words.folio", "types", "--format", "jsonl"],
        &["get", "words.folio", "bytes", escaped],
        &["get", "words.folio", "types", escaped],
        &["get", "words.folio", EVIL_ARGUMENT, escaped],
        &["put", "words.folio", "types", escaped, "x"],
        &["del", "words.folio", "types", escaped],
        &["count", "words.folio", "types", "--from", escaped],
        &["count", "words.folio", EVIL_ARGUMENT],
        &["load", "words.folio", "types", "words.tsv"],
        &["salvage", "words.folio", "saved.folio"],
        &["salvage", "words.folio", "saved-too.folio", "--json"],
        &["copy", "words.folio", "copied.folio"],
        &["compact", "words.folio"],
    ];
    for command in commands {
        assert_tame(&place.run(command));
    }
    // Errors that name what is in the file.
    let mut bytes = fs::read(place.path("words.folio")).unwrap();
    for page in 33..bytes.len() / 4096 {
        bytes[page * 4096 + 200] ^= 1;
    }
    place.write("damaged.folio", &bytes);
    for command in commands.iter().filter(|command| command[0] != "salvage" && command[0] != "copy") {
        let command: Vec<&str> =
            command.iter().map(|part| if *part == "words.folio" { "damaged.folio" } else { part }).collect();
        assert_tame(&place.run(&command));
    }
}

/// As a person gives it: an argument cannot hold a zero byte.
const EVIL_ARGUMENT: &str = "\u{1b}[2J\u{1b}]0;gone\u{7}";

#[expect(unsafe_code, reason = "opening a file has a contract: only this test knows it")]
fn writable(place: &Place) -> Database {
    // SAFETY: only this test knows the file.
    unsafe { Database::open(place.path("words.folio")) }.unwrap()
}

/// Numbers that look random.
fn random(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap()
}

#[test]
fn every_command_that_reads_ends_with_a_result_on_damaged_files() {
    let place = Place::with_words();
    let many: String = (0..4000).map(|i| format!("key{i:05}\tvalue {i}\n")).collect();
    place.write("many.tsv", many.as_bytes());
    place.run(&["load", "words.folio", "many", "many.tsv"]).succeeds();
    let sound = fs::read(place.path("words.folio")).unwrap();
    let pages = sound.len() / 4096;
    for case in 0..25u64 {
        let (mut bytes, mut state) = (sound.clone(), case);
        for _ in 0..1 + case % 5 {
            let at = (random(&mut state) % pages) * 4096;
            let other = (random(&mut state) % pages) * 4096;
            match random(&mut state) % 5 {
                0 => bytes[at + random(&mut state) % 4096] ^= 0x10,
                1 => bytes[at..at + 4096].fill(0),
                2 => bytes.copy_within(other..other + 4096, at),
                3 => bytes[at..at + 64].fill(0xFF),
                _ => bytes.truncate(bytes.len() - random(&mut state) % 9000),
            }
            bytes.resize(bytes.len().max(pages * 2048), 0);
            bytes.resize(pages * 4096, 0);
        }
        if case % 6 == 0 {
            bytes.truncate(random(&mut state) % bytes.len());
        }
        place.write("damaged.folio", &bytes);
        let last = (bytes.len() / 4096).saturating_sub(1);
        for command in [
            "info",
            "info --json",
            "pages",
            "pages --json",
            "free",
            "free --json",
            "map",
            "stat",
            "stat --histogram",
            "tables",
            "check",
            "check --json",
            "readers",
            "top --once",
        ] {
            let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
            limited(&place, &format!("{name} damaged.folio {rest}"));
        }
        for command in [
            "scan damaged.folio many",
            "dump damaged.folio many",
            "tree damaged.folio many",
            "count damaged.folio many",
        ] {
            limited(&place, command);
        }
        limited(&place, &format!("page damaged.folio 0-{last}"));
        limited(&place, &format!("page damaged.folio 0-{last} --json"));
        let _ = fs::remove_file(place.path("saved.folio"));
        limited(&place, "salvage damaged.folio saved.folio");
        let _ = fs::remove_file(place.path("copied.folio"));
        limited(&place, "copy damaged.folio copied.folio");
        assert_eq!(fs::read(place.path("damaged.folio")).unwrap(), bytes, "case {case}: reading changed it");
    }
}

/// With 256 MiB of memory and 4 seconds of CPU time.
fn limited(place: &Place, command: &str) {
    let run = place.shell(&format!("ulimit -d 262144; ulimit -t 4; exec folio {command}"));
    assert_tame(&run);
    if command.contains("--json") && run.code == Some(0) && !run.out.is_empty() {
        for value in serde_json::Deserializer::from_slice(&run.out).into_iter::<Value>() {
            value.unwrap_or_else(|error| panic!("{command}: {error}"));
        }
    }
}

#[test]
fn what_a_dump_and_the_names_of_files_hold_never_reaches_the_terminal_as_it_is() {
    let place = Place::with_words();
    let wild = "\u{1b}[31mRED\u{1b}]0;title\u{7}\u{202e}";
    for line in ["sequence=WILD", "canary=WILD", "unWILDknown=1", "type=WILD", "WILD", "database=WILD\nx"] {
        let dump = format!("VERSION=3\n{line}\nHEADER=END\nDATA=END\n").replace("WILD", wild);
        let run = place.run_with(&["load", "x.folio", "--format", "dump"], dump.as_bytes());
        assert!(!run.err.is_empty(), "{line} says nothing");
        assert_tame(&run);
    }
    let name = format!("{wild}.dump");
    place.write(&name, b"VERSION=3\nsequence=1\nHEADER=END\nDATA=END\n");
    let run = place.run(&["load", "x.folio", "--format", "dump", &name]);
    assert!(run.err.contains("sequence=1 is not kept"), "{}", run.err);
    assert_tame(&run);
    // A damaged database of such a name.
    let mut bytes = fs::read(place.path("words.folio")).unwrap();
    bytes[32 * 4096..].fill(0x5A);
    place.write(wild, &bytes);
    assert_tame(&place.run(&["dump", wild, "words", "--format", "dump"]));
}
