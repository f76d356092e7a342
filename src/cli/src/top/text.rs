//! One look as text, and the words that text and screen share.

use std::io::{self, Write};
use std::path::Path;

use crate::output::Align::{Left, Right};
use crate::output::{self, bytes, columns, grouped, percent, ratio};
use crate::readers;
use crate::top::sample::{Sample, whole};

/// `12 a second`; `0.3 a second` where there is less than ten.
pub(super) fn commits(sample: &Sample) -> String {
    match sample.commits {
        None => "counting".to_owned(),
        Some(rate) if rate > 0.0 && rate < 9.95 => format!("{rate:.1} a second"),
        Some(_) => format!("{} a second", grouped(whole(sample.commits))),
    }
}

/// `+1.2 MiB a second`, or the other sign.
pub(super) fn growth(sample: &Sample) -> String {
    let rate = sample.growth.unwrap_or(0.0);
    let size = bytes(whole(Some(rate.abs())));
    match rate {
        _ if rate.abs() < 0.5 => "steady".to_owned(),
        rate if rate < 0.0 => format!("-{size} a second"),
        _ => format!("+{size} a second"),
    }
}

/// What of the database is in use, free and pending: names, sizes and shares.
pub(super) fn space(sample: &Sample) -> [(&'static str, u64, f64); 3] {
    let share = |pages| (sample.bytes(pages), ratio(pages, sample.usage.pages));
    let parts = [sample.used_pages(), sample.usage.free_pages, sample.usage.pending_pages].map(share);
    let [used, free, pending] = parts;
    [("in use", used.0, used.1), ("free", free.0, free.1), ("pending", pending.0, pending.1)]
}

pub(super) fn write(out: &mut impl Write, path: &Path, sample: &Sample) -> io::Result<()> {
    let usage = &sample.usage;
    let row = |name: &str, text: String| vec![name.to_owned(), text];
    let mut rows = vec![
        row("file", output::name(&path.to_string_lossy())),
        row("commits", commits(sample)),
        row("transaction", grouped(usage.txn)),
        row("not durable", output::plural(sample.lag(), "transaction", "transactions")),
        row("size", format!("{}, {}", output::bytes_exactly(usage.file_bytes), growth(sample))),
    ];
    for (name, size, share) in space(sample) {
        rows.push(row(name, format!("{} ({})", bytes(size), percent(share))));
    }
    columns(out, &[Left, Left], &rows)?;
    writeln!(out)?;
    if usage.readers.is_empty() {
        return writeln!(out, "nobody reads this database");
    }
    let mut rows = vec![readers::HEAD.map(str::to_owned).to_vec()];
    rows.extend(usage.readers.iter().map(|reader| readers::row(reader).to_vec()));
    columns(out, &[Right; readers::HEAD.len()], &rows)
}
