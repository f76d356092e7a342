//! Goal: the tests see a broken protocol.
//! Method: each file in `tests/mutations` lists edits that break one rule of the real code, and the test that
//! has to fail for it. Here the edits are checked against the source, so that they do not rot. With
//! `FOLIO_MUTATIONS=1`, or parts of names with commas between, each is applied to a copy of the project, and
//! its test is run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use crate::files::say_untested;

/// What a copy of the project needs.
const PROJECT: [&str; 6] = ["Cargo.toml", "Cargo.lock", "README.md", "docs", "src", "tests"];

/// The tests run with their usual checks, but compile quickly.
const PROFILE: [&str; 4] =
    ["opt-level=1", "package.\"*\".opt-level=3", "incremental=true", "debug=\"line-tables-only\""];

/// One broken rule. In its file: `[name]`, what is broken, `test:` and, for each edit, `file:` with the lines
/// that go (`-`), that come in their place (`+`), and that stay.
#[derive(Default)]
struct Mutation {
    name: String,
    broken: String,
    test: String,
    edits: Vec<Edit>,
}

#[derive(Default)]
struct Edit {
    file: String,
    before: Vec<String>,
    after: Vec<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn mutations() -> Vec<Mutation> {
    let files = fs::read_dir(root().join("tests/mutations")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.collect();
    files.sort();
    files.iter().flat_map(|file| parse(&fs::read_to_string(file).unwrap())).collect()
}

fn parse(text: &str) -> Vec<Mutation> {
    let mut found: Vec<Mutation> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix('[') {
            found.push(Mutation { name: name.trim_end_matches(']').to_owned(), ..Mutation::default() });
            continue;
        }
        let mutation = found.last_mut().expect("a name comes first");
        if let Some(test) = line.strip_prefix("test: ") {
            mutation.test = test.to_owned();
        } else if let Some(file) = line.strip_prefix("file: ") {
            mutation.edits.push(Edit { file: file.to_owned(), ..Edit::default() });
        } else if let (Some(edit), Some(text)) = (mutation.edits.last_mut(), line.strip_prefix('-')) {
            edit.before.push(text.to_owned());
        } else if let (Some(edit), Some(text)) = (mutation.edits.last_mut(), line.strip_prefix('+')) {
            edit.after.push(text.to_owned());
        } else if let (Some(edit), Some(text)) = (mutation.edits.last_mut(), line.strip_prefix(' ')) {
            edit.before.push(text.to_owned());
            edit.after.push(text.to_owned());
        } else {
            mutation.broken = [&mutation.broken, line].map(|text| text.trim()).join(" ");
        }
    }
    found
}

impl Mutation {
    /// The files of `project` that it changes, as they are and as it makes them.
    fn files(&self, project: &Path) -> Vec<(&str, String, String)> {
        let mut files: Vec<(&str, String, String)> = Vec::new();
        for edit in &self.edits {
            let Edit { file, before, after } = edit;
            if files.last().is_none_or(|last| last.0 != file) {
                let text = fs::read_to_string(project.join(file)).unwrap();
                files.push((file, text.clone(), text));
            }
            let (_, original, text) = files.last_mut().unwrap();
            let before = before.join("\n");
            let times = original.matches(&before).count();
            assert_eq!(times, 1, "{}: not once in {file}, but {times} times:\n{before}", self.name);
            *text = text.replacen(&before, &after.join("\n"), 1);
        }
        files
    }
}

#[test]
fn each_mutation_has_its_place_in_the_source() {
    let mutations = mutations();
    for mutation in &mutations {
        let Mutation { name, broken, test, edits } = mutation;
        assert!(broken.ends_with('.') && test.contains("::") && !edits.is_empty(), "{name}: {broken}");
        assert_eq!(mutations.iter().filter(|other| other.name == *name).count(), 1, "{name}");
        assert!(mutation.files(root()).iter().all(|(_, before, after)| before != after), "{name}");
    }
    println!("{} mutations", mutations.len());
}

#[test]
fn each_mutation_is_caught() {
    let Ok(wanted) = std::env::var("FOLIO_MUTATIONS") else {
        return say_untested("that each mutation is caught: half an hour, with FOLIO_MUTATIONS=1");
    };
    let mut mutations = mutations();
    mutations.retain(|mutation| wanted == "1" || wanted.split(',').any(|part| mutation.name.contains(part)));
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutations");
    let copy = work.join("project");
    let _ = fs::remove_dir_all(&copy);
    PROJECT.iter().for_each(|name| copy_tree(&root().join(name), &copy.join(name)));

    let tests: Vec<&str> = mutations.iter().map(|mutation| &mutation.test[..]).collect();
    let sound = test(&copy, &tests);
    assert!(sound.status.success(), "without a mutation: {}", text(&sound));
    let mut caught = 0;
    for mutation in &mutations {
        let files = mutation.files(&copy);
        files.iter().for_each(|(file, _, after)| fs::write(copy.join(file), after).unwrap());
        let start = Instant::now();
        let output = test(&copy, &[&mutation.test]);
        let by = caught_by(&output);
        caught += usize::from(by.is_some());
        let by = by.unwrap_or_else(|| "NOT CAUGHT".to_owned());
        println!("{:50} {by}, {:.1?}", mutation.name, start.elapsed());
        files.iter().for_each(|(file, before, _)| fs::write(copy.join(file), before).unwrap());
    }
    println!("{caught} of {} caught", mutations.len());
    assert_eq!(caught, mutations.len());
}

/// Runs those tests of the library whose names contain one of `filters`. They have to compile.
fn test(project: &Path, filters: &[&str]) -> Output {
    let run = |arguments: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(project).args([
            "test",
            "--offline",
            "--release",
            "--lib",
            "--target-dir",
            "../target",
        ]);
        for setting in PROFILE {
            cargo.args(["--config", &format!("profile.release.{setting}")]);
        }
        // The usual seeds, and as many cases.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FOLIO_")) {
            cargo.env_remove(name);
        }
        cargo.args(arguments).output().unwrap()
    };
    let compiled = run(&["--no-run"]);
    assert!(compiled.status.success(), "it does not compile: {}", text(&compiled));
    run(&[&["--"], filters].concat())
}

/// The tests that failed, or the signal that ended them all.
fn caught_by(output: &Output) -> Option<String> {
    let text = text(output);
    assert!(!text.contains("running 0 tests"), "no test of that name: {text}");
    if text.contains("test result: FAILED") {
        let failed = text.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
        return Some(failed.collect::<Vec<_>>().join(", "));
    }
    // Cargo tells of it.
    let signal = text.lines().find_map(|line| line.split_once("(signal: "));
    signal.map(|(_, signal)| format!("signal {}", signal.trim_end_matches(')')))
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).join("\n")
}

fn copy_tree(from: &Path, to: &Path) {
    if from.is_file() {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
        return;
    }
    for entry in fs::read_dir(from).unwrap() {
        let name = entry.unwrap().file_name();
        copy_tree(&from.join(&name), &to.join(&name));
    }
}
