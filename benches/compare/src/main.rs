//! The same work on Folio and on other embedded key-value stores, side by side.
//!
//! A run is rounds of sets of steps (`catalog.rs`). The runner starts each step of each engine as a process
//! of its own (this program again, `measure`), one engine after the other before the next step begins, so
//! that what is compared is measured within seconds of each other. `docs/BENCHMARKS.md` has the results, and
//! says what is unfair to whom.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

mod args;
mod catalog;
#[cfg(feature = "charts")]
mod charts;
mod check;
mod data;
mod engine;
mod engines;
mod job;
mod meter;
mod report;
mod results;
mod runner;
mod steps;
mod summary;
mod system;

use args::{Args, Command};
use results::Results;

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match &args.command {
        Some(Command::Measure { job }) => measure(job),
        Some(Command::Report { results, docs }) => report(results, docs),
        #[cfg(feature = "charts")]
        Some(Command::Plot { results, out }) => {
            Results::read(results).and_then(|results| plot(&results, out))
        }
        Some(Command::Show { results, check }) => show(results, *check),
        None if args.run.list => list(),
        None => runner::run(&args.run),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// One step, in a process that the runner has started.
fn measure(job: &str) -> Result<ExitCode> {
    let job: job::Job = serde_json::from_str(job)?;
    system::limit_process(job.max_file_bytes)?;
    if let Some(group) = &job.cgroup {
        system::MemoryGroup::join(group)?;
    }
    std::fs::create_dir_all(&job.dir)?;
    let outcome = (engines::find(&job.engine)?.run)(&job)?;
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(ExitCode::SUCCESS)
}

fn report(results: &Path, docs: &Path) -> Result<ExitCode> {
    let results = Results::read(results)?;
    report::rewrite(&results, &docs.join("BENCHMARKS.md"))?;
    #[cfg(feature = "charts")]
    plot(&results, &docs.join("benchmarks"))?;
    #[cfg(not(feature = "charts"))]
    eprintln!("SKIPPED: built without the feature `charts`, the charts are as they were");
    Ok(ExitCode::SUCCESS)
}

#[cfg(feature = "charts")]
fn plot(results: &Results, folder: &Path) -> Result<ExitCode> {
    for file in charts::draw(results, folder)? {
        println!("{}", folder.join(file).display());
    }
    Ok(ExitCode::SUCCESS)
}

fn show(results: &Path, check: bool) -> Result<ExitCode> {
    let results = Results::read(results)?;
    let rows: Vec<_> = catalog::WORKLOADS.iter().filter(|row| results.has(row)).collect();
    print!("{}", summary::table(&results, &rows));
    let misses = if check { check::misses(&results, &rows)? } else { Vec::new() };
    for miss in &misses {
        println!("FAILED: {miss}");
    }
    Ok(if misses.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn list() -> Result<ExitCode> {
    println!("engines:");
    for engine in engines::ENGINES {
        println!("  {:8} {}\n           {}", engine.name, (engine.version)(), engine.settings);
    }
    println!("workloads:");
    for row in catalog::WORKLOADS {
        println!("  {:18} {} [{}]", row.name, row.title, row.unit);
    }
    Ok(ExitCode::SUCCESS)
}
