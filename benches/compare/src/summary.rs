//! Medians and ratios of what was measured, and the table for the terminal.

use std::fmt::Write as _;

use crate::catalog::{Figure, Workload};
use crate::engines::BASE;
use crate::job::{Cost, Outcome};
use crate::results::{Results, Run};

/// What several measurements of one thing say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Spread> {
        values.retain(|value| value.is_finite());
        values.sort_unstable_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Spread { median: (low + high) / 2.0, min, max })
    }
}

/// One engine's cell of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    pub value: Spread,
    /// To LMDB's value of the same round and pass; of those, the median.
    pub ratio: Option<Spread>,
    /// The same of the CPU time per unit, turned about: more is better.
    pub cpu_ratio: Option<Spread>,
}

impl Results {
    /// Whether a row was measured at all.
    pub(crate) fn has(&self, row: &Workload) -> bool {
        self.runs.iter().any(|run| (run.set, run.step) == (row.set, row.step))
    }

    fn runs_of<'r>(&'r self, row: &Workload, engine: &str) -> impl Iterator<Item = (&'r Run, &'r Outcome)> {
        let (set, step) = (row.set, row.step);
        self.runs
            .iter()
            .filter(move |run| (run.set, run.step) == (set, step) && run.engine == engine)
            .filter_map(|run| Some((run, run.outcome.as_ref()?)))
    }

    /// A figure of all measurements of an engine.
    pub(crate) fn spread(
        &self,
        row: &Workload,
        engine: &str,
        of: impl Fn(&Outcome) -> Option<f64>,
    ) -> Option<Spread> {
        Spread::of(self.runs_of(row, engine).filter_map(|(_, outcome)| of(outcome)).collect())
    }

    /// The ratio of an engine's figure to that of LMDB, each pair from one round and pass.
    fn ratio(&self, row: &Workload, engine: &str, of: impl Fn(&Outcome) -> Option<f64>) -> Option<Spread> {
        let ratios = self.runs_of(row, engine).filter_map(|(run, outcome)| {
            let pair = |other: &&(&Run, &Outcome)| (other.0.round, other.0.pass) == (run.round, run.pass);
            let base: Vec<_> = self.runs_of(row, BASE).collect();
            let (_, base) = base.iter().find(pair)?;
            Some(of(outcome)? / of(base)?)
        });
        Spread::of(ratios.collect())
    }

    pub(crate) fn cell(&self, row: &Workload, engine: &str) -> Option<Cell> {
        let of = |outcome: &Outcome| row.figure.of(outcome);
        let cpu = |outcome: &Outcome| {
            let cost = outcome.cost;
            let seconds = cost.user_seconds + cost.system_seconds;
            (row.figure == Figure::Rate && seconds > 0.0).then(|| 1.0 / seconds)
        };
        Some(Cell {
            value: self.spread(row, engine, of)?,
            ratio: self.ratio(row, engine, of),
            cpu_ratio: self.ratio(row, engine, cpu),
        })
    }
}

/// A number for people: three digits that matter, thousands apart.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    let decimals = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let (sign, digits) = whole.split_at(usize::from(whole.starts_with('-')));
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{rest}")
}

/// What a person who waits wants to see of one measurement.
pub(crate) fn brief(outcome: &Outcome) -> String {
    let Cost { seconds, user_seconds, system_seconds, .. } = outcome.cost;
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = outcome.units as f64 / seconds;
    format!(
        "{} /s, {seconds:.3} s, CPU {user_seconds:.3} + {system_seconds:.3} s{}",
        number(rate),
        outcome.size_bytes.map(|bytes| format!(", {} MiB", bytes >> 20)).unwrap_or_default()
    )
}

/// All rows and engines, in columns.
pub(crate) fn table(results: &Results, workloads: &[&Workload]) -> String {
    let engines: Vec<&str> = results.header.engines.iter().map(|engine| engine.name.as_str()).collect();
    let mut lines = vec![vec!["workload".to_owned(), "unit".to_owned()]];
    lines[0].extend(engines.iter().map(|name| (*name).to_owned()));
    lines.extend(workloads.iter().map(|row| {
        let cells = engines.iter().map(|engine| cell_text(results, row, engine));
        [row.name.to_owned(), row.unit.to_owned()].into_iter().chain(cells).collect()
    }));
    let widths: Vec<usize> =
        (0..lines[0].len()).map(|at| lines.iter().map(|line| line[at].len()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for line in lines {
        for (cell, width) in line.iter().zip(&widths) {
            let _ = write!(text, "{cell:width$}  ");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

/// The median, from least to most, and after an `x` the ratio to LMDB; in brackets that of CPU time.
fn cell_text(results: &Results, row: &Workload, engine: &str) -> String {
    let Some(cell) = results.cell(row, engine) else { return "-".to_owned() };
    let mut text = number(cell.value.median);
    if cell.value.min < cell.value.max {
        let _ = write!(text, " [{}..{}]", number(cell.value.min), number(cell.value.max));
    }
    if engine != BASE {
        if let Some(ratio) = cell.ratio {
            let _ = write!(text, " x{:.2}", ratio.median);
        }
        if let Some(ratio) = cell.cpu_ratio {
            let _ = write!(text, " (cpu x{:.2})", ratio.median);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    //! Goal: what is printed is what was measured. Method: small examples.

    use super::*;

    #[test]
    fn numbers_are_grouped_and_rounded() {
        for (value, text) in
            [(1234567.8, "1,234,568"), (123.4, "123"), (12.34, "12.3"), (1.234, "1.23"), (-1500.0, "-1,500")]
        {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_spread_has_the_middle_one_or_between_the_two_middle_ones() {
        let spread = |values: &[f64]| Spread::of(values.to_vec()).map(|spread| spread.median);
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(spread(&[]), None);
    }
}
