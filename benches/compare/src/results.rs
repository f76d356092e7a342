//! What a run leaves: every single measurement, and on what it was made.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::catalog::{Set, Step};
use crate::engines::Entry;
use crate::job::{Outcome, Sizes};
use crate::meter;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    pub header: Header,
    pub runs: Vec<Run>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    pub date: String,
    pub commit: String,
    pub machine: Vec<(String, String)>,
    pub engines: Vec<EngineInfo>,
    pub rounds: u32,
    pub passes: u32,
    pub quick: bool,
    pub seed: u64,
    pub sizes: Sizes,
    /// Whether the disk's own counters could be read.
    pub device_counters: bool,
    /// What was left out, and why.
    pub skipped: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EngineInfo {
    pub name: String,
    pub version: String,
    pub settings: String,
}

/// One step of one engine.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub engine: String,
    pub set: Set,
    pub step: Step,
    pub round: u32,
    pub pass: u32,
    pub outcome: Option<Outcome>,
    pub error: Option<String>,
}

impl EngineInfo {
    pub(crate) fn of(entry: &Entry) -> EngineInfo {
        let settings = entry.settings.split_whitespace().collect::<Vec<_>>().join(" ");
        EngineInfo { name: entry.name.to_owned(), version: (entry.version)(), settings }
    }
}

impl Run {
    /// What the same of another engine has in common with this.
    pub(crate) fn place(&self) -> (u32, u32, Set, Step) {
        (self.round, self.pass, self.set, self.step)
    }
}

impl Results {
    pub(crate) fn read(path: &Path) -> Result<Results> {
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not what --json writes", path.display()))
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string(self)?.replace("{\"engine\"", "\n{\"engine\"");
        fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))
    }
}

/// Where engines that did the same work did not read the same, or have not the same content afterwards.
pub(crate) fn disagreements(runs: &[Run]) -> Vec<String> {
    let mut outcomes = runs.iter().filter_map(|run| Some((run, run.outcome.as_ref()?)));
    let Some((first, expected)) = outcomes.next() else { return Vec::new() };
    let mut found = Vec::new();
    for (run, outcome) in outcomes {
        for (what, one, other) in [
            ("was read", expected.checksum, outcome.checksum),
            ("was written", expected.content, outcome.content),
        ] {
            if one != other {
                let place = format!("{:?}/{:?}: {} and {}", run.set, run.step, first.engine, run.engine);
                found.push(format!("{place} differ in what {what}: {one:x?}, {other:x?}"));
            }
        }
    }
    found
}

/// What a reader needs to know of the machine.
pub(crate) fn describe_machine(dir: &Path) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let mut fact = |name: &str, value: Option<String>| {
        let value = value.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
        facts.extend(value.filter(|text| !text.is_empty()).map(|text| (name.to_owned(), text)));
    };
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split(':').nth(1));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    fact("processor", model.map(|model| format!("{model}, {cores} cores")));
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next());
    let gib =
        total.and_then(|kib| kib.parse::<u64>().ok()).map(|kib| format!("{} GiB", (kib + (1 << 19)) >> 20));
    fact("memory", gib);
    fact("kernel", output("uname", &["-sr"]));
    let path = dir.display().to_string();
    fact("file system", output("findmnt", &["-no", "FSTYPE,OPTIONS", "-T", &path]));
    let disk = meter::device_stat(dir).map(|stat| {
        let folder = stat.parent().unwrap_or(Path::new("/"));
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
        let name = folder.file_name().unwrap_or_default().display();
        format!("{name}, {}, scheduler {}", read("queue/write_cache"), read("queue/scheduler"))
    });
    fact("disk", disk);
    fact("huge pages", fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").ok());
    fact("compiler", output("rustc", &["-V"]));
    facts
}

/// The first line that a program prints, if it is there.
pub(crate) fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    //! Goal: a wrong answer of an engine is seen. Method: outcomes that differ in one place.

    use super::*;

    fn run(engine: &str, checksum: u64, content: u64) -> Run {
        let outcome = Outcome { checksum: Some(checksum), content: Some(content), ..Outcome::default() };
        let (set, step) = (Set::Main, Step::MixedDurable);
        Run { engine: engine.to_owned(), set, step, round: 0, pass: 0, outcome: Some(outcome), error: None }
    }

    #[test]
    fn engines_that_read_or_wrote_something_else_are_named() {
        assert!(disagreements(&[run("a", 1, 2), run("b", 1, 2)]).is_empty());
        for other in [run("b", 3, 2), run("b", 1, 3)] {
            let found = disagreements(&[run("a", 1, 2), run("c", 1, 2), other]);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains("Main/MixedDurable: a and b differ"), "{found:?}");
        }
    }

    #[test]
    fn an_engine_that_failed_agrees_with_everybody() {
        let failed = Run { outcome: None, ..run("b", 0, 0) };
        assert!(disagreements(&[failed, run("a", 1, 2), run("c", 1, 2)]).is_empty());
    }
}
