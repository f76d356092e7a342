//! A program that tortures a database, for the tests of real files, real disks and real ends: it writes a
//! workload that describes itself and says outside the tested file system what was acknowledged; afterwards
//! it compares what is there with what was promised.
//!
//! `tests/it` and `tests/powercut/run.sh` run it. It is an example only so that `cargo test` builds it.

mod args;
mod inserts;
mod kernel;
mod reads;
mod storm;
mod talk;
mod verify;
mod workload;
mod write;

use std::process::ExitCode;

use args::{Args, Failure};

const HELP: &str = "\
torture write DB ACKS [--seed N] [--commits N] [--threads N] [--readers N] [--levels LEVEL,LEVEL..]
        [--page-size N] [--two-phase yes|no|some] [--memory-limit N] [--checkpoint-after N] [--reserve N]
        [--compact yes|no] [--nosync yes|no] [--scatter yes|no] [--end close|kill]
    levels are immediate, background, buffered
    creates DB or goes on with it; a line to ACKS for each acknowledged commit; 'ready' after the first one
torture verify DB ACKS --after kill|power [--threads N] [--end close|kill]
    0: as promised; 3: acknowledged commits are lost; 4: something else is wrong
torture read DB [--times N]
    opens for reading only, and sums up every snapshot
torture load DB [--entries N]
torture inserts DB [--commits N] [--threads N] [--levels ..] [--from N] [--overwrite N] [--end close|kill]
torture open DB
    the time of opening and of closing, in microseconds
torture talk
    does what lines of standard input say; talk.rs has the words
torture storm read|write FOLDER NAME [--levels ..] [--hold MS] [--seed N]
    one process of many that read and write FOLDER/db.folio until FOLDER/stop is there; they say what they saw
    and what was acknowledged in FOLDER/NAME
torture storm verify FOLDER
torture reads DB [--times N] [--rounds N]
    begins, gets and ends so often; with rounds, compared with the same in one transaction, in nanoseconds
torture die DB [--times N]
    so many processes, each of which opens DB, begins a snapshot, and is killed
torture shutdown MOUNTPOINT ACKS
    cuts the power of a file system: nothing more reaches its disk, the journal neither; says how many bytes
    ACKS had before";

fn main() -> ExitCode {
    let mut args = Args::of_process();
    let result = match args.command().as_str() {
        "write" => write::run(&mut args),
        "verify" => verify::run(&mut args),
        "read" => verify::read(&mut args),
        "load" => inserts::load(&mut args),
        "inserts" => inserts::run(&mut args),
        "open" => inserts::open(&mut args),
        "talk" => talk::run(&mut args),
        "storm" => storm::run(&mut args),
        "reads" => reads::run(&mut args),
        "die" => reads::die(&mut args),
        "shutdown" => shutdown(&mut args),
        _ => Err(Failure::Usage(HELP.to_owned())),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("torture: {failure}");
            failure.exit_code()
        }
    }
}

fn shutdown(args: &mut Args) -> Result<(), Failure> {
    let (mount, acks) = (args.path("MOUNTPOINT")?, args.path("ACKS")?);
    args.finish()?;
    // The kernel's shutdown and a sync in other threads race: such a sync may say that it succeeded and have
    // written nothing. So what counts is what was said before.
    let heard = std::fs::metadata(acks).map_or(0, |file| file.len());
    kernel::shutdown(&mount)
        .map_err(|error| Failure::Error(format!("shutdown of {}: {error}", mount.display())))?;
    println!("{heard}");
    Ok(())
}
