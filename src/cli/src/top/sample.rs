//! What is looked at, and what came of it over time.

use std::collections::VecDeque;
use std::time::Instant;

use folio::{Database, Usage};

use crate::failure::Failure;

/// Looks that are remembered: more than a terminal has columns.
const REMEMBERED: usize = 512;

/// Two looks, and what happened between.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) usage: Usage,
    /// When it was taken.
    pub(super) at: Instant,
    /// Transactions a second since the look before; none at the first look.
    pub(super) commits: Option<f64>,
    /// Bytes a second by which the file has grown since.
    pub(super) growth: Option<f64>,
}

impl Sample {
    /// Looks at the database, after the look `before`.
    pub(super) fn take(db: &Database, before: Option<&Sample>) -> Result<Sample, Failure> {
        let usage = db.usage()?;
        let at = Instant::now();
        let since = before.map(|before| (before, at.duration_since(before.at).as_secs_f64()));
        let since = since.filter(|(_, seconds)| *seconds > 0.0);
        let rate = |now: u64, before: u64, seconds: f64| (float(now) - float(before)) / seconds;
        let commits = since.map(|(before, seconds)| rate(usage.txn, before.usage.txn, seconds));
        let growth = since.map(|(before, seconds)| rate(usage.file_bytes, before.usage.file_bytes, seconds));
        Ok(Sample { usage, at, commits, growth })
    }

    /// Transactions that a loss of power would take back.
    pub(super) fn lag(&self) -> u64 {
        self.usage.txn.saturating_sub(self.usage.durable_txn)
    }

    /// Pages that hold something.
    pub(super) fn used_pages(&self) -> u64 {
        self.usage.pages.saturating_sub(self.usage.free_pages).saturating_sub(self.usage.pending_pages)
    }

    pub(super) fn bytes(&self, pages: u64) -> u64 {
        pages.saturating_mul(u64::from(self.usage.page_size))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people, rounded to a few digits")]
fn float(number: u64) -> f64 {
    number as f64
}

/// A rate as a whole number, for a bar or a line of text; 0 for what went backwards.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not below 0, and it saturates")]
pub(super) fn whole(rate: Option<f64>) -> u64 {
    rate.unwrap_or(0.0).max(0.0).round() as u64
}

/// The last looks, the newest first.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) commits: VecDeque<u64>,
    pub(super) lag: VecDeque<u64>,
    pub(super) growth: VecDeque<u64>,
    pub(super) pending: VecDeque<u64>,
}

impl History {
    pub(super) fn add(&mut self, sample: &Sample) {
        // The first look knows no rate.
        if sample.commits.is_some() {
            remember(&mut self.commits, whole(sample.commits));
            remember(&mut self.growth, whole(sample.growth));
        }
        remember(&mut self.lag, sample.lag());
        remember(&mut self.pending, sample.bytes(sample.usage.pending_pages));
    }
}

fn remember(list: &mut VecDeque<u64>, value: u64) {
    list.truncate(REMEMBERED - 1);
    list.push_front(value);
}
