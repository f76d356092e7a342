//! Goal: `bench` gives every figure and leaves nothing behind, also when it is killed; `completions` gives
//! each shell something that it accepts.
//! Method: run them on little data, look at the JSON and at the folder; bash itself reads its completions.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::{Place, tool};

fn is_empty(place: &Place) -> bool {
    fs::read_dir(place.folder.path()).unwrap().next().is_none()
}

#[test]
fn bench_gives_its_figures_and_leaves_nothing() {
    let place = Place::new();
    let arguments = ["bench", "--entries", "2000", "--value-size", "50", "--key-size", "20"];
    let json = place.run(&[&arguments[..], &["--json"]].concat()).succeeds().text();
    assert!(is_empty(&place));
    let object: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((object["entries"].as_u64(), object["value_bytes"].as_u64()), (Some(2000), Some(50)));
    let figures = object["figures"].as_object().unwrap();
    let names = [
        "sequential_write",
        "flush",
        "load",
        "durable_commits",
        "durable_commits_4_threads",
        "batches",
        "buffered_commits",
        "random_gets",
        "scan",
    ];
    assert_eq!(figures.keys().map(String::as_str).collect::<std::collections::BTreeSet<_>>(), names.into());
    for (name, figure) in figures {
        assert!(figure["value"].as_f64().is_some_and(|value| value > 0.0), "{name}: {figure}");
    }
    assert!(figures["flush"]["p99_seconds"].as_f64() >= figures["flush"]["median_seconds"].as_f64());
    place.run(&["bench", "--key-size", "3"]).fails(2, &["--key-size"]);
    place.run(&["bench", "--entries", "100000000"]).fails(2, &["at most"]);
    place.run(&["bench", "--dir", "no/such"]).fails(1, &["no/such"]);
}

#[test]
fn bench_that_is_killed_leaves_nothing() {
    let place = Place::new();
    for round in 1..4 {
        let mut command = Command::new(tool());
        command.args(["bench", "--entries", "2000"]).current_dir(place.folder.path());
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        // In different parts of it, no matter which.
        std::thread::sleep(Duration::from_millis(round * 700));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_empty(&place));
    }
}

#[test]
fn every_shell_gets_its_completions() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = place.run(&["completions", shell]).succeeds().text();
        for word in ["completions", "dupsort"] {
            assert!(text.contains(word), "{shell} does not know {word}");
        }
    }
    place.run(&["completions", "csh"]).fails(2, &["csh"]);
    place.shell("folio completions bash | head -1").succeeds();
    if Command::new("bash").arg("--version").output().is_err() {
        eprintln!("NOT TESTED: bash is not installed");
        return;
    }
    let line = "bash -c '. <(folio completions bash); complete -p folio; COMP_WORDS=(folio cop); \
                COMP_CWORD=1; _folio folio cop folio; echo \"${COMPREPLY[@]}\"'";
    let text = place.shell(line).succeeds().text();
    assert!(text.contains("complete ") && text.ends_with("copy\n"), "{text}");
}

#[test]
fn bench_takes_no_file_that_is_there() {
    let place = Place::with_words();
    // The name that it uses has the number of its process.
    let name = ".folio-bench-$$.folio";
    let run = place.shell(&format!("cp words.folio {name}; exec folio bench --entries 2000"));
    run.fails(1, &[".folio-bench-", "exists already"]);
    let check =
        place.shell("folio dump .folio-bench-*.folio words > a; folio dump words.folio words | cmp a -");
    check.prints("");
}
