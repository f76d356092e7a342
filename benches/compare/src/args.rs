//! The command line.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "folio-compare", version, args_conflicts_with_subcommands = true)]
#[command(about = "The same work on Folio and on other embedded key-value stores")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: RunArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// One step of one engine: what the runner starts as a process of its own
    #[command(hide = true)]
    Measure { job: String },
    /// Rewrite the tables of BENCHMARKS.md, and draw its charts, from what --json wrote
    Report {
        results: PathBuf,
        /// The folder of BENCHMARKS.md; charts go to `benchmarks` in it
        #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"))]
        #[arg(hide_default_value = true)]
        docs: PathBuf,
    },
    /// Draw charts, as SVG, from what --json wrote
    #[cfg(feature = "charts")]
    Plot {
        results: PathBuf,
        /// The folder that they go to
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
    },
    /// Print the table of a run again, from what --json wrote, and check it if asked to
    Show {
        results: PathBuf,
        /// Exit with 1 if Folio misses a floor of floors.toml, and name it
        #[arg(long)]
        check: bool,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RunArgs {
    /// Engines, in the order of the columns [default: all that are built in]
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub engines: Vec<String>,
    /// Workloads, as --list names them; `get*` means all that begin with `get` [default: all]
    #[arg(long, value_delimiter = ',', value_name = "X,Y")]
    pub workloads: Vec<String>,
    /// How often all is done; figures are medians [default: 3; quick: 2]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: Option<u32>,
    /// How often in a round what is short is done: reads, and durable writes [default: 2]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub passes: Option<u32>,
    /// Less of everything: two engines in under 5 minutes
    #[arg(long)]
    pub quick: bool,
    /// Exit with 1 if Folio misses a floor of floors.toml, and name it
    #[arg(long)]
    pub check: bool,
    /// Write every single measurement to a file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Where the databases go, on the disk to be measured [default: target/data of this package]
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target/data"))]
    #[arg(hide_default_value = true)]
    pub dir: PathBuf,
    /// Of keys, values and their order
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The most MiB that one database may take; an engine that takes more is ended
    #[arg(long, default_value_t = 6144, value_name = "MIB")]
    pub max_mib: u64,
    /// The most seconds that one step of one engine may take
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    pub max_seconds: u64,
    /// Show engines and workloads, and do nothing
    #[arg(long)]
    pub list: bool,
}

impl RunArgs {
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 2 } else { 3 })
    }

    pub(crate) fn passes(&self) -> u32 {
        self.passes.unwrap_or(2)
    }
}
