//! A progress bar on standard error, drawn only when that is a terminal. It is gone when it is dropped.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Progress of long work.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Counts bytes up to `total`, or just counts them where the total is unknown.
    pub(crate) fn of_bytes(label: &'static str, total: Option<u64>) -> Self {
        match total {
            Some(_) => {
                Self::new(label, total, "{msg} [{wide_bar}] {binary_bytes}/{binary_total_bytes}, {eta} left")
            }
            None => Self::new(label, total, "{spinner} {msg} {binary_bytes}, {binary_bytes_per_sec}"),
        }
    }

    /// Counts things, `unit` by name.
    pub(crate) fn of_things(label: &'static str, total: u64) -> Self {
        Self::new(label, Some(total), "{msg} [{wide_bar}] {human_pos}/{human_len}, {eta} left")
    }

    fn new(label: &'static str, total: Option<u64>, template: &str) -> Self {
        let target = match io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr_with_hz(10),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(total, target).with_message(label);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        Progress { bar }
    }

    /// How much is done.
    pub(crate) fn set(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// How much is done, of how much: the whole may turn out larger on the way.
    pub(crate) fn set_of(&self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
