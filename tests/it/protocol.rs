//! Goal: the rules of the commit protocol keep what `docs/DURABILITY.md` promises, each of them is needed,
//! and whoever changes one finds out here what it was good for. Method: a model of the protocol, small enough
//! that schedules can be run by the million. It knows pages, meta pages and the head record, but no bytes;
//! the steps of a writer, a leader and readers, and every interleaving of them; and ends of all kinds at
//! every point. After every step it looks at what is in use, at what the end of all processes would leave,
//! and at what a power cut would leave.
//!
//! The model is not Folio's code but an account of its rules. Read it beside `src/pager`, and change both
//! together; in this order:
//!
//! - `roots`: what a commit makes, and which pages are free.
//! - `disk`: what a sync settles, and what a power cut may leave.
//! - `words`: what the processes share; `state`: who they are, and what was promised.
//! - `writer`, `publish`, `leader`, `take_over`, `reader`: who takes part, step by step.
//! - `openers`, `recovery`: who comes and goes, and is killed.
//! - `check`: what must hold after every step.
//! - `broken`: the rules, as what is done when one is broken. Each breach must be found.
//! - `actions`, `explore`, `exhaustive`: schedules at random, and all of them up to a length.
//!
//! Left out: trees (a root is the set of its pages, and a walk sees all that are younger than a root); the
//! order of memory accesses (`src/pager/shared/mod.rs` argues for its fences); full disks, creation, two lock
//! files, and what a process that only reads does beside reading.
//!
//! `FOLIO_PROTOCOL_SCHEDULES` says how many random schedules of the right rules are run,
//! `FOLIO_PROTOCOL_STATES` how many states are covered exhaustively, `FOLIO_PROTOCOL_SEED` which seed comes
//! first, also of those that look for breaches, `FOLIO_PROTOCOL_RULE` a part of the names of the rules whose
//! breaches are looked for. With `--nocapture`, the shortest schedule found for each breach is printed.

use std::sync::Mutex;
use std::time::Instant;

mod actions;
mod broken;
mod check;
mod choices;
mod disk;
mod exhaustive;
mod explore;
mod leader;
mod openers;
mod publish;
mod reader;
mod recovery;
mod roots;
mod state;
mod take_over;
mod words;
mod writer;

use actions::Mix;
use broken::Broken;
use explore::{Explored, explore, in_words};

/// Schedules of the right rules, and of rules that others make redundant.
const SCHEDULES: u64 = if cfg!(debug_assertions) { 4_000 } else { 20_000 };

/// States that are covered exhaustively.
const STATES: u64 = if cfg!(debug_assertions) { 10_000 } else { 50_000 };

/// Schedules within which each breach must be found.
const BREACH_SCHEDULES: u64 = 500_000;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

fn first_seed() -> u64 {
    number("FOLIO_PROTOCOL_SEED", 1)
}

/// Does the work for each item, on as many threads as there are cores; the results in the items' order.
fn on_all_cores<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let (next, results) = (Mutex::new(0..items.len()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let Some(at) = next.lock().unwrap().next() else { return };
                    let result = work(&items[at]);
                    results.lock().unwrap().push((at, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Runs schedules of which none may lead to a violation.
fn check_harmless(broken: Option<Broken>, schedules: u64) -> Explored {
    let share = schedules.div_ceil(8);
    let seeds: Vec<u64> = (0..8).map(|part| first_seed() + part * share).collect();
    let mut all = Explored::default();
    for explored in on_all_cores(&seeds, |seed| explore(broken, *seed, share)) {
        if let Some(caught) = explored.caught {
            panic!("{broken:?}, seed {}:\n{}", caught.seed, in_words(broken, caught.seed));
        }
        all.schedules += explored.schedules;
        all.steps += explored.steps;
        all.images += explored.images;
    }
    all
}

#[test]
fn the_rules_keep_every_promise() {
    let started = Instant::now();
    let all = check_harmless(None, number("FOLIO_PROTOCOL_SCHEDULES", SCHEDULES));
    println!(
        "the rules hold in {} schedules from seed {} on: {} steps, {} images, {:.1?}",
        all.schedules,
        first_seed(),
        all.steps,
        all.images,
        started.elapsed()
    );
}

#[test]
fn the_rules_keep_every_promise_in_all_short_schedules() {
    let states = usize::try_from(number("FOLIO_PROTOCOL_STATES", STATES)).unwrap();
    let one_reader = Mix { readers: 1, small: true, ..Mix::PLAIN };
    let no_reader = Mix { readers: 0, ..one_reader };
    let two = Mix { writers: 2, ..no_reader };
    let scopes = [
        ("a writer, a leader and a reader", one_reader, false),
        ("a writer and a leader", no_reader, false),
        ("a writer, a leader, and every end", no_reader, true),
        ("two processes", two, false),
        ("two processes, one that only reads, and every end", Mix { onlooker: true, untold: 1, ..two }, true),
    ];
    let covered = on_all_cores(&scopes, |(_, mix, rare)| exhaustive::cover(None, mix, *rare, states));
    for ((name, ..), covered) in scopes.iter().zip(covered) {
        if let Some((violation, schedule)) = covered.violation {
            panic!("{name}:\n    {}\n{violation}", schedule.join("\n    "));
        }
        assert!(covered.depth > 8, "{name}: {covered:?}");
        let exhaustive::Covered { depth, states, images, .. } = covered;
        println!("{name}: all schedules of {depth} steps, {states} states, {images} images");
    }
}

/// Goal: the exhaustive search can find something, and says the shortest schedule that leads there.
#[test]
fn the_first_breach_is_the_shortest() {
    let mix = Mix { small: true, ..Mix::PLAIN };
    let covered = exhaustive::cover(Some(Broken::FreedPageReusedAtOnce), &mix, false, 10_000);
    let (violation, schedule) = covered.violation.unwrap();
    assert_eq!(schedule.len(), 7, "begin, five loads of a scan, a page: {schedule:#?}");
    assert_eq!(violation.to_string(), "Page 0 of root 1, which is in use, was written over or cut off.");
}

#[test]
fn every_breach_of_a_rule_is_found() {
    let wanted = std::env::var("FOLIO_PROTOCOL_RULE").unwrap_or_default();
    let rules = Broken::HARMFUL.iter().chain(Broken::ARGUED.iter().filter(|_| !wanted.is_empty()));
    let rules: Vec<Broken> = rules.filter(|rule| format!("{rule:?}").contains(&wanted)).copied().collect();
    let found = on_all_cores(&rules, |rule| explore(Some(*rule), first_seed(), BREACH_SCHEDULES));
    println!("breaches are looked for from seed {} on", first_seed());
    let mut missed = Vec::new();
    for (rule, Explored { schedules, steps, images, caught, first }) in rules.iter().zip(found) {
        let Some(caught) = caught else {
            missed.push(rule);
            continue;
        };
        println!("{rule:?}: schedule {first} of {schedules} ({steps} steps, {images} images); the shortest:");
        println!("{}", in_words(Some(*rule), caught.seed));
    }
    assert!(missed.is_empty(), "not found in {BREACH_SCHEDULES} schedules: {missed:?}");
}

/// A rule for which this fails is not redundant, but one whose breach must be found.
#[test]
fn redundant_rules_are_redundant() {
    for rule in Broken::REDUNDANT {
        let all = check_harmless(Some(*rule), SCHEDULES);
        println!("{rule:?}: no harm in {} schedules", all.schedules);
    }
}

#[test]
fn a_seed_makes_a_schedule() {
    assert_eq!(in_words(None, 7), in_words(None, 7));
    assert_ne!(in_words(None, 7), in_words(None, 8));
}

/// Goal: who looks for what keeps a rule finds it.
/// Method: each breach says where, and every name in its comment stands in the sources.
#[test]
fn the_code_that_keeps_a_rule_is_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = String::new();
    let mut folders = vec![root.join("src/pager"), root.join("src/storage")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                code.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let rules = std::fs::read_to_string(root.join("tests/it/protocol/broken.rs")).unwrap();
    let rules = rules.split_once("pub(super) enum Broken {").unwrap().1.split_once("\n}").unwrap().0;
    let mut comment = String::new();
    let mut seen = 0;
    for line in rules.lines().map(str::trim) {
        match line.strip_prefix("/// ") {
            Some(text) => comment.push_str(&format!("{text} ")),
            None if line.ends_with(',') => {
                check_names(line, &std::mem::take(&mut comment), root, &code);
                seen += 1;
            }
            None => {}
        }
    }
    assert_eq!(seen, Broken::HARMFUL.len() + Broken::ARGUED.len() + Broken::REDUNDANT.len());
}

/// The names in backticks are files, or functions and fields of the code.
fn check_names(rule: &str, comment: &str, root: &std::path::Path, code: &str) {
    assert!(comment.contains("Kept by"), "{rule} {comment}");
    for name in comment.split('`').skip(1).step_by(2) {
        let last = name.rsplit("::").next().unwrap();
        let is_there = if name.starts_with("src/") {
            root.join(name).is_file()
        } else {
            [format!("fn {last}("), format!("fn {last}<"), format!(" {last}: ")]
                .iter()
                .any(|n| code.contains(n))
        };
        assert!(is_there, "{rule} is said to be kept by {name}");
    }
}
