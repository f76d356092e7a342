//! The runner: rounds of sets of steps, each step of each engine in a fresh process, the engines in turn.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::args::RunArgs;
use crate::catalog::{Set, Step, WORKLOADS, Workload};
use crate::engines::{self, Entry};
use crate::job::{Job, Outcome, Sizes};
use crate::results::{self, EngineInfo, Header, Results, Run};
use crate::system::{self, MemoryGroup};
use crate::{check, meter, summary};

/// Below this much room on the disk, whatever is running is ended.
const KEEP_FREE: u64 = 1 << 30;

pub(crate) fn run(args: &RunArgs) -> Result<ExitCode> {
    let engines = select_engines(&args.engines)?;
    let workloads = select_workloads(&args.workloads)?;
    let folder = Folder::new(&args.dir)?;
    let sizes = if args.quick { Sizes::quick() } else { Sizes::full() };
    let mut runner = Runner {
        args,
        sizes,
        engines,
        workloads,
        folder,
        results: Results { header: header(args, sizes)?, runs: Vec::new() },
        failures: Vec::new(),
    };
    runner.results.header.engines = runner.engines.iter().map(|entry| EngineInfo::of(entry)).collect();
    for round in 0..args.rounds() {
        for set in Set::ALL {
            runner.set(round, set)?;
        }
        // So that a run that is ended from outside leaves its whole rounds.
        if let Some(path) = &args.json {
            runner.results.write(path)?;
        }
    }
    runner.end()
}

fn header(args: &RunArgs, sizes: Sizes) -> Result<Header> {
    let device_counters = meter::device_stat(&args.dir).is_some();
    if !device_counters {
        eprintln!("SKIPPED: this system does not count what the disk of {} does", args.dir.display());
    }
    let free = system::free_bytes(&args.dir)?;
    ensure!(free > 4 * KEEP_FREE, "only {} MiB free below {}", free >> 20, args.dir.display());
    Ok(Header {
        date: results::output("date", &["-u", "+%Y-%m-%d %H:%M UTC"]).unwrap_or_default(),
        commit: results::output("git", &["describe", "--always", "--dirty"]).unwrap_or_default(),
        machine: results::describe_machine(&args.dir),
        engines: Vec::new(),
        rounds: args.rounds(),
        passes: args.passes(),
        quick: args.quick,
        seed: args.seed,
        sizes,
        device_counters,
        skipped: Vec::new(),
    })
}

fn select_engines(names: &[String]) -> Result<Vec<&'static Entry>> {
    if names.is_empty() {
        return Ok(engines::ENGINES.iter().collect());
    }
    names.iter().map(|name| engines::find(name)).collect()
}

fn select_workloads(names: &[String]) -> Result<Vec<&'static Workload>> {
    let is_meant = |row: &Workload, name: &str| match name.strip_suffix('*') {
        Some(start) => row.name.starts_with(start),
        None => row.name == name,
    };
    for name in names {
        ensure!(WORKLOADS.iter().any(|row| is_meant(row, name)), "there is no workload {name:?}, see --list");
    }
    let all = names.is_empty();
    Ok(WORKLOADS.iter().filter(|row| all || names.iter().any(|name| is_meant(row, name))).collect())
}

struct Runner<'a> {
    args: &'a RunArgs,
    sizes: Sizes,
    engines: Vec<&'static Entry>,
    workloads: Vec<&'static Workload>,
    folder: Folder,
    results: Results,
    failures: Vec<String>,
}

impl Runner<'_> {
    /// All steps of a set that are asked for, or that make the data for those.
    fn set(&mut self, round: u32, set: Set) -> Result<()> {
        let of_set: Vec<Step> =
            self.workloads.iter().filter(|row| row.set == set).map(|row| row.step).collect();
        let Some(last) = set.steps().iter().rposition(|step| of_set.contains(step)) else { return Ok(()) };
        for step in &set.steps()[..=last] {
            if !of_set.contains(step) && !step.makes_data() {
                continue;
            }
            let passes = if step.is_short() { self.args.passes() } else { 1 };
            for pass in 0..passes {
                self.step(round, pass, set, *step)?;
            }
        }
        for engine in &self.engines {
            self.folder.remove(&format!("{}-{set:?}", engine.name))?;
        }
        Ok(())
    }

    /// A step on each engine. Who comes first changes from round to round.
    fn step(&mut self, round: u32, pass: u32, set: Set, step: Step) -> Result<()> {
        let group = match step.is_limited() {
            false => None,
            true => match MemoryGroup::new(self.sizes.limit_bytes) {
                Ok(group) => Some(group),
                Err(error) => {
                    self.skip(format!("{step:?}: memory cannot be limited here: {error:#}"));
                    return Ok(());
                }
            },
        };
        let mut engines = self.engines.clone();
        engines.rotate_left((round + pass) as usize % self.engines.len());
        for engine in engines {
            let failed = |run: &Run| run.engine == engine.name && run.set == set && run.round == round;
            let earlier = self.results.runs.iter().any(|run| failed(run) && run.error.is_some());
            let job = Job {
                engine: engine.name.to_owned(),
                set,
                step,
                pass,
                dir: self.folder.path.join(format!("{}-{set:?}", engine.name)),
                sizes: self.sizes,
                seed: self.args.seed,
                max_file_bytes: self.args.max_mib << 20,
                cgroup: group.as_ref().map(|group| group.path().to_owned()),
            };
            let result = match earlier {
                true => Err(anyhow::anyhow!("left out, because an earlier step failed")),
                false => self.process(&job),
            };
            self.record(
                Run { engine: job.engine, set, step, round, pass, outcome: None, error: None },
                result,
            );
        }
        let first = self.results.runs.len() - self.engines.len();
        for text in results::disagreements(&self.results.runs[first..]) {
            self.fail(format!("DISAGREEMENT: {text}"));
        }
        Ok(())
    }

    fn record(&mut self, mut run: Run, result: Result<Outcome>) {
        let place = format!("round {} {:?}/{:?} {}", run.round + 1, run.set, run.step, run.engine);
        match result {
            Ok(outcome) => {
                eprintln!("{place}: {}", summary::brief(&outcome));
                run.outcome = Some(outcome);
            }
            Err(error) => {
                self.fail(format!("{place}: {error:#}"));
                run.error = Some(format!("{error:#}"));
            }
        }
        self.results.runs.push(run);
    }

    fn fail(&mut self, text: String) {
        eprintln!("FAILED: {text}");
        self.failures.push(text);
    }

    fn skip(&mut self, text: String) {
        eprintln!("SKIPPED: {text}");
        if !self.results.header.skipped.contains(&text) {
            self.results.header.skipped.push(text);
        }
    }

    /// Runs a job as a process of its own, and ends it when it takes too much.
    fn process(&self, job: &Job) -> Result<Outcome> {
        let program = std::env::current_exe().context("where this program is")?;
        let mut child = Command::new(program)
            .arg("measure")
            .arg(serde_json::to_string(job)?)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting a measuring process")?;
        let watched = self.watch(&mut child, &job.dir);
        if watched.is_err() {
            // It may have ended meanwhile.
            let _ = child.kill();
        }
        let output = child.wait_with_output().context("waiting for a measuring process")?;
        watched?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!("{}: {}", output.status, errors.trim());
        }
        serde_json::from_slice(&output.stdout).context("what a measuring process answered")
    }

    /// Waits until a process ends by itself.
    fn watch(&self, child: &mut Child, dir: &Path) -> Result<()> {
        let start = Instant::now();
        let mut looked = start;
        while child.try_wait().context("waiting for a measuring process")?.is_none() {
            std::thread::sleep(Duration::from_millis(5));
            if looked.elapsed() < Duration::from_millis(250) {
                continue;
            }
            looked = Instant::now();
            let mib = meter::allocated_bytes(dir).unwrap_or(0) >> 20;
            ensure!(mib <= self.args.max_mib, "killed: its files have {mib} MiB, more than --max-mib");
            let free = system::free_bytes(&self.args.dir)?;
            ensure!(free >= KEEP_FREE, "killed: only {} MiB are left on the disk", free >> 20);
            let seconds = start.elapsed().as_secs();
            ensure!(seconds <= self.args.max_seconds, "killed after {seconds} s, more than --max-seconds");
        }
        Ok(())
    }

    /// Tables, files, the verdict.
    fn end(self) -> Result<ExitCode> {
        let Runner { args, workloads, results, mut failures, .. } = self;
        print!("{}", summary::table(&results, &workloads));
        if args.check {
            failures.extend(check::misses(&results, &workloads)?);
        }
        for failure in &failures {
            println!("FAILED: {failure}");
        }
        Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// A folder of this run's own below the one that was asked for. It goes when the run ends.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new(dir: &Path) -> Result<Folder> {
        let path = dir.join(format!("run-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Folder { path })
    }

    fn remove(&self, name: &str) -> Result<()> {
        let path = self.path.join(name);
        match path.exists() {
            true => fs::remove_dir_all(&path).with_context(|| format!("removing {}", path.display())),
            false => Ok(()),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("{} stays behind: {error}", self.path.display());
        }
    }
}
