//! What the library says of its own accord goes to standard error, where a person might want to act on it.

use ::log::{LevelFilter, Log, Metadata, Record};

use crate::failure::say;

struct ToStandardError;

impl Log for ToStandardError {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= LevelFilter::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            say(&record.args().to_string());
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
