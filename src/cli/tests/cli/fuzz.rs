//! Goal: whatever is loaded, the tool ends with a result or an error; and what was loaded comes back.
//! Method: every input that is kept for the fuzzer `dump`, through the real program.

use std::path::Path;

use super::{Place, Run};

mod kinds;

/// Ends with 0, or with 1 and a message.
fn ends_well(run: Run) -> Option<Run> {
    assert!(matches!(run.code, Some(0 | 1)), "folio {}: {:?} {}", run.command, run.code, run.err);
    assert!(!run.err.contains("panicked"), "{}", run.err);
    (run.code == Some(0)).then_some(run)
}

#[test]
fn inputs_of_the_fuzzer() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/fuzz/dump");
    let mut count = 0;
    for input in std::fs::read_dir(folder).unwrap() {
        let path = input.unwrap().path();
        println!("{}", path.display());
        let input = std::fs::read(path).unwrap();
        if let Some((kind, text)) = input.split_first() {
            round_trip(*kind, text);
        }
        count += 1;
    }
    assert!(count > 3);
}

fn round_trip(kind: u8, text: &[u8]) {
    let (format, (keys, values)) = kinds::chosen(kind);
    let place = Place::new();
    let load = |db: &str, format: &str, text: &[u8]| {
        let table: &[&str] =
            if format == "dump" { &[] } else { &["t", "-", "--key-type", keys, "--value-type", values] };
        let run = place.run_with(&[&["load", db][..], table, &["--format", format]].concat(), text);
        ends_well(run).is_some()
    };
    if !load("first.folio", format, text) {
        return;
    }
    let format = if format == "lines" { "tsv" } else { format };
    let table = if format == "dump" { "--all" } else { "t" };
    let dump = |db: &str| ends_well(place.run(&["dump", db, table, "--format", format]));
    let Some(first) = dump("first.folio") else { return };
    assert!(load("second.folio", format, &first.out), "what dump writes, load reads");
    assert!(dump("second.folio").unwrap().out == first.out);
}
