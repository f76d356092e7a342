//! Goal: whatever bytes a file has, opening, checking, reading, writing and compacting it end with a result
//! or an error, in little time and memory; and the whole-file check finds every fault of structure.
//! Method: mutated copies of sound files of all sorts, in half of them with the checksums that fit, go
//! through everything in child processes with little memory, whose time is watched. What the check says is
//! compared with a slow reader of the format (`hostile/format.rs`) that shares no line with the engine. Files
//! made by hand for one fault each are in `hostile/crafted.rs`, lock files in `hostile/lock_files.rs`.
//!
//! `FOLIO_HOSTILE_CASES` says how many copies (10,000), `FOLIO_HOSTILE_SEED` the number of the first.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

mod bytes;
mod craft;
mod crafted;
mod format;
mod inspected;
mod lock_files;
mod many_faults;
mod metas;
mod mutate;
mod page;
mod parent;
mod separators;
mod sound;
mod through;

use bytes::Rng;
use format::{Sound, examine};

/// CPU time of one case, in milliseconds, and memory of a worker, in KiB.
const CASE_MS: u64 = 2000;
const MEMORY_KIB: u64 = 256 << 10;

/// What a worker gets: the folder, the first case, the end, and how many to go on each time.
const CASES: &str = "FOLIO_HOSTILE_WORK";

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn boot_id() -> [u8; 16] {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d.to_le_bytes()[0]).collect();
    std::array::from_fn(|i| digits.get(2 * i).unwrap_or(&0) << 4 | digits.get(2 * i + 1).unwrap_or(&0))
}

/// The sound files of a folder, by name, with what the independent reader found in them.
fn bases(folder: &Path) -> Vec<(String, Vec<u8>, Sound)> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "sound"));
    let read = |path: PathBuf| {
        let bytes = fs::read(&path).unwrap();
        let sound = examine(&bytes, &boot_id()).unwrap_or_else(|what| panic!("{}: {what}", path.display()));
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), bytes, sound)
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn mutated_files_end_with_a_result_and_the_check_finds_every_fault() {
    if !Path::new("/proc/self/stat").exists() {
        return crate::files::say_untested("mutated files: there is no /proc to watch the processes by");
    }
    let folder = tempfile::tempdir().unwrap();
    for base in sound::make(folder.path()) {
        fs::write(folder.path().join(base.name).with_extension("sound"), base.bytes).unwrap();
    }
    let (first, cases) = (number("FOLIO_HOSTILE_SEED", 0), number("FOLIO_HOSTILE_CASES", 10_000));
    println!("FOLIO_HOSTILE_SEED={first} FOLIO_HOSTILE_CASES={cases}");
    parent::run(folder.path(), first, cases);
}

/// The child: it takes many cases, and says of each what came of it.
#[test]
#[ignore = "a child process of the test above"]
fn worker() {
    let Ok(work) = env::var(CASES) else { return };
    let (work, folder) = work.split_once(' ').unwrap();
    let [from, end, step] = *work.split(',').map(|n| n.parse().unwrap()).collect::<Vec<u64>>() else {
        panic!("{work}")
    };
    let (bases, boot) = (bases(Path::new(folder)), boot_id());
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("case.folio");
    let mut case = from;
    while case < end {
        println!("@@ begin {case}");
        let rng = &mut Rng(case.wrapping_mul(0x9E37_79B9));
        let (name, bytes, sound) = &bases[rng.below(bases.len())];
        let mutated = mutate::mutate(bytes, sound, rng);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            through::case(&path, bytes, sound, &mutated, &boot, rng)
        }));
        let outcome = outcome.unwrap_or_else(|_| Err("a panic, see standard error".to_owned()));
        let what = format!("{name}: {}", mutated.what);
        match outcome {
            Ok(seen) => println!("@@ end {case} {seen}"),
            Err(fault) => {
                let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("hostile-{case}.folio"));
                fs::write(&kept, &mutated.file).unwrap();
                println!("@@ fault {case} {what}: {} (kept as {})", fault.replace('\n', " "), kept.display());
            }
        }
        case += step;
    }
    println!("@@ done");
}
