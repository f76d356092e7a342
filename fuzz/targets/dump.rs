//! Any text through `folio load`, in each of its formats; what was loaded comes back through `folio dump`.
//!
//! The commands are those of the tool, whose source is part of this target.
#![no_main]
#![expect(dead_code, reason = "the tool uses more of its modules")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use clap::Parser;
use libfuzzer_sys::fuzz_target;

#[path = "../../src/cli/src/base64.rs"]
mod base64;
#[path = "../../src/cli/src/column.rs"]
mod column;
#[path = "../../src/cli/src/csv.rs"]
mod csv;
#[path = "../../src/cli/src/dump.rs"]
mod dump;
#[path = "../../src/cli/src/failure.rs"]
mod failure;
#[path = "../../src/cli/tests/cli/fuzz/kinds.rs"]
mod kinds;
#[path = "../../src/cli/src/lmdb/mod.rs"]
mod lmdb;
#[path = "../../src/cli/src/load/mod.rs"]
mod load;
#[path = "../../src/cli/src/open.rs"]
mod open;
#[path = "../../src/cli/src/output.rs"]
mod output;
#[path = "../../src/cli/src/progress.rs"]
mod progress;

#[derive(Debug, Parser)]
enum Tool {
    Load(load::Load),
    Dump(dump::Dump),
}

fuzz_target!(|data: &[u8]| {
    if let Some((kind, text)) = data.split_first() {
        round_trip(*kind, text);
    }
});

/// Where the files are, in memory. Standard output goes to one of them.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = PathBuf::from(format!("/dev/shm/folio-fuzz-dump-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let out = File::options().create(true).append(true).open(folder.join("out")).expect("a file");
        rustix::stdio::dup2_stdout(&out).expect("a descriptor");
        folder
    })
}

fn round_trip(kind: u8, text: &[u8]) {
    let (format, (keys, values)) = kinds::chosen(kind);
    let input = folder().join("input");
    fs::write(&input, text).expect("a file");
    let first = new("first.folio");
    if !load(&first, &input, format, (keys, values)) {
        return;
    }
    let format = if format == "lines" { "tsv" } else { format };
    let out = folder().join("out");
    File::options().write(true).open(&out).expect("a file").set_len(0).expect("a length");
    let first_path = first.to_str().expect("text");
    let table = if format == "dump" { "--all" } else { "t" };
    if run(&["dump", first_path, table, "--format", format]).is_err() {
        // Names and keys that LMDB cannot have.
        assert_eq!(format, "dump");
        return;
    }
    let second = new("second.folio");
    fs::copy(&out, &input).expect("a file");
    assert!(load(&second, &input, format, (keys, values)), "what dump writes, load reads");
    assert!(content(&first) == content(&second), "as {format} of {keys} and {values}");
}

/// The path of a database that is not there yet.
fn new(name: &str) -> PathBuf {
    let path = folder().join(name);
    // Nothing may be there.
    let _ = fs::remove_file(&path);
    let _ = fs::remove_file(path.with_extension("folio-lock"));
    path
}

fn load(path: &Path, input: &Path, format: &str, (keys, values): (&str, &str)) -> bool {
    let (path, input) = (path.to_str().expect("text"), input.to_str().expect("text"));
    let types = ["--key-type", keys, "--value-type", values];
    let with_table = [&["load", path, "t", input, "--format", format][..], &types].concat();
    let arguments = if format == "dump" { vec!["load", path, input, "--format", format] } else { with_table };
    run(&arguments).is_ok()
}

fn run(arguments: &[&str]) -> Result<(), failure::Failure> {
    let arguments = std::iter::once(&"folio").chain(arguments);
    let result = match Tool::try_parse_from(arguments).expect("the arguments are right") {
        Tool::Load(load) => load.run(),
        Tool::Dump(dump) => dump.run(),
    };
    std::io::stdout().flush().expect("a file");
    if let Err(failure) = &result {
        assert!(!failure.text().is_empty());
    }
    result
}

type Content = BTreeMap<String, (String, String, Vec<(Vec<u8>, Vec<u8>)>)>;

fn content(path: &Path) -> Content {
    let db = open::for_writing(path).expect("it was loaded");
    assert!(db.check().expect("a report").is_ok());
    let tx = db.begin_read().expect("a snapshot");
    let mut content = Content::new();
    for table in tx.tables().expect("tables") {
        let raw = tx.open_raw(&table.name).expect("a table");
        let range = raw.range((Bound::Unbounded, Bound::Unbounded)).expect("a range");
        let entries = range.map(|entry| entry.map(|(k, v)| (k.into_owned(), v.to_vec())).expect("an entry"));
        let types = (raw.key_type().to_owned(), raw.value_type().to_owned());
        content.insert(table.name, (types.0, types.1, entries.collect()));
    }
    content
}
