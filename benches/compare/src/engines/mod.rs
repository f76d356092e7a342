//! The engines, one adapter a file. Which are built in is a matter of cargo's features.

use anyhow::{Result, bail};

use crate::engine::Engine;
use crate::job::{Job, Outcome};
use crate::steps;

#[cfg(feature = "fjall")]
mod fjall;
mod folio;
mod lmdb;
#[cfg(feature = "mdbx")]
mod mdbx;
#[cfg(feature = "redb")]
mod redb;
#[cfg(feature = "sqlite")]
mod sqlite;

/// The engine that all others are compared with.
pub(crate) const BASE: &str = "lmdb";

/// What engines may use for a cache of their own, if they have one: more than the data needs.
#[cfg(any(feature = "redb", feature = "fjall"))]
const CACHE_BYTES: u64 = 4 << 30;

/// What the rest of the program knows of an engine.
#[derive(Debug)]
pub(crate) struct Entry {
    pub name: &'static str,
    pub settings: &'static str,
    pub version: fn() -> String,
    pub run: fn(&Job) -> Result<Outcome>,
}

impl Entry {
    const fn of<E: Engine>() -> Entry {
        Entry { name: E::NAME, settings: E::SETTINGS, version: E::version, run: steps::run::<E> }
    }
}

pub(crate) const ENGINES: &[Entry] = &[
    Entry::of::<folio::Folio>(),
    Entry::of::<lmdb::Lmdb>(),
    #[cfg(feature = "mdbx")]
    Entry::of::<mdbx::Mdbx>(),
    #[cfg(feature = "redb")]
    Entry::of::<redb::Redb>(),
    #[cfg(feature = "fjall")]
    Entry::of::<fjall::Fjall>(),
    #[cfg(feature = "sqlite")]
    Entry::of::<sqlite::Sqlite>(),
];

pub(crate) fn find(name: &str) -> Result<&'static Entry> {
    let Some(entry) = ENGINES.iter().find(|entry| entry.name == name) else {
        let known: Vec<_> = ENGINES.iter().map(|entry| entry.name).collect();
        bail!("no engine {name:?} is built in; there are {}", known.join(", "));
    };
    Ok(entry)
}

/// The version of a package, as this program's own lock file has it.
fn package_version(name: &str) -> String {
    let lock = include_str!("../../Cargo.lock");
    let entry = lock.split("[[package]]").find(|entry| entry.contains(&format!("\nname = \"{name}\"\n")));
    let version = entry.and_then(|entry| entry.split("version = \"").nth(1)?.split('"').next());
    version.unwrap_or("?").to_owned()
}

#[cfg(test)]
mod tests {
    //! Goal: all engines that are built in do the same work. Method: every step of every set, with little
    //! data, in this process; what they read and wrote must be the same.

    use std::path::Path;

    use super::*;
    use crate::catalog::Set;
    use crate::job::Sizes;
    use crate::results::{Run, disagreements};

    #[test]
    fn all_engines_read_and_write_the_same() {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("target/test-{}", std::process::id()));
        for set in Set::ALL {
            for step in set.steps() {
                let runs: Vec<Run> = ENGINES
                    .iter()
                    .map(|entry| {
                        let job = Job {
                            engine: entry.name.to_owned(),
                            set,
                            step: *step,
                            pass: 0,
                            dir: folder.join(format!("{}-{set:?}", entry.name)),
                            sizes: Sizes::tiny(),
                            seed: 1,
                            max_file_bytes: 1 << 30,
                            cgroup: None,
                        };
                        std::fs::create_dir_all(&job.dir).unwrap();
                        let outcome = (entry.run)(&job).unwrap();
                        assert!(outcome.units > 0, "{set:?}/{step:?}");
                        let (engine, outcome) = (job.engine, Some(outcome));
                        Run { engine, set, step: *step, round: 0, pass: 0, outcome, error: None }
                    })
                    .collect();
                assert_eq!(disagreements(&runs), Vec::<String>::new());
            }
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
