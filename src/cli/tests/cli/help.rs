//! Goal: the help of every command is there, and its examples work as they stand.
//! Method: take the commands from the help itself, and run each example line in a shell.

use crate::Place;

const COMMANDS: [&str; 24] = [
    "load",
    "dump",
    "scan",
    "get",
    "put",
    "del",
    "count",
    "watch",
    "readers",
    "top",
    "tables",
    "stat",
    "info",
    "pages",
    "page",
    "tree",
    "free",
    "map",
    "check",
    "compact",
    "copy",
    "salvage",
    "bench",
    "completions",
];

#[test]
fn every_command_is_listed_and_no_other() {
    let help = Place::new().run(&["--help"]).succeeds().text();
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap().to_owned();
    let listed: Vec<_> = list
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap())
        .collect();
    assert_eq!(listed, [&COMMANDS[..], &["help"]].concat());
}

#[test]
fn every_example_works() {
    for command in COMMANDS {
        let help = Place::new().run(&[command, "--help"]).succeeds().text();
        let examples = help.split("\nExample").nth(1).unwrap_or_default().to_owned();
        let examples: Vec<_> = examples.lines().filter_map(|line| line.strip_prefix("  folio ")).collect();
        assert!(!examples.is_empty(), "the help of {command} has no example:\n{help}");
        for example in examples {
            assert!(example.starts_with(command), "{example}");
            let place = Place::with_words();
            place.write("src/lib.rs", b"//! A library.\n");
            if command == "watch" {
                // Whoever reads its output makes a commit for every line.
                let put = "n=x$n; folio put words.folio words blue $n";
                let line = format!("folio {example} | while read -r line; do echo \"$line\"; {put}; done");
                let shown = place.shell(&line).succeeds().text();
                assert!(shown.contains("inserted\n+\tblue\tx\n"), "{shown}");
            } else {
                place.shell(&format!("folio {example}")).succeeds();
            }
        }
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    let version = Place::new().run(&["--version"]).succeeds().text();
    assert_eq!(version, format!("folio {}\n", env!("CARGO_PKG_VERSION")));
    assert!(Place::new().run(&["scan", "-h"]).succeeds().text().contains("--reverse"));
}

#[test]
fn wrong_usage_gives_exit_code_2() {
    let place = Place::with_words();
    let wrong: &[&[&str]] = &[
        &[],
        &["fly"],
        &["get", "words.folio", "words"],
        &["get", "words.folio", "words", "a", "b"],
        &["dump", "words.folio", "words", "--format", "xml"],
        &["scan", "words.folio", "words", "--prefix", "a", "--from", "a"],
        &["scan", "words.folio", "words", "--limit", "many"],
        &["del", "words.folio", "words"],
        &["del", "words.folio", "words", "apple", "--prefix", "a"],
        &["load", "new.folio", "t", "--batch", "0"],
        &["load", "new.folio", "t", "--page-size", "5000"],
        &["load", "new.folio", "t", "--key-type", "u46"],
        &["load", "new.folio", "t", "--format", "files"],
        &["load", "new.folio", "t", "-", "--format", "files"],
    ];
    for arguments in wrong {
        let run = place.run(arguments);
        assert_eq!((run.code, run.text().as_str()), (Some(2), ""), "folio {arguments:?}: {}", run.err);
        assert!(!run.err.is_empty(), "folio {arguments:?} says nothing");
        assert!(!place.path("new.folio").exists(), "folio {arguments:?} created a database");
    }
    place.run(&["dump", "words.folio", "words", "--format", "xml"]).fails(2, &["xml", "tsv, jsonl"]);
}
