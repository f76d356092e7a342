//! What the library says of its own accord goes to standard error, where a person might want to act on it.

use std::io::{Write, stderr};

use ::log::{LevelFilter, Log, Metadata, Record};

struct ToStandardError;

impl Log for ToStandardError {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= LevelFilter::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            // Where standard error is closed, nobody wants to know.
            let _ = writeln!(stderr(), "folio: {}", record.args());
        }
    }

    fn flush(&self) {}
}

/// Warnings and errors from here on.
pub(crate) fn init() {
    // It fails if there is a logger already, and nobody else sets one.
    if ::log::set_logger(&ToStandardError).is_ok() {
        ::log::set_max_level(LevelFilter::Warn);
    }
}
