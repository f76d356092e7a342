//! Goal: `top` shows what other processes do, and leaves the terminal as it was, however it ends.
//! Method: a pseudo terminal, and this process as the others. Nothing waits for the clock: a test reads the
//! screen until it shows what it must.

use std::os::unix::process::ExitStatusExt;

use serde_json::Value;

use crate::Place;
use crate::terminal::OnTerminal;
use crate::watch::open;

/// Started, and on the screen.
fn shown(place: &Place) -> OnTerminal {
    let mut top = OnTerminal::start(place, &["top", "words.folio", "--interval", "0.2"], &[]);
    top.until(|screen| screen.contains("0 readers"));
    assert!(top.cells().alternate_screen() && top.cells().hide_cursor());
    top
}

#[test]
fn each_way_to_end_it_leaves_the_terminal_as_it_was() {
    let place = Place::with_words();
    for keys in [&b"q"[..], b"\x1B", b"Q"] {
        let mut top = shown(&place);
        top.press(keys);
        let (status, screen) = top.ends();
        assert_eq!((status.code(), screen.as_str()), (Some(0), "<end>"), "{keys:?}");
    }
    let mut top = shown(&place);
    top.press(b"\x03");
    assert_eq!(top.ends().0.signal(), Some(2), "Ctrl-C ends it as it ends other tools");
    for (name, number) in [("INT", 2), ("TERM", 15), ("HUP", 1), ("QUIT", 3)] {
        let top = shown(&place);
        top.signal(name);
        let (status, screen) = top.ends();
        assert_eq!((status.signal(), screen.as_str()), (Some(number), "<end>"), "{name}");
    }
    place.run(&["check", "words.folio"]).succeeds();
}

#[test]
#[cfg(target_os = "linux")]
fn an_error_leaves_the_terminal_as_it_was_and_is_told_there() {
    let place = Place::with_words();
    let top = shown(&place);
    let stats = open(&place, "words.folio").stats().unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(place.path("words.folio")).unwrap();
    // Of the last page something stays, so that a look at this very moment finds memory behind all pages.
    file.set_len(stats.pages * u64::from(stats.page_size) - 1).unwrap();
    let (status, screen) = top.ends();
    assert_eq!(status.code(), Some(1));
    assert!(screen.starts_with("folio: ") && screen.contains("words.folio"), "{screen}");
}

#[test]
#[cfg(target_os = "linux")]
fn it_shows_commits_and_readers_of_others() {
    let place = Place::with_words();
    let mut top = shown(&place);
    let db = open(&place, "words.folio");
    let reader = db.begin_read().unwrap();
    top.until(|screen| screen.contains("1 reader "));
    let commit = |value: &[u8]| {
        let mut tx = db.begin_write().unwrap();
        tx.set_durability(folio::Durability::Buffered);
        tx.open_raw("words").unwrap().insert(b"apple", value).unwrap();
        tx.commit().unwrap().txn
    };
    commit(&[b'a'; 100_000]);
    let last = commit(&[b'b'; 200_000]);
    let lag = last - db.durable();
    assert!(lag > 0);
    top.until(|screen| screen.contains(&format!("not durable {lag} of {last}")));
    db.sync().unwrap();
    top.until(|screen| screen.contains(&format!("not durable 0 of {last}")));
    let row = |screen: &str| {
        let is_row = |line: &&str| line.contains(&format!(" {} ", std::process::id()));
        let cells = |line: &str| line.split("  ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
        screen.lines().find(is_row).map(|line| cells(line.trim_matches(['\u{2502}', ' '])))
    };
    top.until(|screen| row(screen).is_some_and(|row| row.iter().any(|cell| cell.ends_with("KiB"))));
    let cells: Vec<_> = row(&top.screen()).unwrap().into_iter().filter(|cell| !cell.is_empty()).collect();
    let expected = &db.readers().unwrap()[0];
    let behind = (last - reader.txn()).to_string();
    assert_eq!(
        [&cells[0], &cells[2], &cells[3]],
        [&std::process::id().to_string(), &reader.txn().to_string(), &behind]
    );
    assert_eq!(cells[4], format!("{} KiB", expected.pinned_bytes / 1024), "{cells:?}");
    drop(reader);
    top.until(|screen| screen.contains("0 readers"));
    top.press(b"q");
    assert_eq!(top.ends().0.code(), Some(0));
}

#[test]
fn colours_are_left_out_where_they_are_not_wanted() {
    let place = Place::with_words();
    for (variables, coloured) in [(&[][..], true), (&[("NO_COLOR", "1")], false), (&[("NO_COLOR", "")], true)]
    {
        let mut top = OnTerminal::start(&place, &["top", "words.folio"], variables);
        top.until(|screen| screen.contains("0 readers"));
        let cells = (0..30).flat_map(|row| (0..100).map(move |column| (row, column)));
        let is_coloured = |(row, column)| {
            let cell = top.cells().cell(row, column).unwrap();
            cell.fgcolor() != vt100::Color::Default || cell.bgcolor() != vt100::Color::Default
        };
        assert_eq!(cells.into_iter().any(is_coloured), coloured, "{variables:?}");
        top.press(b"q");
        top.ends();
    }
}

#[test]
fn without_a_terminal_it_says_what_to_do() {
    let place = Place::with_words();
    place.run(&["top", "words.folio"]).fails(2, &["standard output is not a terminal", "--once"]);
    place.run(&["top", "no.folio", "--once"]).fails(1, &["no.folio", "does not exist"]);
    for interval in ["0", "-1", "nan", "inf", "1e9", "x"] {
        place.run(&["top", "words.folio", "--once", &format!("--interval={interval}")]).fails(2, &[interval]);
    }
    let top = OnTerminal::start(&place, &["top", "words.folio"], &[("TERM", "dumb")]);
    let (status, screen) = top.ends();
    assert_eq!(status.code(), Some(2));
    assert!(screen.contains("cannot be drawn on") && screen.contains("--once"), "{screen}");
}

#[test]
fn one_look_says_the_same_as_stat() {
    let place = Place::with_words();
    place.run(&["del", "words.folio", "words", "apple"]).succeeds();
    let json = |arguments: &[&str]| -> Value {
        serde_json::from_slice(&place.run(arguments).succeeds().out).unwrap()
    };
    let stat = json(&["stat", "words.folio", "--json"]);
    let look = json(&["top", "words.folio", "--once", "--json", "--interval", "0.1"]);
    for name in [
        "txn",
        "durable_txn",
        "file_bytes",
        "page_size",
        "pages",
        "free_pages",
        "pending_pages",
        "free_space_pages",
    ] {
        assert!(look[name].is_u64(), "{name} is {}", look[name]);
        assert_eq!(look[name], stat[name], "{name}");
    }
    assert_eq!((&look["commits_per_second"], &look["readers"]), (&Value::from(0.0), &Value::Array(vec![])));
    let text = place.run(&["top", "words.folio", "--once", "--interval", "0.1"]).succeeds().text();
    for part in ["words.folio", "0 a second", "not durable  0 transactions", "in use", "free", "pending"] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert!(text.ends_with("\nnobody reads this database\n"), "{text}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_look_for_a_program_shows_commits_and_readers_of_others() {
    let place = Place::with_words();
    let db = open(&place, "words.folio");
    let reader = db.begin_read().unwrap();
    let commit = |value: &[u8]| {
        let mut tx = db.begin_write().unwrap();
        tx.set_durability(folio::Durability::Buffered);
        tx.open_raw("words").unwrap().insert(b"apple", value).unwrap();
        tx.commit().unwrap().txn
    };
    commit(&[b'a'; 100_000]);
    let last = commit(&[b'b'; 200_000]);
    let look = || -> Value {
        let run = place.run(&["top", "words.folio", "--once", "--json", "--interval", "0.1"]).succeeds();
        serde_json::from_slice(&run.out).unwrap()
    };
    let shown = look();
    assert!(last > db.durable());
    assert_eq!([&shown["txn"], &shown["durable_txn"]], [last, db.durable()]);
    let [shown] = &shown["readers"].as_array().unwrap()[..] else { panic!("{shown}") };
    assert_eq!(shown["pid"], std::process::id());
    assert_eq!([&shown["txn"], &shown["behind"]], [reader.txn(), last - reader.txn()]);
    assert_eq!(shown["pinned_bytes"], db.readers().unwrap()[0].pinned_bytes);
    // Commits between two looks are counted. On a busy machine there may be none in so short a time.
    let is_counted = (0..50).any(|_| {
        std::thread::scope(|scope| {
            let looking = scope.spawn(look);
            while !looking.is_finished() {
                commit(b"c");
            }
            looking.join().unwrap()["commits_per_second"].as_f64().unwrap() > 0.0
        })
    });
    assert!(is_counted);
}

#[test]
fn lines_for_a_program_end_when_nobody_reads_them() {
    let place = Place::with_words();
    let line = "{ folio top words.folio --json --interval 0.1; echo \"exit code $?\" >&2; } | head -n 2";
    let run = place.shell(line);
    assert_eq!((run.code, run.err.as_str()), (Some(0), "exit code 0\n"));
    let looks: Vec<Value> = run.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(looks.len(), 2);
    assert!(looks[0]["time_ms"].as_u64() < looks[1]["time_ms"].as_u64());
}
