//! The `folio` tool: loads, prints, changes and inspects Folio databases from the command line.
//!
//! One file per command, over the library's public face only. Guarantees: results go to standard output and
//! nothing else does; errors go to standard error as `folio: <message>`; the exit code is 0, 1 for an error
//! and 2 for wrong usage; a reader of standard output that goes away ends the tool quietly with exit code 0,
//! or 1 where the command knows of faults.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod base64;
mod bench;
mod check;
mod column;
mod compact;
mod completions;
mod copy;
mod count;
mod csv;
mod del;
mod dump;
mod failure;
mod file_system;
mod free;
mod get;
mod histogram;
mod info;
mod key_range;
mod lmdb;
mod load;
mod log;
mod map;
mod open;
mod output;
mod page;
mod pages;
mod progress;
mod put;
mod readers;
mod salvage;
mod scan;
mod stat;
mod tables;
mod top;
mod tree;
mod watch;

use failure::Failure;

/// Loads, prints, changes and inspects Folio databases.
///
/// A Folio database is one file. Commands that read never change it, nor create one. Keys and values are
/// written as the types recorded with their table; bytes that are not text are escaped as \t \n \r \\ \xHH,
/// and may be given that way.
///
/// The processes that have a database open, readers too, meet in a lock file beside it: x.folio-lock for
/// x.folio. Every command makes it if it is not there. It holds nothing that lasts: do not copy it, and
/// delete it only when nobody has the database open. Where it cannot be written, see --unlocked of the
/// commands that read.
#[derive(Debug, Parser)]
#[command(name = "folio", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Tool {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0, 1 for an error (a missing key and a fault found by check among them), 2 for wrong usage.

No other program may write to a database file or truncate it while folio has it open.";

#[derive(Debug, Subcommand)]
enum Command {
    Load(load::Load),
    Dump(dump::Dump),
    Scan(scan::Scan),
    Get(get::Get),
    Put(put::Put),
    Del(del::Del),
    Count(count::Count),
    Watch(watch::Watch),
    Readers(readers::Readers),
    Top(top::Top),
    Tables(tables::Tables),
    Stat(stat::Stat),
    Info(info::Info),
    Pages(pages::Pages),
    Page(page::Page),
    Tree(tree::Tree),
    Free(free::Free),
    Map(map::MapPages),
    Check(check::Check),
    Compact(compact::Compact),
    Copy(copy::Copy),
    Salvage(salvage::Salvage),
    Bench(bench::Bench),
    Completions(completions::Completions),
}

fn main() -> ExitCode {
    log::init();
    let outcome = match Tool::try_parse() {
        Ok(tool) => run(tool.command),
        // Help and the version are asked for, and go to standard output.
        Err(error) if !error.use_stderr() => error.print().map_err(Failure::Output),
        Err(error) => {
            let text = error.render().to_string();
            Err(Failure::Usage(text.strip_prefix("error: ").unwrap_or(&text).trim_end().to_owned()))
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Load(load) => load.run(),
        Command::Dump(dump) => dump.run(),
        Command::Scan(scan) => scan.run(),
        Command::Get(get) => get.run(),
        Command::Put(put) => put.run(),
        Command::Del(del) => del.run(),
        Command::Count(count) => count.run(),
        Command::Watch(watch) => watch.run(),
        Command::Readers(readers) => readers.run(),
        Command::Top(top) => top.run(),
        Command::Tables(tables) => tables.run(),
        Command::Stat(stat) => stat.run(),
        Command::Info(info) => info.run(),
        Command::Pages(pages) => pages.run(),
        Command::Page(page) => page.run(),
        Command::Tree(tree) => tree.run(),
        Command::Free(free) => free.run(),
        Command::Map(map) => map.run(),
        Command::Check(check) => check.run(),
        Command::Compact(compact) => compact.run(),
        Command::Copy(copy) => copy.run(),
        Command::Salvage(salvage) => salvage.run(),
        Command::Bench(bench) => bench.run(),
        Command::Completions(completions) => completions.run(),
    }
}
