//! The same work on Folio and on other embedded key-value stores, side by side.
//!
//! A run is rounds of sets of steps (`catalog.rs`). The runner starts each step of each engine as a process of
//! its own (this program again, `measure`), one engine after the other before the next step begins, so that
//! what is compared is measured within seconds of each other. `docs/BENCHMARKS.md` has the results, and says
//! what is unfair to whom.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

mod args;
mod catalog;
mod check;
mod data;
mod engine;
mod engines;
mod job;
mod meter;
mod results;
mod runner;
mod steps;
mod summary;
mod system;

use args::{Args, Command};

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match &args.command {
        Some(Command::Measure { job }) => measure(job),
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
