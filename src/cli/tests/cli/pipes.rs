//! Goal: the tool is a good citizen of pipelines.
//! Method: real pipes, set up by the shell.

use crate::Place;

fn place_with_much() -> Place {
    let place = Place::new();
    let lines: String = (0..20_000).map(|n| format!("{n:05}\t{}\n", "x".repeat(100))).collect();
    place.run_with(&["load", "x.folio", "t"], lines.as_bytes()).succeeds();
    place
}

#[test]
fn a_reader_that_goes_away_ends_the_tool_quietly() {
    let place = place_with_much();
    for command in ["dump x.folio t", "dump x.folio t --format jsonl", "scan x.folio t --reverse"] {
        let run = place.shell(&format!("{{ folio {command}; echo \"exit code $?\" >&2; }} | head -n 1"));
        assert_eq!(run.text().lines().count(), 1, "{command}");
        assert_eq!(run.err, "exit code 0\n", "{command}");
    }
    let run = place.shell("{ folio --help; echo \"exit code $?\" >&2; } | true");
    assert_eq!(run.err, "exit code 0\n");
}

#[test]
fn dump_and_load_join_in_a_pipe() {
    let place = place_with_much();
    place.shell("folio dump x.folio t | folio load y.folio t").succeeds();
    place.shell("folio dump x.folio t > x && folio dump y.folio t > y && cmp x y").succeeds();
    place.run(&["count", "y.folio", "t"]).prints("20000\n");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_output_is_an_error() {
    let place = place_with_much();
    for command in ["dump x.folio t", "count x.folio t", "stat x.folio", "check x.folio", "--help"] {
        place
            .shell(&format!("folio {command} > /dev/full"))
            .fails(1, &["standard output: No space left on device"]);
    }
}

#[test]
fn no_progress_is_drawn_where_nobody_watches() {
    let place = place_with_much();
    place.run(&["check", "x.folio"]).succeeds();
    place.run(&["compact", "x.folio"]).succeeds();
    assert_eq!(place.run(&["dump", "x.folio", "t"]).succeeds().err, "");
}
