//! Why a command failed, what is said about it, and the exit code.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use crate::output::tame;

/// The reason why a command did not do what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The database said no.
    Database(folio::Error),
    /// Standard output could not be written to. A reader that went away is no error: see [`Failure::report`].
    Output(io::Error),
    /// Something that was read could not be opened or read.
    Input { name: String, source: io::Error },
    /// Something else, in words.
    Message(String),
    /// The arguments do not go together in a way that the parser cannot know.
    Usage(String),
    /// The command has printed what is wrong already, as its result.
    Printed,
}

impl Failure {
    /// Tells the person, and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        match self {
            // `folio dump ... | head` has done all that was wanted of it.
            Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Failure::Printed => ExitCode::FAILURE,
            Failure::Usage(text) => {
                // What the parser says has several lines.
                let lines: Vec<String> = text.lines().map(tame).collect();
                write(&lines.join("\n"));
                ExitCode::from(2)
            }
            _ => {
                say(&self.text());
                ExitCode::FAILURE
            }
        }
    }

    /// The message with its causes.
    pub(crate) fn text(&self) -> String {
        match self {
            Failure::Database(error) => chain(error),
            Failure::Output(error) => format!("standard output: {}", chain(error)),
            Failure::Input { name, source } => format!("{name}: {}", chain(source)),
            Failure::Message(message) | Failure::Usage(message) => message.clone(),
            Failure::Printed => String::new(),
        }
    }
}

/// How a command ends that has written what it found, which is good or bad. A reader that went away does not
/// make it better.
pub(crate) fn verdict(is_good: bool, written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if is_good || error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Output(error)),
        _ if is_good => Ok(()),
        _ => Err(Failure::Printed),
    }
}

impl From<folio::Error> for Failure {
    fn from(error: folio::Error) -> Self {
        Failure::Database(error)
    }
}

/// Only standard output is written with `?`; other files are named where they are read.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Output(error)
    }
}

/// An error and its causes, each once: many messages contain their cause already.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

/// Says something on standard error, on one line. Something of a file or its name may stand in it.
pub(crate) fn say(message: &str) {
    write(&tame(message));
}

fn write(message: &str) {
    use io::Write;
    // Where even standard error is closed, the exit code has to do.
    let _ = writeln!(io::stderr(), "folio: {message}");
}
